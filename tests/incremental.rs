//! What runs again after an edit, read from the event log, and the equivalence that rules it all:
//! an incremental result equals a clean one.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mxcp_artifact::RelationName;
use mxcp_base::{MemorySystem, Severity, codes};
use mxcp_catalog::{Analysis, BindOutcome, BindRequest, Binder, Lineage, Signature};
use mxcp_compiler::CompilerDatabase;
use mxcp_compiler::diagnostics::project_diagnostics;
use mxcp_compiler::lineage::any_sensitive_column;
use mxcp_compiler::manifest::manifest;
use proptest::prelude::*;

use crate::support::{SITE, binder, database, sync};

const PROJECT: &str = "name: shop\nprofile: shop\nmodels:\n  shop:\n    +materialized: table\n";
const ORDERS: &str = "SELECT 1 AS order_id, 2.5 AS amount, 'north' AS region";
const TOTALS: &str =
    "SELECT region, sum(amount) AS total\nFROM {{ ref('orders') }}\nGROUP BY region";

fn tool(name: &str, description: &str, sql: &str) -> String {
    format!(
        "mxcp: 1\ntool:\n  name: {name}\n  description: {description}\n  source:\n    code: |\n      {sql}\n"
    )
}

fn project() -> MemorySystem {
    MemorySystem::new([
        ("mxcp-site.yml".to_owned(), SITE.to_owned()),
        ("dbt_project.yml".to_owned(), PROJECT.to_owned()),
        ("models/orders.sql".to_owned(), ORDERS.to_owned()),
        ("models/totals.sql".to_owned(), TOTALS.to_owned()),
        (
            "tools/order_list.yml".to_owned(),
            tool(
                "order_list",
                "All orders",
                "SELECT order_id, amount FROM orders",
            ),
        ),
        (
            "tools/region_totals.yml".to_owned(),
            tool(
                "region_totals",
                "Totals",
                "SELECT region, total FROM totals",
            ),
        ),
    ])
}

/// Compiles everything; the log afterwards says what an edit costs.
fn compile(db: &CompilerDatabase) -> Vec<String> {
    let diagnostics = project_diagnostics(db);
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    manifest(db, "test").expect("the project has a site file");
    db.take_events()
}

fn warm() -> (MemorySystem, CompilerDatabase) {
    let system = project();
    let db = database(&system);
    let events = compile(&db);
    assert!(ran(&events, "bind_query") > 0, "{events:?}");
    assert!(compile(&db).is_empty(), "nothing changed, nothing runs");
    (system, db)
}

fn ran(events: &[String], query: &str) -> usize {
    let prefix = format!("{query}(");
    events.iter().filter(|e| e.starts_with(&prefix)).count()
}

#[test]
fn whitespace_stops_at_lowering() {
    let (system, mut db) = warm();
    let text = system.get("tools/order_list.yml").expect("there");
    system.set(
        "tools/order_list.yml",
        &text.replace("tool:\n", "# a comment\ntool:\n\n"),
    );
    sync(&mut db, &system);
    let events = compile(&db);
    assert_eq!(ran(&events, "parse_yaml"), 1, "{events:?}");
    assert_eq!(ran(&events, "endpoint_def"), 1, "{events:?}");
    for query in [
        "sql_source",
        "analyze_sql",
        "bind_endpoint",
        "bind_query",
        "collect_endpoints",
    ] {
        assert_eq!(ran(&events, query), 0, "{query} ran: {events:?}");
    }
}

#[test]
fn a_description_stops_before_binding() {
    let (system, mut db) = warm();
    let text = system.get("tools/order_list.yml").expect("there");
    system.set(
        "tools/order_list.yml",
        &text.replace("All orders", "Every order there is"),
    );
    sync(&mut db, &system);
    let events = compile(&db);
    assert_eq!(ran(&events, "endpoint_def"), 1, "{events:?}");
    assert_eq!(ran(&events, "endpoint_ir"), 1, "{events:?}");
    for query in ["analyze_sql", "bind_endpoint", "bind_query"] {
        assert_eq!(ran(&events, query), 0, "{query} ran: {events:?}");
    }
}

