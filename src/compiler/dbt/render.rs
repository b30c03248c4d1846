//! A model's template to SQL, with what it referred to and where every byte came from.
//!
//! Rendering reads the input and asks the resolver, nothing else: no environment variable, no clock,
//! no database. Relations are written `"schema"."name"`: dbt also writes the database's name, which
//! differs from one machine and profile to the next and so has no place in a compiled project; where a run is
//! prepared, its name is known, and texts hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{ErrorKind, OutputSpanKind};
use mxcp_artifact::RelationName;
use mxcp_base::Severity;
use serde_json::{Map, Value as Json};

use super::context::{DYNAMIC, NAMES, Root, VALUES};
use super::filters::UNSUPPORTED;
use super::functions::leading_name;
use super::macros::MacroSet;
use super::own_database::{leave_out, moved};
use super::problem::{At, Problem, code, did_you_mean};
use super::pycompat::FIXED;
use super::rewrite::{Rewritten, rewrite};
use super::session::{Assumed, Facts, Known, Log, RefKey, Session, SourceKey, Stop};
use super::statics::{self, RefUse, SourceUse, StaticCall, to_u32};

/// The target a project is compiled for, as far as templates may know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub name: String,
    pub profile: String,
    pub schema: String,
    /// What `target.database` and `this.database` print. It reaches the SQL only where a template
    /// writes it out.
    pub database: String,
    /// The database has this name, and is not only called so for lack of one.
    pub is_named: bool,
    pub threads: u32,
    /// Which of database, schema and identifier are written without quotes.
    pub plain: [bool; 3],
}

impl Default for Target {
    fn default() -> Self {
        Self {
            name: "dev".to_owned(),
            profile: "default".to_owned(),
            schema: "main".to_owned(),
            database: "main".to_owned(),
            is_named: false,
            threads: 1,
            plain: [false; 3],
        }
    }
}

/// Everything one rendering depends on.
#[derive(Clone, Debug)]
pub struct RenderInput<'a> {
    /// The file's text.
    pub text: &'a str,
    pub package: &'a str,
    pub name: &'a str,
    pub this: Option<RelationName>,
    /// The configuration from project and property files, for `config.get`.
    pub config: &'a Map<String, Json>,
    /// [`super::project::ProjectDef::vars_for`] the package.
    pub vars: &'a Map<String, Json>,
    pub target: &'a Target,
    pub macros: &'a MacroSet,
    /// Further names of the context.
    pub extra: BTreeMap<String, Json>,
}

/// What a `ref` or `source` leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resolved {
    Relation(RelationName),
    /// A model of this name that is inlined as a common table expression.
    Ephemeral(String),
    /// A source that is read where it lies: the text that stands for it.
    External {
        relation: RelationName,
        text: String,
    },
    /// Nothing, with the names that exist.
    Unknown {
        candidates: Vec<String>,
    },
}

/// Looks names up. Called before and between renderings, never during one.
pub trait Resolver {
    fn resolve_ref(&self, package: Option<&str>, name: &str) -> Resolved;
    /// Candidates of an unknown source are written `source.table`.
    fn resolve_source(&self, source: &str, table: &str) -> Resolved;
}

/// Where a piece of the rendered SQL came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputSpan {
    pub output: Range<u32>,
    /// Bytes of the template: the same text when `raw`, else the expression that printed it.
    pub source: Range<u32>,
    pub raw: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rendered {
    /// Empty when rendering failed.
    pub sql: String,
    /// Sorted by output position.
    pub spans: Vec<OutputSpan>,
    /// Sorted by position; only what was executed.
    pub refs: Vec<RefUse>,
    pub sources: Vec<SourceUse>,
    /// The keyword arguments of `config()` calls, merged.
    pub config: Map<String, Json>,
    /// Unique ids of the macros that the template itself calls.
    pub macros: BTreeSet<String>,
    /// Why the SQL is not what a run would produce.
    pub dynamic: Option<String>,
    /// The SQL is right as it is now, and may be another one when it runs.
    pub live: bool,
    pub problems: Vec<Problem>,
}

/// How many mistakes of one template are looked for.
const MAX_ATTEMPTS: usize = 32;

