//! `.mxcp/cache`: answers of earlier runs, by the digest of the question.
//!
//! Deleting it changes time, never output: a name covers everything its answer depends on, every line
//! carries a check of itself, and what another program wrote is not read. The file holds what requests
//! hold: SQL, names and types, no secret and no row.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mxcp_artifact::Digest;
use mxcp_base::{OsSystem, System as _};
use mxcp_catalog::Memory;
use serde::Serialize;
use serde::de::DeserializeOwned;

const FILE: &str = ".mxcp/cache/answers";
/// Keeps the folder out of the history of projects whose `.gitignore` does not.
const IGNORED: (&str, &str) = (".mxcp/cache/.gitignore", "*\n");
/// An answer about the whole project is too large to be read and written along with the others.
const WHOLE: &str = ".mxcp/cache/";
const MAX_BYTES: usize = 64 << 20;
/// How many times the file is written before an answer that nobody asked for is dropped.
const MAX_AGE: u8 = 8;
const NAME: usize = 32;
const CHECK: usize = 16;

pub(crate) struct Cache {
    system: OsSystem,
    /// The first line of the file: who wrote it.
    header: String,
    state: OnceLock<Mutex<State>>,
    /// How many bytes of new answers are kept: a process that lives long asks without end.
    room: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The file as it was found, and where in it the answers stand, by name.
    text: String,
    old: HashMap<String, Old>,
    new: BTreeMap<String, String>,
    new_bytes: usize,
}

struct Old {
    line: Range<usize>,
    age: u8,
    used: bool,
}

impl Cache {
    /// Reads nothing yet.
    pub(crate) fn new(system: OsSystem) -> Self {
        Self {
            system,
            header: header(),
            state: OnceLock::new(),
            room: AtomicUsize::new(usize::MAX),
        }
    }

    /// Keeps no more new answers than these bytes hold.
    pub(crate) fn keep_at_most(&self, bytes: usize) {
        self.room.store(bytes, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.get_or_init(|| {
            let text = self.system.read_back(FILE, 2 * MAX_BYTES as u64);
            Mutex::new(State::read(text.unwrap_or_default(), &self.header))
        });
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a question about a project with this fingerprint.
    pub(crate) fn remembered<T: Serialize + DeserializeOwned>(
        &self,
        question: &str,
        fingerprint: &Digest,
        work: impl FnOnce() -> T,
    ) -> T {
        let name = Digest::of(format!("{question} {fingerprint}"));
        if let Some(known) = self
            .recall(&name)
            .and_then(|text| serde_json::from_str(&text).ok())
        {
            return known;
        }
        let answer = work();
        if let Ok(text) = serde_json::to_string(&answer) {
            self.keep(&name, text);
        }
        answer
    }

    /// The answer about a whole project that the last run kept in a file of its own.
    pub(crate) fn recall_whole<T: DeserializeOwned>(
        &self,
        question: &str,
        fingerprint: &Digest,
    ) -> Option<T> {
        let path = format!("{WHOLE}{question}");
        let text = self.system.read_back(&path, MAX_BYTES as u64)?;
        let (head, answer) = text.split_once('\n')?;
        (head == self.head(question, fingerprint, answer))
            .then(|| serde_json::from_str(answer).ok())?
    }

    /// Puts such an answer in the place of the last one.
    pub(crate) fn keep_whole(&self, question: &str, fingerprint: &Digest, answer: &impl Serialize) {
        let Ok(answer) = serde_json::to_string(answer) else {
            return;
        };
        if answer.len() >= MAX_BYTES {
            return;
        }
        let head = self.head(question, fingerprint, &answer);
        let path = format!("{WHOLE}{question}");
        let written = self.system.write(&path, &format!("{head}\n{answer}"));
        self.ignore(written.is_ok());
    }

    fn head(&self, question: &str, fingerprint: &Digest, answer: &str) -> String {
        let header = &self.header;
        let name = Digest::of(format!("{question} {fingerprint}"));
        format!("{header} {} {}", short(&name), short(&Digest::of(answer)))
    }

    fn ignore(&self, written: bool) {
        if written && self.system.read_back(IGNORED.0, 64).is_none() {
            let _ = self.system.write(IGNORED.0, IGNORED.1);
        }
    }

    /// Writes what is new. A folder that cannot be written keeps its old answers, or none.
    pub(super) fn save(&self) {
        if self.state.get().is_none() {
            return;
        }
        let state = self.state();
        if state.new.is_empty() {
            return;
        }
        let written = self.system.write(FILE, &state.written(&self.header));
        self.ignore(written.is_ok());
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.save();
        }
    }
}

impl Memory for Cache {
    fn recall(&self, name: &Digest) -> Option<String> {
        let name = short(name);
        let mut guard = self.state();
        let State { text, old, new, .. } = &mut *guard;
        if let Some(answer) = new.get(name) {
            return Some(answer.clone());
        }
        let entry = old.get_mut(name)?;
        let answer = answer(name, text.get(entry.line.clone())?)?;
        entry.used = true;
        Some(answer.to_owned())
    }