#[test]
fn a_model_that_keeps_its_columns_rebinds_no_dependant() {
    let (system, mut db) = warm();
    system.set(
        "models/orders.sql",
        "SELECT 7 AS order_id, 9.5 AS amount, 'south' AS region",
    );
    sync(&mut db, &system);
    let events = compile(&db);
    // The model itself, and nothing that reads it.
    assert_eq!(ran(&events, "bind_query"), 1, "{events:?}");
    assert_eq!(ran(&events, "bind_endpoint"), 0, "{events:?}");
}

#[test]
fn the_flow_of_sensitive_columns_stops_where_columns_come_from_the_same_places() {
    let (system, mut db) = warm();
    let mark = "models:\n  - name: orders\n    columns:\n      - name: order_id\n        meta: { sensitive: true }\n";
    system.set("models/marks.yml", mark);
    sync(&mut db, &system);
    let found = project_diagnostics(&db);
    let codes: Vec<String> = found.iter().map(|d| d.code.to_string()).collect();
    assert_eq!(codes, ["MX0612"], "{found:#?}");
    db.take_events();
    // The same columns from the same places: whatever reads the model is left alone.
    system.set(
        "models/orders.sql",
        "SELECT 7 AS order_id, 9.5 AS amount, 'south' AS region",
    );
    sync(&mut db, &system);
    assert_eq!(project_diagnostics(&db), found);
    let events = db.take_events();
    assert_eq!(ran(&events, "endpoint_lineage"), 0, "{events:?}");
    assert_eq!(ran(&events, "model_lineage"), 0, "{events:?}");
}

#[test]
fn a_model_that_changes_its_columns_rebinds_its_dependants() {
    let (system, mut db) = warm();
    system.set(
        "models/orders.sql",
        "SELECT 1 AS order_id, 2.5 AS amount, 'north' AS region, 3 AS extra",
    );
    sync(&mut db, &system);
    let events = compile(&db);
    // The model, the model that reads it, and the tool that reads it. `totals` keeps its columns,
    // so its own tool is left alone.
    assert_eq!(ran(&events, "bind_query"), 3, "{events:?}");
    assert_eq!(ran(&events, "bind_endpoint"), 1, "{events:?}");
}

/// What an edit of one tool costs in a project of some size: how many queries run, and how many answers
/// of other files are looked at.
/// What only the server reads of the site file is looked at by no check, and a finding asks it for
/// severities alone.
#[test]
fn a_title_in_the_site_file_checks_nothing_again() {
    let system = project();
    let broken = tool("extra", "Broken", "SELECT 1 FROM nowhere");
    system.set("tools/extra.yml", &broken);
    let mut db = database(&system);
    db.expect_edits();
    db.open_file("mxcp-site.yml");
    let found = project_diagnostics(&db);
    assert!(found.iter().any(|d| d.code == codes::MX0202), "{found:#?}");
    manifest(&db, "test").expect("there is a site file");
    let mut edit = |text: &str| {
        db.take_work();
        db.set_text("mxcp-site.yml", &format!("{SITE}{text}"));
        let found = project_diagnostics(&db);
        let made = manifest(&db, "test").expect("there is a site file");
        (db.take_events(), found, made)
    };
    let (events, _, made) = edit("server: {title: Shop}\n");
    assert_eq!(ran(&events, "check_file"), 1, "{events:?}");
    assert_eq!(ran(&events, "file_diagnostics"), 0, "{events:?}");
    assert!(events.len() < 12, "{}: {events:?}", events.len());
    assert_eq!(made.project.server.title.as_deref(), Some("Shop"));
    // The site file's own, not those of the tool.
    let (events, _, _) = edit("profiles: {other: {}}\n");
    assert_eq!(ran(&events, "file_diagnostics"), 1, "{events:?}");
    let (events, found, _) = edit("diagnostics: {MX0202: warning}\n");
    assert!(ran(&events, "file_diagnostics") >= 1, "{events:?}");
    let severity = found.iter().find(|d| d.code == codes::MX0202);
    assert_eq!(severity.map(|d| d.severity), Some(Severity::Warning));
}

