//! External models: files with views over them.

use mxcp_artifact::dbt::Materialization;
use serde_json::json;

use super::{Project, message};
use crate::Command;
use crate::fixture::{change, graph, model};

#[test]
fn the_rows_go_to_a_file() {
    for (config, file) in [
        (json!({}), "ext.parquet"),
        (json!({"format": "csv", "delimiter": "|"}), "ext.csv"),
        (json!({"location": "out/rows.json"}), "out/rows.json"),
        (json!({"location": "out/rows.csv.gz"}), "out/rows.csv.gz"),
        (
            json!({"location": "parts", "options": {"partition_by": "k"}}),
            "parts",
        ),
    ] {
        let project = Project::new();
        let mut node = model(
            Materialization::External,
            "",
            "ext",
            &[],
            "select i, i % 2 as k from range(4) t(i)",
        );
        node.config = serde_json::from_value(config.clone()).unwrap();
        let mut graph = graph(vec![node]);
        let partitioned = file == "parts";
        let summary = project.run(&graph, Command::Run);
        assert_eq!(summary.exit_code(), 0, "{config}: {summary:#?}");
        assert!(project.root().join(file).exists(), "{config}");
        let ask = |what: &str| {
            let connection = duckdb::Connection::open(project.options().database).unwrap();
            connection
                .execute_batch(&format!(
                    "set file_search_path = '{}'",
                    project.root().display()
                ))
                .unwrap();
            connection
                .query_row(&format!("select {what}::bigint from ext"), [], |row| {
                    row.get::<_, i64>(0)
                })
                .unwrap()
        };
        assert_eq!(ask("sum(i)"), 6, "{config}");
        if !partitioned {
            change(&mut graph, "model.shop.ext").compiled_sql =
                "select 1 as i, 1 as k where false".into();
            let summary = project.run(&graph, Command::Run);
            assert_eq!(summary.exit_code(), 0, "{summary:#?}");
            assert_eq!(ask("count(*)"), 0, "no rows: {config}");
        }
        let left: Vec<String> = std::fs::read_dir(project.root())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("tmp"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn an_unknown_format_is_refused() {
    let project = Project::new();
    let mut node = model(Materialization::External, "", "ext", &[], "select 1 as a");
    node.config.insert("format".into(), json!("xlsx"));
    let summary = project.run(&graph(vec![node]), Command::Run);
    assert!(message(&summary, "ext").contains("Invalid format: xlsx"));
}
