//! Property files (`schema.yml` by any name) to plain data: models, seeds and sources with their
//! columns, tests, constraints and contracts.
//!
//! A model may be described in several files; [`merge_model`] puts the parts together. Whether the
//! model exists is not asked here.

use std::collections::BTreeMap;

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::{ColumnSpec, Constraint, ConstraintKind};
use mxcp_syntax::yaml::{Kind, YamlFile, join_pointer};
use serde_json::{Map, Value as Json};

use super::problem::{At, Problem, code, did_you_mean};
use super::values::{YamlContext, render_yaml};
use super::yaml_read::{Cursor, Reader};

pub use super::merge::merge_model;

/// Everything one property file declares, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PropertyFile {
    pub models: Vec<ModelProps>,
    pub seeds: Vec<ModelProps>,
    pub snapshots: Vec<ModelProps>,
    /// What is said of singular tests.
    pub tests: Vec<ModelProps>,
    pub analyses: Vec<ModelProps>,
    pub sources: Vec<SourceProps>,
    /// Sections that are kept as written: exposures, metrics, macros, groups, unit tests, …
    pub others: BTreeMap<String, Json>,
}

/// Where something is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which of the merged entries; 0 before merging.
    pub part: usize,
    pub pointer: String,
}

impl Place {
    fn at(pointer: &str) -> Self {
        Self {
            part: 0,
            pointer: pointer.to_owned(),
        }
    }
}

/// A model, seed or snapshot entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ModelProps {
    pub name: String,
    /// Of the entry.
    pub place: Place,
    pub description: Option<String>,
    /// `config:`, without `contract`.
    pub config: Map<String, Json>,
    pub meta: Map<String, Json>,
    pub tags: Vec<String>,
    pub columns: Vec<ColumnProps>,
    pub constraints: Vec<Constraint>,
    /// Declared under `config:` or beside the name.
    pub contract: Option<ContractProps>,
    /// Tests of the model itself; columns hold their own.
    pub tests: Vec<TestProps>,
    pub versions: Vec<VersionProps>,
    /// Keys that are kept as written: `access`, `group`, `docs`, …
    pub others: Map<String, Json>,
}

