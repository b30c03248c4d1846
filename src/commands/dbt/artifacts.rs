//! What a command leaves below `target/` for the tools around dbt. Each file is written under
//! another name first, so that no reader ever sees half of it.

use std::path::{Path, PathBuf};

use mxcp_artifact::dbt::{Node, NodeSpec};
use mxcp_dbt::{NodeResult, Options, Status, Summary};
use serde_json::{Value, json};

use super::cli::Args;
use super::graph_json::{self, DBT_VERSION};
use super::open::Opened;
use super::progress::failure_text;
use crate::commands::output;

pub(super) struct Writer<'a> {
    opened: &'a Opened,
    /// `--no-write-json`.
    off: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(args: &Args, opened: &'a Opened) -> Self {
        Self {
            opened,
            off: args.no_write_json,
        }
    }

    pub(super) fn json(&self, name: &str, value: &Value) {
        if !self.off {
            save(&self.opened.target_dir.join(name), &value.to_string());
        }
    }

    /// The largest of them. It is written while the command goes on; whoever ends it waits.
    pub(super) fn manifest(&self) {
        if self.off {
            return;
        }
        let value = graph_json::manifest(self.opened);
        let path = self.opened.target_dir.join("manifest.json");
        let work = move || {
            save(&path, &value.to_string());
            // The process is about to end, and taking this apart takes its time.
            std::mem::forget(value);
        };
        self.opened.meanwhile(work);
    }

    fn metadata(&self, schema: &str) -> Value {
        json!({
            "dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{schema}.json"),
            "dbt_version": DBT_VERSION,
            "generated_at": mxcp_dbt::Moment::now().stamp(),
            "invocation_id": self.opened.invocation,
            "invocation_started_at": self.opened.started.stamp(),
            "env": {},
        })
    }

    pub(super) fn results(&self, summary: &Summary, options: &Options) {
        let results: Vec<Value> = summary
            .results
            .iter()
            .map(|result| self.result(result))
            .collect();
        let selection = &options.selection;
        let value = json!({
            "metadata": self.metadata("run-results/v6"),
            "results": results,
            "elapsed_time": summary.seconds,
            "args": {
                "which": options.facts.which,
                "select": selection.select,
                "exclude": selection.exclude,
                "selector": selection.selector,
                "full_refresh": options.facts.full_refresh,
                "fail_fast": options.fail_fast,
                "threads": options.threads,
                "empty": options.empty,
                "vars": self.opened.session.dbt.vars,
                "indirect_selection": format!("{:?}", selection.indirect).to_lowercase(),
                "resource_types": selection.resource_types,
            },
        });
        self.json("run_results.json", &value);
    }

    fn result(&self, result: &NodeResult) -> Value {
        let skipped = result.status == Status::Skipped;
        let mut timing = Vec::new();
        if let (Some(started), Some(ended)) = (result.timing.started, result.timing.ended) {
            timing.push(json!({"name": "compile", "started_at": started.stamp(), "completed_at": started.stamp()}));
            timing.push(json!({"name": "execute", "started_at": started.stamp(), "completed_at": ended.stamp()}));
        }
        let thread = match result.timing.worker {
            0 => "main".to_owned(),
            n => format!("Thread-{n} (worker)"),
        };
        let response = match result.kind {
            _ if skipped => json!({}),
            "operation" | "exposure" | "saved_query" => json!({}),
            _ if result.status == Status::Error => json!({}),
            "seed" => json!({
                "_message": result.message, "rows_affected": result.rows_affected,
            }),
            _ => json!({"_message": "OK"}),
        };
        let message = result
            .message
            .as_ref()
            .map(|message| failure_text(result, message));
        let compiled = !skipped && !matches!(result.kind, "seed" | "exposure" | "saved_query");
        json!({
            "status": result.status.as_str(),
            "timing": timing,
            "thread_id": thread,
            "execution_time": result.seconds,
            "adapter_response": response,
            "message": message,
            "failures": result.failures,
            "unique_id": result.unique_id,
            "compiled": compiled,
            "compiled_code": compiled.then(|| result.compiled_sql.clone()),
            "relation_name": self.relation_name(result),
            "batch_results": result.batches.as_ref().map(mxcp_dbt::Batches::json),
        })
    }

    /// dbt's names have the database in front.
    fn relation_name(&self, result: &NodeResult) -> Option<String> {
        let relation = result.relation.as_ref()?;
        let has_catalog = self
            .opened
            .graph()
            .get(&result.unique_id)
            .and_then(|node| node.relation.as_ref())
            .is_some_and(|relation| relation.catalog.is_some());
        if has_catalog {
            return Some(relation.clone());
        }
        Some(format!(
            "\"{}\".{relation}",
            graph_json::database(self.opened)
        ))
    }

    pub(super) fn sources(&self, name: &Path, results: Vec<Value>, seconds: f64) {
        let value = json!({
            "metadata": self.metadata("sources/v3"),
            "results": results,
            "elapsed_time": seconds,
        });
        if !self.off {
            save(&self.opened.target_dir.join(name), &value.to_string());
        }
    }

    pub(super) fn catalog(
        &self,
        nodes: serde_json::Map<String, Value>,
        sources: serde_json::Map<String, Value>,
    ) {
        let value = json!({
            "metadata": self.metadata("catalog/v1"),
            "nodes": nodes,
            "sources": sources,
            "errors": null,
        });
        self.json("catalog.json", &value);
    }

    /// The SQL below `target/compiled`, and the statement around it below `target/run`.
    pub(super) fn sql(&self, node: &Node, compiled: &str, ran: bool) {
        let Some(path) = compiled_path(node) else {
            return;
        };
        let place = |folder: &str| self.opened.target_dir.join(folder).join(&path);
        save(&place("compiled"), compiled);
        if ran {
            save(&place("run"), &statement(node, compiled));
        }
    }

    /// Where the compiled SQL of a result is, relative to the project.
    pub(super) fn compiled_path(&self, result: &NodeResult) -> Option<String> {
        let node = self.opened.graph().get(&result.unique_id)?;
        let path = self
            .opened
            .target_dir
            .join("compiled")
            .join(compiled_path(node)?);
        let shown = path.strip_prefix(self.opened.root()).unwrap_or(&path);
        path.is_file().then(|| shown.display().to_string())
    }
}

