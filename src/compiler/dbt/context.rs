//! The names a dbt template sees, as objects of the template engine.
//!
//! Names that lead to functions are [`Path`]s (`ref`, `adapter.dispatch`, `modules.datetime.date`);
//! what they do is in [`super::functions`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};
use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;
use serde_json::Value as Json;

use super::environment::constant;
use super::functions::{self, builtin};
use super::pycompat::split;
use super::session::{Assumed, MAX_DEPTH, Session, Stop};
use super::values::{map_value, to_value};

/// dbt's context names that are callable or hold members.
pub(super) const NAMES: [&str; 24] = [
    "ref",
    "source",
    "config",
    "var",
    "env_var",
    "is_incremental",
    "log",
    "print",
    "return",
    "exceptions",
    "tojson",
    "fromjson",
    "set",
    "set_strict",
    "zip",
    "zip_strict",
    "adapter",
    "api",
    "modules",
    "dbt",
    "builtins",
    "local_md5",
    "should_store_failures",
    "flags",
];

/// Names that hold plain values.
pub(super) const VALUES: [&str; 11] = [
    "this",
    "target",
    "execute",
    "model",
    "schema",
    "database",
    "project_name",
    "dbt_version",
    "varargs",
    "kwargs",
    "context",
];

/// Names dbt has and this does not: calling one says so.
const UNSUPPORTED: [&str; 12] = [
    "fromyaml",
    "toyaml",
    "diff_of_two_dicts",
    "doc",
    "metric",
    "function",
    "write",
    "render",
    "try_or_compiler_error",
    "load_agate_table",
    "thread_id",
    "dbt_metadata_envs",
];

/// Names the template engine itself gives a meaning.
const ENGINE: [&str; 12] = [
    "range",
    "dict",
    "namespace",
    "debug",
    "loop",
    "self",
    "super",
    "caller",
    "true",
    super::rewrite::LIST,
    super::rewrite::DICT,
    super::rewrite::FORMAT,
];

/// Names that need a database, the whole graph or a clock.
pub(super) const DYNAMIC: [&str; 16] = [
    "run_query",
    "statement",
    "load_result",
    "store_result",
    "store_raw_result",
    "graph",
    "selected_resources",
    "run_started_at",
    "invocation_id",
    "get_columns_in_query",
    "get_column_schema_from_query",
    "load_relation",
    "load_cached_relation",
    "get_intervals_between",
    "results",
    "invocation_args_dict",
];

/// The root of the context for a template or macro of `package`.
#[derive(Debug)]
pub(super) struct Root {
    session: Arc<Session>,
    package: String,
    locals: BTreeMap<&'static str, Value>,
}

impl Root {
    pub(super) fn new(session: &Arc<Session>, package: &str) -> Self {
        Self {
            session: Arc::clone(session),
            package: package.to_owned(),
            locals: BTreeMap::new(),
        }
    }

    fn plain(&self, name: &str) -> Option<Value> {
        let facts = &self.session.facts;
        Some(match name {
            "execute" => Value::from(true),
            "this" => Value::from_object(Relation::of(facts.this.clone()?, &facts.target.database)),
            "target" => Value::from_pairs([
                ("name", Value::from(facts.target.name.as_str())),
                ("target_name", Value::from(facts.target.name.as_str())),
                ("profile_name", Value::from(facts.target.profile.as_str())),
                ("schema", Value::from(facts.target.schema.as_str())),
                ("database", Value::from(facts.target.database.as_str())),
                ("dbname", Value::from(facts.target.database.as_str())),
                ("type", Value::from("duckdb")),
                ("threads", Value::from(facts.target.threads)),
            ]),
            "model" => to_value(&facts.model),
            "schema" => Value::from(
                facts
                    .this
                    .as_ref()
                    .map_or_else(|| facts.target.schema.clone(), |this| this.schema.clone()),
            ),
            "database" => Value::from(facts.target.database.as_str()),
            "project_name" => Value::from(facts.macros.root_package()),
            "dbt_version" => Value::from("1.11.0"),
            "flags" => Value::from_pairs([
                ("FULL_REFRESH", Value::from(false)),
                ("STORE_FAILURES", Value::from(false)),
                ("EMPTY", Value::from(false)),
                ("WHICH", Value::from("compile")),
            ]),
            _ => return None,
        })
    }
}

