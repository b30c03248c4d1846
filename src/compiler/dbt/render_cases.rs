//! Templates with the SQL dbt-core 1.11 and dbt-duckdb compile them to, without the database's name.

/// Macros of the project the cases belong to.
pub(super) const MACROS: &str = r#"{% macro cents(col, scale=2) -%}
    ({{ col }} * {{ 10 ** scale }})::bigint
{%- endmacro %}

{% macro pick(k) %}
    {% set m = {'a': 1, 'b': [2, 3]} %}
    {{ return(m[k][1]) }}
{% endmacro %}

{% macro loud(x) %}{{ x | upper }}!{{ inner(x) }}{% endmacro %}
{% macro inner(x) -%}
  [{{ x }}]
{%- endmacro %}

{% macro wrap() %}({{ caller() }}){% endmacro %}
{% macro each(items) %}{% for item in items %}<{{ caller(item, loop.index) }}>{% endfor %}{% endmacro %}
{% macro va() %}{{ varargs | join(',') }};{{ kwargs.get('z', 0) }}{% endmacro %}
{% macro agg(xs) %}
  {%- set out = [] -%}
  {%- for x in xs -%}{%- do out.append(x | upper) -%}{%- endfor -%}
  {{ return(out) }}
{% endmacro %}
{% macro hello(name) %}{{ return(adapter.dispatch('hello', 'shop')(name)) }}{% endmacro %}
{% macro default__hello(name) %}default {{ name }}{% endmacro %}
{% macro duckdb__hello(name) -%}
  duck {{ name }}
{%- endmacro %}
{% test positive(model, column_name, min=0) %}
select * from {{ model }} where {{ column_name }} <= {{ min }}
{% endtest %}
"#;

/// Name, template, compiled SQL.
pub(super) const CASES: [(&str, &str, &str); 19] = [
    (
        "t01_plain",
        r#"select * from {{ ref('raw_orders') }}
"#,
        r#"select * from "main"."raw_orders""#,
    ),
    (
        "t02_config",
        r#"{{ config(
    materialized='table',
    indexes=[{'columns': ['id'], 'unique': True}]
) }}

select id, amount from {{ ref('shop', 'raw_orders') }} -- two args
"#,
        r#"

