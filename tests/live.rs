//! Templates during a run, against a real database.

use std::cell::RefCell;
use std::collections::BTreeMap;

use duckdb::Connection;
use duckdb::types::Value as Cell;
use mxcp_artifact::dbt::DbtGraph;
use mxcp_artifact::dbt_live::{Batch, Column, RunFacts, Table, Templates, Warehouse};
use mxcp_base::MemorySystem;
use mxcp_compiler::models::{LiveTemplates, dbt_graph};
use serde_json::{Value, json};

use crate::support::{SITE, database};

/// A warehouse in memory.
struct Memory {
    connection: Connection,
    lines: RefCell<Vec<String>>,
}

impl Memory {
    fn new(sql: &str) -> Self {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch(sql).expect("valid SQL");
        Self {
            connection,
            lines: RefCell::default(),
        }
    }

    fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.query(sql).expect("a result").rows
    }
}

fn json_of(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Boolean(b) => json!(b),
        Cell::Int(i) => json!(i),
        Cell::BigInt(i) => json!(i),
        Cell::HugeInt(i) => json!(i as i64),
        Cell::Double(d) => json!(d),
        Cell::Text(text) => json!(text),
        other => json!(format!("{other:?}")),
    }
}

impl Warehouse for Memory {
    fn query(&self, sql: &str) -> Result<Table, String> {
        let fail = |error: duckdb::Error| error.to_string();
        let sql = sql.trim().trim_end_matches(';');
        let (before, last) = match sql.rfind(';') {
            Some(at) => (&sql[..at], &sql[at + 1..]),
            None => ("", sql),
        };
        self.connection.execute_batch(before).map_err(fail)?;
        let mut statement = self.connection.prepare(last).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let names = rows.as_ref().expect("a statement").column_names();
        let mut table = Table {
            columns: names
                .iter()
                .map(|name| Column {
                    name: name.clone(),
                    data_type: String::new(),
                })
                .collect(),
            ..Table::default()
        };
        while let Some(row) = rows.next().map_err(fail)? {
            let cells = (0..names.len()).map(|i| Ok(json_of(row.get(i).map_err(fail)?)));
            table.rows.push(cells.collect::<Result<_, String>>()?);
        }
        Ok(table)
    }

    fn commit(&self) -> Result<(), String> {
        Ok(())
    }

    fn rollback(&self) -> Result<(), String> {
        Ok(())
    }

    fn log(&self, line: &str) {
        self.lines.borrow_mut().push(line.to_owned());
    }
}

const PROJECT: &str = "name: shop\nprofile: shop\nvars: {cut: 2}\n";