impl Object for Root {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let session = &self.session;
        if let Some(value) = self.locals.get(name) {
            return Some(value.clone());
        }
        if let Some(value) = session.facts.extra.get(name) {
            return Some(to_value(value));
        }
        if session.assumes(&Assumed::Name(name.to_owned())) {
            return Some(Value::from_object(Anything));
        }
        let macros = &session.facts.macros;
        // A project's macro may replace any name, `ref` included.
        if let Some(package) = macros.visible(&self.package, name) {
            return Some(Value::from_object(MacroFn {
                session: Arc::clone(session),
                package: package.to_owned(),
                name: name.to_owned(),
            }));
        }
        if let Some(value) = self.plain(name) {
            return Some(value);
        }
        let is_path = NAMES.contains(&name)
            || DYNAMIC.contains(&name)
            || UNSUPPORTED.contains(&name)
            || builtin::is_known(name)
            || macros.has_package(name)
            || name == macros.root_package();
        if !is_path && macros.is_unread_package(name) {
            session.dynamic(format!("`{name}` is a package, whose macros are not read"));
            return Some(Value::from_object(Anything));
        }
        if !is_path {
            if !ENGINE.contains(&name) {
                session.unknown(name);
            }
            return None;
        }
        Some(Path::value(session, name))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }
}

/// A dotted name of the context.
#[derive(Debug)]
pub(super) struct Path {
    session: Arc<Session>,
    path: String,
}

impl Path {
    pub(super) fn value(session: &Arc<Session>, path: impl Into<String>) -> Value {
        Value::from_object(Self {
            session: Arc::clone(session),
            path: path.into(),
        })
    }
}

impl Object for Path {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let member = key.as_str()?;
        let facts = &self.session.facts;
        if facts.macros.contains(&self.path, member) {
            return Some(Value::from_object(MacroFn {
                session: Arc::clone(&self.session),
                package: self.path.clone(),
                name: member.to_owned(),
            }));
        }
        let path = format!("{}.{member}", self.path);
        if DYNAMIC.contains(&self.path.as_str()) {
            self.session.dynamic(functions::why_dynamic(&self.path));
            return Some(Value::from_object(Anything));
        }
        if self.path == "config" && functions::is_unknown(&path) {
            return facts.config.get(member).map(to_value);
        }
        let known = functions::is_member(&path) || path.starts_with("modules.");
        known.then(|| Self::value(&self.session, path))
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        functions::call(&self.session, state, &self.path, args)
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        if self.session.facts.macros.contains(&self.path, method) {
            // The engine falls back to the member, which is the macro.
            return Err(Error::from(ErrorKind::UnknownMethod));
        }
        let path = format!("{}.{method}", self.path);
        functions::call(&self.session, state, &path, args)
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if DYNAMIC.contains(&self.path.as_str()) {
            self.session.dynamic(functions::why_dynamic(&self.path));
            return Ok(());
        }
        write!(f, "<function {}>", self.path)
    }
}

/// A macro of the project, called the way dbt calls one: its file is a template of its own.
#[derive(Debug)]
pub(super) struct MacroFn {
    pub(super) session: Arc<Session>,
    pub(super) package: String,
    pub(super) name: String,
}

impl Object for MacroFn {
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let session = &self.session;
        let macros = session.facts.macros.clone();
        let Some(entry) = macros.get(&self.package, &self.name) else {
            return Err(Error::from(ErrorKind::UnknownFunction));
        };
        if entry.broken {
            return Err(session.stop(Stop::Failed {
                message: format!("macro `{}` ({}) does not parse", self.name, entry.path),
            }));
        }
        let depth = {
            let mut log = session.log();
            log.depth += 1;
            log.depth
        };
        let result = if depth > MAX_DEPTH {
            Err(session.stop(Stop::Failed {
                message: format!("macro `{}` calls itself too deeply", self.name),
            }))
        } else {
            self.run(state, entry, args)
        };
        let mut log = session.log();
        log.depth = log.depth.saturating_sub(1);
        match result {
            Ok(value) => Ok(value),
            Err(error) => match log.returned.take() {
                Some(value) => Ok(value),
                None => {
                    drop(log);
                    Err(self.wrap(entry, &error))
                }
            },
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}.{}>", self.package, self.name)
    }
}

impl MacroFn {
    fn run(
        &self,
        state: &mut State<'_, '_>,
        entry: &super::macros::Entry,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (mut positional, mut named) = split(args);
        let mut root = Root::new(&self.session, &self.package);
        // A `{% call %}` body belongs to the caller's template and is rendered there, once.
        for (name, value) in &mut named {
            if name == "caller" && !value.is_undefined() {
                if value
                    .get_attr("arguments")
                    .is_ok_and(|args| args.len() != Some(0))
                {
                    return Err(self.session.unsupported(
                        "call(…)",
                        "`call` blocks with parameters are not supported: pass the text as an argument",
                    ));
                }
                let body = value.call(state, &[])?;
                *value = constant(body);
            }
        }
        if entry.variadic {
            let extra = positional.split_off(positional.len().min(entry.arguments.len()));
            let (known, other): (Vec<_>, Vec<_>) = named
                .into_iter()
                .partition(|(name, _)| name == "caller" || entry.arguments.contains(name));
            named = known;
            root.locals.insert("varargs", Value::from(extra));
            root.locals.insert("kwargs", Value::from_pairs(other));
        }
        let mut args = positional;
        if !named.is_empty() {
            args.push(minijinja::value::Kwargs::from_iter(named).into());
        }
        let env = self.session.facts.macros.env();
        let template = env.get_template(&entry.template)?;
        let mut module = template.render_captured(Value::from_object(root))?;
        let symbol = format!("{}{}", super::macros::PREFIX, self.name);
        let result = module.with_state_mut(|state| match state.lookup(&symbol) {
            Some(function) => function.call(state, &args),
            None => Err(Error::from(ErrorKind::UnknownFunction)),
        });
        if let Some((spent, _)) = module.state().fuel_levels() {
            self.session.spend(spent)?;
        }
        result
    }