select id, amount from "main"."raw_orders" -- two args"#,
    ),
    (
        "t03_source",
        r#"select * from {{ source('raw', 'customers') }} c
join {{ source("raw", "regions") }} using (region)


"#,
        r#"select * from "landing"."customers" c
join "landing"."region_codes" using (region)"#,
    ),
    (
        "t04_vars",
        r#"select * from {{ ref('raw_orders') }}
where ordered >= '{{ var("start") }}' and id < {{ var('limit_to') }} and x = {{ var('missing', 7) }}
  and y in ({% for r in var('regions') %}'{{ r }}'{% if not loop.last %}, {% endif %}{% endfor %})
"#,
        r#"select * from "main"."raw_orders"
where ordered >= '2024-01-01' and id < 5 and x = 7
  and y in ('eu', 'us')"#,
    ),
    (
        "t05_set_loop",
        r#"{% set statuses = ['done', 'open'] %}
{%- set pivot = {'a': 1, "b": 2.5} -%}
select
    customer_id,
    {% for s in statuses -%}
    sum(case when status = '{{ s }}' then amount else 0 end) as {{ s }}_amount{{ "," if not loop.last }}
    {% endfor -%}
    {{ pivot.a }} as a, {{ pivot['b'] }} as b, {{ statuses | length }} as n, {{ statuses | join('|') }}
from {{ ref('t01_plain') }}
group by 1
"#,
        r#"select
    customer_id,
    sum(case when status = 'done' then amount else 0 end) as done_amount,
    sum(case when status = 'open' then amount else 0 end) as open_amount
    1 as a, 2.5 as b, 2 as n, done|open
from "main"."t01_plain"
group by 1"#,
    ),
    (
        "t06_macro",
        r#"select {{ cents('amount') }} as cents, {{ shop.cents('amount', scale=3) }} as mills, {{ pick('b') }} as p, {{ loud("x") }}
from {{ ref('raw_orders') }}
"#,
        r#"select (amount * 100)::bigint as cents, (amount * 1000)::bigint as mills, 3 as p, X![x]
from "main"."raw_orders""#,
    ),
    (
        "t10_ws",
        r#"{#- a comment -#}
select
  {%- if target.name == 'dev' %} 1 as dev {%- else %} 2 as dev {% endif %}
  {# inline #}
  , '{{ this }}' as me, '{{ this.schema }}' as s, '{{ this.identifier }}' as i, '{{ this.name }}' as n, '{{ target.schema }}' as ts, '{{ target.type }}' tt
  {% if is_incremental() %} where incremental {% endif %}
  {% raw %}{{ not_rendered }}{% endraw %}
"#,
        r#"select 1 as dev
  
  , '"main"."t10_ws"' as me, 'main' as s, 't10_ws' as i, 't10_ws' as n, 'main' as ts, 'duckdb' tt
  
  {{ not_rendered }}"#,
    ),
    (
        "t11_newline",
        r#"select 1 as a  


"#,
        r#"select 1 as a"#,
    ),
    (
        "t12_builtin",
        r#"select {{ dbt.type_string() }}, {{ dbt.type_timestamp() }}, {{ dbt.type_int() }}, {{ type_bigint() }}, {{ dbt.type_float() }}, {{ dbt.type_numeric() }}, {{ dbt.type_boolean() }},
{{ dbt.current_timestamp() }},
{{ dbt.dateadd('day', 1, 'ordered') }},
{{ dbt.dateadd(datepart='week', interval=-1, from_date_or_timestamp='ordered') }},
{{ dbt.datediff('a', 'b', 'month') }},
{{ dbt.date_trunc('month', 'ordered') }},
{{ dbt.safe_cast('x', 'integer') }},
{{ dbt.concat(['a', 'b']) }},
{{ dbt.length('a') }}, {{ dbt.hash('a') }}, {{ dbt.replace('a', "'b'", "'c'") }}, {{ dbt.right('a', 2) }},
{{ dbt.split_part('a', "','", 1) }}, {{ dbt.string_literal('a') }}, {{ dbt.any_value('a') }}, {{ dbt.bool_or('a') }},
{{ dbt.cast('a', 'int') }}, {{ dbt.listagg('a', "','") }}, {{ dbt.position("'a'", 'b') }}, {{ dbt.last_day('d', 'month') }},
{{ dbt.except() }}, {{ dbt.intersect() }}, {{ dbt.escape_single_quotes("it's") }}, {{ dbt.cast_bool_to_text('a') }}, {{ dbt.date(2024, 1, 2) }}, {{ dbt.array_construct([1,2]) }}, {{ dbt.array_append('a', 1) }}, {{ dbt.array_concat('a', 'b') }}, {{ dbt.equals('a','b') }}, {{ dbt.generate_series(3) }}, {{ dbt.date_spine('day', "a", "b") if false }}
"#,
        r#"select TEXT, timestamp, integer, bigint, float, numeric(28,6), boolean,
now(),


    (ordered + cast(1 as bigint) * interval 1 day),


    (ordered + (cast(-1 as bigint) * 7) * interval 1 day),

        (date_diff('month', a::timestamp, b::timestamp ))
    ,
date_trunc('month', ordered),

    
    cast(x as integer)
,
a || b,


    length(
        a
    ), md5(cast(a as TEXT)), 

    replace(
        a,
        'b',
        'c'
    )


, 

    right(
        a,
        2
    ),

    string_split(a, ',')[ 1 ]
, 'a', arbitrary(a), bool_or(a),

    cast(a as int)
, 
    string_agg(
        a,
        ','
        
        ), 

    position(
        'a' in b
    ), cast(
        

    (

    (date_trunc('month', d) + cast(1 as bigint) * interval 1 month) + cast(-1 as bigint) * interval 1 day)
        as date),


    except

, 

    intersect

, it''s, 
  
    cast(a as TEXT)

, make_date(2024, 1, 2), 
    array[ 1 , 2 ]
    , array_append(a, 1), array_cat(a, b), (a = b)
, 
    select
        generate_series as generated_number
    from generate_series(1, 3)
, "#,
    ),
    (
        "t13_py",
        r#"{% set d = {'k': 'v', 'n': none, 't': true} %}
select {{ d }} , {{ [1, 'a', none, true, 1.0] }}, {{ none }}, {{ true }}, {{ 1.5 * 2 }}, {{ 7 // 2 }}, {{ 7 / 2 }}, {{ "%s-%d" % ('a', 3) }},
{{ 'abc'.upper() }}, {{ ' x '.strip() }}, {{ 'a,b'.split(',') }}, {{ d.get('k') }}, {{ d.items() | list }}, {{ d.keys() | list }}, {{ 'a{}b'.format(1) }}, {{ "x".startswith('x') }}, {{ tojson({'a': [1, none]}) }}, {{ fromjson('{"a": 1}').a }}, {{ 'a' ~ 1 ~ none }}, {{ 'abc'[1:] }}, {{ 'abc' | replace('b', 'x') }}, {{ (1, 2) }}, {{ "q" in d }}, {{ 3 is odd }}, {{ 2 ** 3 }}, {{ 10 | string ~ 'x' }}, {{ [3,1,2] | sort | first }}, {{ 'a b' | title }}, {{ undefined_thing | default('dd') }}
"#,
        r#"
select {'k': 'v', 'n': None, 't': True} , [1, 'a', None, True, 1.0], None, True, 3.0, 3, 3.5, a-3,
ABC, x, ['a', 'b'], v, [('k', 'v'), ('n', None), ('t', True)], ['k', 'n', 't'], a1b, True, {"a": [1, null]}, 1, a1None, bc, axc, (1, 2), False, True, 8, 10x, 1, A B, dd"#,
    ),
    (
        "t14_ns",
        r#"{%- set ns = namespace(found=false, n=0) -%}
{%- for x in range(4) -%}
  {%- if x == 2 -%}{%- set ns.found = true -%}{%- endif -%}
  {%- set ns.n = ns.n + x -%}
{%- endfor -%}
select {{ ns.found }} as f, {{ ns.n }} as n
{% do log('hello', info=true) %}
{%- set body -%} a, b {%- endset %}
, {{ body }}
{% call wrap() %}inner{% endcall %} {{ va(1, 2, z=3) }}
{{ print('x') }}
"#,
        r#"select True as f, 6 as n

, a, b
(inner) 1,2;3
"#,
    ),
    (
        "t15_inc",
        r#"{{ config(materialized='incremental', unique_key='id', tags=['x', 'y'], meta={'owner': 'me'}) }}
select * from {{ ref('t02_config') }}
{% if is_incremental() %}where id > (select max(id) from {{ this }}){% endif %}
"#,
        r#"
select * from "main"."t02_config"
"#,
    ),
    (
        "t16_mut",
        r#"{%- set cols = [] -%}
{%- set seen = {} -%}
{%- for c in ['a', 'b', 'a'] -%}
  {%- if c not in seen -%}{%- do cols.append('t.' ~ c) -%}{%- do seen.update({c: loop.index}) -%}{%- endif -%}
{%- endfor -%}
select {{ cols | join(', ') }}, {{ cols | length }}, {{ seen }}, {{ "%02d/%s" % (7, 'x') }}, {{ cols[-1] }}, {{ cols[:1] }}, {{ seen.items() | list }}
{% do cols.extend([1, 2]) %}{{ cols.pop() }} {{ cols }} {{ cols + ['z'] }} {{ 'a' in cols }} {{ cols | map('string') | list }}
{% for k, v in seen.items() %}{{ k }}={{ v }};{% endfor %} {{ seen.keys() | sort | first }} {{ agg(['p', 'q']) }}
"#,
        r#"select t.a, t.b, 2, {'a': 1, 'b': 2}, 07/x, t.b, ['t.a'], [('a', 1), ('b', 2)]
2 ['t.a', 't.b', 1] ['t.a', 't.b', 1, 'z'] False ['t.a', 't.b', '1']
a=1;b=2; a ['P', 'Q']"#,
    ),
    (
        "t17_dispatch",
        r#"select {{ hello('x') }}, {{ shop.hello(name='y') }}, {{ adapter.quote('col') }}, {{ adapter.type() }}, {{ ref('t01_plain').identifier }}, {{ ref('t01_plain').include(database=false) }}, {{ this.include(schema=false, database=false) }}, {{ ref('t01_plain') | upper }}, {{ builtins.ref('t01_plain') }}, {{ local_md5('a') }}, {{ zip([1,2],['a','b']) | list }}, {{ set([1,1,2]) | list | length }}, {{ api.Column.translate_type('string') }}, {{ exceptions.warn('w') }}, {{ var.has_var('start') }}, {{ flags.FULL_REFRESH }}, {{ project_name }}, {{ schema }}
"#,
        r#"select duck x, duck y, "col", duckdb, t01_plain, "main"."t01_plain", "t17_dispatch", "MAIN"."T01_PLAIN", "main"."t01_plain", 0cc175b9c0f1b6a831c399e269772661, [(1, 'a'), (2, 'b')], 2, TEXT, , True, False, shop, main"#,
    ),
    (
        "gold",
        r#"{{ config(alias='golden', tags='one') }}
{% if execute %}select '{{ this }}' as t{% else %}select 0{% endif %}, '{{ config.get("materialized") }}' as m, '{{ config.get('nope', 'dflt') }}' d, '{{ env_var("NOPE_X", "envdef") }}' e, {{ model.name }}, {{ modules.datetime.date(2024,1,2) }}
from {{ ref('t01_plain') }}
"#,
        r#"
select '"main_gold"."golden"' as t, 'table' as m, 'dflt' d, 'envdef' e, gold, 2024-01-02
from "main"."t01_plain""#,
    ),
    (
        "t16_filters",
        r##"{{ "one two three four" | truncate(11) }}|{{ "abcdefghijkl" | truncate(6, true, '~', leeway=0) }}|{{ 'a b<c>' | urlencode }}|{{ {'q': 'a b', 'n': 1} | urlencode }}
{{ 'one two-three' | wordcount }}|{{ 'ab' | center(7) }}|{{ 'aaa bb cccc dd' | wordwrap(7) }}|{{ 123456 | filesizeformat }}|{{ '<p>x  &amp; <b>y</b></p>' | striptags }}
{{ "<'\">" | e }}|{{ {'class': 'a"b', 'id': none} | xmlattr }}|{{ {'b': [1, 'x'], 'a': none} | tojson }}|{{ {'b': []} | tojson(indent=2) }}
"##,
        r##"one two...|abcde~|a%20b%3Cc%3E|q=a+b&n=1
3|   ab  |aaa bb
cccc dd|123.5 kB|x & y
&lt;&#39;&#34;&gt;| class="a&#34;b"|{"a": null, "b": [1, "x"]}|{
  "b": []
}"##,
    ),
    (
        "t17_statements",
        r##"{% set l = [] %}{% do l.append(1) if true %}{% do l.append(2) if false %}{%- do l.append(3) if l else l.append(9) -%}{% do (l | length) %}
select {{ l | join(',') }}{% if l: %}, 'colon'{% endif %}
{% for c in 'abc' %}{{ loop.revindex }}{{ c }}{{ loop.nextitem }};{% endfor %}{% for n in l | reverse %}{{ loop.length }}{% endfor %}
"##,
        r##"
select 1,3, 'colon'
3ab;2bc;1c;22"##,
    ),
    (
        "t18_call_parameters",
        r##"{% set outer = 'o' %}{% for q in [1, 2] %}{% call(x, i=0) each(['a', 'b']) -%}
  {{ x }}{{ i }}{{ outer }}{{ q }}"\
{%- endcall %}{% endfor %}
"##,
        r##"<a1o1"\><b2o1"\><a1o2"\><b2o2"\>"##,
    ),
    (
        "t19_lists_change",
        r##"{% set l = 'b,a'.split(',') | sort %}{% do l.append('z') %}{% set m = l | map('upper') | list %}{% do m.insert(0, 'x') %}{% set d = dict(a=1, **{'b': 2}) %}{% do d.update({'c': 3}) %}{% set r = var('regions') %}{% do r.append('asia') %}
{{ l }} {{ m | join(',') }} {{ d }} {{ r | join(',') }} {{ fromjson('[1]') + [2] }}
"##,
        r##"
['a', 'b', 'z'] x,A,B,Z {'a': 1, 'b': 2, 'c': 3} eu,us,asia [1, 2]"##,
    ),
];
