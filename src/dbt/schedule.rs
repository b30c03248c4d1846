//! Runs a plan over several connections of one database: a node starts when all it waits for has
//! ended, and what a failed node blocks is skipped. The observer is called on the calling thread.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mxcp_artifact::dbt::{DbtGraph, Node, NodeSpec};
use mxcp_artifact::dbt_live::RunFacts;

use crate::database::{Database, Failure};
use crate::job::Run;
use crate::materialize::{self, seed, snapshot};
use crate::moment::Moment;
use crate::options::Interrupt;
use crate::plan::Plan;
use crate::relations::Relations;
use crate::resource::Resource;
use crate::result::{NodeResult, Observer, Outcome, Status, Timing};
use crate::{Helpers, Options, data_test, unit_test};

/// What every worker needs to know.
pub(crate) struct Shared<'a> {
    pub(crate) graph: &'a DbtGraph,
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) database: &'a Database,
    pub(crate) relations: &'a Relations,
    pub(crate) options: &'a Options,
    pub(crate) helpers: Helpers<'a>,
}

enum Event {
    Done(usize, Box<Outcome>, Timing),
    Note(String),
}

pub(crate) fn run(shared: &Shared<'_>, observer: &mut dyn Observer) -> Vec<NodeResult> {
    let plan = shared.plan;
    let workers = shared.options.threads.clamp(1, plan.items.len().max(1));
    let (jobs, queue) = channel::<usize>();
    let queue = Mutex::new(queue);
    let (events, inbox) = channel();
    thread::scope(|scope| {
        for worker in 1..=workers {
            let (queue, events) = (&queue, events.clone());
            scope.spawn(move || work(shared, worker, queue, &events));
        }
        let mut progress = Progress::new(shared, observer, events);
        progress.drive(workers, &jobs, &inbox);
        // Closing the queue sends the workers home.
        drop(jobs);
        progress.results.into_iter().flatten().collect()
    })
}

fn work(
    shared: &Shared<'_>,
    worker: usize,
    queue: &Mutex<Receiver<usize>>,
    events: &Sender<Event>,
) {
    let note = |line: String| {
        let _ = events.send(Event::Note(line));
    };
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(place) = job else { return };
        let node = shared.plan.items[place];
        let (outcome, timing) = timed(worker, || {
            let run = Run {
                options: shared.options,
                helpers: shared.helpers,
                relations: shared.relations,
                note: &note,
            };
            match node {
                Resource::Node(node) => execute(shared, &run, worker, node),
                // There is nothing to run: its place in the order is all it has.
                _ => Ok(Outcome {
                    failures: Some(0),
                    ..Outcome::of(Status::NoOp, Some("NO-OP".into()))
                }),
            }
        });
        if events
            .send(Event::Done(place, Box::new(outcome), timing))
            .is_err()
        {
            return;
        }
    }
}

fn timed(worker: usize, work: impl FnOnce() -> Result<Outcome, Failure>) -> (Outcome, Timing) {
    let started = Moment::now();
    // A panic must not leave the scheduler waiting for an outcome that never comes.
    let outcome = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Ok(Outcome::error("internal error: running this node panicked")))
        .unwrap_or_else(|failure| Outcome {
            compiled: failure.compiled,
            ..Outcome::error(failure.message)
        });
    let timing = Timing {
        started: Some(started),
        ended: Some(Moment::now()),
        worker,
    };
    (outcome, timing)
}

fn execute(
    shared: &Shared<'_>,
    run: &Run<'_>,
    worker: usize,
    node: &Node,
) -> Result<Outcome, Failure> {
    let connection = shared
        .database
        .connect()
        .map_err(|error| Failure::new(error.to_string()))?;
    let connection = &connection;
    let interrupt: &Interrupt = &shared.options.interrupt;
    interrupt.watch(worker, connection);
    let facts: &RunFacts = &shared.options.facts;
    match &node.spec {
        NodeSpec::Seed(spec) => seed::load(run, connection, node, spec, facts),
        NodeSpec::Model(spec) => materialize::model(run, connection, node, spec, facts),
        NodeSpec::Test(spec) => data_test::run(run, connection, node, spec, facts),
        NodeSpec::Snapshot(spec) => snapshot::build(run, connection, node, spec, facts),
        NodeSpec::UnitTest(_) => unit_test::run(run, connection, node, facts),
        // No plan holds one.
        NodeSpec::Analysis => Ok(Outcome::of(Status::Skipped, None)),
    }
}

fn is_python(item: Resource<'_>) -> bool {
    matches!(
        item.node().map(|node| &node.spec),
        Some(NodeSpec::Model(model)) if model.python.is_some()
    )
}

/// The state of the run, kept by the calling thread alone.
struct Progress<'a> {
    shared: &'a Shared<'a>,
    observer: &'a mut dyn Observer,
    events: Sender<Event>,
    /// A failure has ended the run early.
    stopped: bool,
    waits_for: Vec<usize>,
    ready: BTreeSet<usize>,
    /// Python models that could run: each needs the database for itself.
    ready_alone: BTreeSet<usize>,
    /// Per place: the first place in the plan whose failure blocks it.
    blocked_by: Vec<Option<usize>>,
    results: Vec<Option<NodeResult>>,
}