fn work_of_a_title(tools: usize) -> (usize, usize) {
    let mut db = opened("mxcp-site.yml", tools);
    let mut work = (0, 0);
    for title in ["Shop", "Shops"] {
        db.take_work();
        let text = format!("{SITE}server: {{title: {title}}}\n");
        db.set_text("mxcp-site.yml", &text);
        assert_eq!(project_diagnostics(&db), []);
        let (ran, held) = db.take_work();
        work = (ran.len(), held);
    }
    work
}

#[test]
fn the_work_after_a_title_does_not_grow_with_the_project() {
    let (few_ran, few_held) = work_of_a_title(20);
    let (many_ran, many_held) = work_of_a_title(420);
    assert_eq!(many_ran, few_ran);
    assert!(many_held < few_held + 100, "{few_held} and {many_held}");
}

/// The project with so many tools more, checked, and one of its files open.
fn opened(path: &str, tools: usize) -> CompilerDatabase {
    let system = project();
    for i in 0..tools {
        let name = format!("tool_{i}");
        let text = tool(&name, "One more", "SELECT order_id, amount FROM orders");
        system.set(&format!("tools/{name}.yml"), &text);
    }
    let mut db = database(&system);
    db.expect_edits();
    db.open_file(path);
    assert_eq!(project_diagnostics(&db), []);
    db
}

fn work_of_one_edit(tools: usize) -> (usize, usize) {
    let mut db = opened("tools/order_list.yml", tools);
    let sql = ["SELECT order_id FROM orders", "SELECT amount FROM orders"];
    let mut work = (0, 0);
    for sql in sql {
        db.take_work();
        db.set_text(
            "tools/order_list.yml",
            &tool("order_list", "All orders", sql),
        );
        assert_eq!(project_diagnostics(&db), []);
        let (ran, held) = db.take_work();
        assert_eq!(self::ran(&ran, "bind_endpoint"), 1, "{ran:?}");
        work = (ran.len(), held);
    }
    work
}

#[test]
fn the_work_after_an_edit_does_not_grow_with_the_project() {
    let (few_ran, few_held) = work_of_one_edit(20);
    let (many_ran, many_held) = work_of_one_edit(420);
    assert_eq!(many_ran, few_ran);
    // Four hundred tools more, and of each hundred shelves one more file is looked at, for a few reasons.
    assert!(many_held < few_held + 100, "{few_held} and {many_held}");
}

/// The engine, but for texts that it must not be shown: what a bug in a query does.
struct Fragile(Arc<dyn Binder>);

impl Fragile {
    fn look(&self, sql: &str) {
        assert!(!sql.contains("explode"), "a text that explodes");
    }
}

impl Binder for Fragile {
    fn engine(&self) -> &str {
        self.0.engine()
    }

    fn analyze(&self, sql: &str) -> Analysis {
        self.look(sql);
        self.0.analyze(sql)
    }

    fn bind(&self, request: &BindRequest) -> BindOutcome {
        self.look(&request.sql);
        self.0.bind(request)
    }

    fn lineage(&self, sql: &str, known: &dyn Fn(&RelationName) -> Option<Vec<String>>) -> Lineage {
        self.look(sql);
        self.0.lineage(sql, known)
    }

    fn functions(&self) -> &BTreeSet<String> {
        self.0.functions()
    }

    fn signatures(&self) -> &[Signature] {
        self.0.signatures()
    }
}

