//! `dbt_project.yml` to plain data: paths, variables, configuration trees, hooks and dispatch.
//!
//! Jinja in values is kept as text; [`super::values`] renders it where it is needed.

use mxcp_syntax::yaml::{Kind, YamlFile};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code, did_you_mean};
use super::yaml_read::{Cursor, Reader};

/// A dbt project as its project file declares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProjectDef {
    pub name: String,
    pub version: Option<String>,
    pub profile: Option<String>,
    pub model_paths: Vec<String>,
    pub seed_paths: Vec<String>,
    pub test_paths: Vec<String>,
    pub macro_paths: Vec<String>,
    pub snapshot_paths: Vec<String>,
    pub analysis_paths: Vec<String>,
    pub docs_paths: Vec<String>,
    pub target_path: String,
    pub clean_targets: Vec<String>,
    pub packages_install_path: String,
    pub vars: Map<String, Json>,
    /// The configuration trees, folders and `+keys` mixed as written.
    pub models: Map<String, Json>,
    pub seeds: Map<String, Json>,
    pub tests: Map<String, Json>,
    pub snapshots: Map<String, Json>,
    pub sources: Map<String, Json>,
    pub dispatch: Vec<Dispatch>,
    pub on_run_start: Vec<String>,
    pub on_run_end: Vec<String>,
    pub quoting: Quoting,
}

/// Where `adapter.dispatch` looks for macros of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dispatch {
    pub namespace: String,
    pub search_order: Vec<String>,
}

/// Which parts of a relation's name are quoted; unset ones are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quoting {
    pub database: Option<bool>,
    pub schema: Option<bool>,
    pub identifier: Option<bool>,
}

impl Default for ProjectDef {
    fn default() -> Self {
        let list = |text: &str| vec![text.to_owned()];
        Self {
            name: String::new(),
            version: None,
            profile: None,
            model_paths: list("models"),
            seed_paths: list("seeds"),
            test_paths: list("tests"),
            macro_paths: list("macros"),
            snapshot_paths: list("snapshots"),
            analysis_paths: list("analyses"),
            docs_paths: Vec::new(),
            target_path: "target".to_owned(),
            clean_targets: list("target"),
            packages_install_path: "dbt_packages".to_owned(),
            vars: Map::new(),
            models: Map::new(),
            seeds: Map::new(),
            tests: Map::new(),
            snapshots: Map::new(),
            sources: Map::new(),
            dispatch: Vec::new(),
            on_run_start: Vec::new(),
            on_run_end: Vec::new(),
            quoting: Quoting::default(),
        }
    }
}

/// Keys that are read, or that dbt knows and we have no use for.
const KNOWN_KEYS: [&str; 46] = [
    "name",
    "version",
    "config-version",
    "profile",
    "project-root",
    "model-paths",
    "source-paths",
    "seed-paths",
    "data-paths",
    "test-paths",
    "macro-paths",
    "snapshot-paths",
    "analysis-paths",
    "docs-paths",
    "asset-paths",
    "function-paths",
    "target-path",
    "log-path",
    "clean-targets",
    "packages-install-path",
    "vars",
    "models",
    "seeds",
    "tests",
    "data_tests",
    "unit_tests",
    "snapshots",
    "analyses",
    "sources",
    "functions",
    "metrics",
    "exposures",
    "semantic-models",
    "semantic_models",
    "saved-queries",
    "saved_queries",
    "dispatch",
    "on-run-start",
    "on-run-end",
    "quoting",
    "query-comment",
    "require-dbt-version",
    "restrict-access",
    "flags",
    "packages",
    "dbt-cloud",
];

/// Reads `dbt_project.yml`. What cannot be read keeps its default.
pub fn lower_project(file: &YamlFile) -> (ProjectDef, Vec<Problem>) {
    let mut reader = Reader::new();
    let mut def = ProjectDef::default();
    let Some(root) = file.root().filter(|root| root.kind() == Kind::Map) else {
        reader.problems.push(Problem::new(
            code::BAD_VALUE,
            At::File,
            "a dbt project file is a mapping with at least a `name`",
        ));
        return (def, reader.problems);
    };
    let root = Cursor::root(root);
    for (key, value) in root.entries() {
        read_key(&mut reader, &mut def, key, &value);
    }
    let plain = !def.name.is_empty()
        && def
            .name
            .chars()
            .all(|c| c == '_' || c.is_ascii_alphanumeric())
        && !def.name.starts_with(|c: char| c.is_ascii_digit());
    if root.get("name").is_none() {
        reader.problems.push(
            Problem::new(code::BAD_VALUE, At::File, "the dbt project has no `name`")
                .help("add `name: my_project`, with letters, digits and underscores only"),
        );
    } else if !plain {
        reader.problems.push(Problem::new(
            code::BAD_VALUE,
            At::Pointer("/name".to_owned()),
            format!(
                "`{}` is not a dbt project name: use letters, digits and underscores only",
                def.name
            ),
        ));
    }
    (def, reader.problems)
}

