//! The names a dbt template sees, as objects of the template engine.
//!
//! Names that lead to functions are [`Path`]s (`ref`, `adapter.dispatch`, `modules.datetime.date`);
//! what they do is in [`super::functions`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};
use serde_json::Value as Json;

use super::environment::constant;
use super::functions::{self, builtin};
use super::pycompat::split;
use super::rewrite;
use super::session::{Assumed, Session, Stop};
use super::values::{map_value, to_changeable, to_value};

/// dbt's context names that are callable or hold members.
pub(super) const NAMES: [&str; 31] = [
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
    "should_full_refresh",
    "flags",
    "fromyaml",
    "toyaml",
    "diff_of_two_dicts",
    "doc",
    "write",
    "try_or_compiler_error",
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
const UNSUPPORTED: [&str; 4] = [
    "metric",
    "function",
    "load_agate_table",
    "submit_python_job",
];

/// Names the template engine itself gives a meaning.
const ENGINE: [&str; 16] = [
    "range",
    "dict",
    "namespace",
    "debug",
    "loop",
    "self",
    "super",
    "caller",
    "true",
    super::rewrite::DO,
    super::rewrite::ITEMS,
    super::rewrite::LIST,
    super::rewrite::DICT,
    super::rewrite::FORMAT,
    super::rewrite::SUM,
    super::rewrite::DIFFERENCE,
];

/// Names that need a database, the whole graph or a clock.
pub(super) const DYNAMIC: [&str; 19] = [
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
    "render",
    "thread_id",
    "dbt_metadata_envs",
];

/// Those of them that are values.
const STATE: [&str; 8] = [
    "graph",
    "selected_resources",
    "run_started_at",
    "invocation_id",
    "results",
    "invocation_args_dict",
    "thread_id",
    "dbt_metadata_envs",
];

/// The root of the context for a template or macro of `package`.
#[derive(Debug)]
pub(super) struct Root {
    session: Arc<Session>,
    package: String,
    locals: BTreeMap<String, Value>,
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
        if name == "context" {
            return Some(Value::from_object(Self::new(&self.session, &self.package)));
        }
        if let Some(live) = &self.session.live
            && let Some(value) = super::live::plain(live, name)
        {
            return Some(value);
        }
        Some(match name {
            "execute" => Value::from(!facts.parsing),
            "this" => {
                let this = self.session.relation(facts.this.clone()?);
                let replaced = self
                    .session
                    .live
                    .as_ref()
                    .and_then(|l| l.replaced.this.clone());
                Value::from_object(match replaced {
                    Some(name) => this.written_as(name),
                    None => this,
                })
            }
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
            return Some(to_changeable(value));
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
        if session.live.is_none() && STATE.contains(&name) {
            if !session.facts.parsing {
                session.dynamic(functions::why_dynamic(name));
            }
            return Some(Value::from_object(Anything));
        }
        if !is_path {
            if !ENGINE.contains(&name) {
                session.unknown(name);
            }
            return None;
        }
        Some(Path::value(session, &self.package, name))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }
}

/// A dotted name of the context.
#[derive(Debug)]
pub(super) struct Path {
    session: Arc<Session>,
    /// Of the template or macro that reads the name.
    package: String,
    path: String,
}

impl Path {
    pub(super) fn value(session: &Arc<Session>, package: &str, path: impl Into<String>) -> Value {
        Value::from_object(Self {
            session: Arc::clone(session),
            package: package.to_owned(),
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
        if self.session.live.is_none() && DYNAMIC.contains(&self.path.as_str()) {
            self.session.dynamic(functions::why_dynamic(&self.path));
            return Some(Value::from_object(Anything));
        }
        if let Some(value) = super::modules::value(&path).filter(|_| path.starts_with("modules.")) {
            return Some(value);
        }
        if self.path == "api.Relation" && matches!(member, "Table" | "View" | "CTE" | "External") {
            return Some(Value::from(member.to_lowercase()));
        }
        if self.path == "config" && functions::is_unknown(&path) {
            return facts.config.get(member).map(to_value);
        }
        let live = self.session.live.is_some() && path.starts_with("adapter.");
        let known = functions::is_member(&path) || path.starts_with("modules.") || live;
        known.then(|| Self::value(&self.session, &self.package, path))
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        functions::call(&self.session, state, (&self.package, &self.path), args)
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        if self.session.facts.macros.contains(&self.path, method) {
            // A macro may be called like a method of mappings.
            let function = Arc::new(MacroFn {
                session: Arc::clone(&self.session),
                package: self.path.clone(),
                name: method.to_owned(),
            });
            return function.call(state, args);
        }
        let path = format!("{}.{method}", self.path);
        functions::call(&self.session, state, (&self.package, &path), args)
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.session.live.is_none() && DYNAMIC.contains(&self.path.as_str()) {
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
        if let Some(live) = &session.live {
            let qualified = format!("{}.{}", self.package, self.name);
            let replaced = &live.replaced.macros;
            if let Some(value) = replaced
                .get(&self.name)
                .or_else(|| replaced.get(&qualified))
            {
                return Ok(to_value(value));
            }
        }
        let macros = session.facts.macros.clone();
        let Some(entry) = macros.get(&self.package, &self.name) else {
            return Err(Error::from(ErrorKind::UnknownFunction));
        };
        if entry.broken {
            return Err(session.stop(Stop::Failed {
                message: format!("macro `{}` ({}) does not parse", self.name, entry.path),
            }));
        }
        session.calls(&self.package, &self.name);
        let depth = {
            let mut log = session.log();
            log.depth += 1;
            log.depth
        };
        let result = if depth > session.max_depth() {
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
        let body = named.iter().position(|(name, _)| name == rewrite::BODY);
        let body = body.map(|at| named.remove(at).1.to_string());
        // A `{% call %}` body belongs to the caller's template and is rendered there, once.
        for (name, value) in &mut named {
            if name == "caller" && !value.is_undefined() {
                if value
                    .get_attr("arguments")
                    .is_ok_and(|args| args.len() != Some(0))
                {
                    let Some(body) = &body else {
                        let message = "the parameters of this `call` block are not understood";
                        return Err(self.session.unsupported("call(…)", message));
                    };
                    *value = Caller::value(&self.session, &self.package, state, body)?;
                    continue;
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
            root.locals.insert("varargs".to_owned(), Value::from(extra));
            root.locals
                .insert("kwargs".to_owned(), Value::from_pairs(other));
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
        let live = self.session.live.is_some();
        if let Some(Stop::Failed { message }) = &mut log.stop
            && live
            && !message.contains(", in macro `")
        {
            // What the database said, with the place of the statement.
            let inside = error.name() == Some(entry.template.as_str());
            let line = entry.line + error.line().filter(|_| inside).unwrap_or(1) - 1;
            message.push_str(&format!(
                ", in macro `{}` ({}:{line})",
                self.name, entry.path
            ));
        }
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

/// The body of a `{% call(x) … %}` block: a macro that sees the names of the template around it.
#[derive(Debug)]
struct Caller {
    session: Arc<Session>,
    package: String,
    source: String,
    names: BTreeMap<String, Value>,
}

impl Caller {
    fn value(
        session: &Arc<Session>,
        package: &str,
        state: &mut State<'_, '_>,
        body: &str,
    ) -> Result<Value, Error> {
        let source = match rewrite::rewrite(body) {
            Some(rewritten) => rewritten.text,
            None => body.to_owned(),
        };
        let free = state
            .env()
            .template_from_named_str("call", &source)?
            .undeclared_variables(false);
        let mut names = BTreeMap::new();
        for name in free {
            if let Some(value) = state.lookup(&name) {
                names.insert(name, value);
            }
        }
        Ok(Value::from_object(Self {
            session: Arc::clone(session),
            package: package.to_owned(),
            source,
            names,
        }))
    }
}

impl Object for Caller {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let mut root = Root::new(&self.session, &self.package);
        root.locals.clone_from(&self.names);
        let env = self.session.facts.macros.env();
        let template = env.template_from_named_str("call", &self.source)?;
        let mut module = template.render_captured(Value::from_object(root))?;
        let result = module.with_state_mut(|state| match state.lookup(rewrite::CALLER) {
            Some(function) => function.call(state, args),
            None => Err(Error::from(ErrorKind::UnknownFunction)),
        });
        if let Some((spent, _)) = module.state().fuel_levels() {
            self.session.spend(spent)?;
        }
        result
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
