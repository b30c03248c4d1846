//! One node on its way into the database: its final SQL, configuration and hooks, and the
//! connection it is run on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use duckdb::Connection;
use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_literal;
use mxcp_artifact::dbt::{Node, NodeKind};
use mxcp_artifact::dbt_live::{Batch, Compiled, RunFacts, Templates};
use serde_json::Value;

use crate::database::{Failure, in_transaction};
use crate::relations::Relations;
use crate::warehouse::{Live, is_blank, is_template};
use crate::{Helpers, Options};

/// What all nodes of a run share.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    pub(crate) helpers: Helpers<'a>,
    pub(crate) relations: &'a Relations,
    /// Lines for the user.
    pub(crate) note: &'a (dyn Fn(String) + Sync),
}

pub(crate) struct Job<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) connection: &'a Connection,
    pub(crate) node: &'a Node,
    pub(crate) config: Cow<'a, BTreeMap<String, Value>>,
    pub(crate) sql: Cow<'a, str>,
    pub(crate) hooks: Hooks,
}

/// Hooks by when they run.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// Before the transaction.
    before: Vec<String>,
    pre: Vec<String>,
    post: Vec<String>,
    /// After its commit.
    after: Vec<String>,
}

impl Hooks {
    fn new(pre: &[String], post: &[String], config: &BTreeMap<String, Value>) -> Self {
        let mut hooks = Self::default();
        let split = |list: &[String], key: &str| -> (Vec<String>, Vec<String>) {
            let configured = [key.to_owned(), key.replace('-', "_")]
                .iter()
                .find_map(|key| config.get(key))
                .and_then(Value::as_array)
                .filter(|hooks| hooks.len() == list.len());
            let inside = |i: usize| {
                configured
                    .and_then(|hooks| hooks[i].get("transaction"))
                    .and_then(Value::as_bool)
                    .unwrap_or(true)
            };
            let (inner, outer): (Vec<_>, Vec<_>) = list
                .iter()
                .enumerate()
                .filter(|(_, hook)| !is_blank(hook))
                .partition(|(i, _)| inside(*i));
            let texts = |part: Vec<(usize, &String)>| {
                part.into_iter().map(|(_, hook)| hook.clone()).collect()
            };
            (texts(inner), texts(outer))
        };
        (hooks.pre, hooks.before) = split(pre, "pre-hook");
        (hooks.post, hooks.after) = split(post, "post-hook");
        hooks
    }

    /// Of a model run in batches: the first has the hooks before it, the last those after it.
    pub(crate) fn of_batch(&mut self, first: bool, last: bool) {
        if !first {
            self.before.clear();
            self.pre.clear();
        }
        if !last {
            self.post.clear();
            self.after.clear();
        }
    }
}

impl<'a> Job<'a> {
    /// The node as it was compiled, or compiled again when its template asks the database.
    pub(crate) fn new(
        run: &'a Run<'a>,
        connection: &'a Connection,
        node: &'a Node,
        pre_hooks: &[String],
        post_hooks: &[String],
        batch: Option<&Batch>,
        facts: &RunFacts,
    ) -> Result<Self, Failure> {
        // Elsewhere hooks come rendered.
        let hooks = pre_hooks.iter().chain(post_hooks);
        let live = match node.kind() {
            NodeKind::Seed => hooks.into_iter().any(|hook| is_template(hook)),
            _ => {
                let narrowed = run.options.empty || facts.sample.is_some();
                node.live || batch.is_some() || narrowed || !facts.deferred.is_empty()
            }
        };
        let Some(templates) = run.helpers.templates.filter(|_| live) else {
            if node.live {
                return Err(no_templates(node));
            }
            return Ok(Self {
                run,
                connection,
                node,
                config: Cow::Borrowed(&node.config),
                sql: Cow::Borrowed(trimmed(&node.compiled_sql)),
                hooks: Hooks::new(pre_hooks, post_hooks, &node.config),
            });
        };
        let Compiled {
            sql,
            config,
            pre_hooks,
            post_hooks,
        } = Live::new(connection, run.note)
            .transaction(|live| templates.compile(&node.unique_id, facts, batch, live))?;
        let mut merged = Cow::Borrowed(&node.config);
        if !config.is_empty() {
            merged.to_mut().extend(config);
        }
        let hooks = Hooks::new(&pre_hooks, &post_hooks, &merged);
        Ok(Self {
            run,
            connection,
            node,
            config: merged,
            sql: Cow::Owned(trimmed(&sql).to_owned()),
            hooks,
        })
    }