/// Relative to `target/compiled`.
fn compiled_path(node: &Node) -> Option<PathBuf> {
    let folder = Path::new(&node.package).join(&node.path);
    Some(match &node.spec {
        NodeSpec::Seed(_) => return None,
        NodeSpec::Test(test) if test.generic.is_some() => folder.join(format!("{}.sql", node.name)),
        NodeSpec::UnitTest(_) => folder.join("models").join(format!("{}.sql", node.name)),
        _ => folder,
    })
}

fn statement(node: &Node, compiled: &str) -> String {
    let relation = node.relation.as_ref().map(|relation| relation.quoted());
    match (&node.spec, relation) {
        (NodeSpec::Model(model), Some(relation)) if model.python.is_none() => {
            let kind = match model.materialized.as_str() {
                "view" | "external" => "view",
                _ => "table",
            };
            format!("create {kind} {relation} as (\n{compiled}\n);\n")
        }
        _ => compiled.to_owned(),
    }
}

fn save(path: &Path, text: &str) {
    if let Err(error) = write(path, text) {
        output::eprint(&format!(
            "Warning: {} cannot be written: {error}\n",
            path.display()
        ));
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let partial = path.with_file_name(format!(".{name}.tmp"));
    // The folder is nearly always there.
    if std::fs::write(&partial, text).is_err() {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&partial, text)?;
    }
    std::fs::rename(&partial, path)
}