    fn keep(&self, name: &Digest, answer: String) {
        // One line is one answer.
        if answer.contains('\n') {
            return;
        }
        let mut state = self.state();
        if state.new_bytes + answer.len() <= self.room.load(Ordering::Relaxed) {
            state.new_bytes += answer.len();
            state.new.insert(short(name).to_owned(), answer);
        }
    }
}

impl State {
    fn read(text: String, header: &str) -> Self {
        let mut old = HashMap::new();
        if text.lines().next() != Some(header) {
            return Self::default();
        }
        let mut start = header.len() + 1;
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let end = start + rest.find('\n').unwrap_or(rest.len());
            if let Some(line) = text.get(start..end)
                && let Some((name, rest)) = line.split_once(' ')
                && let Some(age) = rest.as_bytes().first().filter(|b| b.is_ascii_digit())
            {
                let entry = Old {
                    line: start..end,
                    age: age - b'0',
                    used: false,
                };
                old.insert(name.to_owned(), entry);
            }
            start = end + 1;
        }
        Self {
            text,
            old,
            new: BTreeMap::new(),
            new_bytes: 0,
        }
    }

    // New answers first, then those of this run, then the younger ones, as long as there is room.
    fn written(&self, header: &str) -> String {
        let mut out = format!("{header}\n");
        for (name, answer) in &self.new {
            out.push_str(&format!("{name} 0 {} {answer}\n", check(name, answer)));
        }
        let mut old: Vec<(u8, &str, &Old)> = self
            .old
            .iter()
            .filter(|(name, _)| !self.new.contains_key(*name))
            .map(|(name, old)| (if old.used { 0 } else { old.age + 1 }, name.as_str(), old))
            .filter(|(age, _, _)| *age <= MAX_AGE)
            .collect();
        old.sort_by_key(|(age, name, _)| (*age, *name));
        for (age, name, old) in old {
            let rest = self
                .text
                .get(old.line.clone())
                .and_then(|line| line.get(NAME + 2..));
            let Some(rest) = rest.filter(|rest| out.len() + NAME + rest.len() < MAX_BYTES) else {
                continue;
            };
            out.push_str(&format!("{name} {age}{rest}\n"));
        }
        out
    }
}

/// What a line `NAME AGE CHECK ANSWER` holds, if it is whole.
fn answer<'t>(name: &str, line: &'t str) -> Option<&'t str> {
    let rest = line.get(NAME + 3..)?;
    let found = rest.get(..CHECK)?;
    let answer = rest.get(CHECK + 1..)?;
    (found == check(name, answer)).then_some(answer)
}

fn check(name: &str, answer: &str) -> String {
    let digest = Digest::of(format!("{name} {answer}"));
    short(&digest).get(..CHECK).unwrap_or_default().to_owned()
}

fn short(digest: &Digest) -> &str {
    let text = digest.as_str();
    let hex = text.rsplit(':').next().unwrap_or(text);
    hex.get(..NAME).unwrap_or(hex)
}

/// A program that was built again may give other answers under the same version.
fn header() -> String {
    let stamp = std::env::current_exe()
        .and_then(std::fs::metadata)
        .map(|m| (m.len(), m.modified().ok()));
    let stamp = Digest::of(format!("{stamp:?} {}", mxcp_catalog::engine_name()));
    format!(
        "mxcp-cache 1 {} {}",
        env!("CARGO_PKG_VERSION"),
        short(&stamp)
    )
}