fn compiled(files: &[(&str, &str)]) -> (DbtGraph, LiveTemplates) {
    let own = files.iter().any(|(path, _)| *path == "dbt_project.yml");
    let project = [("dbt_project.yml", PROJECT)];
    let project = project.iter().filter(|_| !own);
    let site = [("mxcp-site.yml", SITE)];
    let all = site.iter().chain(project).chain(files);
    let system =
        MemorySystem::new(all.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    let db = database(&system);
    (dbt_graph(&db).clone(), LiveTemplates::new(&db))
}

fn run() -> RunFacts {
    RunFacts {
        which: "run".to_owned(),
        invocation_id: "abc".to_owned(),
        started_at: "2024-03-01T10:20:30Z".to_owned(),
        ..RunFacts::default()
    }
}

#[track_caller]
fn sql(files: &[(&str, &str)], setup: &str, id: &str, run: &RunFacts) -> String {
    let (_, templates) = compiled(files);
    let compiled = templates.compile(id, run, None, &Memory::new(setup));
    let words: Vec<String> = compiled
        .expect("it compiles")
        .sql
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    words.join(" ")
}

const INCREMENTAL: &str = "{{ config(materialized='incremental', unique_key='id') }}
select 1 as id {% if is_incremental() %} where 1 > (select max(id) from {{ this }}) {% endif %}";

#[test]
fn an_incremental_model_asks_whether_it_exists() {
    let files = [("models/m.sql", INCREMENTAL)];
    let exists = "create table m as select 0 as id";
    assert_eq!(sql(&files, "", "model.shop.m", &run()), "select 1 as id");
    assert_eq!(
        sql(&files, exists, "model.shop.m", &run()),
        "select 1 as id where 1 > (select max(id) from \"main\".\"m\")"
    );
    let anew = RunFacts {
        full_refresh: true,
        ..run()
    };
    assert_eq!(sql(&files, exists, "model.shop.m", &anew), "select 1 as id");
    // A view of that name is replaced, not added to.
    assert_eq!(
        sql(
            &files,
            "create view m as select 0 as id",
            "model.shop.m",
            &run()
        ),
        "select 1 as id"
    );
    let (graph, _) = compiled(&files);
    let node = graph.get("model.shop.m").expect("in the graph");
    assert!(node.live);
    assert_eq!(node.compiled_sql.trim(), "select 1 as id");
}

#[test]
fn queries_shape_the_sql() {
    let files = [
        (
            "models/m.sql",
            "{% set rows = run_query('select region, n from regions order by n') %}
select {% for row in rows %}'{{ row['region'] }}' as r{{ row[1] }}{{ ', ' if not loop.last }}{% endfor %},
{{ rows.columns[1].values() | sum }} as total, {{ rows.columns['region'].values()[0] | upper }} as u, {{ rows | length }} as n
from {{ ref('other') }}",
        ),
        ("models/other.sql", "{{ config(materialized='ephemeral') }} select {{ dbt_utils_like('regions') }} as c"),
        (
            "macros/m.sql",
            "{% macro dbt_utils_like(name) %}
  {%- call statement('c', fetch_result=True) -%}select count(*) from {{ name }}{%- endcall -%}
  {%- set found = load_result('c') -%}
  {{ return(found['data'][0][0] ~ found.table.columns[0].values()[0]) }}
{% endmacro %}",
        ),
    ];
    let setup = "create table regions as select * from (values ('a', 1), ('b', 2)) t(region, n)";
    assert_eq!(
        sql(&files, setup, "model.shop.m", &run()),
        "with __dbt__cte__other as ( select 22 as c ) select 'a' as r1, 'b' as r2, 3 as total, A as u, 2 as n from __dbt__cte__other"
    );
    let (graph, _) = compiled(&files);
    let node = graph.get("model.shop.m").expect("in the graph");
    assert!(node.live && node.compiled_sql.is_empty());
    assert_eq!(node.depends_on, ["model.shop.other"]);
}

#[test]
fn the_adapter_knows_relations_and_columns() {
    let files = [(
        "models/m.sql",
        "{% set t = adapter.get_relation(database=target.database, schema='main', identifier='t') -%}
{% set none_such = adapter.get_relation(database=none, schema='main', identifier='nope') -%}
{% set columns = adapter.get_columns_in_relation(t) -%}
select {{ columns | map(attribute='quoted') | join(', ') }} from {{ t }} -- {{ t.type }} {{ none_such is none }} {{ columns[0].dtype }} {{ columns[1].data_type }} {{ load_relation(this) is none }} {{ adapter.check_schema_exists(target.database, 'nope') }}",
    )];
    assert_eq!(
        sql(
            &files,
            "create table t (id integer, name varchar)",
            "model.shop.m",
            &run()
        ),
        "select \"id\", \"name\" from \"main\".\"t\" -- table True INTEGER character varying(256) True False"
    );
}

#[test]
fn a_run_has_a_clock_and_a_state() {
    let files = [(
        "models/m.sql",
        "select '{{ run_started_at.strftime('%Y-%m-%d') }}' a, '{{ (run_started_at - modules.datetime.timedelta(days=1)).isoformat() }}' b, '{{ invocation_id }}' c, {{ flags.FULL_REFRESH }} d, '{{ modules.re.sub('o', '0', 'foo') }}' e, '{{ graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | map(attribute='name') | join }}' f, '{{ model.unique_id }}' g",
    )];
    assert_eq!(
        sql(&files, "", "model.shop.m", &run()),
        "select '2024-03-01' a, '2024-02-29T10:20:30+00:00' b, 'abc' c, False d, 'f00' e, 'm' f, 'model.shop.m' g"
    );
}

#[test]
fn mistakes_say_where() {
    let files = [
        ("models/m.sql", "select 1\n,{{ outer_one() }}"),
        (
            "macros/m.sql",
            "{% macro outer_one() %}\n{{ run_query('select nope') }}\n{% endmacro %}",
        ),
        (
            "models/n.sql",
            "\n\nselect {{ exceptions.raise_compiler_error('not today') }}{{ run_query('select 1') }}",
        ),
    ];
    let (_, templates) = compiled(&files);
    let memory = Memory::new("");
    let said = |id: &str| {
        templates
            .compile(id, &run(), None, &memory)
            .expect_err("it is refused")
    };
    let message = said("model.shop.m");
    assert!(
        message.contains("nope") && message.contains("models/m.sql:2"),
        "{message}"
    );
    assert!(
        message.contains("macro `outer_one` (macros/m.sql:2)"),
        "{message}"
    );
    assert_eq!(said("model.shop.n"), "not today (models/n.sql:3)");
}

#[test]
fn a_batch_reads_its_period() {
    let files = [
        (
            "models/events.sql",
            "{{ config(event_time='at') }} select 1 as id, now() as at",
        ),
        (
            "models/m.sql",
            "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='day', begin='2024-01-01') }} select * from {{ ref('events') }}",
        ),
    ];
    let (graph, templates) = compiled(&files);
    let batch = Batch {
        start: "2024-01-01T00:00:00Z".to_owned(),
        end: "2024-01-02T00:00:00Z".to_owned(),
    };
    let compiled = templates.compile("model.shop.m", &run(), Some(&batch), &Memory::new(""));
    assert_eq!(
        compiled.expect("it compiles").sql.trim(),
        "select * from (select * from \"main\".\"events\" where at >= '2024-01-01 00:00:00+00:00' and at < '2024-01-02 00:00:00+00:00')"
    );
    let node = graph.get("model.shop.m").expect("in the graph");
    let text = serde_json::to_value(&node.spec).expect("data")["model"]["incremental"].to_string();
    assert!(
        text.contains("microbatch") && text.contains("\"batch_size\":\"day\""),
        "{text}"
    );
}

#[test]
fn macros_are_called_and_hooks_rendered() {
    let files = [(
        "macros/m.sql",
        "{% macro grant(what, to=none) %}{% do log('granting ' ~ what, info=True) %}{{ return({'what': what, 'to': to, 'n': run_query('select 1').rows[0][0] + 1}) }}{% endmacro %}",
    )];
    let (_, templates) = compiled(&files);
    let memory = Memory::new("");
    let arguments = BTreeMap::from([
        ("what".to_owned(), json!("all")),
        ("to".to_owned(), json!(["a"])),
    ]);
    let result = templates.call_macro("grant", &arguments, &run(), &memory);
    assert_eq!(result, Ok(json!({"what": "all", "to": ["a"], "n": 2})));
    assert_eq!(*memory.lines.borrow(), ["granting all"]);
    let missing = templates.call_macro("grunt", &arguments, &run(), &memory);
    assert_eq!(missing, Err("there is no macro `grunt`".to_owned()));
    let hook = templates.render(
        "create table {{ target.schema }}.x as select {{ var('cut') }}",
        &run(),
        &memory,
    );
    assert_eq!(hook.as_deref(), Ok("create table main.x as select 2"));
}

#[test]
fn a_project_has_its_own_materialisations() {
    let files = [
        (
            "models/m.sql",
            "{{ config(materialized='copied', post_hook='insert into {{ this }} values (7)') }} select 5 as id",
        ),
        (
            "macros/copied.sql",
            "{% materialization copied, adapter='duckdb' -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set between = make_intermediate_relation(target_relation) -%}
  {{ drop_relation_if_exists(load_cached_relation(between)) }}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') -%}{{ get_create_table_as_sql(False, between, sql) }}{%- endcall %}
  {% do adapter.drop_relation(target_relation) %}
  {% do adapter.rename_relation(between, target_relation) %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}",
        ),
    ];
    let (graph, templates) = compiled(&files);
    let memory = Memory::new("create table m as select 'old' as id");
    let node = graph.get("model.shop.m").expect("in the graph");
    let done = templates
        .materialize(
            "model.shop.m",
            "copied",
            &node.compiled_sql,
            &run(),
            &memory,
        )
        .expect("it is made");
    assert_eq!(done.relations.len(), 1, "{done:?}");
    assert_eq!(done.relations[0].quoted(), "\"main\".\"m\"");
    assert_eq!(
        memory.rows("select id from m order by id"),
        [[json!(5)], [json!(7)]]
    );
}

const PACKAGED: &[(&str, &str)] = &[
    (
        "dbt_project.yml",
        "name: shop\nprofile: shop\nvars: {util: {flavour: root}}\nmodels:\n  shop: {+materialized: table}\n  util: {+schema: helpers}\ndispatch:\n  - {macro_namespace: util, search_order: [shop, util]}\n",
    ),
    ("packages.yml", "packages:\n  - package: acme/util\n    version: 1.0.0\n"),
    (
        "dbt_packages/util/dbt_project.yml",
        "name: util\nvars: {flavour: own, other: 3}\nmodels: {util: {+materialized: view, +schema: own}}\n",
    ),
    (
        "dbt_packages/util/macros/m.sql",
        "{% macro cents(col) %}{{ return(adapter.dispatch('cents', 'util')(col)) }}{% endmacro %}
{% macro default__cents(col) %}({{ col }} / 100){% endmacro %}
{% macro names(rel) -%}
  {%- if not (rel is mapping and rel.get('metadata', {}).get('type', '').endswith('Relation')) -%}{{ exceptions.raise_compiler_error('no relation') }}{%- endif -%}
  {%- if not execute -%}{{ return([]) }}{%- endif -%}
  {%- set seen = {} -%}{%- do seen.update({rel: []}) -%}
  {%- for c in adapter.get_columns_in_relation(rel) -%}{%- do seen[rel].append(c.column) -%}{%- endfor -%}
  {{ return(seen[rel]) }}
{%- endmacro %}
{% macro values(rel, column, default=none) -%}
  {%- call statement('vals', fetch_result=true) -%}
    {%- if load_relation(rel) is none -%}{{ return(default) }}{%- endif -%}
    select {{ column }} as value from {{ rel }} order by 1
  {%- endcall -%}
  {{ return(load_result('vals')['data'] | map(attribute=0) | list) }}
{%- endmacro %}
{% test positive(model, column_name) %}{{ config(fail_calc='sum(n)', severity='warn') }}select count(*) as n from {{ model }} where {{ column_name }} <= 0{% endtest %}",
    ),
    (
        "dbt_packages/util/models/helper.sql",
        "select '{{ var('flavour') }}' as flavour, {{ var('other') }} as other, {{ cents(5) }} as c",
    ),
    ("macros/m.sql", "{% macro duckdb__cents(col) %}({{ col }} / 100.0){% endmacro %}"),
    ("models/stg.sql", "select 1 as id, {{ util.cents('250') }} as amount, * exclude (c) from {{ ref('util', 'helper') }}"),
    (
        "models/wide.sql",
        "select {{ util.names(ref('stg')) | join(', ') }}, {{ util.values(ref('stg'), 'id') }} as v, {{ util.values(api.Relation.create(schema='main', identifier='nope'), 'id', default=[7]) }} as d from {{ ref('stg') }}",
    ),
    (
        "models/schema.yml",
        "models:\n  - name: stg\n    columns:\n      - name: amount\n        tests: [util.positive]\n",
    ),
];

#[test]
fn packages_are_part_of_the_project() {
    let (graph, templates) = compiled(PACKAGED);
    let helper = graph.get("model.util.helper").expect("in the graph");
    assert_eq!(
        helper.compiled_sql,
        "select 'root' as flavour, 3 as other, (5 / 100.0) as c"
    );
    let relation = helper.relation.as_ref().expect("a relation");
    assert_eq!(relation.quoted(), "\"main_helpers\".\"helper\"");
    let stg = graph.get("model.shop.stg").expect("in the graph");
    assert_eq!(stg.depends_on, ["model.util.helper"]);
    assert!(
        stg.compiled_sql.contains("(250 / 100.0)"),
        "{}",
        stg.compiled_sql
    );
    let test = graph
        .nodes
        .iter()
        .find(|node| node.name == "util_positive_stg_amount")
        .expect("in the graph");
    let spec = serde_json::to_value(&test.spec).expect("data")["test"].clone();
    assert_eq!(spec["fail_calc"], json!("sum(n)"));
    assert_eq!(spec["severity"], json!("warn"));
    let memory =
        Memory::new("create table stg as select 1 as id, 2 as amount union all select 3, 4");
    let sql = templates
        .compile("model.shop.wide", &run(), None, &memory)
        .expect("it compiles")
        .sql;
    assert_eq!(
        sql,
        "select id, amount, [1, 3] as v, [7] as d from \"main\".\"stg\""
    );
}

#[test]
fn every_kind_of_node_is_in_the_graph() {
    let files = [
        (
            "dbt_project.yml",
            "name: shop\nprofile: shop\non-run-start: create table audit (id int)\n",
        ),
        ("seeds/raw.csv", "id,amount\n1,100\n"),
        ("models/stg.sql", "select * from {{ ref('raw') }}"),
        (
            "models/py.py",
            "def model(dbt, session):\n    dbt.config(materialized='table', tags=['p'])\n    return dbt.ref('stg')\n",
        ),
        (
            "models/last.sql",
            "select * from {{ ref('py') }} join {{ ref('snap') }} using (id) join {{ source('lake', 'files') }} using (id)",
        ),
        ("models/v_v1.sql", "select 1 as a"),
        (
            "snapshots/s.sql",
            "{% snapshot snap %}{{ config(strategy='timestamp', updated_at='at', unique_key='id', target_schema='kept', hard_deletes='invalidate') }}select *, now() as at from {{ ref('stg') }}{% endsnapshot %}",
        ),
        (
            "snapshots/y.yml",
            "snapshots:\n  - name: snap2\n    relation: ref('raw')\n    config: {strategy: check, unique_key: [id, amount], check_cols: all}\n",
        ),
        (
            "models/schema.yml",
            "sources:
  - name: lake
    schema: \"{{ target.schema }}_lake\"
    meta: {external_location: 'data/{name}.parquet'}
    freshness: {warn_after: {count: 1, period: day}}
    loaded_at_field: at
    tables:
      - name: files
        freshness: {error_after: {count: 2, period: hour}}
      - name: off
        freshness: null
models:
  - name: v
    versions: [{v: 1}]
  - name: stg
    columns:
      - name: id
        tests: [{unique: {config: {store_failures: true}}}]
exposures:
  - name: dash
    type: dashboard
    owner: {name: x}
    depends_on:
      - ref('last')
      - source('lake', 'files')
",
        ),
        (
            "selectors.yml",
            "selectors:\n  - name: all\n    definition: {method: fqn, value: '*'}\n",
        ),
    ];
    let (graph, templates) = compiled(&files);
    let ids: Vec<&str> = graph.nodes.iter().map(|n| n.unique_id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "model.shop.last",
            "model.shop.py",
            "model.shop.stg",
            "model.shop.v.v1",
            "seed.shop.raw",
            "snapshot.shop.snap",
            "snapshot.shop.snap2",
            "test.shop.unique_stg_id.fed989f6b1",
        ]
    );
    let get = |id: &str| graph.get(id).expect("in the graph");
    let last = get("model.shop.last");
    assert_eq!(
        last.depends_on,
        [
            "model.shop.py",
            "snapshot.shop.snap",
            "source.shop.lake.files"
        ]
    );
    assert_eq!(
        last.compiled_sql,
        "select * from \"main\".\"py\" join \"kept\".\"snap\" using (id) join 'data/files.parquet' using (id)"
    );
    assert_eq!(get("model.shop.py").depends_on, ["model.shop.stg"]);
    assert_eq!(get("model.shop.py").tags, ["p"]);
    assert_eq!(get("snapshot.shop.snap").fqn, ["shop", "s", "snap"]);
    assert_eq!(get("snapshot.shop.snap2").fqn, ["shop", "snap2"]);
    assert_eq!(get("model.shop.v.v1").fqn, ["shop", "v", "v1"]);
    let relation = |id: &str| {
        get(id)
            .relation
            .as_ref()
            .map(|r| r.quoted())
            .unwrap_or_default()
    };
    assert_eq!(relation("model.shop.v.v1"), "\"main\".\"v_v1\"");
    assert_eq!(
        relation("test.shop.unique_stg_id.fed989f6b1"),
        "\"main_dbt_test__audit\".\"unique_stg_id\""
    );
    let files = &graph.sources[0];
    assert_eq!(files.relation.quoted(), "\"main_lake\".\"files\"");
    let freshness = serde_json::to_value(&files.freshness).expect("data");
    assert_eq!(
        freshness["warn_after"],
        json!({"count": 1, "period": "day"})
    );
    assert_eq!(
        freshness["error_after"],
        json!({"count": 2, "period": "hour"})
    );
    assert_eq!(graph.sources[1].freshness, None);
    assert_eq!(
        graph.exposures[0].depends_on,
        ["model.shop.last", "source.shop.lake.files"]
    );
    assert_eq!(graph.on_run_start, ["create table audit (id int)"]);
    assert_eq!(
        graph.selectors["all"],
        json!({"method": "fqn", "value": "*"})
    );
    let snapshot = templates.compile("snapshot.shop.snap", &run(), None, &Memory::new(""));
    assert_eq!(
        snapshot.expect("it compiles").sql,
        "select *, now() as at from \"main\".\"stg\""
    );
}

