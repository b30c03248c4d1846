//! YAML syntax and the JSON Schemas of `grammar/schema`: every violation in one run.

use std::sync::LazyLock;

use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::yaml::schema::{self as validator, SchemaDetail, SchemaError};
use mxcp_syntax::{SyntaxErrorKind, yaml};
use serde_json::Value;

use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    Endpoint,
    Site,
    Evals,
    UserConfig,
    DbtProject,
    DbtProperties,
}

impl Schema {
    /// The schema's text, as `mxcp schema` prints it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Endpoint => include_str!("../../../grammar/schema/endpoint.schema.json"),
            Self::Site => include_str!("../../../grammar/schema/site.schema.json"),
            Self::Evals => include_str!("../../../grammar/schema/evals.schema.json"),
            Self::UserConfig => include_str!("../../../grammar/schema/user-config.schema.json"),
            Self::DbtProject => include_str!("../../../grammar/schema/dbt-project.schema.json"),
            Self::DbtProperties => {
                include_str!("../../../grammar/schema/dbt-properties.schema.json")
            }
        }
    }

    fn compiled(self) -> &'static validator::Schema {
        static COMPILED: [LazyLock<validator::Schema>; 6] = [
            LazyLock::new(|| compile(Schema::Endpoint)),
            LazyLock::new(|| compile(Schema::Site)),
            LazyLock::new(|| compile(Schema::Evals)),
            LazyLock::new(|| compile(Schema::UserConfig)),
            LazyLock::new(|| compile(Schema::DbtProject)),
            LazyLock::new(|| compile(Schema::DbtProperties)),
        ];
        &COMPILED[self as usize]
    }
}

fn compile(schema: Schema) -> validator::Schema {
    let document: Value =
        serde_json::from_str(schema.text()).expect("the schemas under grammar/ are valid JSON");
    validator::Schema::compile(document).expect("the schemas under grammar/ compile")
}

/// Syntax errors, then violations of the schema. A file that does not parse is checked as far as it
/// was understood, but nothing is called missing in it.
pub fn check_yaml(db: &dyn Db, file: SourceFile, schema: Schema, findings: &mut Vec<Finding>) {
    let tree = parse_yaml(db, file);
    let broken = syntax_errors(file, tree, findings);
    if tree.root().is_none() {
        if !broken {
            findings.push(
                Finding::new(
                    codes::MX0105,
                    format!("`{}` is empty", file.path(db)),
                    Anchor::file(file),
                )
                .help("write a definition, or remove the file"),
            );
        }
        return;
    }
    let old_version = match schema {
        Schema::Site => check_version(file, tree, findings),
        Schema::Endpoint => check_endpoint_version(file, tree, findings),
        _ => false,
    };
    let errors = validator::validate(schema.compiled(), tree);
    for error in &errors {
        let structural = matches!(
            error.detail,
            SchemaDetail::Missing { .. } | SchemaDetail::MissingOneOf { .. }
        );
        if (broken && structural) || (old_version && error.pointer == "/mxcp") {
            continue;
        }
        // What stands where the text stopped making sense is not what the author wrote.
        let unfinished = tree.value_range(&error.pointer).is_some_and(|range| {
            tree.errors
                .iter()
                .any(|e| is_syntax(e) && range.end() >= e.range.start())
        });
        if unfinished {
            continue;
        }
        // A mistyped key is one mistake, not also a missing one.
        if let SchemaDetail::MissingOneOf { properties } = &error.detail
            && errors
                .iter()
                .any(|e| mistypes(e, &error.pointer, properties))
        {
            continue;
        }
        violation(file, error, findings);
    }
}

fn mistypes(error: &SchemaError, pointer: &str, properties: &[String]) -> bool {
    matches!(&error.detail, SchemaDetail::Unexpected { names, .. }
    if error.pointer == pointer
        && names.iter().any(|n| {
            suggest::nearest(n, properties.iter().map(String::as_str)).is_some()
        }))
}

fn is_syntax(error: &mxcp_syntax::SyntaxError) -> bool {
    !matches!(
        error.kind,
        SyntaxErrorKind::DuplicateKey | SyntaxErrorKind::MultipleDocuments
    )
}

/// Whether something kept the file from being read whole.
fn syntax_errors(file: SourceFile, tree: &yaml::YamlFile, findings: &mut Vec<Finding>) -> bool {
    let mut broken = false;
    for error in &tree.errors {
        broken |= is_syntax(error);
        let code = match error.kind {
            SyntaxErrorKind::DuplicateKey => codes::MX0102,
            SyntaxErrorKind::MultipleDocuments => codes::MX0109,
            _ => codes::MX0101,
        };
        findings.push(
            Finding::new(code, error.message.clone(), Anchor::text(file, error.range))
                .help_if(error.help.clone()),
        );
    }
    broken
}

// Old projects wrote `mxcp: "1.0.0"`, with files laid out differently; the schema's own message
// would not say what to do about it.
fn check_version(file: SourceFile, tree: &yaml::YamlFile, findings: &mut Vec<Finding>) -> bool {
    let Some(node) = tree.lookup("mxcp") else {
        return false;
    };
    let value = node.to_json();
    if value.as_f64() == Some(1.0) || value == Value::Bool(true) {
        return false;
    }
    findings.push(unsupported(file, &value));
    true
}

// In an endpoint any number is read, but not the texts of old projects.
fn check_endpoint_version(
    file: SourceFile,
    tree: &yaml::YamlFile,
    findings: &mut Vec<Finding>,
) -> bool {
    let value = tree.lookup("mxcp").map(|node| node.to_json());
    let old = value.filter(|value| {
        value
            .as_str()
            .is_some_and(|text| text.trim().parse::<f64>().is_err())
    });
    if let Some(value) = &old {
        findings.push(unsupported(file, value));
    }
    old.is_some()
}

