//! Hooks and the form of a model's SQL: what the engine is given beside and around a query.

use mxcp_base::{Severity, SourceFile, codes};
use mxcp_catalog::StatementKind;
use mxcp_syntax::sql::{TokenKind, tokens};

use super::index::dbt_project;
use super::node::{Names, node_config, render_input, render_model};
use super::places::{config_anchor, start};
use crate::Db;
use crate::dbt::{RenderInput, Rendered, map_to_template};
use crate::finding::{Anchor, Finding};
use crate::sql::{SqlText, analyze_sql};

/// A hook's text, rendered where its node is.
pub(crate) fn rendered_hook(db: &dyn Db, node: SourceFile, hook: &str) -> Rendered {
    render_input(db, node, |input| {
        let input = RenderInput {
            text: hook,
            ..input.clone()
        };
        crate::dbt::render(&input, &Names { db })
    })
}

pub(super) fn check_hooks(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let config = &node_config(db, file).0;
    for (key, hooks) in [
        ("pre_hook", &config.pre_hooks),
        ("post_hook", &config.post_hooks),
    ] {
        for hook in hooks {
            let rendered = rendered_hook(db, file, hook);
            if let Some(problem) = rendered.problems.first() {
                let mut finding = Finding::new(
                    codes::MX0420,
                    format!("the hook does not render: {}", problem.message),
                    config_anchor(db, file, key, None),
                )
                .help_if(problem.help.clone());
                finding.severity = problem.severity;
                findings.push(finding);
            } else if rendered.dynamic.is_none() {
                let anchor = config_anchor(db, file, key, None);
                findings.extend(hook_error(db, &rendered.sql, anchor));
            }
        }
    }
}

/// The hooks of the whole project, which stand in the project file.
pub(super) fn check_run_hooks(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(project) = dbt_project(db) else {
        return;
    };
    for (key, hooks) in [
        ("on-run-start", &project.def.on_run_start),
        ("on-run-end", &project.def.on_run_end),
    ] {
        for (i, hook) in hooks.iter().enumerate() {
            // What needs rendering needs a node, and these have none.
            if !hook.contains("{{") && !hook.contains("{%") {
                let anchor = Anchor::value(file, format!("/{key}/{i}"));
                findings.extend(hook_error(db, hook, anchor));
            }
        }
    }
}

fn hook_error(db: &dyn Db, sql: &str, anchor: Anchor) -> Option<Finding> {
    let analysis = analyze_sql(db, SqlText::new(db, sql.to_owned()));
    let error = analysis.errors.first()?;
    Some(
        Finding::new(
            codes::MX0420,
            format!("the hook is not SQL: {}", error.message),
            anchor,
        )
        .help("a hook is one or several SQL statements"),
    )
}

/// A model is one query, which is put inside another statement.
pub(super) fn check_form(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let rendered = render_model(db, file);
    if !rendered.problems.is_empty() || rendered.dynamic.is_some() {
        return;
    }
    let sql = &rendered.sql;
    let analysis = analyze_sql(db, SqlText::new(db, sql.clone()));
    if !analysis.errors.is_empty() {
        return;
    }
    let at = |range: std::ops::Range<u32>| {
        let range = map_to_template(&rendered.spans, range);
        Anchor::text(
            file,
            mxcp_base::TextRange::new(range.start.into(), range.end.max(range.start).into()),
        )
    };
    match analysis.statements.as_slice() {
        [] => findings.push(
            Finding::new(codes::MX0211, "there is no SQL here", start(file))
                .help("write a query, or remove the file"),
        ),
        [only] if !is_query(&only.kind) => findings.push(
            Finding::new(codes::MX0421, "a model is a query", at(only.range.clone()))
                .help("write a SELECT; other statements belong into hooks"),
        ),
        [only] => {
            let end = only.range.end;
            let semicolon = tokens(sql).into_iter().find(|token| {
                token.kind == TokenKind::Symbol
                    && u32::from(token.range.start()) >= end
                    && sql.get(std::ops::Range::<usize>::from(token.range)) == Some(";")
            });
            if let Some(token) = semicolon {
                let range = u32::from(token.range.start())..u32::from(token.range.end());
                let anchor = at(range);
                let mut finding = Finding::new(
                    codes::MX0421,
                    "dbt puts the query into another statement, where a semicolon is an error",
                    anchor.clone(),
                )
                .help("remove the semicolon");
                // It is taken away when the model is built here.
                finding.severity = Some(Severity::Warning);
                findings.push(finding);
            }
        }
        [_, second, ..] => findings.push(
            Finding::new(
                codes::MX0421,
                "a model is one query, and another statement starts here",
                at(second.range.clone()),
            )
            .help("make it a model of its own"),
        ),
    }
}

fn is_query(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::Select => true,
        StatementKind::Other(word) => {
            let words = [
                "VALUES",
                "FROM",
                "PIVOT",
                "UNPIVOT",
                "TABLE",
                "DESCRIBE",
                "SUMMARIZE",
                "SHOW",
                "WITH",
            ];
            words.iter().any(|known| word.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}
