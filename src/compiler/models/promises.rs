//! What a model's configuration and contract say about its columns: indexes, keys, constraints, types.

use mxcp_artifact::Column;
use mxcp_artifact::dbt::Constraint;
use mxcp_base::{Code, SourceFile, codes, suggest};
use serde_json::Value as Json;

use super::index::node_name;
use super::node::{NodeProperties, node_config};
use super::places::config_anchor;
use super::values::type_problem;
use crate::Db;
use crate::dbt::{At, Problem};
use crate::finding::{Anchor, Finding};
use crate::relations::RelationSchema;

/// Values of settings that are words from a list.
const CHOICES: [(&str, &[&str]); 2] = [
    (
        "on_schema_change",
        &["ignore", "fail", "append_new_columns", "sync_all_columns"],
    ),
    ("on_configuration_change", &["apply", "continue", "fail"]),
];

pub(super) fn check_choices(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    check_microbatch(db, file, findings);
    check_plugin(db, file, findings);
    let config = &node_config(db, file).0;
    for (key, allowed) in CHOICES {
        let Some(Json::String(value)) = config.raw.get(key) else {
            continue;
        };
        if !allowed.contains(&value.as_str()) && !value.contains("{{") {
            findings.push(
                Finding::new(
                    codes::MX0427,
                    format!("`{value}` is no value of `{key}`"),
                    config_anchor(db, file, key, None),
                )
                .help(
                    suggest::did_you_mean(value, allowed.iter().copied())
                        .unwrap_or_else(|| format!("use one of `{}`", allowed.join("`, `"))),
                ),
            );
        }
    }
}

/// Plugins of dbt-duckdb are Python modules of dbt's own process.
fn check_plugin(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    if let Some(plugin) = node_config(db, file)
        .0
        .raw
        .get("plugin")
        .and_then(Json::as_str)
    {
        findings.push(
            Finding::new(
                codes::MX0434,
                format!("the plugin `{plugin}` of dbt-duckdb is not run here"),
                config_anchor(db, file, "plugin", None),
            )
            .help("write a format of the database, such as `parquet` or `csv`, or run dbt itself with `--engine dbt-core`"),
        );
    }
}

/// What dbt asks of a model that is built batch by batch before it reads on.
fn check_microbatch(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let config = &node_config(db, file).0;
    let text = |key: &str| config.raw.get(key).and_then(Json::as_str);
    if config.materialized != "incremental" || text("incremental_strategy") != Some("microbatch") {
        return;
    }
    let lacks = [
        (
            text("event_time").is_none(),
            "event_time",
            "name the column with the time of each row",
        ),
        (
            config.raw.get("begin").is_none_or(Json::is_null),
            "begin",
            "say when the first batch begins, e.g. `begin='2024-01-01'`",
        ),
        (
            text("batch_size").is_none(),
            "batch_size",
            "use one of `hour`, `day`, `month`, `year`",
        ),
    ];
    if let Some((_, key, help)) = lacks.into_iter().find(|(lacks, ..)| *lacks) {
        findings.push(
            Finding::new(
                codes::MX0433,
                format!(
                    "the microbatch model `{}` has no `{key}`",
                    node_name(db, file)
                ),
                config_anchor(db, file, "incremental_strategy", None),
            )
            .help(help),
        );
    }
}