fn unsupported(file: SourceFile, value: &Value) -> Finding {
    let finding = Finding::new(
        codes::MX0110,
        format!("version {value} of the file format is not supported"),
        Anchor::value(file, "mxcp"),
    );
    if value.is_string() {
        return finding.help(
            "this project is of an old version: write `mxcp: 1` in every file, and keep endpoints in `tools/`, `resources/` and `prompts/`",
        );
    }
    finding.help("write `mxcp: 1`; endpoints live in `tools/`, `resources/` and `prompts/`")
}

const MOST_KEYS: usize = 100;

fn violation(file: SourceFile, error: &SchemaError, findings: &mut Vec<Finding>) {
    let here = || Anchor::value(file, error.pointer.clone());
    let key = || Anchor::key(file, error.pointer.clone());
    let finding = match &error.detail {
        SchemaDetail::Unexpected { names, allowed } => {
            for name in names.iter().take(MOST_KEYS) {
                findings.push(unknown_key(file, &error.pointer, name, allowed));
            }
            // A file of something else: the first hundred say so.
            if let Some(next) = names.get(MOST_KEYS) {
                let mut more = unknown_key(file, &error.pointer, next, &[]);
                more.message = format!("{} more unknown keys", names.len() - MOST_KEYS);
                more.help = None;
                findings.push(more);
            }
            return;
        }
        SchemaDetail::Missing { property } => {
            Finding::new(codes::MX0105, format!("`{property}` is missing"), key())
                .help(format!("add `{property}:` here"))
        }
        SchemaDetail::MissingOneOf { properties } => Finding::new(
            codes::MX0107,
            format!("one of {} is needed", list(properties)),
            key(),
        )
        .help("give exactly one of them"),
        SchemaDetail::Exclusive { properties } => Finding::new(
            codes::MX0107,
            format!("only one of {} may be given", list(properties)),
            match properties.last() {
                Some(last) => Anchor::key(file, yaml::join_pointer(&error.pointer, last)),
                None => key(),
            },
        )
        .help("remove all but one"),
        SchemaDetail::Type { expected, found } => Finding::new(
            codes::MX0104,
            format!(
                "expected {}, found {}",
                alternatives(expected.iter().map(|t| describe(t))),
                describe(found)
            ),
            here(),
        ),
        SchemaDetail::Enum { allowed, found } => {
            let names: Vec<String> = allowed.iter().map(plain).collect();
            Finding::new(
                codes::MX0106,
                format!("`{}` is not allowed here", plain(found)),
                here(),
            )
            .help(
                suggest::did_you_mean(&plain(found), names.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("use one of {}", list(&names))),
            )
        }
        SchemaDetail::Pattern { found, .. } => Finding::new(
            codes::MX0108,
            format!("`{}` does not have the expected form", plain(found)),
            here(),
        )
        .help_if(pattern_help(&error.pointer)),
        SchemaDetail::Format { format, found } => Finding::new(
            codes::MX0108,
            format!("`{}` is not a valid {format}", plain(found)),
            here(),
        ),
        SchemaDetail::Bound { limit } => Finding::new(
            codes::MX0108,
            match error.keyword.as_str() {
                "minimum" => format!("the value must be at least {limit}"),
                "maximum" => format!("the value must be at most {limit}"),
                "minItems" => format!("at least {limit} entries are needed"),
                "maxItems" => format!("at most {limit} entries are allowed"),
                "minLength" if limit.as_u64() == Some(1) => "the value must not be empty".into(),
                "minLength" => format!("at least {limit} characters are needed"),
                "maxLength" => format!("at most {limit} characters are allowed"),
                _ => error.message.clone(),
            },
            here(),
        ),
        SchemaDetail::NotUnique => Finding::new(codes::MX0108, "the entries repeat", here()),
        SchemaDetail::PropertyName { name, .. } => Finding::new(
            codes::MX0108,
            format!("`{name}` cannot be a name here"),
            Anchor::key(file, yaml::join_pointer(&error.pointer, name)),
        ),
        SchemaDetail::Forbidden => Finding::new(codes::MX0108, "nothing may be given here", here()),
        SchemaDetail::Ambiguous | SchemaDetail::Other => {
            Finding::new(codes::MX0108, error.message.clone(), here())
        }
    };
    findings.push(finding);
}

fn unknown_key(file: SourceFile, pointer: &str, name: &str, allowed: &[String]) -> Finding {
    let anchor = Anchor::key(file, yaml::join_pointer(pointer, name));
    let finding = Finding::new(
        codes::MX0103,
        format!("unknown key `{name}`"),
        anchor.clone(),
    );
    match suggest::nearest(name, allowed.iter().map(String::as_str)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")).fix(
            format!("rename to `{near}`"),
            anchor,
            near,
        ),
        None => finding.help(format!("the keys here are {}", list(allowed))),
    }
}

fn pattern_help(pointer: &str) -> Option<String> {
    (pointer.contains("/parameters/") && pointer.ends_with("/name")).then(|| {
        "a name starts with a letter or `_` and continues with letters, digits and `_`".to_owned()
    })
}

fn describe(ty: &str) -> &'static str {
    match ty {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        _ => "another value",
    }
}

fn alternatives<'a>(words: impl Iterator<Item = &'a str>) -> String {
    // Where a value is optional, saying "or nothing" only distracts.
    let words: Vec<&str> = words.filter(|w| *w != "nothing").collect();
    match words.as_slice() {
        [] => "nothing".into(),
        [one] => (*one).to_owned(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    names.join(", ")
}
