//! The way from a template to the database of the run.
//!
//! Values of the template engine must be free to move between threads, a connection is not. So the
//! template runs on a thread of its own, with a stack for deeply nested macros, and every question
//! comes back to the thread that owns the connection.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_artifact::dbt_live::{Table, Warehouse};

/// Macros of packages call each other through many levels.
const STACK: usize = 256 << 20;

enum Question {
    Query(String, Sender<Result<Table, String>>),
    Begin(Sender<Result<(), String>>),
    Commit(Sender<Result<(), String>>),
    Rollback(Sender<Result<(), String>>),
    Log(String),
    Done,
}

#[derive(Debug)]
pub(crate) struct Link(Mutex<Sender<Question>>);

const GONE: &str = "the connection of the run is gone";

impl Link {
    fn ask<T>(
        &self,
        question: impl FnOnce(Sender<Result<T, String>>) -> Question,
    ) -> Result<T, String> {
        let (answer, answered) = channel();
        self.send(question(answer))?;
        answered.recv().map_err(|_| GONE.to_owned())?
    }

    fn send(&self, question: Question) -> Result<(), String> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(question).map_err(|_| GONE.to_owned())
    }

    pub(crate) fn query(&self, sql: &str) -> Result<Table, String> {
        self.ask(|answer| Question::Query(sql.to_owned(), answer))
    }

    pub(in crate::dbt) fn commit(&self) -> Result<(), String> {
        self.ask(Question::Commit)
    }

    pub(in crate::dbt) fn begin(&self) -> Result<(), String> {
        self.ask(Question::Begin)
    }

    pub(in crate::dbt) fn rollback(&self) -> Result<(), String> {
        self.ask(Question::Rollback)
    }

    pub(in crate::dbt) fn log(&self, line: String) {
        // A run that has ended hears nothing more.
        let _ = self.send(Question::Log(line));
    }
}

/// Tells the other side that no question will follow, however the thread ends.
struct Closing(Arc<Link>);

impl Drop for Closing {
    fn drop(&mut self) {
        let _ = self.0.send(Question::Done);
    }
}

/// Runs `work` with a link to the warehouse, which stays on this thread.
pub(crate) fn with_link<T: Send>(
    warehouse: &dyn Warehouse,
    work: impl FnOnce(Arc<Link>) -> Result<T, String> + Send,
) -> Result<T, String> {
    let (sender, questions) = channel();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("dbt-template".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, move || {
                let link = Arc::new(Link(Mutex::new(sender)));
                let _closing = Closing(Arc::clone(&link));
                work(link)
            })
            .map_err(|error| format!("no thread for templates: {error}"))?;
        serve(warehouse, &questions);
        thread
            .join()
            .unwrap_or_else(|_| Err("the template ended the thread it ran on".to_owned()))
    })
}

fn serve(warehouse: &dyn Warehouse, questions: &Receiver<Question>) {
    // Whoever asked and went away needs no answer.
    while let Ok(question) = questions.recv() {
        match question {
            Question::Query(sql, answer) => drop(answer.send(warehouse.query(&sql))),
            Question::Begin(answer) => drop(answer.send(warehouse.begin())),
            Question::Commit(answer) => drop(answer.send(warehouse.commit())),
            Question::Rollback(answer) => drop(answer.send(warehouse.rollback())),
            Question::Log(line) => warehouse.log(&line),
            Question::Done => break,
        }
    }
}
