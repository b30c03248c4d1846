//! Stops code that has no caller of its own to watch over it, when its time is over. One thread,
//! started with the first such code.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::turn::Turn;

#[derive(Default)]
pub(crate) struct Clock(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    turns: BTreeMap<(Instant, u64), Arc<Turn>>,
    next: u64,
    started: bool,
    closed: bool,
}

impl Clock {
    /// Stops the turn after a time, unless the returned alarm is dropped before.
    pub(crate) fn stop_after(&self, time: Duration, turn: &Arc<Turn>) -> Option<Alarm> {
        let at = Instant::now().checked_add(time)?;
        let mut state = self.0.lock();
        let key = (at, state.next);
        state.next += 1;
        let first = state.turns.keys().next().is_none_or(|k| key < *k);
        state.turns.insert(key, Arc::clone(turn));
        if !state.started {
            let shared = Arc::clone(&self.0);
            let spawned = std::thread::Builder::new()
                .name("python-clock".to_owned())
                .spawn(move || shared.run());
            state.started = spawned.is_ok();
        }
        drop(state);
        if first {
            self.0.changed.notify_one();
        }
        Some(Alarm {
            shared: Arc::clone(&self.0),
            key,
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let Some((at, _)) = state.turns.keys().next().copied() else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Some((_, turn)) = state.turns.pop_first() {
                    turn.stop();
                }
            } else {
                state = self
                    .changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Alarm {
    shared: Arc<Shared>,
    key: (Instant, u64),
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.lock().turns.remove(&self.key);
    }
}
