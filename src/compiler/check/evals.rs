//! Eval suites: the tools they speak of.

use mxcp_base::{SourceFile, codes, suggest};

use super::documents;
use crate::Db;
use crate::documents::eval_suite;
use crate::finding::{Anchor, Finding};
use crate::index::endpoint_index;

/// Tools that the server itself provides when `sql_tools` is on.
const SQL_TOOLS: [&str; 3] = ["execute_sql_query", "list_tables", "get_table_schema"];

pub(super) fn check_evals(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    documents::check_yaml(db, file, documents::Schema::Evals, findings);
    let suite = eval_suite(db, file);
    let index = endpoint_index(db);
    let known = |name: &str| {
        SQL_TOOLS.contains(&name)
            || index
                .by_id
                .keys()
                .any(|(kind, id)| *kind != mxcp_artifact::EndpointKind::Prompt && id == name)
    };
    let mut report = |name: &str, pointer: String| {
        let help = suggest::did_you_mean(name, index.tools().chain(SQL_TOOLS))
            .unwrap_or_else(|| "define it under `tools/`, or correct the name".into());
        findings.push(
            Finding::new(
                codes::MX0703,
                format!("there is no tool `{name}`"),
                Anchor::value(file, pointer),
            )
            .help(help),
        );
    };
    for (i, test) in suite.tests.iter().enumerate() {
        let base = format!("tests/{i}/assertions");
        for (j, (tool, _)) in test.must_call.iter().enumerate() {
            if let Some(tool) = tool.as_deref().filter(|t| !known(t)) {
                report(tool, format!("{base}/must_call/{j}/tool"));
            }
        }
        for (j, tool) in test.must_not_call.iter().enumerate() {
            if let Some(tool) = tool.as_deref().filter(|t| !known(t)) {
                report(tool, format!("{base}/must_not_call/{j}"));
            }
        }
    }
}
