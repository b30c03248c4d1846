//! Python models: their code makes a table beside the relation, which then takes its place.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::{DbtGraph, Materialization, ModelSpec, Node};
use mxcp_artifact::dbt_live::RunFacts;
use mxcp_artifact::{RelationKind, RelationName};
use serde_json::{Value, json};

use super::{beside, full_refresh, hide_temporary_name, incremental, table};
use crate::RunError;
use crate::database::{Database, Failure};
use crate::job::{self, Job, Run};
use crate::options::PythonJob;
use crate::relations::describe;
use crate::result::Outcome;

/// Runs the model while nothing else runs: the database is closed for the Python package of the
/// engine, and opened again.
pub(crate) fn run_python(
    run: &Run<'_>,
    database: &Database,
    graph: &DbtGraph,
    node: &Node,
    model: &ModelSpec,
    facts: &RunFacts,
) -> Result<Outcome, Failure> {
    let code = model.python.as_deref().unwrap_or_default();
    let Some(python) = run.helpers.python else {
        return Err(Failure::new(format!(
            "`{}` is a Python model, and this command cannot run Python",
            node.name
        )));
    };
    if !matches!(
        model.materialized,
        Materialization::Table | Materialization::Incremental
    ) {
        return Err(Failure::new(format!(
            "the Python model `{}` is materialised as `{}`; a Python model can be a `table` or `incremental`",
            node.name,
            model.materialized.as_str()
        )));
    }
    let target = job::target(node)?;
    let built = raw(target);
    let kind = {
        let connection = database.connect().map_err(opened)?;
        run.relations.drop(&connection, &built)?;
        run.relations.kind(&connection, target)
    };
    let adds = model.materialized == Materialization::Incremental
        && kind == Some(RelationKind::Table)
        && !full_refresh(model, facts);
    let (refs, sources) = names(graph, node);
    let python_job = PythonJob {
        unique_id: &node.unique_id,
        name: &node.name,
        path: &node.path,
        code,
        database: database.path(),
        setup: &run.options.setup,
        target: built.quoted(),
        this: target.clone(),
        refs,
        sources,
        config: json!(node.config),
        is_incremental: adds,
    };
    database.close();
    let done = python.run(&python_job);
    database.reopen().map_err(opened)?;
    let connection = database.connect().map_err(opened)?;
    if let Err(message) = done {
        run.relations.drop(&connection, &built)?;
        return Err(Failure::new(message));
    }
    let sql = format!("select * from {}", built.quoted());
    describe(&connection, &sql)?;
    let mut model = model.clone();
    model.python = None;
    let mut job = Job::new(
        run,
        &connection,
        node,
        &model.pre_hooks,
        &model.post_hooks,
        None,
        facts,
    )?;
    job.sql = sql.into();
    let outcome = job
        .around(|| {
            let done = if adds {
                incremental::build(&job, &model, target, facts, None)?
            } else {
                table::table(&job, &model, target)?
            };
            run.relations.drop(&connection, &built)?;
            job.persist_docs("table", target)?;
            Ok(done)
        })
        .map_err(|failure| hide_temporary_name(failure, target))?;
    run.relations.set(target, RelationKind::Table);
    Ok(Outcome::built("OK".into(), outcome.rows).compiled(code))
}

fn opened(error: RunError) -> Failure {
    Failure::new(error.to_string())
}

/// Where the code puts its rows.
fn raw(target: &RelationName) -> RelationName {
    RelationName {
        name: format!("{}__dbt_py", beside(target).name),
        ..target.clone()
    }
}

type Names = Vec<(String, String)>;

/// What `dbt.ref` and `dbt.source` may be called with.
fn names(graph: &DbtGraph, node: &Node) -> (Names, Names) {
    let mut refs = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for parent in &node.depends_on {
        if let Some(parent) = graph.get(parent) {
            let Some(relation) = &parent.relation else {
                continue;
            };
            let quoted = relation.quoted();
            let mut names = vec![parent.name.clone()];
            if let Some(version) = parent.config.get("version") {
                names.push(format!("{}.v{}", parent.name, plain(version)));
            }
            if let Some((name, version)) = parent.unique_id.rsplit_once(".v")
                && name.ends_with(&parent.name)
            {
                names.push(format!("{}.v{version}", parent.name));
            }
            for name in names {
                refs.insert(format!("{}.{name}", parent.package), quoted.clone());
                refs.insert(name, quoted.clone());
            }
        } else if let Some(source) = graph.sources.iter().find(|s| &s.unique_id == parent) {
            sources.insert(
                format!("{}.{}", source.source, source.name),
                source
                    .location
                    .clone()
                    .unwrap_or_else(|| source.relation.quoted()),
            );
        }
    }
    (refs.into_iter().collect(), sources.into_iter().collect())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