/// Renders a template.
pub fn render(input: &RenderInput<'_>, resolver: &dyn Resolver) -> Rendered {
    render_as(input, resolver, false)
}

/// Reads a template for its configuration, as dbt does before anything runs.
pub fn parse(input: &RenderInput<'_>, resolver: &dyn Resolver) -> Rendered {
    render_as(input, resolver, true)
}

fn render_as(input: &RenderInput<'_>, resolver: &dyn Resolver, parsing: bool) -> Rendered {
    // dbt strips files before rendering; positions are given in the unstripped text.
    let stripped = input.text.trim_start();
    let offset = to_u32(0..input.text.len() - stripped.len()).end;
    let stripped = stripped.trim_end();
    let outline = match statics::outline(stripped) {
        Ok(outline) => outline,
        Err(problems) => {
            return Rendered {
                problems: problems.into_iter().map(|p| shifted(p, offset)).collect(),
                ..Rendered::default()
            };
        }
    };
    let work = Work {
        input,
        resolver,
        offset,
        calls: outline.calls,
        free: outline.free,
        rewritten: rewrite(stripped),
        text: stripped,
        parsing,
    };
    work.run()
}

struct Work<'a> {
    input: &'a RenderInput<'a>,
    resolver: &'a dyn Resolver,
    text: &'a str,
    offset: u32,
    calls: Vec<StaticCall>,
    free: Vec<(String, Range<u32>)>,
    rewritten: Option<Rewritten>,
    parsing: bool,
}

