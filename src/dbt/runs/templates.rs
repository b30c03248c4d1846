//! A front end for these tests: each node's template is a function.

use std::collections::BTreeMap;

use mxcp_artifact::dbt::Materialization;
use mxcp_artifact::dbt_live::{
    Batch, Compiled, Materialized, RunFacts, Templates, UnitTestSql, Warehouse,
};
use serde_json::Value;

type Template = Box<dyn Fn(&RunFacts, Option<&Batch>, &dyn Warehouse) -> String + Sync>;

#[derive(Default)]
pub(super) struct Scripted {
    pub(super) nodes: BTreeMap<String, Template>,
    pub(super) unit_tests: BTreeMap<String, UnitTestSql>,
    /// A materialisation of the project.
    pub(super) custom: Option<String>,
}

impl Scripted {
    pub(super) fn node(
        mut self,
        unique_id: &str,
        template: impl Fn(&RunFacts, Option<&Batch>, &dyn Warehouse) -> String + Sync + 'static,
    ) -> Self {
        self.nodes.insert(unique_id.into(), Box::new(template));
        self
    }
}

impl Templates for Scripted {
    fn compile(
        &self,
        unique_id: &str,
        run: &RunFacts,
        batch: Option<&Batch>,
        warehouse: &dyn Warehouse,
    ) -> Result<Compiled, String> {
        let template = self
            .nodes
            .get(unique_id)
            .ok_or_else(|| format!("no template for {unique_id}"))?;
        Ok(Compiled {
            sql: template(run, batch, warehouse),
            ..Compiled::default()
        })
    }

    fn materialize(
        &self,
        unique_id: &str,
        name: &str,
        compiled_sql: &str,
        _run: &RunFacts,
        warehouse: &dyn Warehouse,
    ) -> Result<Materialized, String> {
        warehouse.query(&format!(
            "create or replace table {name}_log as select '{unique_id}' as id"
        ))?;
        warehouse.commit()?;
        warehouse.query(compiled_sql)?;
        warehouse.log("made");
        Ok(Materialized {
            message: "MADE 1".into(),
            ..Materialized::default()
        })
    }

    fn unit_test(
        &self,
        unique_id: &str,
        _run: &RunFacts,
        _warehouse: &dyn Warehouse,
    ) -> Result<UnitTestSql, String> {
        self.unit_tests
            .get(unique_id)
            .cloned()
            .ok_or_else(|| format!("no unit test {unique_id}"))
    }

    fn render(
        &self,
        template: &str,
        _run: &RunFacts,
        _warehouse: &dyn Warehouse,
    ) -> Result<String, String> {
        Ok(template.replace("{{ one }}", "1"))
    }

    fn call_macro(
        &self,
        name: &str,
        arguments: &BTreeMap<String, Value>,
        _run: &RunFacts,
        _warehouse: &dyn Warehouse,
    ) -> Result<Value, String> {
        let arguments = &arguments["arg_dict"];
        Ok(format!(
            "insert into {} select * from {} where '{name}' = 'get_incremental_odd_sql' and id % 2 = 1",
            arguments["target_relation"].as_str().unwrap_or_default(),
            arguments["temp_relation"].as_str().unwrap_or_default(),
        )
        .into())
    }

    fn defines(&self, materialization: &Materialization) -> bool {
        self.custom.as_deref() == Some(materialization.as_str())
    }
}
