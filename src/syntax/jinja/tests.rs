#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn calls_are_found_in_every_branch() {
    let text = "{{ config(materialized='table', tags=[\"a\", 'b'], post_hook=x) }}
select é, {{ dbt_utils.star(ref('m'), except=[1]) }} from {{ source('raw', \"t\") }}
{% if is_incremental() %} where {{ var('v', none) }} {% else %}{{ ref('p', 'q', v=2) }}{% endif %}
{% do log(ref(name)) %}{{ adapter.dispatch('f', 'p')(1) }}{% call statement('s', fetch_result=true) %}{{ ref('in') }}{% endcall %}
{{ f(*args) }}{% set y = ref('z') ~ 1 %}{{ 'x'.upper() }}";
    let template = scan(text);
    assert_eq!(template.errors, []);
    let shown: Vec<&str> = template
        .calls
        .iter()
        .map(|call| &text[call.range])
        .collect();
    assert_eq!(
        shown,
        [
            "config(materialized='table', tags=[\"a\", 'b'], post_hook=x)",
            "dbt_utils.star(ref('m'), except=[1])",
            "ref('m')",
            "source('raw', \"t\")",
            "is_incremental()",
            "var('v', none)",
            "ref('p', 'q', v=2)",
            "log(ref(name))",
            "ref(name)",
            "adapter.dispatch('f', 'p')",
            "statement('s', fetch_result=true)",
            "ref('in')",
            "f(*args)",
            "ref('z')",
        ]
    );
    let config = &template.calls[0];
    assert_eq!(config.kwarg("tags").unwrap().value, Some(json!(["a", "b"])));
    assert_eq!(config.kwarg("post_hook").unwrap().value, None);
    assert_eq!(
        &text[config.kwarg("materialized").unwrap().range],
        "'table'"
    );
    let star = &template.calls[1];
    assert_eq!(
        (star.name.as_str(), &text[star.name_range]),
        ("dbt_utils.star", "dbt_utils.star")
    );
    assert_eq!(template.calls[6].str_arg(1), Some("q"));
    assert!(template.calls[12].has_splat);
    assert!(template.is_dynamic && !scan("select 1").is_dynamic);
}

#[test]
fn free_variables_have_all_their_places() {
    let text = "{% set a = x %}{% for i, j in xs if i %}{{ i }}{{ loop.index }}{{ x.y }}{% set inner = 1 %}{% endfor %}{{ inner }}
{% if c %}{% set d = 1 %}{% endif %}{{ d }}{{ a }}{{ m(1) }}
{% macro m(p, q=z) %}{{ p }}{{ q }}{{ d }}{{ caller() }}{{ w }}{% endmacro %}{% set ns.v = 1 %}{{ s['k'][t] }}";
    let template = scan(text);
    assert_eq!(template.errors, []);
    let names: Vec<&str> = template
        .undeclared
        .iter()
        .map(|(_, range)| &text[*range])
        .collect();
    assert_eq!(
        names,
        ["x", "xs", "x", "inner", "c", "z", "w", "ns", "s", "t"]
    );
    let found = &template.macros[0];
    assert_eq!((&text[found.name_range], found.params.len()), ("m", 2));
    assert_eq!(&text[found.params[1].range], "q");
    assert!(found.params[1].has_default && !found.params[0].has_default);
    assert!(text[found.body_range].starts_with("{{ p }}"));
}

#[test]
fn dbt_blocks_are_cut_out() {
    let text = "{% docs overview %}# {{ not jinja %} é{% enddocs %}
{%- snapshot orders_snapshot -%}{{ config(unique_key='id') }} select * from {{ ref('o') }}{%- endsnapshot -%}
{% test positive(model, column_name, least=0) %}select {{ column_name }} from {{ model }} where {{ other }}{% endtest %}
{% materialization view_it, adapter='duckdb' %}{{ return(x) }}{% endmaterialization %}
{% raw %}{{ untouched }}{% endraw %}{# {% snapshot no %} #}{{ \"{% test no %}\" }}";
    let template = scan(text);
    assert_eq!(template.errors, []);
    let blocks: Vec<(BlockKind, &str, &str)> = template
        .blocks
        .iter()
        .map(|b| (b.kind, &*b.name, &*b.args))
        .collect();
    assert_eq!(
        blocks,
        [
            (BlockKind::Docs, "overview", ""),
            (BlockKind::Snapshot, "orders_snapshot", ""),
            (BlockKind::Test, "positive", "(model, column_name, least=0)"),
            (BlockKind::Materialization, "view_it", ", adapter='duckdb'"),
            (BlockKind::Raw, "", ""),
        ]
    );
    assert_eq!(&text[template.blocks[0].body_range], "# {{ not jinja %} é");
    assert!(text[template.blocks[1].range].ends_with("endsnapshot -%}"));
    let names: Vec<&str> = template
        .undeclared
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["config", "ref", "other", "return", "x"]);
}

#[test]
fn colons_after_block_tags_are_accepted() {
    let text = "{% if execute: -%}{{ a }}{% else : %}{{ b[1:] }}{% endif %}{% snapshot s %}x{% endsnapshot %}";
    assert_eq!(scan(text).errors, []);
    let parsed = for_parser(text);
    assert_eq!(parsed.len(), text.len());
    assert_eq!(
        parsed,
        "{% if execute  -%}{{ a }}{% else   %}{{ b[1:] }}{% endif %}{#            #}x{#             #}"
    );
}

#[test]
fn errors_are_placed() {
    let cases = [
        ("a {{ b ", "{{"),
        ("{% snapshot s %} x", "{% snapshot s %}"),
        ("x {% endtest %}", "{% endtest %}"),
        ("{# x", "{#"),
        ("{% raw %}{{", "{% raw %}"),
    ];
    for (text, at) in cases {
        let template = scan(text);
        assert_eq!(&text[template.errors[0].range], at, "{text}");
    }
    let template = scan("line\n{{ a + }}\n");
    assert_eq!(template.errors.len(), 1);
    assert!(
        template.errors[0].message.starts_with("not valid Jinja: "),
        "{:?}",
        template.errors
    );
    assert!(template.errors[0].range.start() > 4.into());
    for text in [
        "{% nope %}",
        "{% if %}",
        "{% for x %}{% endfor %}",
        "{% if x %}",
    ] {
        assert_eq!(scan(text).errors.len(), 1, "{text}");
    }
}

#[test]
fn hostile_templates_are_refused() {
    let texts = [
        "{{ ".to_owned() + &"1+\n".repeat(100_000) + "1 }}",
        "{{ a".to_owned() + &".b".repeat(100_000) + " }}",
        "{{ a".to_owned() + &"|f".repeat(100_000) + " }}",
        "{{ ".to_owned() + &"[".repeat(100_000) + &"]".repeat(100_000) + " }}",
        "{% if x %}".repeat(5_000),
        "{{ not ".repeat(10_000),
    ];
    for text in texts {
        assert!(!scan(&text).errors.is_empty());
    }
    let lines = "{{ a }}\n".repeat(70_000);
    assert_eq!(scan(&lines).undeclared.len(), 70_000);
    let wide = format!("{{{{ f([{}]) }}}}", "'a', ".repeat(20_000));
    assert_eq!(scan(&wide).errors, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_scans(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{", "}}", "{%", "%}", "{#", "#}", "-", "+", " ", "snapshot", "endsnapshot", "test", "endtest", "raw", "endraw", "docs", "enddocs", "macro", "endmacro", "if", "endif", "x", "(", ")", "'", "\"", "\\", "é", "\n", "set", "=", "{", "}", ",", "1", "|", ".", "for", "in",
    ]), 0..16)) {
        let text = parts.concat();
        let template = scan(&text);
        for (name, range) in &template.undeclared {
            prop_assert_eq!(text.get(std::ops::Range::<usize>::from(*range)), Some(name.as_str()));
        }
        for error in &template.errors {
            prop_assert!(text.get(std::ops::Range::<usize>::from(error.range)).is_some());
        }
        for call in &template.calls {
            prop_assert!(text.get(std::ops::Range::<usize>::from(call.range)).is_some());
        }
    }
}

#[test]
fn a_tag_that_closes_itself_is_read() {
    let _ = scan("{%docs|for%}}}{%}},é%}");
    let _ = scan("{%}");
}
