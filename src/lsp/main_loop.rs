//! The one thread that owns the projects: it takes messages, applies edits, and hands questions to
//! the readers. Nothing here computes an answer.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use gen_lsp_types as lsp;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use mxcp_compiler::inputs::Environment;
use mxcp_ide::{CancelHandle, Cancelled};
use serde_json::Value;

use crate::Opener;
use crate::capabilities::{self, Client};
use crate::dispatch::{self, Outcome, Question};
use crate::documents::Documents;
use crate::pool::Pool;
use crate::project::{Project, State};
use crate::publish::{self, Published};
use crate::snapshot::Snapshot;
use crate::to_proto;

/// An edit may interrupt a question this often; then the client is told to ask again.
const TRIES: u32 = 5;

mod changes;

enum Event {
    Client(Message),
    Gone,
    Outcome(Outcome),
    /// What a check found that is news to the client.
    Checked {
        root: PathBuf,
        state: State,
        news: Result<(Published, Vec<lsp::PublishDiagnosticsParams>), Cancelled>,
    },
    Environment {
        root: PathBuf,
        environment: Box<Result<Environment, String>>,
    },
}

struct Server {
    connection: Connection,
    client: Client,
    opener: Arc<dyn Opener>,
    pool: Pool,
    events: Sender<Event>,
    documents: Documents,
    projects: BTreeMap<PathBuf, Project>,
    /// Roots that could not be opened: the reason is said once.
    broken: BTreeMap<PathBuf, String>,
    waiting: HashMap<RequestId, Vec<CancelHandle>>,
    next_request: i32,
    leaving: bool,
    /// `exit` came first.
    rude: bool,
}

pub(crate) fn run(
    connection: Connection,
    client: Client,
    opener: Arc<dyn Opener>,
) -> Result<(), String> {
    let (events, inbox) = channel();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = Pool::new(threads.clamp(2, 8)).map_err(|e| format!("no thread: {e}"))?;
    let receiver = connection.receiver.clone();
    let forward = events.clone();
    std::thread::Builder::new()
        .name("messages".into())
        .spawn(move || {
            for message in receiver {
                if forward.send(Event::Client(message)).is_err() {
                    return;
                }
            }
            let _ = forward.send(Event::Gone);
        })
        .map_err(|e| format!("no thread: {e}"))?;
    let mut server = Server {
        connection,
        client,
        opener,
        pool,
        events,
        documents: Documents::new(),
        projects: BTreeMap::new(),
        broken: BTreeMap::new(),
        waiting: HashMap::new(),
        next_request: 0,
        leaving: false,
        rude: false,
    };
    server.start();
    server.serve(&inbox)
}

impl Server {
    fn start(&mut self) {
        if self.client.watches {
            self.request("client/registerCapability", capabilities::watchers());
        }
        for root in self.client.roots.clone() {
            self.open_root(&root);
        }
        self.check();
    }

    fn serve(&mut self, inbox: &Receiver<Event>) -> Result<(), String> {
        while let Ok(event) = inbox.recv() {
            // All that has arrived is one change: a check in between would be for nobody.
            let mut next = Some(event);
            while let Some(event) = next {
                if !self.handle(event) {
                    return match self.rude {
                        true => Err("the client left without saying `shutdown`".into()),
                        false => Ok(()),
                    };
                }
                next = inbox.try_recv().ok();
            }
            self.check();
        }
        Ok(())
    }

    /// `false` when it is time to leave.
    fn handle(&mut self, event: Event) -> bool {
        match event {
            Event::Client(Message::Request(request)) => self.request_came(request),
            Event::Client(Message::Notification(notification)) => {
                if notification.method == "exit" {
                    self.rude = !self.leaving;
                    return false;
                }
                self.notified(notification);
            }
            Event::Client(Message::Response(_)) => {}
            Event::Gone => return false,
            Event::Outcome(Outcome::Answered(response)) => self.respond(response),
            Event::Outcome(Outcome::Interrupted(mut question)) => {
                question.tries += 1;
                if !self.waiting.contains_key(&question.id) {
                    return true;
                }
                if question.tries < TRIES {
                    self.ask(question);
                } else {
                    self.fail(
                        question.id,
                        ErrorCode::ContentModified,
                        "the project changed meanwhile",
                    );
                }
            }
            Event::Checked { root, state, news } => self.checked(&root, state, news),
            Event::Environment { root, environment } => match *environment {
                Ok(environment) => {
                    if let Some(project) = self.projects.get_mut(&root) {
                        project.set_environment(environment);
                        self.refresh();
                    }
                }
                Err(message) => self.log(&message),
            },
        }
        true
    }

