#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::super::macros::MacroFile;
use super::super::render_cases::{CASES, MACROS};
use super::*;

struct World;

impl Resolver for World {
    fn resolve_ref(&self, package: Option<&str>, name: &str) -> Resolved {
        let known = [
            "raw_orders",
            "t01_plain",
            "t02_config",
            "stg_orders",
            "eph_a",
        ];
        match (package, name) {
            (None | Some("shop"), "eph_a") => Resolved::Ephemeral("eph_a".into()),
            (None | Some("shop"), name) if known.contains(&name) => {
                Resolved::Relation(RelationName::main(name))
            }
            _ => Resolved::Unknown {
                candidates: known.map(str::to_owned).to_vec(),
            },
        }
    }

    fn resolve_source(&self, source: &str, table: &str) -> Resolved {
        match (source, table) {
            ("raw", "customers") => Resolved::Relation(RelationName::in_schema("landing", table)),
            ("raw", "regions") => {
                Resolved::Relation(RelationName::in_schema("landing", "region_codes"))
            }
            _ => Resolved::Unknown {
                candidates: vec!["raw.customers".into(), "raw.regions".into()],
            },
        }
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn macros(text: &str) -> MacroSet {
    let file = MacroFile {
        package: "shop".into(),
        path: "macros/m.sql".into(),
        text: text.into(),
    };
    MacroSet::new("shop", &[], vec![file])
}

fn render_with(name: &str, text: &str, macros: &MacroSet) -> Rendered {
    let this = match name {
        "gold" => RelationName::in_schema("main_gold", "golden"),
        name => RelationName::main(name),
    };
    let config = object(json!({"materialized": "table", "tags": ["base"]}));
    let vars = object(json!({"start": "2024-01-01", "regions": ["eu", "us"], "limit_to": 5}));
    let input = RenderInput {
        text,
        package: "shop",
        name,
        this: Some(this),
        config: &config,
        vars: &vars,
        target: &Target::default(),
        macros,
        extra: BTreeMap::new(),
    };
    render(&input, &World)
}

fn render_text(text: &str) -> Rendered {
    render_with("m", text, &macros(MACROS))
}

/// Each problem's code, the text it points at, and its help.
fn found(text: &str) -> Vec<(&'static str, String, String)> {
    render_text(text)
        .problems
        .into_iter()
        .map(|problem| {
            let at = match problem.at {
                At::Range(range) => text[range].to_owned(),
                other => format!("{other:?}"),
            };
            (problem.code, at, problem.help.unwrap_or_default())
        })
        .collect()
}

#[test]
fn compiles_to_the_bytes_dbt_compiles_to() {
    let macros = macros(MACROS);
    for (name, text, expected) in CASES {
        let rendered = render_with(name, text, &macros);
        assert_eq!(rendered.problems, [], "{name}");
        assert_eq!(rendered.dynamic, None, "{name}");
        assert_eq!(rendered.sql, expected, "{name}");
        // Spans cover the output without gaps, and verbatim ones are verbatim.
        let mut at = 0;
        for span in &rendered.spans {
            assert_eq!(span.output.start, at, "{name}");
            at = span.output.end;
            if span.raw {
                let (out, source) = (span.output.clone(), span.source.clone());
                assert_eq!(
                    rendered.sql.get(out.start as usize..out.end as usize),
                    text.get(source.start as usize..source.end as usize),
                    "{name}"
                );
            }
        }
        assert_eq!(at as usize, rendered.sql.len(), "{name}");
    }
}

#[test]
fn positions_map_back_to_the_template() {
    let text = "\n\n{% set cols = ['a'] %}{% do cols.append('b') %}select ä, oops, {{ cols | join(', ') }} from {{ ref('t01_plain') }} where wrong";
    let rendered = render_text(text);
    assert_eq!(rendered.problems, []);
    let back = |needle: &str| {
        let start = rendered.sql.find(needle).unwrap() as u32;
        let range = map_to_template(&rendered.spans, start..start + needle.len() as u32);
        &text[range.start as usize..range.end as usize]
    };
    assert_eq!(back("oops"), "oops");
    assert_eq!(back("wrong"), "wrong");
    assert_eq!(back("b"), "cols | join(', ')");
    assert_eq!(back("\"t01_plain\""), "ref('t01_plain')");
    assert_eq!(
        back("b from \"main\""),
        "cols | join(', ') }} from {{ ref('t01_plain')"
    );
    let end = rendered.sql.len() as u32;
    let range = map_to_template(&rendered.spans, end..end);
    assert_eq!(range.end as usize, text.len());
}

#[test]
fn references_are_recorded_where_they_stand() {
    let text = "  {{ config(materialized='table', indexes=[{'columns': ['id']}]) }}{{ config(tags=['a']) }}{{ config(tags='b') }}\n{% for n in ['stg_orders', 't01_plain'] %}{{ ref(n) }}{% endfor %}{% if execute %}{{ ref('eph_a') }}{% else %}{{ ref('nowhere') }}{% endif %} {{ source('raw', 'regions') }}";
    let rendered = render_text(text);
    assert_eq!(rendered.problems, []);
    let refs: Vec<_> = rendered
        .refs
        .iter()
        .map(|r| {
            (
                r.name.as_str(),
                &text[r.range.start as usize..r.range.end as usize],
            )
        })
        .collect();
    assert_eq!(
        refs,
        [
            ("stg_orders", "ref(n)"),
            ("t01_plain", "ref(n)"),
            ("eph_a", "ref('eph_a')")
        ]
    );
    assert_eq!(rendered.sources[0].table, "regions");
    assert!(rendered.sql.contains("__dbt__cte__eph_a"));
    assert_eq!(
        Json::Object(rendered.config),
        json!({"materialized": "table", "indexes": [{"columns": ["id"]}], "tags": ["a", "b"]})
    );
}

#[test]
fn all_mistakes_of_a_template_in_one_run() {
    let text = "select {{ nope }}, {{ cent('x') }}, {{ dbt_utils.star('a') }} from {{ ref('stg_order') }}\njoin {{ source('raw', 'region') }} on {{ var('strat') }} = {{ env_var('HOME') }} {{ shop.centz(1) }} {{ dbt.dateadt() }} {{ ref('t01_plain', v=2) }}";
    let found = found(text);
    let found: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|(c, at, help)| (*c, &**at, &**help))
        .collect();
    assert_eq!(
        found,
        [
            ("MX0409", "nope", ""),
            ("MX0409", "cent('x')", "did you mean `cents`?"),
            (
                "MX0409",
                "dbt_utils",
                "if `dbt_utils` is a package: macros of packages are not available yet"
            ),
            ("MX0401", "ref('stg_order')", "did you mean `stg_orders`?"),
            (
                "MX0402",
                "source('raw', 'region')",
                "did you mean `raw.regions`?"
            ),
            ("MX0409", "var('strat')", "did you mean `start`?"),
            (
                "MX0412",
                "env_var('HOME')",
                "give one: `env_var('HOME', …)`; the compiled project never holds values of the environment"
            ),
            ("MX0409", "shop.centz(1)", "did you mean `cents`?"),
            ("MX0412", "dbt.dateadt()", "did you mean `dbt.dateadd`?"),
            (
                "MX0401",
                "ref('t01_plain', v=2)",
                "did you mean `t01_plain`?"
            ),
        ]
    );
}

#[test]
fn errors_in_macros_point_at_the_call() {
    let macros = macros(
        "{% macro a(x) %}\n{{ b(x) }}{% endmacro %}\n{% macro b(x) %}\n{{ x.y.z }}{{ typo.a }}{% endmacro %}{% macro again() %}{{ again() }}{% endmacro %}{% macro stop() %}{{ exceptions.raise_compiler_error('no way') }}{% endmacro %}{% macro bad() %}{{ 1 + }}{% endmacro %}",
    );
    let check = |text: &str| {
        let rendered = render_with("m", text, &macros);
        let problem = rendered.problems.first().cloned().unwrap();
        let At::Range(range) = problem.at else {
            panic!("{problem:?}")
        };
        (text[range].to_owned(), problem.code, problem.message)
    };
    assert_eq!(
        check("select {{ a({'y': {'z': 1}}) }}"),
        (
            "a({'y': {'z': 1}})".into(),
            "MX0409",
            "`typo` is not defined, in macro `b` (macros/m.sql:4)".into()
        )
    );
    assert_eq!(
        check("{{ stop() }}"),
        (
            "stop()".into(),
            "MX0413",
            "the template raises an error: no way".into()
        )
    );
    assert_eq!(
        check("{{ again() }}").2,
        "macro `again` calls itself too deeply"
    );
    assert_eq!(
        check("{{ bad() }}").2,
        "macro `bad` (macros/m.sql) does not parse"
    );
}

#[test]
fn recursion_returns_level_by_level() {
    let macros = macros(
        "{% macro fact(n) %}{% if n <= 1 %}{{ return(1) }}{% endif %}{{ return(n * fact(n - 1)) }}{% endmacro %}",
    );
    assert_eq!(render_with("m", "{{ fact(5) + 1 }}", &macros).sql, "121");
}

#[test]
fn arguments_left_out_print_nothing() {
    let rendered = render_with(
        "m",
        "{{ f(1) }}",
        &macros("{% macro f(a, b, c=2) %}{{ a }}{{ b }}{{ c }}{{ b is defined }}{% endmacro %}"),
    );
    assert_eq!(
        (rendered.sql.as_str(), rendered.problems),
        ("12False", Vec::new())
    );
}

#[test]
fn introspection_is_called_dynamic() {
    let dynamic = |text: &str| {
        let rendered = render_text(text);
        assert_eq!(rendered.problems, [], "{text}");
        rendered.dynamic
    };
    assert_eq!(
        dynamic(
            "{% set r = run_query('select 1') %}{% for row in r.rows %}{{ row[0] }}{% endfor %}"
        ),
        Some("`run_query` asks the database while compiling".into())
    );
    assert_eq!(
        dynamic(
            "{% for c in adapter.get_columns_in_relation(ref('t01_plain')) %}{{ c.name }}{% endfor %}"
        ),
        Some("`adapter.get_columns_in_relation` asks the database while compiling".into())
    );
    assert_eq!(
        dynamic("{% for n in graph.nodes.values() %}{{ n }}{% endfor %}"),
        Some("`graph` depends on the whole project".into())
    );
    assert!(
        dynamic("{% call statement('x') %}select 1{% endcall %}{{ load_result('x').table }}")
            .is_some()
    );
    assert!(dynamic("{{ run_started_at }}").is_some());
    assert_eq!(dynamic("{{ adapter.quote('a') }}"), None);
}

#[test]
fn broken_templates_and_runaways_end() {
    assert_eq!(found("\n select {{ ref('a' }}")[0].0, "MX0408");
    assert_eq!(found("\n select {{ ref('a' }}")[0].1, "}");
    assert_eq!(
        found("{{ [1].append(2) }}{{ (1, 2).append(3) }}")[0].0,
        "MX0412"
    );
    let text = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(found(text)[0].0, "MX0413");
    assert_eq!(
        found(
            "{{ a | default(1) }}{% if b %}{{ b }}{% endif %}{{ c is not defined }}{{ {'k': 1}.other }}"
        ),
        [("MX0409", "b".to_owned(), String::new())]
    );
    assert_eq!(
        found("{% set l = [] %}{% do l.append([{'k': l}]) %}{{ l }}")[0].0,
        "MX0413"
    );
    assert_eq!(
        found("{% set d = {} %}{% do d.update(a=[d]) %}{{ d }}")[0].0,
        "MX0413"
    );
    assert_eq!(found("{{ modules.os.remove('a') }}")[0].0, "MX0412");
    assert_eq!(
        found("{{ load_agate_table({}) }}")[0].1,
        "load_agate_table({})"
    );
    assert_eq!(found("{{ 1 | nofilter }}")[0].0, "MX0409");
    assert_eq!(found("{{ missing.attribute }}")[0].1, "missing.attribute");
}