pub(super) fn check_config(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let config = &node_config(db, file).0;
    let RelationSchema::Known(columns) = super::schema::model_schema(db, file) else {
        return;
    };
    let mut unknown = |what: &str, key: &str, name: &str| {
        if let Some(finding) = unknown_column(
            what,
            name,
            node_name(db, file),
            columns,
            config_anchor(db, file, key, None),
        ) {
            findings.push(finding);
        }
    };
    for index in &config.indexes {
        for column in &index.columns {
            unknown("an index", "indexes", column);
        }
    }
    let keys: Vec<&str> = match config.raw.get("unique_key") {
        Some(Json::String(key)) => vec![key],
        Some(Json::Array(keys)) => keys.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    for key in keys {
        unknown("`unique_key`", "unique_key", key);
    }
    if config.indexes.iter().any(|index| index.columns.is_empty()) {
        findings.push(
            Finding::new(
                codes::MX0419,
                "an index has no columns",
                config_anchor(db, file, "indexes", None),
            )
            .help("name the columns, e.g. `{'columns': ['id']}`"),
        );
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

// Expressions are left to the engine.
fn unknown_column(
    what: &str,
    name: &str,
    model: &str,
    columns: &[Column],
    anchor: Anchor,
) -> Option<Finding> {
    let name = name.trim();
    let known = columns.iter().map(|c| c.name.as_str());
    if !is_name(name) || known.clone().any(|c| c.eq_ignore_ascii_case(name)) {
        return None;
    }
    Some(
        Finding::new(
            codes::MX0419,
            format!("{what} names a column `{name}` that `{model}` does not have"),
            anchor,
        )
        .help_if(suggest::did_you_mean(name, known)),
    )
}

/// Types and constraints of an enforced contract, and descriptions of columns that do not exist. Each
/// problem comes with the property entry it is in.
pub(super) fn check_columns(
    db: &dyn Db,
    node: SourceFile,
    all: &NodeProperties,
    columns: Option<&[Column]>,
) -> Vec<(usize, Problem)> {
    let mut found = Vec::new();
    let name = node_name(db, node);
    let enforced = all.props.contract.as_ref().is_some_and(|c| c.enforced);
    let exists = |wanted: &str, columns: &[Column]| {
        columns.iter().any(|c| c.name.eq_ignore_ascii_case(wanted))
    };
    for column in &all.props.columns {
        let place = &column.place;
        let wanted = &column.spec.name;
        if let Some(ty) = column.spec.data_type.as_deref().filter(|_| enforced)
            && let Some(message) = type_problem(db, ty)
        {
            found.push((
                place.part,
                problem(
                    codes::MX0417,
                    At::Pointer(format!("{}/data_type", place.pointer)),
                    format!("`{ty}` is no type: {message}"),
                    Some("use a type of DuckDB, e.g. `decimal(18,2)`".to_owned()),
                ),
            ));
        }
        let contract = all.props.contract.as_ref().map(|c| c.place.part);
        if enforced && column.spec.data_type.is_none() && contract == Some(place.part) {
            let missing = problem(
                codes::MX0105,
                At::Pointer(format!("{}/name", place.pointer)),
                format!("the contract does not say the type of `{wanted}`"),
                Some("add `data_type:`, which dbt asks of every column of a contract".to_owned()),
            );
            found.push((place.part, missing.mild()));
        }
        let promised = enforced && column.spec.data_type.is_some();
        if let Some(columns) = columns
            && column.tests.is_empty()
            && !promised
            && !column.quote
            && !exists(wanted, columns)
            && (is_slip(all, wanted, columns) || column.meta.contains_key("sensitive"))
        {
            found.push((
                place.part,
                problem(
                    codes::MX0423,
                    At::Pointer(format!("{}/name", place.pointer)),
                    format!("`{name}` has no column `{wanted}`"),
                    suggest::did_you_mean(wanted, columns.iter().map(|c| c.name.as_str())),
                ),
            ));
        }
    }
    if let (true, Some(columns)) = (enforced, columns) {
        for (i, constraint) in all.props.constraints.iter().enumerate() {
            for column in constraint.columns.iter().filter(|c| is_name(c)) {
                if !exists(column, columns) {
                    found.push((
                        all.props.place.part,
                        constraint_problem(all, name, constraint, i, column, columns),
                    ));
                }
            }
        }
    }
    found
}

/// Whether a described column is nearly one that nothing describes. Descriptions that outlive their
/// columns are common and harm nobody.
fn is_slip(all: &NodeProperties, name: &str, columns: &[Column]) -> bool {
    let described = |column: &Column| {
        let mut all = all.props.columns.iter();
        all.any(|c| c.spec.name.eq_ignore_ascii_case(&column.name))
    };
    let limit = if name.chars().count() > 5 { 2 } else { 1 };
    let name = name.to_lowercase();
    columns.iter().any(|column| {
        strsim::damerau_levenshtein(&column.name.to_lowercase(), &name) <= limit
            && !described(column)
    })
}

fn constraint_problem(
    all: &NodeProperties,
    model: &str,
    constraint: &Constraint,
    index: usize,
    column: &str,
    columns: &[Column],
) -> Problem {
    let at = constraint.columns.iter().position(|c| c == column);
    problem(
        codes::MX0419,
        At::Pointer(format!(
            "{}/constraints/{index}/columns/{}",
            all.props.place.pointer,
            at.unwrap_or_default()
        )),
        format!("a constraint names a column `{column}` that `{model}` does not have"),
        suggest::did_you_mean(column, columns.iter().map(|c| c.name.as_str())),
    )
}

fn problem(code: Code, at: At, message: String, help: Option<String>) -> Problem {
    Problem::new(name_of(code), at, message).maybe_help(help)
}

// Problems carry the code's text.
fn name_of(code: Code) -> &'static str {
    match code {
        codes::MX0105 => "MX0105",
        codes::MX0417 => "MX0417",
        codes::MX0419 => "MX0419",
        _ => "MX0423",
    }
}