    fn request_came(&mut self, request: Request) {
        if request.method == "shutdown" {
            self.leaving = true;
            self.respond(Response::new_ok(request.id, Value::Null));
        } else if self.leaving {
            self.fail(request.id, ErrorCode::InvalidRequest, "shutting down");
        } else {
            self.waiting.insert(request.id.clone(), Vec::new());
            self.ask(Question {
                id: request.id,
                method: request.method,
                params: request.params,
                tries: 0,
            });
        }
    }

    fn ask(&mut self, question: Question) {
        let snapshot = self.snapshot();
        let handles = snapshot
            .projects
            .iter()
            .map(|view| view.analysis.cancel_handle())
            .collect();
        self.waiting.insert(question.id.clone(), handles);
        let events = self.events.clone();
        self.pool.spawn(move || {
            let outcome = dispatch::answer(&snapshot, question);
            // The owner waits for snapshots to go before it changes anything.
            drop(snapshot);
            let _ = events.send(Event::Outcome(outcome));
        });
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            client: self.client.clone(),
            projects: self
                .projects
                .values()
                .map(|project| project.view(self.client.encoding))
                .collect(),
        }
    }

    /// Reads the world outside again, on another thread.
    fn reload(&self, root: &Path) {
        let (opener, events) = (self.opener.clone(), self.events.clone());
        let root = root.to_path_buf();
        self.pool.spawn(move || {
            let environment = mxcp_ide::analysis::guarded(|| opener.environment(&root))
                .unwrap_or_else(|e| Err(format!("{e:?}")));
            let _ = events.send(Event::Environment {
                root,
                environment: Box::new(environment),
            });
        });
    }

    /// Starts a check of every project that changed since its last one, for a client that does not ask.
    fn check(&mut self) {
        if self.client.pulls {
            return;
        }
        let encoding = self.client.encoding;
        for (root, project) in &mut self.projects {
            let state = project.state();
            if project.checking == Some(state) {
                continue;
            }
            project.checking = Some(state);
            let view = project.view(encoding);
            let before = project.published.clone();
            let (root, events) = (root.clone(), self.events.clone());
            self.pool.spawn(move || {
                let news = view
                    .analysis
                    .diagnostics()
                    .map(|found| publish::news(&view, &found, &before));
                drop(view);
                let _ = events.send(Event::Checked { root, state, news });
            });
        }
    }

    fn checked(
        &mut self,
        root: &Path,
        state: State,
        news: Result<(Published, Vec<lsp::PublishDiagnosticsParams>), Cancelled>,
    ) {
        let Some(project) = self.projects.get_mut(root) else {
            return;
        };
        // A newer check is on its way, and it will say what this one would have said.
        if state != project.state() {
            return;
        }
        match news {
            Ok((published, news)) => {
                project.published = published;
                for params in news {
                    self.notify("textDocument/publishDiagnostics", to_proto::value(params));
                }
            }
            Err(Cancelled::Changed | Cancelled::Withdrawn) => project.checking = None,
            Err(Cancelled::Panicked(message)) => {
                eprintln!("mxcp lsp: a bug in a check: {message}");
            }
        }
    }

    /// Tells a client that asks for diagnostics that asking again is worth it.
    fn refresh(&mut self) {
        if self.client.pulls && self.client.refreshes_diagnostics {
            self.request("workspace/diagnostic/refresh", Value::Null);
        }
    }

    fn respond(&mut self, response: Response) {
        self.waiting.remove(&response.id);
        self.send(Message::Response(response));
    }

    fn fail(&mut self, id: RequestId, code: ErrorCode, message: &str) {
        self.respond(Response::new_err(id, code as i32, message.to_owned()));
    }

    fn request(&mut self, method: &str, params: Value) {
        self.next_request += 1;
        let id = RequestId::from(format!("mxcp-{}", self.next_request));
        self.send(Message::Request(Request {
            id,
            method: method.to_owned(),
            params,
        }));
    }

    fn notify(&self, method: &str, params: Value) {
        self.send(Message::Notification(Notification {
            method: method.to_owned(),
            params,
        }));
    }

    fn show_message(&self, message: &str) {
        let params = lsp::ShowMessageParams {
            kind: lsp::MessageType::Error,
            message: message.to_owned(),
        };
        self.notify("window/showMessage", to_proto::value(params));
    }

    fn log(&self, message: &str) {
        let params = lsp::LogMessageParams {
            kind: lsp::MessageType::Warning,
            message: message.to_owned(),
        };
        self.notify("window/logMessage", to_proto::value(params));
    }

    fn send(&self, message: Message) {
        // A client that is gone is noticed by the reader.
        let _ = self.connection.sender.send(message);
    }
}
