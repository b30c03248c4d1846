//! What a person sees of a revision: what changed, what was checked again, what is wrong, how long it
//! took. On a terminal each revision takes the place of the last one and no more room than there is;
//! elsewhere they follow each other.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use mxcp_base::Diagnostic;
use mxcp_base::render::{Format, Sources, summary};

use super::Job;
use super::project::Changes;
use super::revision::{Outcome, Revision, milliseconds};
use crate::commands::output;
use crate::commands::session::Session;

/// Cursor to the upper left, everything below it cleared.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";
/// Where there is no end of a screen, what is too much still hides what matters.
const MOST: usize = 400;
const MOST_PATHS: usize = 6;

pub(super) struct Screen<'a> {
    job: &'a Job<'a>,
    json: bool,
    terminal: bool,
    redraws: bool,
}

impl<'a> Screen<'a> {
    pub(super) fn new(job: &'a Job<'a>, json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            job,
            json,
            terminal,
            redraws: terminal && !dumb,
        }
    }

    /// An error means that nobody reads it.
    pub(super) fn show(&mut self, session: &Session, revision: &Revision) -> io::Result<()> {
        if self.json {
            return output::try_print(&format!("{}\n", revision.to_json(session)));
        }
        let mut text = String::new();
        if self.redraws {
            text.push_str(CLEAR);
        }
        self.head(session, revision, &mut text);
        let rows = match self.redraws {
            // The lines around the diagnostics, and one for the cursor.
            true => output::terminal_height().map_or(MOST, |rows| rows.saturating_sub(9)),
            false => MOST,
        };
        self.findings(session, revision, rows.max(4), &mut text);
        self.verdict(revision, &mut text);
        output::try_print(&text)
    }

    fn head(&self, session: &Session, revision: &Revision, text: &mut String) {
        let Revision {
            number,
            changes,
            rechecked,
            took,
            note,
            ..
        } = revision;
        if *number == 1 || self.redraws {
            let _ = writeln!(
                text,
                "mxcp {} --watch, profile {} (Ctrl-C stops)",
                self.job.command, session.profile
            );
        }
        if let Some(note) = note {
            let _ = writeln!(text, "note: {note}");
        }
        match changes.len() {
            0 => {
                let _ = writeln!(text, "#{number}");
            }
            _ => {
                let _ = writeln!(text, "#{number}  {}", listed(changes));
            }
        }
        let _ = writeln!(
            text,
            "    checked {}, {} ({}) in {} ms",
            plural(rechecked.endpoints, "endpoint"),
            plural(rechecked.models, "model"),
            match rechecked.queries {
                1 => "1 query".to_owned(),
                n => format!("{n} queries"),
            },
            milliseconds(*took)
        );
    }

    fn findings(&self, session: &Session, revision: &Revision, rows: usize, text: &mut String) {
        let mut shown: Vec<Diagnostic> = revision
            .diagnostics()
            .iter()
            .filter(|d| d.severity <= self.job.least)
            .cloned()
            .collect();
        // What was just written comes first: that is where the author looks.
        shown.sort_by_key(|d| (d.severity, !revision.changes.contains_key(&d.primary.file)));
        let sources = session.sources_of(&shown);
        let mut used = 0;
        let mut left = shown.as_slice();
        while let Some((first, rest)) = left.split_first() {
            let room = rows.saturating_sub(used);
            // One line is kept for what does not fit.
            let Some(rendered) = self.fitting(first, &sources, room, !rest.is_empty()) else {
                break;
            };
            used += rendered.lines().count();
            text.push_str(&rendered);
            left = rest;
        }
        if !left.is_empty() {
            let _ = writeln!(text, "… and {} more; `mxcp validate` shows all", left.len());
        }
    }

    /// A diagnostic as wide as wanted, or in one line, or not at all.
    fn fitting(
        &self,
        diagnostic: &Diagnostic,
        sources: &Sources,
        room: usize,
        more: bool,
    ) -> Option<String> {
        let forms = [self.job.format, Format::Concise];
        forms.into_iter().find_map(|format| {
            let text = output::render_diagnostics(
                std::slice::from_ref(diagnostic),
                sources,
                format,
                self.terminal,
            );
            (text.lines().count() + usize::from(more) <= room).then_some(text)
        })
    }

    fn verdict(&self, revision: &Revision, text: &mut String) {
        let kept = match self.job.build {
            Some(_) => "; the last manifest was left as it is",
            None => "",
        };
        if let Some(failure) = revision.failure() {
            let _ = writeln!(text, "✗ {}{kept}", failure.message);
            if let Some(help) = &failure.help {
                let _ = writeln!(text, "  help: {help}");
            }
        }
        let Outcome::Checked {
            diagnostics,
            failed,
            built,
        } = &revision.outcome
        else {
            return;
        };
        let found = summary(diagnostics);
        let _ = match (failed, built) {
            (true, _) => writeln!(text, "✗ {found}{kept}"),
            (false, Some(built)) => writeln!(
                text,
                "✓ {found}; {}, lock {}",
                match built.manifest_changed {
                    true => format!("built {}", plural(built.endpoints, "endpoint")),
                    false => "the manifest is as it was".to_owned(),
                },
                if built.lock_changed {
                    "changed"
                } else {
                    "unchanged"
                },
            ),
            (false, None) => writeln!(text, "✓ {found}"),
        };
    }
}

fn listed(changes: &Changes) -> String {
    let mut parts: Vec<String> = changes
        .iter()
        .take(MOST_PATHS)
        .map(|(path, how)| match how {
            super::project::How::Modified => path.clone(),
            how => format!("{path} ({})", how.as_str()),
        })
        .collect();
    if changes.len() > MOST_PATHS {
        parts.push(format!("{} more", changes.len() - MOST_PATHS));
    }
    parts.join(", ")
}

fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}
