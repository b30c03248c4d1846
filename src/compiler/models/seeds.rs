//! Seeds: columns, configured types and values.

use mxcp_artifact::SqlType;
use mxcp_base::{SourceFile, codes};
use mxcp_syntax::seed;

use super::node::node_config;
use super::places::config_anchor;
use super::schema::seed_columns;
use super::values::{fits, type_problem};
use crate::Db;
use crate::finding::{Anchor, Finding};

/// At most this many values are reported.
const MAX_VALUES: usize = 20;

pub(super) fn check_seed(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let config = &node_config(db, file).0;
    if !config.enabled {
        return;
    }
    let columns = seed_columns(db, file);
    for error in &columns.errors {
        findings.push(
            Finding::new(
                codes::MX0108,
                error.message.clone(),
                Anchor::text(file, error.range),
            )
            .help_if(error.help.clone()),
        );
    }
    if columns.columns.is_empty() {
        return;
    }
    let mut untyped = Vec::new();
    for (name, ty) in &config.column_types {
        let anchor = || config_anchor(db, file, "column_types", Some(name));
        let known = columns.columns.iter().map(|(column, _)| column.as_str());
        if !known
            .clone()
            .any(|column| column.eq_ignore_ascii_case(name))
        {
            findings.push(
                Finding::new(
                    codes::MX0416,
                    format!("the seed has no column `{name}`"),
                    anchor(),
                )
                .help_if(mxcp_base::suggest::did_you_mean(name, known)),
            );
        } else if let Some(message) = type_problem(db, ty) {
            untyped.push(name.to_lowercase());
            findings.push(
                Finding::new(
                    codes::MX0417,
                    format!("`{ty}` is no type: {message}"),
                    anchor(),
                )
                .help("use a type of DuckDB, e.g. `decimal(18,2)`"),
            );
        }
    }
    check_header(db, file, columns.delimiter, findings);
    if columns.errors.is_empty() {
        check_values(db, file, columns.delimiter, &columns.columns, findings);
    }
}

/// Names that are empty or repeated, which get other names when the seed is loaded.
fn check_header(db: &dyn Db, file: SourceFile, delimiter: char, findings: &mut Vec<Finding>) {
    let text = file.text(db);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(header) = text.lines().next() else {
        return;
    };
    // A quoted header may hold the delimiter or go on in the next line.
    let names: Vec<&str> = header.split(delimiter).collect();
    if names.iter().any(|name| name.trim_start().starts_with('"')) {
        return;
    }
    for (i, name) in names.iter().enumerate() {
        let message = if name.trim().is_empty() {
            format!("column {} has no name", i + 1)
        } else if names
            .iter()
            .take(i)
            .any(|other| other.eq_ignore_ascii_case(name))
        {
            format!("there are two columns `{name}`")
        } else {
            continue;
        };
        let range = seed::read(file.text(db), delimiter).header_range;
        findings.push(
            Finding::new(codes::MX0428, message, Anchor::text(file, range))
                .help("give every column a name of its own"),
        );
        return;
    }
}

fn check_values(
    db: &dyn Db,
    file: SourceFile,
    delimiter: char,
    columns: &[(String, SqlType)],
    findings: &mut Vec<Finding>,
) {
    let any = columns.iter().any(|(_, ty)| *ty != SqlType::Varchar);
    if !any {
        return;
    }
    let seed = seed::read(file.text(db), delimiter);
    let mut left = MAX_VALUES;
    for (i, row) in seed.rows().enumerate() {
        for (index, (name, ty)) in columns.iter().enumerate() {
            let Some(value) = row.get(index).filter(|value| !fits(value, ty)) else {
                continue;
            };
            let Some(range) = seed.row_range(i).filter(|_| left > 0) else {
                return;
            };
            left -= 1;
            findings.push(
                Finding::new(
                    codes::MX0418,
                    format!(
                        "`{value}` of column `{name}` is no {}",
                        ty.to_string().to_lowercase()
                    ),
                    Anchor::text(file, within(db, file, range, value)),
                )
                .help("correct it, or set another type in `column_types`"),
            );
        }
    }
}

/// The value in its row, where it is written as it is.
fn within(
    db: &dyn Db,
    file: SourceFile,
    row: mxcp_base::TextRange,
    value: &str,
) -> mxcp_base::TextRange {
    let found = file.text(db).get(std::ops::Range::<usize>::from(row));
    let place = found.and_then(|text| text.find(value)).and_then(|at| {
        let start = row.start() + mxcp_base::TextSize::try_from(at).ok()?;
        Some(mxcp_base::TextRange::at(
            start,
            mxcp_base::TextSize::of(value),
        ))
    });
    place.unwrap_or(row)
}