impl<'a> Progress<'a> {
    fn new(shared: &'a Shared<'a>, observer: &'a mut dyn Observer, events: Sender<Event>) -> Self {
        let waits_for = shared.plan.waits_for.clone();
        let mut progress = Self {
            shared,
            observer,
            events,
            stopped: false,
            ready: BTreeSet::new(),
            ready_alone: BTreeSet::new(),
            blocked_by: vec![None; waits_for.len()],
            results: vec![None; waits_for.len()],
            waits_for,
        };
        for place in 0..progress.waits_for.len() {
            if progress.waits_for[place] == 0 {
                progress.release(place);
            }
        }
        progress
    }

    fn release(&mut self, place: usize) {
        if is_python(self.shared.plan.items[place]) {
            self.ready_alone.insert(place);
        } else {
            self.ready.insert(place);
        }
    }

    fn drive(&mut self, workers: usize, jobs: &Sender<usize>, inbox: &Receiver<Event>) {
        let mut running = 0;
        loop {
            while running < workers {
                let Some(place) = self.ready.pop_first() else {
                    break;
                };
                if self.skip(place) {
                    continue;
                }
                self.start(place);
                if jobs.send(place).is_err() {
                    let lost = Outcome::error("internal error: no worker is left");
                    self.finish(place, lost, Timing::default());
                    continue;
                }
                running += 1;
            }
            if running == 0 {
                let Some(place) = self.ready_alone.pop_first() else {
                    break;
                };
                if !self.skip(place) {
                    self.start(place);
                    let (outcome, timing) = self.alone(place);
                    self.finish(place, outcome, timing);
                }
                continue;
            }
            match inbox.recv() {
                Ok(Event::Note(line)) => self.observer.note(&line),
                Ok(Event::Done(place, outcome, timing)) => {
                    running -= 1;
                    self.finish(place, *outcome, timing);
                }
                Err(_) => return,
            }
        }
        while let Ok(Event::Note(line)) = inbox.try_recv() {
            self.observer.note(&line);
        }
    }

    fn start(&mut self, place: usize) {
        let items = &self.shared.plan.items;
        self.observer.started(place + 1, items.len(), items[place]);
    }

    /// Runs a Python model while no worker has a connection.
    fn alone(&self, place: usize) -> (Outcome, Timing) {
        let shared = self.shared;
        let events = &self.events;
        let node = shared.plan.items[place];
        let Resource::Node(node) = node else {
            return (Outcome::error("not a model"), Timing::default());
        };
        let NodeSpec::Model(model) = &node.spec else {
            return (Outcome::error("not a model"), Timing::default());
        };
        // Called on this thread only, but the type serves the workers too.
        let notes = Mutex::new(events.clone());
        let note = |line: String| {
            let events = notes.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = events.send(Event::Note(line));
        };
        timed(0, || {
            let run = Run {
                options: shared.options,
                helpers: shared.helpers,
                relations: shared.relations,
                note: &note,
            };
            materialize::run_python(
                &run,
                shared.database,
                shared.graph,
                node,
                model,
                &shared.options.facts,
            )
        })
    }

    fn skip(&mut self, place: usize) -> bool {
        let Some(reason) = self.reason_to_skip(place) else {
            return false;
        };
        // Unit tests that a failure keeps from running are no results for dbt.
        if self.stopped && self.shared.plan.items[place].kind() == "unit_test" {
            self.pass_on(place);
            return true;
        }
        self.finish(
            place,
            Outcome::of(Status::Skipped, Some(reason)),
            Timing::default(),
        );
        true
    }

    fn reason_to_skip(&self, place: usize) -> Option<String> {
        if let Some(cause) = self.blocked_by[place] {
            return Some(format!(
                "skipped because `{}` failed",
                self.shared.plan.items[cause].name()
            ));
        }
        if self.shared.options.interrupt.fired() {
            return Some("skipped because the run was interrupted".to_owned());
        }
        self.stopped.then(|| "Skipping due to fail_fast".to_owned())
    }

    fn finish(&mut self, place: usize, outcome: Outcome, timing: Timing) {
        let plan = self.shared.plan;
        if outcome.status.blocks() {
            self.stopped |= self.shared.options.fail_fast;
            for &blocked in &plan.blocks[place] {
                let cause = &mut self.blocked_by[blocked];
                *cause = Some(cause.map_or(place, |earlier| earlier.min(place)));
            }
        }
        let result = NodeResult::new(plan.items[place], outcome, timing);
        self.observer.finished(place + 1, plan.items.len(), &result);
        self.results[place] = Some(result);
        self.pass_on(place);
    }

    fn pass_on(&mut self, place: usize) {
        let plan = self.shared.plan;
        for &next in &plan.releases[place] {
            self.waits_for[next] -= 1;
            if self.waits_for[next] == 0 {
                self.release(next);
            }
        }
    }
}