impl Work<'_> {
    fn run(&self) -> Rendered {
        let input = self.input;
        let facts = Arc::new(Facts {
            package: input.package.to_owned(),
            this: input.this.clone(),
            config: input.config.clone(),
            vars: input.vars.clone(),
            target: input.target.clone(),
            macros: input.macros.clone(),
            model: self.model(),
            extra: input.extra.clone(),
            env: BTreeMap::new(),
            parsing: self.parsing,
        });
        let mut known = self.literal_names();
        // Where computed names are used, which the text alone does not tell.
        let mut computed: Vec<(Computed, Range<u32>)> = Vec::new();
        let mut problems = Vec::new();
        for attempt in 0..MAX_ATTEMPTS + known.refs.len() {
            let session = Session::new(Arc::clone(&facts), known.clone());
            let root = Value::from_object(Root::new(&session, input.package));
            let text = self
                .rewritten
                .as_ref()
                .map_or(self.text, |r| r.text.as_str());
            let outcome = input
                .macros
                .env()
                .template_from_named_str("template", text)
                .and_then(|template| template.render_with_spans(root));
            let error = match outcome {
                Ok((sql, spans)) => {
                    let log = std::mem::take(&mut *session.log());
                    return self.finish(sql, &spans, log, &known, &computed, problems);
                }
                Err(error) => error,
            };
            let range = self.error_range(&error);
            let stop = session.log().stop.take();
            let unknown = session.log().dynamic.is_some();
            if unknown && may_follow(stop.as_ref(), &error) {
                // Made of values that only a run knows.
                let log = std::mem::take(&mut *session.log());
                return self.finish(String::new(), &[], log, &known, &computed, problems);
            }
            let recovered = attempt + 1 < MAX_ATTEMPTS
                && match stop {
                    Some(Stop::Ref(key)) => {
                        computed.push((Computed::Ref(key.clone()), range));
                        let found = self.resolver.resolve_ref(key.0.as_deref(), &key.1);
                        known.refs.insert(key, found).is_none()
                    }
                    Some(Stop::Source(key)) => {
                        computed.push((Computed::Source(key.clone()), range));
                        let found = self.resolver.resolve_source(&key.0, &key.1);
                        known.sources.insert(key, found).is_none()
                    }
                    Some(stop) => {
                        let (problem, assumed) = self.explain(stop, range);
                        problems.push(problem);
                        assumed.is_some_and(|assumed| known.assumed.insert(assumed))
                    }
                    None => {
                        let (problem, assumed) = self.engine_error(&error, range);
                        problems.push(problem);
                        assumed.is_some_and(|assumed| known.assumed.insert(assumed))
                    }
                };
            if !recovered {
                let log = std::mem::take(&mut *session.log());
                let mut out = self.finish(String::new(), &[], log, &known, &computed, problems);
                dedup(&mut out.problems);
                return out;
            }
        }
        Rendered {
            problems,
            ..Rendered::default()
        }
    }

    fn model(&self) -> Json {
        let input = self.input;
        serde_json::json!({
            "name": input.name,
            "alias": input.this.as_ref().map_or(input.name, |this| this.name.as_str()),
            "schema": input.this.as_ref().map(|this| this.schema.as_str()),
            "database": input.target.database,
            "package_name": input.package,
            "resource_type": "model",
            "unique_id": format!("model.{}.{}", input.package, input.name),
            "config": input.config,
            "tags": input.config.get("tags").cloned().unwrap_or_else(|| Json::Array(Vec::new())),
        })
    }

    // Refs and sources with literal names are resolved before the first attempt.
    fn literal_names(&self) -> Known {
        let mut known = Known::default();
        for call in &self.calls {
            match call.name.as_str() {
                "ref" | "builtins.ref" => {
                    if let Some(key) = statics::ref_arguments(call) {
                        let found = self.resolver.resolve_ref(key.0.as_deref(), &key.1);
                        known.refs.insert(key, found);
                    }
                }
                "source" | "builtins.source" => {
                    if let Some(key) = source_key(call) {
                        let found = self.resolver.resolve_source(&key.0, &key.1);
                        known.sources.insert(key, found);
                    }
                }
                _ => {}
            }
        }
        known
    }

    // In the file's text.
    fn error_range(&self, error: &minijinja::Error) -> Range<u32> {
        let text = self
            .rewritten
            .as_ref()
            .map_or(self.text, |r| r.text.as_str());
        let range = match error.range() {
            Some(range) if error.name() == Some("template") => to_u32(range),
            _ => statics::line_range(text, error.line().unwrap_or(1)),
        };
        let range = self.place(range);
        // For `a.b(…)` the engine's range starts at the dot.
        let call = self.calls.iter().find(|call| {
            let whole = call.range.start + self.offset..call.range.end + self.offset;
            whole.end == range.end && whole.start < range.start && call.name.contains('.')
        });
        match call {
            Some(call) => call.range.start + self.offset..range.end,
            None => range,
        }
    }

    fn place(&self, range: Range<u32>) -> Range<u32> {
        let range = match &self.rewritten {
            Some(rewritten) => rewritten.back(range),
            None => range,
        };
        range.start + self.offset..range.end + self.offset
    }

    fn slice(&self, range: &Range<u32>) -> &str {
        self.input
            .text
            .get(range.start as usize..range.end as usize)
            .unwrap_or("")
    }

    // What a stop means, and what to assume to go on.
    fn explain(&self, stop: Stop, range: Range<u32>) -> (Problem, Option<Assumed>) {
        let at = At::bytes(range);
        match stop {
            Stop::Undefined { name, via } => self.undefined(&name, via, at),
            Stop::MissingVar(name) => {
                let vars = self.input.vars.keys().map(String::as_str);
                let help = did_you_mean(&name, vars).unwrap_or_else(|| {
                    format!("add it to `vars:` in `dbt_project.yml`, or give a default: `var('{name}', …)`")
                });
                let message = format!("there is no variable `{name}`");
                let problem = Problem::new(code::JINJA_UNDEFINED, at, message).help(help);
                (problem, Some(Assumed::Var(name)))
            }
            Stop::MissingEnv(name) => {
                let message = format!("`env_var('{name}')` has no default");
                let problem = Problem::new(code::UNSUPPORTED, at, message).help(format!(
                    "give one: `env_var('{name}', …)`; the compiled project never holds values of the environment"
                )).accepted(true);
                (problem, Some(Assumed::Env(name)))
            }
            Stop::Unsupported { path, help } => {
                let known = NAMES.iter().chain(&VALUES).copied();
                let owner = path.split_once('.').map_or("", |(owner, _)| owner);
                let message = format!("`{path}` is not supported");
                let help = help.or_else(|| match owner {
                    "dbt" => did_you_mean(&path, dbt_names().iter().map(String::as_str)),
                    _ => did_you_mean(&path, known),
                });
                // A name that is nearly another one is a slip; the others are dbt's own.
                let accepted = !help.as_ref().is_some_and(|h| h.starts_with("did you mean"));
                let problem = Problem::new(code::UNSUPPORTED, at, message)
                    .maybe_help(help)
                    .accepted(accepted);
                (problem, Some(Assumed::Path(path)))
            }
            Stop::Raised { message } => {
                let message = format!("the template raises an error: {}", message.trim());
                (Problem::new(code::JINJA_FAILED, at, message), None)
            }
            Stop::Failed { message } if message.contains(FIXED) => {
                let problem = Problem::new(code::UNSUPPORTED, at, message).accepted(true);
                (problem, None)
            }
            Stop::Failed { message } => (Problem::new(code::JINJA_FAILED, at, message), None),
            // Handled where they occur.
            Stop::Ref(_) | Stop::Source(_) => (
                Problem::new(code::JINJA_FAILED, at, "rendering stopped"),
                None,
            ),
        }
    }

    fn undefined(&self, name: &str, via: Option<String>, at: At) -> (Problem, Option<Assumed>) {
        let macros = self.input.macros;
        let (owner, member) = name.split_once('.').unwrap_or(("", name));
        let of_package = !owner.is_empty();
        let message = match (&via, of_package) {
            (_, true) => format!("package `{owner}` has no macro `{member}`"),
            (Some(via), false) => format!("`{name}` is not defined, {via}"),
            (None, false) => format!("`{name}` is not defined"),
        };
        let dbt = dbt_names();
        let help = if of_package {
            did_you_mean(member, macros.names(owner))
        } else {
            let own = macros.names(self.input.package);
            let names = NAMES.iter().chain(&VALUES).chain(&DYNAMIC).copied();
            did_you_mean(name, names.chain(own).chain(dbt.iter().map(String::as_str)))
        };
        let called_on = match &at {
            At::Range(range) => {
                let rest = self
                    .input
                    .text
                    .get(u32::from(range.start()) as usize..)
                    .unwrap_or("");
                rest.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            }
            _ => false,
        };
        // Packages bring others along, so a name that no file lists may be one too.
        let packages = macros.packages();
        let near = macros.misspelt_package(name);
        let accepted = called_on && via.is_none() && packages.is_some() && near.is_none();
        let help = match near {
            Some(near) if called_on => Some(format!("did you mean `{near}`?")),
            _ if called_on && via.is_none() => Some(format!(
                "if `{name}` is a package: macros of packages are not available yet"
            )),
            _ => help,
        };
        let assumed = if of_package {
            Assumed::Path(name.to_owned())
        } else {
            Assumed::Name(name.to_owned())
        };
        (
            Problem::new(code::JINJA_UNDEFINED, at, message)
                .maybe_help(help)
                .accepted(accepted),
            Some(assumed),
        )
    }

    // An error of the template engine itself, outside macros.
    fn engine_error(
        &self,
        error: &minijinja::Error,
        range: Range<u32>,
    ) -> (Problem, Option<Assumed>) {
        let at = At::bytes(range.clone());
        let written = self.slice(&range);
        match error.kind() {
            ErrorKind::UndefinedError | ErrorKind::UnknownFunction => match leading_name(written) {
                Some(name) if !self.is_known_name(name) => {
                    return self.undefined(name, None, at);
                }
                _ => {
                    let message = format!("`{}` is not defined", one_line(written));
                    return (Problem::new(code::JINJA_UNDEFINED, at, message), None);
                }
            },
            // The value before the method may be the unknown name.
            ErrorKind::UnknownMethod => {
                if let Some(name) = leading_name(written)
                    && !self.is_known_name(name)
                    && error
                        .detail()
                        .is_some_and(|detail| detail.starts_with("undefined"))
                {
                    let end = range.start + to_u32(0..name.len()).end;
                    return self.undefined(name, None, At::bytes(range.start..end));
                }
                let message = error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned);
                return (Problem::new(code::UNSUPPORTED, at, message), None);
            }
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest => {
                let message = error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned);
                let code = if UNSUPPORTED.iter().any(|name| written.starts_with(name)) {
                    code::UNSUPPORTED
                } else {
                    code::JINJA_UNDEFINED
                };
                return (Problem::new(code, at, message), None);
            }
            ErrorKind::SyntaxError => {
                return (
                    shifted(statics::syntax_problem(self.text, error), self.offset),
                    None,
                );
            }
            _ => {}
        }
        let detail = error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned);
        let code = if detail.contains(FIXED) {
            code::UNSUPPORTED
        } else {
            code::JINJA_FAILED
        };
        let accepted = code == code::UNSUPPORTED;
        (Problem::new(code, at, detail).accepted(accepted), None)
    }

    // How bad an unknown reference is in a project with packages, one of which may hold the model.
    fn of_package(&self, used: &RefUse, candidates: &[String]) -> Option<Severity> {
        match &used.package {
            Some(package) if package != self.input.package => Some(Severity::Info),
            Some(_) => None,
            None => {
                let slip = |name: &String| strsim::damerau_levenshtein(name, &used.name) <= 2;
                (!candidates.iter().any(slip)).then_some(Severity::Warning)
            }
        }
    }

    fn is_known_name(&self, name: &str) -> bool {
        NAMES.contains(&name) || VALUES.contains(&name) || DYNAMIC.contains(&name)
    }

    fn finish(
        &self,
        sql: String,
        spans: &[minijinja::OutputSpan],
        log: Log,
        known: &Known,
        computed: &[(Computed, Range<u32>)],
        mut problems: Vec<Problem>,
    ) -> Rendered {
        let target = &self.input.target;
        let stripped = match target.is_named {
            true => leave_out(&sql, &target.database),
            false => None,
        };
        let (sql, gone) = stripped.unwrap_or((sql, Vec::new()));
        let out = |range: Range<u32>| moved(range.start, &gone)..moved(range.end, &gone);
        let spans = spans
            .iter()
            .map(|span| OutputSpan {
                output: out(to_u32(span.output_range())),
                source: self.place(to_u32(span.source_range())),
                raw: span.kind() == OutputSpanKind::Raw,
            })
            .collect();
        let mut refs = Vec::new();
        let mut sources = Vec::new();
        for call in &self.calls {
            let range = call.range.start + self.offset..call.range.end + self.offset;
            match call.name.as_str() {
                "ref" | "builtins.ref" => {
                    let key = statics::ref_arguments(call);
                    if let Some(key) = key.filter(|key| log.refs.contains(key)) {
                        refs.push(ref_use(key, range));
                    }
                }
                "source" | "builtins.source" => {
                    let key = source_key(call);
                    if let Some(key) = key.filter(|key| log.sources.contains(key)) {
                        sources.push(source_use(key, range));
                    }
                }
                _ => {}
            }
        }
        for (used, range) in computed {
            match used {
                Computed::Ref(key) if log.refs.contains(key) => {
                    refs.push(ref_use(key.clone(), range.clone()));
                }
                Computed::Source(key) if log.sources.contains(key) => {
                    sources.push(source_use(key.clone(), range.clone()));
                }
                _ => {}
            }
        }
        refs.sort_by_key(|used| (used.range.start, used.range.end));
        sources.sort_by_key(|used| (used.range.start, used.range.end));

        for (name, range) in &self.free {
            let reported = known.assumed.contains(&Assumed::Name(name.clone()));
            if log.unknown.contains(name) && !reported {
                let at = range.start + self.offset..range.end + self.offset;
                problems.push(self.undefined(name, None, At::bytes(at)).0);
            }
        }
        for used in &refs {
            let key = (used.package.clone(), used.name.clone());
            if let Some(Resolved::Unknown { candidates }) = known.refs.get(&key) {
                let mut problem = unknown_ref(used, candidates);
                if self.input.macros.packages().is_some() {
                    problem.severity = self.of_package(used, candidates);
                }
                problems.push(problem);
            }
        }
        for used in &sources {
            let key = (used.source.clone(), used.table.clone());
            if let Some(Resolved::Unknown { candidates }) = known.sources.get(&key) {
                problems.push(unknown_source(used, candidates));
            }
        }
        dedup(&mut problems);
        Rendered {
            sql,
            spans,
            refs,
            sources,
            config: log.config,
            macros: log.macros,
            live: log.live || log.dynamic.is_some(),
            dynamic: log.dynamic,
            problems,
        }
    }
}

