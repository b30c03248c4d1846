//! Entry points: a template, or a macro, rendered during a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Error;
use minijinja::value::Value;
use mxcp_artifact::RelationName;
use mxcp_artifact::dbt_live::{Batch, RunFacts};
use serde_json::{Map, Value as Json};

use super::super::context::Root;
use super::super::own_database::leave_out;
use super::super::rewrite::rewrite;
use super::super::session::{Facts, Session, Stop};
use super::super::statics::line_of_range;
use super::{Link, Live, Replaced, World};

/// What one rendering is about.
#[derive(Clone, Debug)]
pub(crate) struct Rendering {
    pub(crate) package: String,
    /// For messages.
    pub(crate) path: String,
    pub(crate) this: Option<RelationName>,
    pub(crate) config: Map<String, Json>,
    /// dbt's `model`.
    pub(crate) model: Json,
    pub(crate) extra: BTreeMap<String, Json>,
    pub(crate) run: RunFacts,
    pub(crate) batch: Option<Batch>,
    pub(crate) replaced: Replaced,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) text: String,
    /// What calls of `config` set.
    pub(crate) config: Map<String, Json>,
    /// Unique ids of nodes that are inlined, in the order of reference.
    pub(crate) ephemeral: Vec<String>,
}

fn session(world: &Arc<World>, link: &Arc<Link>, work: &Rendering) -> Result<Arc<Session>, String> {
    let rows = link.query("select current_database()")?;
    let database = match rows.rows.first().and_then(|row| row.first()) {
        Some(Json::String(name)) => name.clone(),
        _ => world.target.database.clone(),
    };
    let mut target = world.target.clone();
    target.database.clone_from(&database);
    target.is_named = true;
    let mut vars = world.vars_for(&work.package);
    vars.extend(work.replaced.vars.clone());
    let facts = Facts {
        package: work.package.clone(),
        this: work.this.clone(),
        config: work.config.clone(),
        vars,
        target,
        macros: world.macros.clone(),
        model: work.model.clone(),
        extra: work.extra.clone(),
        env: BTreeMap::new(),
        parsing: false,
    };
    let live = Live {
        world: Arc::clone(world),
        link: Arc::clone(link),
        run: work.run.clone(),
        batch: work.batch.clone(),
        replaced: work.replaced.clone(),
        database,
        results: Default::default(),
        changed: Default::default(),
    };
    Ok(Session::live(Arc::new(facts), Arc::new(live)))
}

/// Renders a template.
pub(crate) fn render_live(
    world: &Arc<World>,
    link: &Arc<Link>,
    text: &str,
    work: &Rendering,
) -> Result<Output, String> {
    let session = session(world, link, work)?;
    let stripped = text.trim();
    let before = text.len() - text.trim_start().len();
    let line = text
        .get(..before)
        .map_or(0, |head| head.matches('\n').count());
    let rewritten = rewrite(stripped);
    let source = rewritten.as_ref().map_or(stripped, |r| r.text.as_str());
    let root = Value::from_object(Root::new(&session, &work.package));
    let rendered = world
        .macros
        .env()
        .template_from_named_str("template", source)
        .and_then(|template| template.render(root));
    match rendered {
        Ok(text) => {
            let own = &session.facts.target.database;
            let text = leave_out(&text, own).map_or(text, |(text, _)| text);
            let log = session.log();
            Ok(Output {
                text,
                config: log.config.clone(),
                ephemeral: log.inlined.clone(),
            })
        }
        Err(error) => Err(explained(&session, &error, &work.path, line)),
    }
}

/// Calls a macro. `taking` reads its result and the session's.
pub(crate) fn evaluate<T>(
    world: &Arc<World>,
    link: &Arc<Link>,
    call: &str,
    work: &Rendering,
    taking: impl FnOnce(Value, Option<u64>) -> T,
) -> Result<T, String> {
    let session = session(world, link, work)?;
    let root = Value::from_object(Root::new(&session, &work.package));
    let value = world
        .macros
        .env()
        .compile_expression_owned(call.to_owned())
        .and_then(|expression| expression.eval(root));
    match value {
        Ok(value) => {
            let changed = session.live.as_ref().and_then(|live| *live.changed());
            Ok(taking(value, changed))
        }
        Err(error) => Err(explained(&session, &error, &work.path, 0)),
    }
}

/// `render(text)` within another rendering.
pub(super) fn nested(session: &Arc<Session>, text: &str) -> Result<Value, Error> {
    let root = Value::from_object(Root::new(session, &session.facts.package));
    let rewritten = rewrite(text);
    let text = rewritten.as_ref().map_or(text, |r| r.text.as_str());
    let rendered = session
        .facts
        .macros
        .env()
        .render_named_str("hook", text, root)?;
    Ok(Value::from(rendered))
}

// The reason, with the place in the template where there is one.
fn explained(session: &Session, error: &Error, path: &str, lines_before: usize) -> String {
    let stop = session.log().stop.take();
    let message = match stop {
        Some(Stop::Raised { message } | Stop::Failed { message }) => message.trim().to_owned(),
        Some(Stop::MissingVar(name)) => {
            format!("there is no variable `{name}`, and no default for it")
        }
        Some(Stop::MissingEnv(name)) => format!("the environment variable `{name}` is not set"),
        Some(Stop::Undefined {
            name,
            via: Some(via),
        }) => format!("`{name}` is not defined, {via}"),
        Some(Stop::Undefined { name, via: None }) => format!("`{name}` is not defined"),
        Some(Stop::Unsupported { path, help }) => match help {
            Some(help) => format!("`{path}` is not supported: {help}"),
            None => format!("`{path}` is not supported"),
        },
        Some(Stop::Ref((package, name))) => match package {
            Some(package) => format!("package `{package}` has no model or seed `{name}`"),
            None => format!("there is no model or seed `{name}`"),
        },
        Some(Stop::Source((source, table))) => format!("there is no source `{source}.{table}`"),
        None => error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned),
    };
    if path.is_empty() {
        return message;
    }
    let inside = error.name() == Some("template");
    match line_of_range(error).filter(|_| inside) {
        Some(line) => format!("{message} ({path}:{})", line + lines_before),
        None => format!("{message} ({path})"),
    }
}