#[test]
fn a_unit_test_gives_rows_and_expects_rows() {
    let files = [
        ("models/stg.sql", "select 1 as id, 'x' as name"),
        ("models/eph.sql", "{{ config(materialized='ephemeral') }} select id, upper(name) as name from {{ ref('stg') }}"),
        (
            "models/m.sql",
            "{{ config(materialized='incremental') }} select e.id * {{ var('cut') }} as id, e.name, t.day_on from {{ ref('eph') }} e join {{ source('raw', 't') }} t using (id) {% if is_incremental() %}where id > (select max(id) from {{ this }}){% endif %}",
        ),
        ("tests/fixtures/rows.csv", "id,name\n1,a\n2,\n3,c\n"),
        (
            "models/schema.yml",
            "sources: [{name: raw, schema: main, tables: [{name: t}]}]
unit_tests:
  - name: works
    model: m
    overrides: {macros: {is_incremental: true}, vars: {cut: 10}}
    given:
      - {input: ref('stg'), format: csv, fixture: rows}
      - {input: \"source('raw', 't')\", format: sql, rows: \"select unnest([1, 2, 3]) as id, date '2024-01-01' as day_on\"}
      - {input: this, rows: [{id: 1}]}
    expect:
      rows:
        - {id: 20, name: null}
        - {id: 30, name: C}
",
        ),
    ];
    let (graph, templates) = compiled(&files);
    assert_eq!(
        graph
            .get("unit_test.shop.m.works")
            .expect("there")
            .depends_on,
        ["model.shop.m"]
    );
    let memory = Memory::new(
        "create table stg (id int, name varchar); create table m (id int, name varchar, day_on date)",
    );
    let test = templates
        .unit_test("unit_test.shop.m.works", &run(), &memory)
        .expect("it renders");
    assert_eq!(test.columns, ["id", "name"]);
    let columns = test.columns.join(", ");
    let rows = |sql: &str| memory.rows(&format!("select {columns} from ({sql}) order by all"));
    assert_eq!(
        rows(&test.actual),
        [[json!(20), Value::Null], [json!(30), json!("C")]]
    );
    assert_eq!(rows(&test.actual), rows(&test.expected));
}