/// Whether an error may come of a value that stands for an unknown one.
fn may_follow(stop: Option<&Stop>, error: &minijinja::Error) -> bool {
    match stop {
        Some(Stop::Raised { .. } | Stop::Failed { .. }) => true,
        Some(_) => false,
        None => !matches!(
            error.kind(),
            ErrorKind::UndefinedError
                | ErrorKind::UnknownFunction
                | ErrorKind::UnknownFilter
                | ErrorKind::UnknownTest
                | ErrorKind::SyntaxError
        ),
    }
}

enum Computed {
    Ref(RefKey),
    Source(SourceKey),
}

fn dbt_names() -> Vec<String> {
    super::builtin::names()
        .map(|name| format!("dbt.{name}"))
        .collect()
}

fn source_key(call: &StaticCall) -> Option<SourceKey> {
    match call.args.as_slice() {
        [Some(Json::String(source)), Some(Json::String(table))] => {
            Some((source.clone(), table.clone()))
        }
        _ => None,
    }
}

fn ref_use((package, name): RefKey, range: Range<u32>) -> RefUse {
    RefUse {
        package,
        name,
        range,
    }
}

fn source_use((source, table): SourceKey, range: Range<u32>) -> SourceUse {
    SourceUse {
        source,
        table,
        range,
    }
}

