//! Runs a plan over several connections of one database: a node starts when all it waits for has
//! ended, and what a failed node blocks is skipped. The observer is called on the calling thread.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use duckdb::Connection;
use mxcp_artifact::dbt::{Node, NodeSpec};

use crate::database::{Failure, Relations};
use crate::plan::Plan;
use crate::result::{NodeResult, Observer, Outcome, Status};
use crate::{Options, RunError, data_test, model, seed};

/// What every worker needs to know.
struct Shared<'a> {
    plan: &'a Plan<'a>,
    relations: &'a Relations,
    root: &'a Path,
    full_refresh: bool,
}

pub(crate) fn run(
    connection: &Connection,
    plan: &Plan<'_>,
    relations: &Relations,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<NodeResult>, RunError> {
    let shared = Shared {
        plan,
        relations,
        root: &options.root,
        full_refresh: options.full_refresh,
    };
    let workers = options.threads.clamp(1, plan.nodes.len().max(1));
    let connections = (0..workers)
        .map(|_| connection.try_clone())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| RunError::database(&error))?;
    let (jobs, queue) = channel::<usize>();
    let queue = Mutex::new(queue);
    let (done, outcomes) = channel();
    Ok(thread::scope(|scope| {
        for connection in connections {
            let (shared, queue, done) = (&shared, &queue, done.clone());
            scope.spawn(move || work(&connection, shared, queue, &done));
        }
        let mut progress = Progress::new(plan, observer, options.fail_fast);
        progress.drive(workers, &jobs, &outcomes);
        // Closing the queue sends the workers home.
        drop(jobs);
        progress.results.into_iter().flatten().collect()
    }))
}

fn work(
    connection: &Connection,
    shared: &Shared<'_>,
    queue: &Mutex<Receiver<usize>>,
    done: &Sender<(usize, Outcome, f64)>,
) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(place) = job else { return };
        let started = Instant::now();
        // A panic must not leave the scheduler waiting for an outcome that never comes.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            execute(connection, shared, shared.plan.nodes[place])
        }))
        .unwrap_or_else(|_| Outcome::error("internal error: running this node panicked"));
        if done
            .send((place, outcome, started.elapsed().as_secs_f64()))
            .is_err()
        {
            return;
        }
    }
}

fn execute(connection: &Connection, shared: &Shared<'_>, node: &Node) -> Outcome {
    let outcome = match &node.spec {
        NodeSpec::Seed(spec) => seed::load(
            connection,
            shared.relations,
            node,
            spec,
            shared.root,
            shared.full_refresh,
        ),
        NodeSpec::Model(spec) => model::build(connection, shared.relations, node, spec),
        NodeSpec::Test(spec) => data_test::run(connection, node, spec),
        NodeSpec::Snapshot(_) | NodeSpec::UnitTest(_) => Err(Failure::new(format!(
            "nodes of the kind {} are not supported",
            node.kind().as_str()
        ))),
    };
    outcome.unwrap_or_else(|failure| Outcome::error(failure.message))
}

/// The state of the run, kept by the calling thread alone.
struct Progress<'a> {
    plan: &'a Plan<'a>,
    observer: &'a mut dyn Observer,
    fail_fast: bool,
    /// A failure has ended the run early.
    stopped: bool,
    waits_for: Vec<usize>,
    ready: BTreeSet<usize>,
    /// Per place: the first place in the plan whose failure blocks it.
    blocked_by: Vec<Option<usize>>,
    results: Vec<Option<NodeResult>>,
}

impl<'a> Progress<'a> {
    fn new(plan: &'a Plan<'a>, observer: &'a mut dyn Observer, fail_fast: bool) -> Self {
        let waits_for = plan.waits_for.clone();
        let ready = (0..waits_for.len())
            .filter(|&p| waits_for[p] == 0)
            .collect();
        Self {
            plan,
            observer,
            fail_fast,
            stopped: false,
            ready,
            blocked_by: vec![None; waits_for.len()],
            results: vec![None; waits_for.len()],
            waits_for,
        }
    }

    fn drive(
        &mut self,
        workers: usize,
        jobs: &Sender<usize>,
        outcomes: &Receiver<(usize, Outcome, f64)>,
    ) {
        let total = self.plan.nodes.len();
        let mut running = 0;
        loop {
            while running < workers {
                let Some(place) = self.ready.pop_first() else {
                    break;
                };
                if let Some(reason) = self.reason_to_skip(place) {
                    self.finish(place, Outcome::of(Status::Skipped, Some(reason)), 0.0);
                    continue;
                }
                self.observer
                    .started(place + 1, total, self.plan.nodes[place]);
                if jobs.send(place).is_err() {
                    self.finish(
                        place,
                        Outcome::error("internal error: no worker is left"),
                        0.0,
                    );
                    continue;
                }
                running += 1;
            }
            if running == 0 {
                return;
            }
            let Ok((place, outcome, seconds)) = outcomes.recv() else {
                return;
            };
            running -= 1;
            self.finish(place, outcome, seconds);
        }
    }

    fn reason_to_skip(&self, place: usize) -> Option<String> {
        if let Some(cause) = self.blocked_by[place] {
            return Some(format!(
                "skipped because `{}` failed",
                self.plan.nodes[cause].name
            ));
        }
        self.stopped.then(|| "Skipping due to fail_fast".to_owned())
    }

    fn finish(&mut self, place: usize, outcome: Outcome, seconds: f64) {
        if outcome.status.blocks() {
            self.stopped |= self.fail_fast;
            for &blocked in &self.plan.blocks[place] {
                let cause = &mut self.blocked_by[blocked];
                *cause = Some(cause.map_or(place, |earlier| earlier.min(place)));
            }
        }
        let result = NodeResult::new(self.plan.nodes[place], outcome, seconds);
        self.observer
            .finished(place + 1, self.plan.nodes.len(), &result);
        self.results[place] = Some(result);
        for &next in &self.plan.releases[place] {
            self.waits_for[next] -= 1;
            if self.waits_for[next] == 0 {
                self.ready.insert(next);
            }
        }
    }
}
