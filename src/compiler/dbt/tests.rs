//! Data tests to SQL: the four generic tests as dbt-duckdb compiles them, the project's own generic
//! tests, and singular tests, each under the name and id dbt gives it.
//!
//! The SQL selects failing rows; counting them and judging the count is the runner's work, and so is
//! keeping them.

use std::collections::BTreeMap;

use mxcp_artifact::Column;
use mxcp_artifact::catalog::quote_identifier;
use mxcp_artifact::dbt::{Materialization, Severity, TestSpec};
use mxcp_syntax::yaml::join_pointer;
use serde_json::{Map, Value as Json};

use super::config::{Resource, resolve};
use super::macros::MacroSet;
use super::md5;
use super::problem::{At, Problem, code, did_you_mean};
use super::project::ProjectDef;
use super::properties::TestProps;
use super::render::{RenderInput, Rendered, Resolver, Target, render};
use super::statics::{self, ref_arguments};
use super::values::{YamlContext, render_yaml};
use mxcp_values::repr;

/// The node a generic test is declared on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tested<'a> {
    /// A model, seed or snapshot.
    Node(&'a str),
    /// One version of a model.
    Version {
        model: &'a str,
        version: &'a str,
    },
    Source {
        source: &'a str,
        table: &'a str,
    },
}

/// What compiling a test depends on.
#[derive(Clone, Debug)]
pub struct TestInput<'a> {
    pub test: &'a TestProps,
    pub on: Tested<'a>,
    /// The unique id of that node.
    pub attached_to: Option<&'a str>,
    pub package: &'a str,
    /// The property file, relative to the project.
    pub path: &'a str,
    pub project: &'a ProjectDef,
    pub vars: &'a Map<String, Json>,
    pub target: &'a Target,
    pub macros: &'a MacroSet,
    pub env: &'a BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CompiledTest {
    /// The full name: dbt's node name.
    pub name: String,
    /// At most 63 characters: dbt's alias and file name.
    pub short_name: String,
    pub unique_id: String,
    pub fqn: Vec<String>,
    pub enabled: bool,
    pub tags: Vec<String>,
    /// Of a generic test, as written.
    pub description: Option<String>,
    /// Mentions `__dbt__cte__…` where a parent is ephemeral; see [`super::ephemeral::inject`].
    pub sql: String,
    /// Package and name of every node it selects from, sorted.
    pub refs: Vec<(Option<String>, String)>,
    pub sources: Vec<(String, String)>,
    pub dynamic: Option<String>,
    /// Unique ids of the macros it calls.
    pub macros: Vec<String>,
    pub spec: TestSpec,
    /// The configuration with everything in it.
    pub config: Map<String, Json>,
    /// The template the SQL comes from, when it is not the file's own text, and its names.
    pub template: Option<(String, Vec<(String, Json)>)>,
    /// The SQL may be another one when the test runs.
    pub live: bool,
    /// What is wrong shows when the test runs, and not yet when dbt reads it.
    pub fails_late: bool,
    pub problems: Vec<Problem>,
}

impl CompiledTest {
    /// How failing rows are kept, if they are.
    pub fn stored(&self) -> Option<Materialization> {
        match self.config.get("store_failures_as").and_then(Json::as_str) {
            Some("table") => Some(Materialization::Table),
            Some("view") => Some(Materialization::View),
            Some(_) => None,
            None => (self.config.get("store_failures") == Some(&Json::Bool(true)))
                .then_some(Materialization::Table),
        }
    }
}

/// The tests every project has, with the arguments each takes besides the model.
const GENERIC: [(&str, &[&str], &[&str]); 4] = [
    ("unique", &["column_name"], &[]),
    ("not_null", &["column_name"], &[]),
    ("accepted_values", &["column_name", "values"], &["quote"]),
    ("relationships", &["column_name", "to", "field"], &[]),
];