fn read_key(reader: &mut Reader, def: &mut ProjectDef, key: &str, value: &Cursor<'_>) {
    let paths = |reader: &mut Reader, slot: &mut Vec<String>| {
        if value.node.kind() != Kind::Null {
            *slot = reader
                .texts(value, key)
                .iter()
                .map(|path| path.trim_end_matches('/').to_owned())
                .collect();
        }
    };
    match key {
        "name" => def.name = reader.text(value, key).unwrap_or_default(),
        "version" => def.version = reader.text(value, key),
        "profile" => def.profile = reader.text(value, key),
        "model-paths" | "source-paths" => paths(reader, &mut def.model_paths),
        "seed-paths" | "data-paths" => paths(reader, &mut def.seed_paths),
        "test-paths" => paths(reader, &mut def.test_paths),
        "macro-paths" => paths(reader, &mut def.macro_paths),
        "snapshot-paths" => paths(reader, &mut def.snapshot_paths),
        "analysis-paths" => paths(reader, &mut def.analysis_paths),
        "docs-paths" => paths(reader, &mut def.docs_paths),
        "clean-targets" => paths(reader, &mut def.clean_targets),
        "target-path" => {
            if let Some(path) = reader.text(value, key) {
                def.target_path = path;
            }
        }
        "packages-install-path" => {
            if let Some(path) = reader.text(value, key) {
                def.packages_install_path = path;
            }
        }
        "vars" => def.vars = reader.map(value, key),
        "models" => def.models = reader.map(value, key),
        "seeds" => def.seeds = reader.map(value, key),
        "tests" | "data_tests" => def.tests.extend(reader.map(value, key)),
        "snapshots" => def.snapshots = reader.map(value, key),
        "sources" => def.sources = reader.map(value, key),
        "on-run-start" => def.on_run_start = reader.texts(value, key),
        "on-run-end" => def.on_run_end = reader.texts(value, key),
        "dispatch" => def.dispatch = dispatch(reader, value),
        "quoting" => {
            let mut part = |name: &str| value.get(name).and_then(|v| reader.flag(&v, name));
            def.quoting = Quoting {
                database: part("database"),
                schema: part("schema"),
                identifier: part("identifier"),
            };
        }
        key if KNOWN_KEYS.contains(&key) => {}
        key => reader.problems.push(
            Problem::new(
                code::BAD_VALUE,
                At::Key(value.pointer.clone()),
                format!("dbt project files have no key `{key}`"),
            )
            .maybe_help(did_you_mean(key, KNOWN_KEYS)),
        ),
    }
}

fn dispatch(reader: &mut Reader, value: &Cursor<'_>) -> Vec<Dispatch> {
    let mut out = Vec::new();
    for item in value.items() {
        let namespace = item
            .get("macro_namespace")
            .and_then(|v| reader.text(&v, "macro_namespace"));
        let order = item.get("search_order");
        match (namespace, order) {
            (Some(namespace), Some(order)) => out.push(Dispatch {
                namespace,
                search_order: reader.texts(&order, "search_order"),
            }),
            _ => reader.problems.push(Problem::new(
                code::BAD_VALUE,
                At::Pointer(item.pointer.clone()),
                "an entry of `dispatch` needs `macro_namespace` and `search_order`",
            )),
        }
    }
    out
}

impl ProjectDef {
    /// The variables a node of `package` sees: its package's own before the global ones.
    pub fn vars_for(&self, package: &str) -> Map<String, Json> {
        let mut vars = self.vars.clone();
        if let Some(Json::Object(own)) = self.vars.get(package) {
            vars.extend(own.clone());
        }
        vars
    }

    /// The package-qualified folders and name of a file below one of its resource paths, e.g.
    /// `[shop, staging, stg_orders]` for `models/staging/stg_orders.sql`. `None` outside `paths`.
    pub fn fqn(&self, paths: &[String], file: &str) -> Option<Vec<String>> {
        let inside = paths.iter().find_map(|path| {
            let path = path.strip_prefix("./").unwrap_or(path);
            match path {
                "" | "." => Some(file),
                path => file.strip_prefix(path)?.strip_prefix('/'),
            }
        })?;
        let (folders, name) = inside.rsplit_once('/').unwrap_or(("", inside));
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let mut fqn = vec![self.name.clone()];
        fqn.extend(
            folders
                .split('/')
                .filter(|folder| !folder.is_empty())
                .map(str::to_owned),
        );
        fqn.push(stem.to_owned());
        Some(fqn)
    }
}

#[cfg(test)]
mod tests {
    use mxcp_syntax::yaml::parse;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_form_and_the_defaults() {
        let text = "name: your_project\nmodels:\n  your_project:\n    staging:\n      +materialized: view # raw\n";
        let (def, problems) = lower_project(&parse(text));
        assert_eq!(problems, []);
        assert_eq!(def.model_paths, ["models"]);
        assert_eq!(
            Json::Object(def.models.clone()),
            json!({"your_project": {"staging": {"+materialized": "view"}}})
        );
        assert_eq!(
            def.fqn(&def.model_paths, "models/staging/stg_orders.sql"),
            Some(vec![
                "your_project".into(),
                "staging".into(),
                "stg_orders".into()
            ])
        );
        assert_eq!(def.fqn(&def.model_paths, "modelsx/a.sql"), None);
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let (_, problems) = lower_project(&parse(
            "name: my-shop\nmodel-path: [a]\nseed-paths: {a: 1}\n",
        ));
        let seen: Vec<_> = problems
            .iter()
            .map(|p| (&p.at, p.help.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    &At::Key("/model-path".into()),
                    Some("did you mean `model-paths`?")
                ),
                (&At::Pointer("/seed-paths".into()), None),
                (&At::Pointer("/name".into()), None),
            ]
        );
    }

    #[test]
    fn package_variables_win() {
        let (def, _) = lower_project(&parse("name: shop\nvars: {a: 1, shop: {a: 2}, b: 3}\n"));
        let vars = def.vars_for("shop");
        assert_eq!(vars.get("a"), Some(&json!(2)));
        assert_eq!(vars.get("b"), Some(&json!(3)));
        assert_eq!(def.vars_for("other").get("a"), Some(&json!(1)));
    }
}