    pub(crate) fn templates(&self) -> Result<&'a dyn Templates, Failure> {
        self.run
            .helpers
            .templates
            .ok_or_else(|| no_templates(self.node))
    }

    pub(crate) fn live(&self) -> Live<'_> {
        Live::new(self.connection, self.run.note)
    }

    pub(crate) fn target(&self) -> Result<&'a RelationName, Failure> {
        target(self.node)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str)
    }

    /// A list of texts; one text is a list of itself.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        match self.config.get(key) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// Runs `work` between the hooks, in one transaction with those that want to be in it.
    pub(crate) fn around<T>(&self, work: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        self.run_hooks("pre-hook", &self.hooks.before)?;
        let value = in_transaction(self.connection, || {
            self.run_hooks("pre-hook", &self.hooks.pre)?;
            let value = work()?;
            self.run_hooks("post-hook", &self.hooks.post)?;
            Ok(value)
        })?;
        self.run_hooks("post-hook", &self.hooks.after)?;
        Ok(value)
    }

    fn run_hooks(&self, what: &str, hooks: &[String]) -> Result<(), Failure> {
        for hook in hooks {
            self.connection
                .execute_batch(hook)
                .map_err(|error| Failure::from(error).context(&format!("the {what} failed")))?;
        }
        Ok(())
    }

    /// Descriptions as comments, where `persist_docs` asks for them.
    pub(crate) fn persist_docs(&self, kind: &str, target: &RelationName) -> Result<(), Failure> {
        let wanted = |what: &str| {
            self.config
                .get("persist_docs")
                .and_then(|docs| docs.get(what))
                .and_then(Value::as_bool)
                .unwrap_or(false)
        };
        if wanted("relation")
            && let Some(description) = &self.node.description
        {
            self.execute(&format!(
                "comment on {kind} {} is {}",
                target.quoted(),
                quote_literal(description)
            ))?;
        }
        if wanted("columns") {
            let described: Vec<_> = self
                .node
                .columns
                .iter()
                .filter_map(|column| Some((column, column.description.as_ref()?)))
                .collect();
            if described.is_empty() {
                return Ok(());
            }
            let there = crate::relations::columns_of(self.connection, &target.quoted())?;
            for (column, description) in described {
                let Some((name, _)) = there
                    .iter()
                    .find(|(name, _)| name.to_lowercase() == column.name.to_lowercase())
                else {
                    continue;
                };
                self.execute(&format!(
                    "comment on column {}.{} is {}",
                    target.quoted(),
                    mxcp_artifact::catalog::quote_identifier(name),
                    quote_literal(description)
                ))?;
            }
        }
        Ok(())
    }
}

fn no_templates(node: &Node) -> Failure {
    Failure::new(format!(
        "the template of `{}` asks the database while it is rendered, which this command cannot do",
        node.name
    ))
}

pub(crate) fn target(node: &Node) -> Result<&RelationName, Failure> {
    node.relation
        .as_ref()
        .ok_or_else(|| Failure::new(format!("`{}` was compiled without a relation", node.name)))
}

/// The compiled query. It goes on the line of the statement that wraps it, so that the line numbers
/// in the engine's messages are those of the compiled SQL, and ends on a line of its own, because
/// it may end in a comment.
pub(crate) fn trimmed(sql: &str) -> &str {
    sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';')
}