/// Compiles a generic test. Problems stand at the test's place in its property file.
pub fn compile_generic(input: &TestInput<'_>, resolver: &dyn Resolver) -> CompiledTest {
    let test = input.test;
    let at = At::Pointer(test.place.pointer.clone());
    let (short_name, name) = names(test, input.on);
    let fqn = fqn(input, &name);
    let mut problems = Vec::new();
    let config = config(input, &fqn, &mut problems);

    let mut out = CompiledTest {
        unique_id: format!(
            "test.{}.{name}.{}",
            input.package,
            hash(test, input.on, &name)
        ),
        name,
        short_name,
        fqn,
        enabled: config.get("enabled") != Some(&Json::Bool(false)),
        tags: texts(config.get("tags")),
        description: test.description.clone(),
        sql: String::new(),
        refs: Vec::new(),
        sources: Vec::new(),
        dynamic: None,
        macros: generic_macros(input),
        spec: spec(&config, &at, &mut problems),
        template: None,
        live: false,
        fails_late: false,
        problems,
        config: config.clone(),
    };
    out.spec.generic = Some(match &test.namespace {
        Some(namespace) => format!("{namespace}.{}", test.test),
        None => test.test.clone(),
    });
    let quoted = test.args.get("column_name").and_then(Json::as_str);
    out.spec.column = test
        .column
        .as_ref()
        .map(|name| quoted.unwrap_or(name).to_owned());
    out.spec.attached_to = input.attached_to.map(str::to_owned);
    out.tags.extend(test.column_tags.iter().cloned());
    out.tags.sort();
    out.tags.dedup();
    out.spec.arguments = keywords(test, input.on).into_iter().collect();

    let Some(template) = template(input, &config, &mut out.problems) else {
        return out;
    };
    let sound = out.problems.iter().all(Problem::is_accepted);
    let name = out.name.clone();
    let work = RenderInput {
        text: &template.text,
        package: input.package,
        name: &name,
        this: None,
        config: &config,
        vars: input.vars,
        target: input.target,
        macros: input.macros,
        extra: template.extra.clone(),
    };
    let rendered = render(&work, resolver);
    out.fails_late = sound && fails_late(&work, &rendered, resolver);
    out.template = Some((template.text, template.extra.into_iter().collect()));
    // The macro configures its test, say how failures are counted; what is written at the test outranks that.
    let mut set = rendered.config.clone();
    set.retain(|key, _| !test.config.contains_key(key));
    take(&mut out, rendered, Some(&at));
    if !set.is_empty() {
        super::config::merge(&mut out.config, set);
        let known = out.spec;
        out.spec = TestSpec {
            generic: known.generic,
            column: known.column,
            attached_to: known.attached_to,
            arguments: known.arguments,
            ..spec(&out.config, &at, &mut Vec::new())
        };
    }
    for problem in &mut out.problems {
        place_reference(test, problem);
    }
    out
}

/// Compiles a singular test, a file of its own below a test path. Problems have ranges in its text.
/// `fqn` is the file's, its last part the test's name.
pub fn compile_singular(
    input: &RenderInput<'_>,
    project: &ProjectDef,
    fqn: &[String],
    declared: &Map<String, Json>,
    resolver: &dyn Resolver,
) -> CompiledTest {
    let rendered = render(input, resolver);
    let (config, mut problems) = resolve(Resource::Test, project, fqn, declared, &rendered.config);
    let mut out = CompiledTest {
        unique_id: format!("test.{}.{}", input.package, input.name),
        name: input.name.to_owned(),
        short_name: input.name.to_owned(),
        fqn: fqn.to_vec(),
        enabled: config.enabled,
        tags: config.tags,
        description: None,
        sql: String::new(),
        refs: Vec::new(),
        sources: Vec::new(),
        dynamic: None,
        macros: Vec::new(),
        spec: spec(&config.raw, &At::File, &mut problems),
        config: config.raw,
        template: None,
        live: false,
        fails_late: false,
        problems,
    };
    out.fails_late = fails_late(input, &rendered, resolver);
    take(&mut out, rendered, None);
    out
}

fn fails_late(input: &RenderInput<'_>, rendered: &Rendered, resolver: &dyn Resolver) -> bool {
    let wrong = |rendered: &Rendered| rendered.problems.iter().any(|p| !p.is_accepted());
    let late = |p: &Problem| {
        p.is_accepted()
            || matches!(
                p.code,
                code::JINJA_FAILED | code::UNSUPPORTED | code::JINJA_UNDEFINED
            )
    };
    wrong(rendered)
        && rendered.problems.iter().all(late)
        && !wrong(&super::render::parse(input, resolver))
}

