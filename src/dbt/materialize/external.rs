//! External models: the rows go to a file, and a view reads it.

use std::path::{Path, PathBuf};

use mxcp_artifact::catalog::quote_literal;
use mxcp_artifact::dbt::ModelSpec;
use mxcp_artifact::{RelationKind, RelationName};
use serde_json::{Map, Value};

use super::{Built, beside, create_table_as};
use crate::database::Failure;
use crate::job::Job;
use crate::relations::columns_of;

const FORMATS: [&str; 3] = ["csv", "parquet", "json"];

pub(super) fn build(
    job: &Job<'_>,
    model: &ModelSpec,
    target: &RelationName,
) -> Result<Built, Failure> {
    let file = File::new(job, target)?;
    let table = beside(target);
    job.run.relations.drop(job.connection, &table)?;
    let rows = create_table_as(job, model, &table, &job.sql)?;
    let columns = columns_of(job.connection, &table.quoted())?;
    // A file without rows would not tell its columns: one row of nulls does, and the view hides it.
    let mut condition = String::new();
    if rows == 0 {
        let nulls = vec!["null"; columns.len()].join(", ");
        job.execute(&format!("insert into {} values ({nulls})", table.quoted()))?;
        condition = " where 1".into();
        for (name, _) in &columns {
            condition.push_str(&format!(
                " and {} is not null",
                mxcp_artifact::catalog::quote_identifier(name)
            ));
        }
    }
    file.write(job, &table)?;
    job.run.relations.drop(job.connection, target)?;
    job.execute(&format!(
        "create view {} as (select * from {}{condition})",
        target.quoted(),
        file.reader(job)
    ))?;
    job.execute(&format!("drop table {}", table.quoted()))?;
    Ok(Built {
        kind: RelationKind::View,
        rows: Some(rows),
    })
}

struct File {
    location: String,
    /// Of the `copy` statement.
    options: Map<String, Value>,
    format: String,
}