    // The error without its place, so that the engine adds the place of the call.
    fn wrap(&self, entry: &super::macros::Entry, error: &Error) -> Error {
        let mut log = self.session.log();
        if log.stop.is_none() {
            let inside = error.name() == Some(entry.template.as_str());
            let line = entry.line + error.line().filter(|_| inside).unwrap_or(1) - 1;
            let via = format!("in macro `{}` ({}:{line})", self.name, entry.path);
            let name = error
                .range()
                .filter(|_| inside)
                .and_then(|range| error.template_source()?.get(range))
                .and_then(functions::leading_name);
            log.stop = Some(match (error.kind(), name) {
                (ErrorKind::UndefinedError | ErrorKind::UnknownFunction, Some(name)) => {
                    Stop::Undefined {
                        name: name.to_owned(),
                        via: Some(via),
                    }
                }
                (kind, _) => Stop::Failed {
                    message: match error.detail() {
                        Some(detail) => format!("{detail}, {via}"),
                        None => format!("{kind}, {via}"),
                    },
                },
            });
        }
        Error::new(ErrorKind::InvalidOperation, "stopped")
    }
}

/// A relation as templates see it: text, with parts.
#[derive(Debug)]
pub(super) struct Relation {
    name: RelationName,
    database: String,
    ephemeral: bool,
}

impl Relation {
    pub(super) fn of(name: RelationName, database: &str) -> Self {
        Self {
            database: name.catalog.clone().unwrap_or_else(|| database.to_owned()),
            name,
            ephemeral: false,
        }
    }

    /// The common table expression that stands for an ephemeral model.
    pub(super) fn ephemeral(name: &str) -> Self {
        Self {
            name: RelationName::main(super::ephemeral::cte_name(name)),
            database: String::new(),
            ephemeral: true,
        }
    }

    fn sql(&self, database: bool, schema: bool, identifier: bool) -> String {
        if self.ephemeral {
            return self.name.name.clone();
        }
        let mut parts = Vec::new();
        if let Some(catalog) = self.name.catalog.as_ref().filter(|_| database) {
            parts.push(quote_identifier(catalog));
        }
        if schema {
            parts.push(quote_identifier(&self.name.schema));
        }
        if identifier {
            parts.push(quote_identifier(&self.name.name));
        }
        parts.join(".")
    }
}

impl Object for Relation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "database" => Value::from(self.database.as_str()),
            "schema" => Value::from(self.name.schema.as_str()),
            "identifier" | "name" | "table" => Value::from(self.name.name.as_str()),
            "is_cte" => Value::from(self.ephemeral),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (_, named) = split(args);
        let kept = |part: &str| {
            named
                .iter()
                .find(|(name, _)| name == part)
                .is_none_or(|(_, value)| value.is_true())
        };
        Ok(match method {
            "include" => {
                Value::from(self.sql(kept("database"), kept("schema"), kept("identifier")))
            }
            "render" => Value::from(self.sql(true, true, true)),
            "without_identifier" => Value::from(self.sql(true, true, false)),
            "quote" | "incorporate" if named.is_empty() => Value::from(self.sql(true, true, true)),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql(true, true, true))
    }
}

/// Stands for a value nobody knows: empty text, empty list, and anything one asks of it.
#[derive(Debug)]
pub(super) struct Anything;

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_object(Anything))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Ok(Value::from_object(Anything))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        _: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        Ok(Value::from_object(Anything))
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// `config.get` and its like read what the template configured before what the project did.
pub(super) fn configured(session: &Session, key: &str) -> Option<Value> {
    let log = session.log();
    let found: Option<&Json> = log
        .config
        .get(key)
        .or_else(|| session.facts.config.get(key));
    found.map(to_value)
}

/// The merged configuration as a value.
pub(super) fn all_config(session: &Session) -> Value {
    let mut merged = session.facts.config.clone();
    super::config::merge(&mut merged, session.log().config.clone());
    map_value(&merged)
}