fn take(out: &mut CompiledTest, rendered: Rendered, at: Option<&At>) {
    let mut refs: Vec<_> = rendered
        .refs
        .into_iter()
        .map(|used| (used.package, used.name))
        .collect();
    refs.sort();
    refs.dedup();
    let mut sources: Vec<_> = rendered
        .sources
        .into_iter()
        .map(|used| (used.source, used.table))
        .collect();
    sources.sort();
    sources.dedup();
    out.refs = refs;
    out.sources = sources;
    out.sql = rendered.sql;
    out.dynamic = rendered.dynamic;
    if out.macros.is_empty() {
        out.macros = rendered.macros.into_iter().collect();
    }
    out.live = rendered.live;
    let mut problems = rendered.problems;
    if let Some(at) = at {
        // The template was made up here: its positions mean nothing to anybody.
        problems
            .iter_mut()
            .for_each(|problem| problem.at = at.clone());
        problems.dedup();
    }
    out.problems.extend(problems);
}

// An unknown model is a matter of the argument that names it, and so is an argument that the macro does not take.
fn place_reference(test: &TestProps, problem: &mut Problem) {
    if problem.code == code::JINJA_FAILED
        && let Some(rest) = problem.message.split("unknown keyword argument `").nth(1)
        && let Some(place) = rest
            .split('`')
            .next()
            .and_then(|name| test.places.get(name))
    {
        problem.at = At::Pointer(place.clone());
        return;
    }
    if !matches!(problem.code, code::UNKNOWN_REF | code::UNKNOWN_SOURCE) {
        return;
    }
    let mut parts = problem.message.split('`').skip(1).step_by(2);
    let named = parts.next().and_then(|name| name.rsplit('.').next());
    let argument = named.and_then(|named| {
        test.args
            .iter()
            .find(|(_, value)| value.as_str().is_some_and(|text| text.contains(named)))
    });
    if let Some((argument, _)) = argument {
        problem.at = At::Pointer(test.place_of(argument));
    }
}

struct Template {
    text: String,
    extra: BTreeMap<String, Json>,
}

// The test as a template that calls it: names first, then the test's own text.
fn template(
    input: &TestInput<'_>,
    config: &Map<String, Json>,
    problems: &mut Vec<Problem>,
) -> Option<Template> {
    let test = input.test;
    let body = match find_macro(input) {
        Some((package, name)) => {
            let args: Vec<String> = test
                .args
                .keys()
                .map(|arg| format!(", {arg}=__arg_{arg}"))
                .collect();
            format!("{{{{ {package}.{name}(model=__model{}) }}}}", args.concat())
        }
        None => builtin(input, problems)?,
    };
    let mut out = Template {
        text: String::new(),
        extra: BTreeMap::new(),
    };
    let relation = match input.on {
        Tested::Node(name) => format!("ref({})", repr::repr(&Json::String(name.to_owned()))),
        Tested::Version { model, version } => reference_of(model, version),
        Tested::Source { source, table } => {
            let literal = |text: &str| repr::repr(&Json::String(text.to_owned()));
            format!("source({}, {})", literal(source), literal(table))
        }
    };
    let replaced = macros_of(input.macros, input.package, "get_where_subquery");
    match config.get("where") {
        _ if replaced => out.text.push_str(&format!(
            "{{% set __model = get_where_subquery({relation}) %}}"
        )),
        Some(Json::String(condition)) if !condition.trim().is_empty() => {
            out.text.push_str(&format!(
                "{{% set __model %}}(select * from {{{{ {relation} }}}} where {condition}) dbt_subquery{{% endset %}}"
            ));
        }
        _ => out
            .text
            .push_str(&format!("{{% set __model = {relation} %}}")),
    }
    for (name, value) in &test.args {
        match value {
            Json::Array(_) | Json::Object(_) => {
                let pointer = test.place_of(name);
                let (value, mut found) = render_yaml(value, &yaml_context(input), &pointer);
                problems.append(&mut found);
                argument(&mut out, name, &value);
            }
            _ => argument(&mut out, name, value),
        }
    }
    out.text.push_str(&body);
    // Keeps the white space before it from being stripped with the file's end.
    out.text.push_str("{{ '' }}");
    Some(out)
}