/// A query that panics while the shared facts are collected leaves none of them behind: who asks meets
/// the panic, not the answer of before, and after the next edit all is as in a clean database.
#[test]
fn a_panic_while_settling_leaves_nothing_stale() {
    let system = project();
    let mut db = CompilerDatabase::new(Arc::new(Fragile(binder())));
    sync(&mut db, &system);
    db.expect_edits();
    project_diagnostics(&db);
    assert!(!any_sensitive_column(&db));
    let marked = |sql: &str| {
        format!(
            "{}  return:\n    type: array\n    items:\n      type: object\n      properties:\n        order_id: {{ type: integer, sensitive: true }}\n",
            tool("order_list", "All orders", sql)
        )
    };
    db.set_text(
        "tools/order_list.yml",
        &marked("SELECT order_id FROM orders -- explode"),
    );
    let asked = catch_unwind(AssertUnwindSafe(|| any_sensitive_column(&db)));
    assert!(asked.is_err(), "an answer of before: {asked:?}");
    let text = marked("SELECT order_id FROM orders");
    system.set("tools/order_list.yml", &text);
    db.set_text("tools/order_list.yml", &text);
    assert!(any_sensitive_column(&db));
    let clean = database(&system);
    assert_eq!(project_diagnostics(&db), project_diagnostics(&clean));
    assert_eq!(manifest(&db, "test"), manifest(&clean, "test"));
}

/// One step of an edit script: what some author might do next.
#[derive(Clone, Debug)]
enum Edit {
    Set(&'static str, String),
    Remove(&'static str),
    Append(&'static str, &'static str),
}

const PATHS: [&str; 7] = [
    "tools/order_list.yml",
    "tools/region_totals.yml",
    "tools/extra.yml",
    "models/orders.sql",
    "models/totals.sql",
    "models/schema.yml",
    "mxcp-site.yml",
];

fn edit() -> impl Strategy<Value = Edit> {
    let path = prop::sample::select(PATHS.as_slice());
    let content = prop::sample::select(vec![
        tool("order_list", "All orders", "SELECT order_id, amount FROM orders"),
        tool("region_totals", "Changed", "SELECT region, total FROM totals"),
        tool("other", "Broken", "SELECT amout FROM orders"),
        tool("other", "Unknown table", "SELECT 1 FROM nowhere"),
        "tool:\n  name: [broken\n".to_owned(),
        String::new(),
        ORDERS.to_owned(),
        TOTALS.to_owned(),
        "SELECT 1 AS order_id, 2 AS amount".to_owned(),
        "SELECT * FROM {{ ref('totals') }}".to_owned(),
        "SELECT * FROM {{ ref('missing') }}".to_owned(),
        "models:\n  - name: orders\n    columns:\n      - name: order_id\n        tests: [unique, not_null]\n".to_owned(),
        SITE.to_owned(),
        "mxcp: 1\nproject: test\nprofile: default\ndiagnostics: {MX0202: warning}\n".to_owned(),
    ]);
    prop_oneof![
        4 => (path.clone(), content).prop_map(|(path, text)| Edit::Set(path, text)),
        1 => path.clone().prop_map(Edit::Remove),
        2 => (path, prop::sample::select(vec!["\n", "# comment\n", "  x: 1\n", "é"]))
            .prop_map(|(path, text)| Edit::Append(path, text)),
    ]
}

fn apply(system: &MemorySystem, edit: &Edit) {
    match edit {
        Edit::Set(path, text) => system.set(path, text),
        Edit::Remove(path) => system.remove(path),
        Edit::Append(path, text) => {
            let old = system.get(path).unwrap_or_default();
            system.set(path, &format!("{old}{text}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_clean(edits in prop::collection::vec(edit(), 1..12)) {
        let system = project();
        let mut db = database(&system);
        let mut edited = database(&system);
        edited.expect_edits();
        for edit in &edits {
            apply(&system, edit);
            sync(&mut db, &system);
            let clean = database(&system);
            prop_assert_eq!(project_diagnostics(&db), project_diagnostics(&clean));
            prop_assert_eq!(manifest(&db, "test"), manifest(&clean, "test"));
            // As an editor does it: the text of one file is set.
            match edit {
                Edit::Set(path, _) | Edit::Append(path, _) if edited.file(path).is_some() => {
                    edited.set_text(path, &system.get(path).unwrap_or_default());
                }
                _ => sync(&mut edited, &system),
            }
            prop_assert_eq!(project_diagnostics(&edited), project_diagnostics(&clean));
            prop_assert_eq!(manifest(&edited, "test"), manifest(&clean, "test"));
        }
    }
}