/// One version of a model, with what it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionProps {
    /// A number or a text.
    pub number: Json,
    /// Columns of the model that are the version's too; all without this.
    pub inherits: Option<Inherits>,
    /// It says what its tests are, perhaps that there are none.
    pub has_tests: bool,
    pub props: ModelProps,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inherits {
    /// `None` for all.
    pub include: Option<Vec<String>>,
    pub exclude: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContractProps {
    pub enforced: bool,
    /// Written in `config:`, where dbt reads it and wants names and types to the letter. Beside the name
    /// of the model it may name some of the columns, and their rows are cast.
    pub exact: bool,
    pub place: Place,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ColumnProps {
    pub spec: ColumnSpec,
    pub place: Place,
    /// The column's name is to be quoted in SQL.
    pub quote: bool,
    pub meta: Map<String, Json>,
    pub tags: Vec<String>,
    pub tests: Vec<TestProps>,
}

/// A generic test as declared: its arguments are not rendered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TestProps {
    /// Without namespace.
    pub test: String,
    pub namespace: Option<String>,
    /// The name given with `name:`.
    pub custom_name: Option<String>,
    pub description: Option<String>,
    /// The column it is declared under.
    pub column: Option<String>,
    /// Tags of that column.
    pub column_tags: Vec<String>,
    /// Arguments for the test's macro, `column_name` included.
    pub args: Map<String, Json>,
    /// Test configuration: `severity`, `where`, `limit`, `warn_if`, `error_if`, …
    pub config: Map<String, Json>,
    pub place: Place,
    /// Where each argument is written.
    pub places: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceProps {
    pub name: String,
    pub place: Place,
    pub description: Option<String>,
    pub database: Option<String>,
    /// The source's name unless said otherwise.
    pub schema: String,
    pub config: Map<String, Json>,
    pub meta: Map<String, Json>,
    pub tags: Vec<String>,
    pub tables: Vec<SourceTable>,
    pub others: Map<String, Json>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceTable {
    pub name: String,
    /// The table's name in the database: the name unless said otherwise.
    pub identifier: String,
    pub place: Place,
    pub description: Option<String>,
    pub config: Map<String, Json>,
    pub meta: Map<String, Json>,
    pub tags: Vec<String>,
    pub columns: Vec<ColumnProps>,
    pub tests: Vec<TestProps>,
    pub others: Map<String, Json>,
}

/// Keys of a test entry that configure it instead of being arguments.
pub(super) const TEST_CONFIG_KEYS: [&str; 14] = [
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "database",
    "schema",
    "alias",
];

const SECTIONS: [&str; 17] = [
    "version",
    "models",
    "seeds",
    "snapshots",
    "sources",
    "tests",
    "data_tests",
    "unit_tests",
    "macros",
    "analyses",
    "exposures",
    "metrics",
    "groups",
    "semantic_models",
    "saved_queries",
    "functions",
    "anchors",
];

/// Reads a property file. What cannot be read is reported and left out.
pub fn lower_properties(file: &YamlFile) -> (PropertyFile, Vec<Problem>) {
    let mut reader = Reader::new();
    let mut out = PropertyFile::default();
    let Some(root) = file.root() else {
        return (out, reader.problems);
    };
    let root = Cursor::root(root);
    match root.node.kind() {
        Kind::Map => {}
        Kind::Null => return (out, reader.problems),
        _ => {
            reader.wrong(
                &root,
                "a property file",
                "a mapping with `models:`, `sources:`, …",
            );
            return (out, reader.problems);
        }
    }
    for (key, section) in root.entries() {
        let models = |reader: &mut Reader| -> Vec<ModelProps> {
            reader
                .named(&section, key)
                .into_iter()
                .map(|(name, entry)| model(reader, name, &entry))
                .collect()
        };
        match key {
            "models" => out.models = models(&mut reader),
            "seeds" => out.seeds = models(&mut reader),
            "snapshots" => out.snapshots = models(&mut reader),
            "tests" | "data_tests" => out.tests.extend(models(&mut reader)),
            "analyses" => out.analyses = models(&mut reader),
            "sources" => {
                out.sources = reader
                    .named(&section, key)
                    .into_iter()
                    .map(|(name, entry)| source(&mut reader, name, &entry))
                    .collect();
            }
            "version" => {}
            key => {
                // dbt ignores sections it does not know, so only a likely typo is worth a word.
                if let (false, Some(help)) = (SECTIONS.contains(&key), did_you_mean(key, SECTIONS))
                {
                    reader.problems.push(
                        Problem::new(
                            code::BAD_VALUE,
                            At::Key(section.pointer.clone()),
                            format!("property files have no section `{key}`"),
                        )
                        .help(help),
                    );
                }
                out.others.insert(key.to_owned(), section.node.to_json());
            }
        }
    }
    (out, reader.problems)
}

fn model(reader: &mut Reader, name: String, entry: &Cursor<'_>) -> ModelProps {
    let mut model = ModelProps {
        name,
        place: Place::at(&entry.pointer),
        ..ModelProps::default()
    };
    for (key, value) in entry.entries() {
        match key {
            "name" => {}
            "description" => model.description = reader.text(&value, key),
            "config" => {
                model.config = reader.map(&value, key);
                model.config.remove("contract");
                if let Some(declared) = value.get("contract") {
                    contract(reader, &mut model, &declared, true);
                }
            }
            "contract" => contract(reader, &mut model, &value, false),
            "meta" => model.meta = reader.map(&value, key),
            "tags" => model.tags = reader.texts(&value, key),
            "columns" => model.columns = columns(reader, &value),
            "constraints" => model.constraints = constraints(reader, &value),
            "tests" | "data_tests" => model.tests.extend(tests(reader, &value, None)),
            "versions" => model.versions = versions(reader, &model.name, &value),
            key => {
                model.others.insert(key.to_owned(), value.node.to_json());
            }
        }
    }
    model
}

// The entries of `versions:`; what is wrong with their names is found where files are matched.
fn versions(reader: &mut Reader, name: &str, list: &Cursor<'_>) -> Vec<VersionProps> {
    let mut out = Vec::new();
    for item in list.items() {
        let Some(number) = item.get("v") else {
            continue;
        };
        let mut version = VersionProps {
            number: number.node.to_json(),
            has_tests: item.get("tests").is_some() || item.get("data_tests").is_some(),
            ..VersionProps::default()
        };
        version.props = model(reader, name.to_owned(), &item);
        version.props.others.remove("v");
        let columns = item.get("columns");
        for column in columns.iter().flat_map(Cursor::items) {
            let (include, exclude) = (column.get("include"), column.get("exclude"));
            if include.is_none() && exclude.is_none() {
                continue;
            }
            let all = |at: &Cursor<'_>| matches!(at.node.as_str(), Some("all" | "*"));
            version.inherits = Some(Inherits {
                include: match &include {
                    Some(at) if all(at) => None,
                    Some(at) => Some(reader.texts(at, "include")),
                    None => Some(Vec::new()),
                },
                exclude: exclude
                    .map(|at| reader.texts(&at, "exclude"))
                    .unwrap_or_default(),
            });
        }
        out.push(version);
    }
    out
}

fn contract(reader: &mut Reader, model: &mut ModelProps, value: &Cursor<'_>, exact: bool) {
    let enforced = match value.node.kind() {
        Kind::Null => return,
        Kind::Map => value
            .get("enforced")
            .and_then(|flag| reader.flag(&flag, "enforced")),
        _ => {
            reader.wrong(value, "contract", "a mapping with `enforced: true`");
            return;
        }
    };
    let enforced = enforced.unwrap_or(false);
    let place = Place::at(&value.pointer);
    match &model.contract {
        Some(known) if known.enforced != enforced => reader.problems.push(Problem::new(
            code::BAD_VALUE,
            At::Pointer(value.pointer.clone()),
            format!(
                "model `{}` says both `enforced: true` and `enforced: false`",
                model.name
            ),
        )),
        Some(known) if known.exact => {}
        _ => {
            model.contract = Some(ContractProps {
                enforced,
                exact,
                place,
            })
        }
    }
}

fn columns(reader: &mut Reader, list: &Cursor<'_>) -> Vec<ColumnProps> {
    let mut out: Vec<ColumnProps> = Vec::new();
    // What a version takes over from its model is no column.
    let listed = list.items().into_iter().filter(|item| {
        item.node.kind() != Kind::Map
            || item.get("name").is_some()
            || (item.get("include").is_none() && item.get("exclude").is_none())
    });
    for (name, entry) in reader.named_among(list, listed, "columns") {
        let mut column = ColumnProps {
            place: Place::at(&entry.pointer),
            ..ColumnProps::default()
        };
        column.spec.name.clone_from(&name);
        for (key, value) in entry.entries() {
            match key {
                "description" => column.spec.description = reader.text(&value, key),
                "data_type" => column.spec.data_type = reader.text(&value, key),
                "constraints" => column.spec.constraints = constraints(reader, &value),
                "quote" => column.quote = reader.flag(&value, key).unwrap_or(false),
                "meta" => column.meta = reader.map(&value, key),
                "tags" => column.tags = reader.texts(&value, key),
                "config" => {
                    let config = reader.map(&value, key);
                    if let Some(Json::Object(meta)) = config.get("meta") {
                        column.meta.extend(meta.clone());
                    }
                    let tags = super::printed::listed_texts(config.get("tags"));
                    column.tags.extend(tags);
                }
                "tests" | "data_tests" => column.tests.extend(tests(reader, &value, Some(&name))),
                _ => {}
            }
        }
        column.spec.tags.clone_from(&column.tags);
        column.spec.meta = column.meta.clone().into_iter().collect();
        column.spec.quote = column.quote;
        for test in &mut column.tests {
            test.column_tags.clone_from(&column.tags);
        }
        if column.quote {
            // Tests see the name the way SQL has to write it.
            let quoted = mxcp_artifact::catalog::quote_identifier(&name);
            for test in &mut column.tests {
                test.args
                    .insert("column_name".to_owned(), Json::String(quoted.clone()));
            }
        }
        out.push(column);
    }
    out
}

fn constraints(reader: &mut Reader, list: &Cursor<'_>) -> Vec<Constraint> {
    let mut out = Vec::new();
    for item in list.items() {
        let Some(kind_at) = item.get("type") else {
            reader.problems.push(Problem::new(
                code::BAD_VALUE,
                At::Pointer(item.pointer.clone()),
                "a constraint needs a `type`, e.g. `type: not_null`",
            ));
            continue;
        };
        let name = reader.text(&kind_at, "type").unwrap_or_default();
        let Some(kind) = ConstraintKind::from_name(&name) else {
            let known = [
                "not_null",
                "unique",
                "primary_key",
                "foreign_key",
                "check",
                "custom",
            ];
            reader.problems.push(
                Problem::new(
                    code::BAD_VALUE,
                    At::Pointer(kind_at.pointer.clone()),
                    format!("there is no constraint type `{name}`"),
                )
                .maybe_help(did_you_mean(&name, known)),
            );
            continue;
        };
        let mut text = |key: &str| item.get(key).and_then(|v| reader.text(&v, key));
        let (expression, name, to) = (text("expression"), text("name"), text("to"));
        let mut texts = |key: &str| {
            item.get(key)
                .map(|v| reader.texts(&v, key))
                .unwrap_or_default()
        };
        let (columns, to_columns) = (texts("columns"), texts("to_columns"));
        let mut flag = |key: &str| item.get(key).and_then(|v| reader.flag(&v, key));
        out.push(Constraint {
            kind,
            expression,
            columns,
            name,
            to,
            to_columns,
            warn_unenforced: flag("warn_unenforced"),
            warn_unsupported: flag("warn_unsupported"),
        });
    }
    out
}

fn tests(reader: &mut Reader, list: &Cursor<'_>, column: Option<&str>) -> Vec<TestProps> {
    match list.node.kind() {
        Kind::Null => return Vec::new(),
        Kind::Seq => {}
        _ => {
            reader.wrong(list, "tests", "a list");
            return Vec::new();
        }
    }
    list.items()
        .iter()
        .filter_map(|item| test(reader, item, column))
        .collect()
}

// The forms: `unique`, `unique: {…}`, `{test_name: unique, …}`.
fn test(reader: &mut Reader, item: &Cursor<'_>, column: Option<&str>) -> Option<TestProps> {
    let mut place = Place::at(&item.pointer);
    let (name, body, skip) = match item.node.kind() {
        Kind::String => (item.node.as_str()?.to_owned(), None, ""),
        Kind::Map => match item.get("test_name") {
            Some(name) => (
                reader.text(&name, "test_name")?,
                Some(item.clone()),
                "test_name",
            ),
            None => {
                let entries = item.entries();
                let [(name, body)] = entries.as_slice() else {
                    reader.problems.push(
                        Problem::new(
                            code::BAD_VALUE,
                            At::Pointer(item.pointer.clone()),
                            "a test entry has exactly one key, the test's name",
                        )
                        .help("indent its arguments below that key"),
                    );
                    return None;
                };
                place.pointer.clone_from(&body.pointer);
                let body = match body.node.kind() {
                    Kind::Null => None,
                    Kind::Map => Some(body.clone()),
                    _ => {
                        reader.wrong(body, name, "a mapping of the test's arguments");
                        return None;
                    }
                };
                ((*name).to_owned(), body, "")
            }
        },
        _ => {
            reader.wrong(item, "a test", "the test's name or a mapping");
            return None;
        }
    };
    let (namespace, name) = match name.split_once('.') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name.to_owned()),
        None => (None, name),
    };
    let mut out = TestProps {
        test: name,
        namespace,
        column: column.map(str::to_owned),
        place,
        ..TestProps::default()
    };
    if let Some(body) = body {
        for (key, value) in body.entries().into_iter().filter(|(key, _)| *key != skip) {
            test_key(reader, &mut out, key, &value);
        }
    }
    if let Some(column) = column {
        out.args
            .insert("column_name".to_owned(), Json::String(column.to_owned()));
    }
    if out.args.contains_key("model") {
        reader.problems.push(
            Problem::new(
                code::BAD_VALUE,
                At::Pointer(join_pointer(&out.place.pointer, "model")),
                "a test takes no argument `model`: it is the node the test is declared on",
            )
            .help("rename the argument"),
        );
        out.args.remove("model");
    }
    Some(out)
}

fn test_key(reader: &mut Reader, test: &mut TestProps, key: &str, value: &Cursor<'_>) {
    match key {
        "name" => test.custom_name = reader.text(value, key),
        "description" => test.description = reader.text(value, key),
        "config" => {
            for (name, value) in reader.map(value, key) {
                test.config.insert(name, value);
            }
        }
        // With a list or a text it is an argument of that name.
        "arguments" if value.node.kind() == Kind::Map => {
            test.args.extend(reader.map(value, key));
            for (name, argument) in value.entries() {
                test.places.insert(name.to_owned(), argument.pointer);
            }
        }
        key if TEST_CONFIG_KEYS.contains(&key) => {
            let json = value.node.to_json();
            if !json.is_null() {
                test.config.entry(key).or_insert(json);
            }
        }
        key => {
            test.args.entry(key).or_insert_with(|| value.node.to_json());
            let place = value.pointer.clone();
            test.places.entry(key.to_owned()).or_insert(place);
        }
    }
}

fn source(reader: &mut Reader, name: String, entry: &Cursor<'_>) -> SourceProps {
    let mut source = SourceProps {
        schema: name.clone(),
        name,
        place: Place::at(&entry.pointer),
        ..SourceProps::default()
    };
    for (key, value) in entry.entries() {
        match key {
            "name" => {}
            "description" => source.description = reader.text(&value, key),
            "database" => source.database = reader.text(&value, key),
            "schema" => {
                if let Some(schema) = reader.text(&value, key) {
                    source.schema = schema;
                }
            }
            "config" => source.config = reader.map(&value, key),
            "meta" => source.meta = reader.map(&value, key),
            "tags" => source.tags = reader.texts(&value, key),
            "tables" => {
                source.tables = reader
                    .named(&value, key)
                    .into_iter()
                    .map(|(name, entry)| source_table(reader, name, &entry))
                    .collect();
            }
            key => {
                source.others.insert(key.to_owned(), value.node.to_json());
            }
        }
    }
    source
}

fn source_table(reader: &mut Reader, name: String, entry: &Cursor<'_>) -> SourceTable {
    let mut table = SourceTable {
        identifier: name.clone(),
        name,
        place: Place::at(&entry.pointer),
        ..SourceTable::default()
    };
    for (key, value) in entry.entries() {
        match key {
            "name" => {}
            "identifier" => {
                if let Some(identifier) = reader.text(&value, key) {
                    table.identifier = identifier;
                }
            }
            "description" => table.description = reader.text(&value, key),
            "config" => table.config = reader.map(&value, key),
            "meta" => table.meta = reader.map(&value, key),
            "tags" => table.tags = reader.texts(&value, key),
            "columns" => table.columns = columns(reader, &value),
            "tests" | "data_tests" => table.tests.extend(tests(reader, &value, None)),
            key => {
                table.others.insert(key.to_owned(), value.node.to_json());
            }
        }
    }
    table
}

impl SourceProps {
    /// Where a table of the source is.
    pub fn relation(&self, table: &SourceTable) -> RelationName {
        RelationName {
            catalog: self.database.clone(),
            schema: self.schema.clone(),
            name: table.identifier.clone(),
        }
    }

    /// With the Jinja in its names and settings rendered.
    #[must_use]
    pub fn rendered(&self, context: &YamlContext) -> Self {
        let text = |text: &str| match render_yaml(&Json::String(text.to_owned()), context, "").0 {
            Json::String(text) => text,
            other => mxcp_values::repr::text(&other),
        };
        let map = |map: &Map<String, Json>| match render_yaml(
            &Json::Object(map.clone()),
            context,
            "",
        )
        .0
        {
            Json::Object(map) => map,
            _ => Map::new(),
        };
        let mut source = self.clone();
        source.database = self.database.as_deref().map(text).filter(|d| !d.is_empty());
        source.schema = text(&self.schema);
        source.config = map(&self.config);
        source.meta = map(&self.meta);
        source.others = map(&self.others);
        for table in &mut source.tables {
            table.identifier = text(&table.identifier);
            table.config = map(&table.config);
            table.meta = map(&table.meta);
            table.others = map(&table.others);
        }
        source
    }
}

impl TestProps {
    /// Where an argument is written, or else the test.
    pub fn place_of(&self, argument: &str) -> String {
        let place = self.places.get(argument);
        place.unwrap_or(&self.place.pointer).clone()
    }
}

impl ModelProps {
    /// The entry's configuration in dbt's own form: `config:` with the `tags`, `meta` and
    /// `contract` written beside the name folded in.
    pub fn config_map(&self) -> Map<String, Json> {
        let mut config = self.config.clone();
        if !self.tags.is_empty() {
            let mut tags: Vec<Json> = self.tags.iter().cloned().map(Json::String).collect();
            match config.remove("tags") {
                Some(Json::Array(more)) => tags.extend(more),
                Some(Json::Null) | None => {}
                Some(one) => tags.push(one),
            }
            config.insert("tags".to_owned(), Json::Array(tags));
        }
        if !self.meta.is_empty() {
            let mut meta = self.meta.clone();
            if let Some(Json::Object(more)) = config.remove("meta") {
                meta.extend(more);
            }
            config.insert("meta".to_owned(), Json::Object(meta));
        }
        if let Some(contract) = &self.contract {
            let mut map = Map::new();
            map.insert("enforced".to_owned(), Json::Bool(contract.enforced));
            config.insert("contract".to_owned(), Json::Object(map));
        }
        for key in ["group", "access", "docs"] {
            if let Some(value) = self.others.get(key) {
                config.entry(key).or_insert_with(|| value.clone());
            }
        }
        config
    }

    /// The entry of one version of the model: what the version says over what the model says.
    pub fn of_version(&self, number: &str) -> Option<Self> {
        let version = self
            .versions
            .iter()
            .find(|version| repr_of(&version.number) == number)?;
        let own = &version.props;
        let mut out = self.clone();
        out.versions = Vec::new();
        if own
            .description
            .as_ref()
            .is_some_and(|text| !text.is_empty())
        {
            out.description.clone_from(&own.description);
        }
        for (key, value) in &own.config {
            merge_deep(&mut out.config, key, value.clone());
        }
        if own.contract.is_some() {
            out.contract.clone_from(&own.contract);
        }
        if let Some(inherits) = &version.inherits {
            out.columns.retain(|column| {
                let name = &column.spec.name;
                let listed = inherits.include.as_ref();
                listed.is_none_or(|names| names.contains(name)) && !inherits.exclude.contains(name)
            });
        }
        out.columns.extend(own.columns.iter().cloned());
        if version.has_tests {
            out.tests.clone_from(&own.tests);
        }
        if !own.constraints.is_empty() {
            out.constraints.clone_from(&own.constraints);
        }
        out.others.extend(own.others.clone());
        out.others.insert("v".to_owned(), version.number.clone());
        if let Some(latest) = self.latest_version() {
            out.others.insert("latest_version".to_owned(), latest);
        }
        Some(out)
    }

    /// The number of the latest version, said or found.
    pub fn latest_version(&self) -> Option<Json> {
        if let Some(said) = self.others.get("latest_version").filter(|v| !v.is_null()) {
            return Some(said.clone());
        }
        let numbers = self.versions.iter().map(|version| &version.number);
        numbers
            .max_by(|a, b| version_order(&repr_of(a)).cmp(&version_order(&repr_of(b))))
            .cloned()
    }

    /// Every test of the entry: its own, then its columns'.
    pub fn all_tests(&self) -> impl Iterator<Item = &TestProps> {
        self.tests
            .iter()
            .chain(self.columns.iter().flat_map(|column| &column.tests))
    }
}

fn repr_of(number: &Json) -> String {
    mxcp_values::repr::text(number)
}

/// Numbers by their value, texts after them.
pub(crate) fn version_order(version: &str) -> (bool, i64, &str) {
    match version.parse::<f64>() {
        // Thousandths are finer than any version.
        Ok(number) => (false, (number * 1000.0) as i64, version),
        Err(_) => (true, 0, version),
    }
}

// Mappings key by key, lists in front of what is there.
fn merge_deep(into: &mut Map<String, Json>, key: &str, value: Json) {
    let merged = match (into.remove(key), value) {
        (Some(Json::Object(mut known)), Json::Object(new)) => {
            for (key, value) in new {
                merge_deep(&mut known, &key, value);
            }
            Json::Object(known)
        }
        (Some(Json::Array(known)), Json::Array(mut new)) => {
            new.extend(known);
            Json::Array(new)
        }
        (_, value) => value,
    };
    into.insert(key.to_owned(), merged);
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod properties_tests;