fn reference_of(model: &str, version: &str) -> String {
    format!("ref('{model}', version='{version}')")
}

// Whether the project or the package has its own form of one of dbt's macros.
fn macros_of(macros: &MacroSet, package: &str, name: &str) -> bool {
    let adapters = ["default__", "duckdb__", ""];
    adapters.iter().any(|prefix| {
        let name = format!("{prefix}{name}");
        macros.contains(macros.root_name(), &name) || macros.contains(package, &name)
    })
}

// dbt evaluates texts that look like a call or hold Jinja, except for `column_name`.
fn argument(out: &mut Template, name: &str, value: &Json) {
    let bound = format!("__arg_{name}");
    let Json::String(text) = value else {
        out.extra.insert(bound, value.clone());
        return;
    };
    let trimmed = text.trim();
    let is_call = ["env_var", "ref", "var", "source", "doc"]
        .iter()
        .any(|function| {
            trimmed
                .strip_prefix(function)
                .is_some_and(|rest| rest.trim_start().starts_with('(') && rest.ends_with(')'))
        });
    let whole = trimmed
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
    if name == "column_name" {
        out.extra.insert(bound, value.clone());
    } else if is_call {
        out.text
            .push_str(&format!("{{% set {bound} = {trimmed} %}}"));
    } else if let Some(expression) = whole {
        let expression = expression.trim_matches('-');
        out.text
            .push_str(&format!("{{% set {bound} = {expression} %}}"));
    } else if text.contains("{{") || text.contains("{%") {
        out.text
            .push_str(&format!("{{% set {bound} %}}{text}{{% endset %}}"));
    } else {
        out.extra.insert(bound, value.clone());
    }
}

// The project's own test of that name, which also replaces one of the four.
fn find_macro(input: &TestInput<'_>) -> Option<(String, String)> {
    let name = format!("test_{}", input.test.test);
    // dbt's own tests dispatch to what a project may replace.
    if matches!(input.test.namespace.as_deref(), None | Some("dbt"))
        && GENERIC.iter().any(|(known, ..)| *known == input.test.test)
        && input.macros.visible(input.package, &name).is_none()
    {
        let root = input.macros.root_name();
        let mut names = ["duckdb__", "default__"].map(|prefix| format!("{prefix}{name}"));
        let replaced = names
            .iter_mut()
            .find(|name| input.macros.contains(root, name))?;
        return Some((root.to_owned(), std::mem::take(replaced)));
    }
    let package = match input.test.namespace.as_deref() {
        Some(namespace) => input
            .macros
            .contains(namespace, &name)
            .then(|| namespace.to_owned())?,
        None => input.macros.visible(input.package, &name)?.to_owned(),
    };
    Some((package, name))
}

