//! Times of single edits in an open project, for `make bench`: from the changed text to every
//! diagnostic of the project, in the process that an editor or watch mode keeps.
//!
//!     edits ROOT REPEATS [NAME]
//!
//! ROOT is a project as `.setup/bench.py` writes it; with NAME, only the edits whose names hold it are made. One JSON object is printed: for each kind of edit
//! the median and the 99th percentile in milliseconds, and how many queries ran again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use mxcp_base::{OsSystem, System as _};
use mxcp_catalog::DuckDbBinder;
use mxcp_compiler::diagnostics::project_diagnostics;
use mxcp_compiler::{CompilerDatabase, is_source_file};
use serde_json::{Value, json};

/// An edit: the file, and its text in one state and in the other.
struct Edit {
    name: &'static str,
    path: String,
    texts: [String; 2],
}

fn main() {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().expect("a project"));
    let repeats: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(20);
    let only = args.next().unwrap_or_default();
    let system = OsSystem::new(&root);
    let files = system
        .read_tree(&is_source_file)
        .expect("the project can be read");
    let texts: BTreeMap<String, String> = files
        .iter()
        .filter_map(|(path, content)| match content {
            mxcp_base::Content::Text(text) => Some((path.clone(), text.to_string())),
            _ => None,
        })
        .collect();
    let mut db = CompilerDatabase::with_event_log(Arc::new(DuckDbBinder::new()));
    db.sync_files(files);
    let started = Instant::now();
    db.expect_edits();
    let found = project_diagnostics(&db);
    let cold = milliseconds(started);
    assert!(found.is_empty(), "{found:#?}");
    let queries = db.take_events().len();
    let mut out = BTreeMap::from([(
        "cold".to_owned(),
        json!({"p50": cold, "p99": cold, "queries": queries, "diagnostics": found.len()}),
    )]);
    for edit in edits(&texts).into_iter().filter(|e| e.name.contains(&only)) {
        out.insert(edit.name.to_owned(), measure(&mut db, &edit, repeats));
    }
    println!("{}", Value::Object(out.into_iter().collect()));
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn edits(texts: &BTreeMap<String, String>) -> Vec<Edit> {
    let edit = |name, path: &str, old: &str, new: &str| {
        let text = texts[path].clone();
        let changed = text.replacen(old, new, 1);
        assert_ne!(text, changed, "{path} has no {old:?}");
        Edit {
            name,
            path: path.to_owned(),
            texts: [text, changed],
        }
    };
    let tool = "tools/group_000/tool_00000.yml";
    // The first model: nine others read it, and the tools over all ten.
    let hub = "models/model_00000.sql";
    vec![
        edit(
            "a description of a leaf tool",
            tool,
            "One row",
            "One single row",
        ),
        edit(
            "the SQL of a leaf tool",
            tool,
            "WHERE id = $id",
            "WHERE id = $id AND true",
        ),
        edit(
            "a mistake in a leaf tool",
            tool,
            "SELECT id, name",
            "SELECT id, nam",
        ),
        edit(
            "a hub model, same columns",
            hub,
            "range(1000)",
            "range(1001)",
        ),
        edit(
            "a hub model, another type",
            hub,
            "DECIMAL(10, 2)",
            "DECIMAL(12, 2)",
        ),
        edit(
            "a title in the site file",
            "mxcp-site.yml",
            "project: bench\n",
            "project: bench\nserver: {title: Bench}\n",
        ),
    ]
}

fn measure(db: &mut CompilerDatabase, edit: &Edit, repeats: usize) -> Value {
    db.open_file(&edit.path);
    project_diagnostics(db);
    db.take_events();
    let mut times = Vec::new();
    let mut queries = 0;
    let mut diagnostics = 0;
    for i in 0..repeats * 2 {
        let started = Instant::now();
        db.set_text(&edit.path, &edit.texts[(i + 1) % 2]);
        diagnostics = diagnostics.max(project_diagnostics(db).len());
        times.push(milliseconds(started));
        queries = queries.max(db.take_events().len());
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    json!({"p50": at(50), "p99": at(99), "queries": queries, "diagnostics": diagnostics})
}