fn unknown_ref(used: &RefUse, candidates: &[String]) -> Problem {
    let message = match &used.package {
        Some(package) => format!("package `{package}` has no model or seed `{}`", used.name),
        None => format!("there is no model or seed `{}`", used.name),
    };
    Problem::new(code::UNKNOWN_REF, At::bytes(used.range.clone()), message).maybe_help(
        did_you_mean(&used.name, candidates.iter().map(String::as_str)),
    )
}

fn unknown_source(used: &SourceUse, candidates: &[String]) -> Problem {
    let name = format!("{}.{}", used.source, used.table);
    let message = format!("there is no source `{name}`");
    let help = did_you_mean(&name, candidates.iter().map(String::as_str))
        .unwrap_or_else(|| "declare it under `sources:` in a property file".to_owned());
    Problem::new(code::UNKNOWN_SOURCE, At::bytes(used.range.clone()), message).help(help)
}

fn shifted(mut problem: Problem, offset: u32) -> Problem {
    if let At::Range(range) = problem.at {
        let start = u32::from(range.start()) + offset;
        problem.at = At::bytes(start..u32::from(range.end()) + offset);
    }
    problem
}

fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or("").trim()
}

// By position; the same mistake in the same place is one mistake.
fn dedup(problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    problems.retain(|problem| {
        let place = match &problem.at {
            At::Range(range) => (u32::from(range.start()), u32::from(range.end())),
            _ => (0, 0),
        };
        seen.insert((problem.code, place, problem.message.clone()))
    });
    problems.sort_by_key(|problem| match &problem.at {
        At::Range(range) => u32::from(range.start()),
        _ => 0,
    });
}

/// The template bytes behind a range of rendered SQL: exact inside verbatim text, the whole
/// expression where one was printed.
pub fn map_to_template(spans: &[OutputSpan], output: Range<u32>) -> Range<u32> {
    let touches = |span: &&OutputSpan| {
        if output.is_empty() {
            span.output.start <= output.start && output.start <= span.output.end
        } else {
            span.output.start < output.end && output.start < span.output.end
        }
    };
    let mut mapped: Option<Range<u32>> = None;
    for span in spans.iter().filter(touches) {
        let piece = if span.raw {
            let start = output.start.clamp(span.output.start, span.output.end);
            let end = output.end.clamp(span.output.start, span.output.end);
            span.source.start + (start - span.output.start)
                ..span.source.start + (end - span.output.start)
        } else {
            span.source.clone()
        };
        mapped = Some(match mapped {
            // Loops print the same source again, so pieces may come in any order.
            Some(known) => known.start.min(piece.start)..known.end.max(piece.end),
            None => piece,
        });
    }
    mapped.unwrap_or_else(|| {
        let last = spans
            .iter()
            .rev()
            .find(|span| span.output.end <= output.start)
            .map_or(0, |span| span.source.end);
        last..last
    })
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod render_tests;