fn builtin(input: &TestInput<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let test = input.test;
    let pointer = &test.place.pointer;
    let known = GENERIC.iter().find(|(name, ..)| *name == test.test);
    let (Some((name, required, optional)), None | Some("dbt")) = (known, test.namespace.as_deref())
    else {
        problems.push(unknown_test(input));
        return None;
    };
    let mut complete = true;
    for argument in *required {
        if !test.args.contains_key(*argument) {
            complete = false;
            problems.push(Problem::new(
                code::BAD_VALUE,
                At::Pointer(pointer.clone()),
                format!("the test `{name}` needs the argument `{argument}`"),
            ));
        }
    }
    for argument in test.args.keys() {
        let takes = required.iter().chain(*optional);
        if !takes.clone().any(|known| known == argument) {
            complete = false;
            problems.push(
                Problem::new(
                    code::BAD_VALUE,
                    At::Key(test.place_of(argument)),
                    format!("the test `{name}` takes no argument `{argument}`"),
                )
                .maybe_help(did_you_mean(argument, takes.copied())),
            );
        }
    }
    if !complete {
        return None;
    }
    let values = test.args.get("values");
    if *name == "accepted_values" && !matches!(values, Some(Json::Array(_) | Json::String(_))) {
        problems.push(Problem::new(
            code::BAD_VALUE,
            At::Pointer(test.place_of("values")),
            "the `values` of `accepted_values` are a list",
        ));
        return None;
    }
    let column = "{{ __arg_column_name }}";
    let sql = match *name {
        "unique" => format!(
            "select\n    {column} as unique_field,\n    count(*) as n_records\n\nfrom {{{{ __model }}}}\nwhere {column} is not null\ngroup by {column}\nhaving count(*) > 1"
        ),
        "not_null" => {
            let columns =
                format!("{{% if should_store_failures() %}}*{{% else %}}{column}{{% endif %}}");
            format!("\n\nselect {columns}\nfrom {{{{ __model }}}}\nwhere {column} is null")
        }
        "accepted_values" => {
            let quoted = test.args.get("quote") != Some(&Json::Bool(false));
            let value = if quoted {
                "'{{ value }}'"
            } else {
                "{{ value }}"
            };
            format!(
                "with all_values as (\n\n    select\n        {column} as value_field,\n        count(*) as n_records\n\n    from {{{{ __model }}}}\n    group by {column}\n\n)\n\nselect *\nfrom all_values\nwhere value_field not in (\n    {{% for value in __arg_values %}}{value}{{% if not loop.last %}},{{% endif %}}{{% endfor %}}\n)"
            )
        }
        _ => {
            let field = "{{ __arg_field }}";
            format!(
                "with child as (\n    select {column} as from_field\n    from {{{{ __model }}}}\n    where {column} is not null\n),\n\nparent as (\n    select {field} as to_field\n    from {{{{ __arg_to }}}}\n)\n\nselect\n    from_field\n\nfrom child\nleft join parent\n    on child.from_field = parent.to_field\n\nwhere parent.to_field is null"
            )
        }
    };
    Some(format!("\n    \n    \n\n{sql}\n\n\n"))
}

fn unknown_test(input: &TestInput<'_>) -> Problem {
    let test = input.test;
    let at = At::Pointer(test.place.pointer.clone());
    match &test.namespace {
        Some(namespace) if !input.macros.has_package(namespace) => {
            let near = input.macros.misspelt_package(namespace);
            Problem::new(
                code::JINJA_UNDEFINED,
                at,
                format!(
                    "the package `{namespace}` of test `{}` is not installed",
                    test.test
                ),
            )
            .accepted(input.macros.packages().is_some() && near.is_none())
            .help(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "macros of packages are not available yet".to_owned(),
            })
        }
        namespace => {
            let package = namespace.as_deref().unwrap_or(input.package);
            let names: Vec<&str> = input
                .macros
                .names(package)
                .into_iter()
                .filter_map(|name| name.strip_prefix("test_"))
                .chain(GENERIC.iter().map(|(name, ..)| *name))
                .collect();
            Problem::new(
                code::JINJA_UNDEFINED,
                at,
                format!("there is no generic test `{}`", test.test),
            )
            .maybe_help(did_you_mean(&test.test, names))
        }
    }
}

/// The test's own macro, and the one that stands around what it tests.
fn generic_macros(input: &TestInput<'_>) -> Vec<String> {
    let name = format!("test_{}", input.test.test);
    let visible = |name: &str| input.macros.visible(input.package, name).unwrap_or("dbt");
    let package = input.test.namespace.as_deref();
    let own = format!("macro.{}.{name}", package.unwrap_or_else(|| visible(&name)));
    if matches!(
        own.as_str(),
        "macro.dbt.test_not_null" | "macro.dbt.test_unique"
    ) {
        return vec![own];
    }
    let around = "get_where_subquery";
    vec![own, format!("macro.{}.{around}", visible(around))]
}