impl File {
    fn new(job: &Job<'_>, target: &RelationName) -> Result<Self, Failure> {
        if let Some(plugin) = job.text("plugin") {
            return Err(Failure::new(format!(
                "the plugin `{plugin}` of dbt-duckdb is not run here; write a format of the database, such as `parquet`, or run dbt itself with `--engine dbt-core`"
            )));
        }
        let mut options = match job.config.get("options") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(options)) => options.clone(),
            Some(_) => return Err(Failure::new("The options argument must be a dictionary")),
        };
        let partitioned = options.get("partition_by").is_some_and(|by| !by.is_null());
        let configured = job.text("format");
        let location = match job.text("location") {
            Some(location) => location.to_owned(),
            None => {
                let root = job.text("external_root").unwrap_or(".");
                if partitioned {
                    format!("{root}/{}", target.name)
                } else {
                    format!("{root}/{}.{}", target.name, configured.unwrap_or("parquet"))
                }
            }
        };
        for key in ["format", "delimiter"] {
            if let Some(value) = job.text(key) {
                options.insert(key.into(), value.into());
            }
        }
        if let Some(format) = configured
            && !FORMATS.contains(&format)
        {
            return Err(Failure::new(format!(
                "Invalid format: {format}. Allowed formats are: csv, parquet, json"
            )));
        }
        infer_format(&location, &mut options);
        let written = options
            .get("format")
            .and_then(Value::as_str)
            .unwrap_or("parquet")
            .to_owned();
        if written == "csv" && !options.contains_key("header") {
            options.insert("header".into(), 1.into());
        }
        let format = match configured {
            Some(format) => format.to_owned(),
            None => Some(written.to_lowercase())
                .filter(|format| FORMATS.contains(&format.as_str()))
                .unwrap_or_else(|| "parquet".into()),
        };
        Ok(Self {
            location,
            options,
            format,
        })
    }

    fn is_folder(&self) -> bool {
        let set = |key: &str| {
            self.options
                .get(key)
                .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
        };
        set("partition_by") || set("per_thread_output")
    }

    /// A single local file is written beside its place and renamed, so that it is never half there.
    fn write(&self, job: &Job<'_>, table: &RelationName) -> Result<(), Failure> {
        let copy = |to: &str| {
            job.execute(&format!(
                "copy {} to {} ({})",
                table.quoted(),
                quote_literal(to),
                self.copy_options()
            ))
        };
        if self.location.contains("://") {
            return copy(&self.location);
        }
        let path = job.run.options.root.join(&self.location);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        }
        if self.is_folder() {
            return copy(text(&path)?);
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        // The engine reads the compression off the end of the name.
        let partial: PathBuf = path.with_file_name(format!(".dbt_tmp_{name}"));
        copy(text(&partial)?)?;
        std::fs::rename(&partial, &path).map_err(|error| unwritable(&path, &error))
    }

    fn copy_options(&self) -> String {
        let mut out = Vec::new();
        for (key, value) in &self.options {
            let mut value = match value {
                Value::String(text) => text.clone(),
                Value::Array(items) => items
                    .iter()
                    .map(|item| {
                        item.as_str()
                            .map_or_else(|| item.to_string(), str::to_owned)
                    })
                    .collect::<Vec<_>>()
                    .join(","),
                other => other.to_string(),
            };
            let quoted =
                ["delimiter", "quote", "escape", "null"].contains(&key.to_lowercase().as_str());
            if key == "partition_by" && value.contains(',') && !value.starts_with('(') {
                value = format!("({value})");
            }
            if quoted && !value.starts_with('\'') {
                value = format!("'{value}'");
            }
            out.push(format!("{key} {value}"));
        }
        out.join(", ")
    }

    fn reader(&self, job: &Job<'_>) -> String {
        let mut location = self.location.clone();
        if self.is_folder() {
            location.push_str("/*");
            if let Some(by) = self.options.get("partition_by") {
                let columns = match by {
                    Value::Array(items) => items.len(),
                    Value::String(text) => text.split(',').count(),
                    _ => 1,
                };
                location.push_str(&"/*".repeat(columns));
            }
            location.push('.');
            location.push_str(
                self.options
                    .get("format")
                    .and_then(Value::as_str)
                    .unwrap_or("parquet"),
            );
        }
        let (function, key, default) = match self.format.as_str() {
            "json" => ("read_json", "json_read_options", ("auto_detect", true)),
            "csv" => ("read_csv", "csv_read_options", ("auto_detect", true)),
            _ => (
                "read_parquet",
                "parquet_read_options",
                ("union_by_name", false),
            ),
        };
        let mut options = match job.config.get(key) {
            Some(Value::Object(options)) => options.clone(),
            _ => Map::from_iter([(default.0.to_owned(), Value::Bool(default.1))]),
        };
        if function != "read_parquet"
            && let Some(compression) = self.options.get("compression")
            && !options.contains_key("compression")
        {
            options.insert("compression".into(), compression.clone());
        }
        let mut call = format!("{function}({}", quote_literal(&location));
        for (key, value) in &options {
            match value {
                Value::String(text) => call.push_str(&format!(", {key}={}", quote_literal(text))),
                other => call.push_str(&format!(", {key}={other}")),
            }
        }
        call.push(')');
        call
    }
}

/// The format by the name of the file; a last `.gz` or `.zst` is its compression.
fn infer_format(location: &str, options: &mut Map<String, Value>) {
    if options.contains_key("format") {
        return;
    }
    let path = Path::new(location);
    let extension = |path: &Path| {
        path.extension()
            .map(|e| e.to_string_lossy().to_lowercase())
            .filter(|e| !e.is_empty())
    };
    let mut found = extension(path);
    let compression = match found.as_deref() {
        Some("gz") => Some("gzip"),
        Some("zst") => Some("zstd"),
        _ => None,
    };
    if compression.is_some() {
        found = path.file_stem().and_then(|stem| extension(Path::new(stem)));
    }
    let format = match found {
        Some(format) => {
            if let Some(compression) = compression {
                options
                    .entry("compression")
                    .or_insert_with(|| compression.into());
            }
            format
        }
        None if options.contains_key("delimiter") => "csv".into(),
        None => "parquet".into(),
    };
    options.insert("format".into(), format.into());
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .ok_or_else(|| Failure::new(format!("the path {} is not UTF-8", path.display())))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
}