// Short and full name, as dbt makes them of test, node and arguments.
fn names(test: &TestProps, on: Tested<'_>) -> (String, String) {
    if let Some(name) = &test.custom_name {
        return (name.clone(), name.clone());
    }
    let mut kind = match on {
        Tested::Node(_) | Tested::Version { .. } => test.test.clone(),
        Tested::Source { .. } => format!("source_{}", test.test),
    };
    if let Some(namespace) = &test.namespace {
        kind = format!("{namespace}_{kind}");
    }
    let target = match on {
        Tested::Node(name) => name.to_owned(),
        Tested::Version { model, version } => format!("{model}_v{version}"),
        Tested::Source { source, table } => format!("{source}_{table}"),
    };
    let mut arguments: Vec<_> = test.args.iter().collect();
    arguments.sort_by_key(|(name, _)| name.as_str());
    let parts: Vec<String> = arguments
        .into_iter()
        .flat_map(|(_, value)| match value {
            Json::Object(map) => map.values().map(repr::text).collect(),
            Json::Array(items) => items.iter().map(repr::text).collect(),
            one => vec![repr::text(one)],
        })
        .map(|part| cleaned(&part))
        .collect();
    let identifier = format!("{kind}_{target}");
    let full = format!("{identifier}_{}", parts.join("__"));
    let short = if full.chars().count() >= 64 {
        let head: String = identifier.chars().take(30).collect();
        format!("{head}_{}", md5::hex(&full))
    } else {
        full.clone()
    };
    (short, full)
}

// Runs of other characters become one underscore.
fn cleaned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
            gap = false;
        } else if !gap {
            out.push('_');
            gap = true;
        }
    }
    out
}

// What the test's macro is called with, as written.
fn keywords(test: &TestProps, on: Tested<'_>) -> Map<String, Json> {
    let relation = match on {
        Tested::Node(name) => format!("ref('{name}')"),
        Tested::Version { model, version } => reference_of(model, version),
        Tested::Source { source, table } => format!("source('{source}', '{table}')"),
    };
    let mut kwargs = test.args.clone();
    kwargs.insert(
        "model".to_owned(),
        Json::String(format!("{{{{ get_where_subquery({relation}) }}}}")),
    );
    kwargs
}

// The end of dbt's unique id, which depends on Python's `repr` of the test's metadata.
fn hash(test: &TestProps, on: Tested<'_>, name: &str) -> String {
    fn hashable(value: &Json) -> Json {
        match value {
            Json::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| key.as_str());
                let entries = entries.into_iter().map(|(k, v)| (k.clone(), hashable(v)));
                Json::Object(entries.collect())
            }
            Json::Array(items) => Json::Array(items.iter().map(hashable).collect()),
            other => Json::String(repr::text(other)),
        }
    }
    let kwargs = keywords(test, on);
    let metadata = serde_json::json!({
        "kwargs": kwargs,
        "name": test.test,
        "namespace": test.namespace,
    });
    let digest = md5::hex(&format!("{name}{}", repr::repr(&hashable(&metadata))));
    digest.chars().skip(22).collect()
}

// The property file's folders below its first one, then the name.
fn fqn(input: &TestInput<'_>, name: &str) -> Vec<String> {
    let folders: Vec<&str> = input.path.split('/').collect();
    let inner = folders.len().saturating_sub(1);
    std::iter::once(input.package)
        .chain(folders.into_iter().take(inner).skip(1))
        .chain([name])
        .map(str::to_owned)
        .collect()
}

fn yaml_context(input: &TestInput<'_>) -> YamlContext {
    YamlContext {
        package: input.package.to_owned(),
        vars: input.vars.clone(),
        target: input.target.clone(),
        macros: input.macros.clone(),
        env: input.env.clone(),
    }
}

fn config(input: &TestInput<'_>, fqn: &[String], problems: &mut Vec<Problem>) -> Map<String, Json> {
    let own = Json::Object(input.test.config.clone());
    let pointer = join_pointer(&input.test.place.pointer, "config");
    let (own, mut found) = render_yaml(&own, &yaml_context(input), &pointer);
    problems.append(&mut found);
    let own = match own {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    let (config, _) = resolve(Resource::Test, input.project, fqn, &own, &Map::new());
    config.raw
}

fn texts(value: Option<&Json>) -> Vec<String> {
    let mut out: Vec<String> = match value {
        Some(Json::Array(items)) => items.iter().map(repr::text).collect(),
        Some(Json::Null) | None => Vec::new(),
        Some(one) => vec![repr::text(one)],
    };
    out.sort();
    out.dedup();
    out
}

fn spec(config: &Map<String, Json>, at: &At, problems: &mut Vec<Problem>) -> TestSpec {
    let text = |key: &str, default: &str| match config.get(key) {
        None | Some(Json::Null) => default.to_owned(),
        Some(value) => repr::text(value),
    };
    let severity = text("severity", "error");
    let severity = match severity.to_lowercase().as_str() {
        "error" => Severity::Error,
        "warn" => Severity::Warn,
        _ => {
            problems.push(Problem::new(
                code::BAD_VALUE,
                at.clone(),
                format!("`{severity}` is no severity: use `error` or `warn`"),
            ));
            Severity::Error
        }
    };
    let limit = match config.get("limit") {
        None | Some(Json::Null) => None,
        Some(value) => {
            let limit = value.as_u64();
            if limit.is_none() {
                problems.push(Problem::new(
                    code::BAD_VALUE,
                    at.clone(),
                    "the `limit` of a test is a whole number",
                ));
            }
            limit
        }
    };
    TestSpec {
        generic: None,
        column: None,
        attached_to: None,
        arguments: Default::default(),
        severity,
        error_if: text("error_if", "!= 0"),
        warn_if: text("warn_if", "!= 0"),
        fail_calc: text("fail_calc", "count(*)"),
        limit,
        store_failures: None,
    }
}

/// What a `relationships` test points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    Node {
        package: Option<String>,
        name: String,
    },
    Source {
        source: String,
        table: String,
    },
}

/// Target and field of a `relationships` test whose `to` is a literal reference.
pub fn relationship(test: &TestProps) -> Option<(Reference, String)> {
    if test.test != "relationships" {
        return None;
    }
    let (Json::String(to), Json::String(field)) = (test.args.get("to")?, test.args.get("field")?)
    else {
        return None;
    };
    let inner = to.trim().trim_start_matches("{{").trim_end_matches("}}");
    let calls = statics::calls(&format!("{{{{ {inner} }}}}")).ok()?;
    let call = calls.first()?;
    let reference = match call.name.as_str() {
        "ref" => {
            let (package, name) = ref_arguments(call)?;
            Reference::Node { package, name }
        }
        "source" => match call.args.as_slice() {
            [Some(Json::String(source)), Some(Json::String(table))] => Reference::Source {
                source: source.clone(),
                table: table.clone(),
            },
            _ => return None,
        },
        _ => return None,
    };
    Some((reference, field.clone()))
}

/// Whether the column a test names exists among `columns` of the node it is declared on. Expressions
/// are left to the engine.
pub fn unknown_column(test: &TestProps, node: &str, columns: &[Column]) -> Option<Problem> {
    let column = match test.args.get("column_name")? {
        Json::String(column) => column,
        _ => return None,
    };
    missing_column(test, ("column_name", column), node, columns)
}

/// The same for the field of a `relationships` test, among the columns of its target.
pub fn unknown_field(test: &TestProps, target: &str, columns: &[Column]) -> Option<Problem> {
    let (_, field) = relationship(test)?;
    missing_column(test, ("field", &field), target, columns)
}

fn missing_column(
    test: &TestProps,
    (argument, column): (&str, &str),
    node: &str,
    columns: &[Column],
) -> Option<Problem> {
    let column = column.trim();
    let quoted = column
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|name| quote_identifier(&name.replace("\"\"", "\"")) == column);
    let plain = column.chars().all(|c| c == '_' || c.is_alphanumeric())
        && !column.starts_with(|c: char| c.is_ascii_digit());
    let name = match (quoted, plain) {
        (Some(name), _) => name.replace("\"\"", "\""),
        (None, true) => column.to_owned(),
        (None, false) => return None,
    };
    if columns
        .iter()
        .any(|known| known.name.to_lowercase() == name.to_lowercase())
    {
        return None;
    }
    let names = columns.iter().map(|column| column.name.as_str());
    Some(
        Problem::new(
            code::TEST_COLUMN,
            At::Pointer(test.place_of(argument)),
            format!(
                "the test `{}` names a column `{name}` that `{node}` does not have",
                test.test
            ),
        )
        .maybe_help(did_you_mean(&name, names)),
    )
}

#[cfg(test)]
#[path = "tests_tests.rs"]
mod tests_tests;
