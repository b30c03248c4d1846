//! A property file with the ids, names and SQL dbt-core 1.11 and dbt-duckdb give its tests, without the
//! database's name.

/// The file, `models/sources.yml`.
pub(super) const PROPERTIES: &str = r#"version: 2
sources:
  - name: raw
    schema: landing
    tables:
      - name: customers
      - name: regions
        identifier: region_codes
        columns:
          - name: code
            tests: [unique, {relationships: {to: ref('raw_orders'), field: id}}]
models:
  - name: t01_plain
    description: plain
    columns:
      - name: id
        data_type: int
        tests:
          - unique
          - not_null:
              config: {where: "id > 0", severity: warn}
          - accepted_values:
              values: [1, 2]
              quote: false
          - accepted_values:
              arguments: {values: ['done', 'open', 'very very very long value']}
              name: my_named
          - relationships: {to: ref('t02_config'), field: id, severity: warn, limit: 10}
  - name: t02_config
    tests:
      - positive: {column_name: amount, min: "{{ var('limit_to') }}"}
      - unique: {column_name: id}
      - unique: {column_name: "id || '-' || amount"}
      - test_name: not_null
        column_name: amount
        config: {error_if: ">10", warn_if: ">1"}
    columns:
      - name: status
        tests:
          - accepted_values: {values: ['done', 'open', 'a long status value', 'another long status value']}
"#;

/// Unique id, alias, compiled SQL.
pub(super) const CASES: [(&str, &str, &str); 12] = [
    (
        "test.shop.accepted_values_t01_plain_id__False__1__2.bbafa32cb5",
        "accepted_values_t01_plain_id__False__1__2",
        r#"
    
    

with all_values as (

    select
        id as value_field,
        count(*) as n_records

    from "main"."t01_plain"
    group by id

)

select *
from all_values
where value_field not in (
    1,2
)


"#,
    ),
    (
        "test.shop.accepted_values_t02_config_status__done__open__a_long_status_value__another_long_status_value.f643c51b61",
        "accepted_values_t02_config_a8bfa59b8e99a138b61a9c2dc7977e7e",
        r#"
    
    

with all_values as (

    select
        status as value_field,
        count(*) as n_records

    from "main"."t02_config"
    group by status

)

select *
from all_values
where value_field not in (
    'done','open','a long status value','another long status value'
)


"#,
    ),
    (
        "test.shop.my_named.00f0f324cc",
        "my_named",
        r#"
    
    

with all_values as (

    select
        id as value_field,
        count(*) as n_records

    from "main"."t01_plain"
    group by id

)

select *
from all_values
where value_field not in (
    'done','open','very very very long value'
)


"#,
    ),
    (
        "test.shop.not_null_t01_plain_id.225dc42739",
        "not_null_t01_plain_id",
        r#"
    
    



select id
from (select * from "main"."t01_plain" where id > 0) dbt_subquery
where id is null


"#,
    ),
    (
        "test.shop.not_null_t02_config_amount.a23e33e945",
        "not_null_t02_config_amount",
        r#"
    
    



select amount
from "main"."t02_config"
where amount is null


"#,
    ),
    (
        "test.shop.positive_t02_config_amount___var_limit_to_.81077823f2",
        "positive_t02_config_amount___var_limit_to_",
        r#"
select * from "main"."t02_config" where amount <= 5
"#,
    ),
    (
        "test.shop.relationships_t01_plain_id__id__ref_t02_config_.6e4bb5ada0",
        "relationships_t01_plain_id__id__ref_t02_config_",
        r#"
    
    

with child as (
    select id as from_field
    from "main"."t01_plain"
    where id is not null
),

parent as (
    select id as to_field
    from "main"."t02_config"
)

select
    from_field

from child
left join parent
    on child.from_field = parent.to_field

where parent.to_field is null


"#,
    ),
    (
        "test.shop.source_relationships_raw_regions_code__id__ref_raw_orders_.a56fbffc48",
        "source_relationships_raw_regions_code__id__ref_raw_orders_",
        r#"
    
    

with child as (
    select code as from_field
    from "landing"."region_codes"
    where code is not null
),

parent as (
    select id as to_field
    from "main"."raw_orders"
)

select
    from_field

from child
left join parent
    on child.from_field = parent.to_field

where parent.to_field is null


"#,
    ),
    (
        "test.shop.source_unique_raw_regions_code.51ed3bf53b",
        "source_unique_raw_regions_code",
        r#"
    
    

select
    code as unique_field,
    count(*) as n_records

from "landing"."region_codes"
where code is not null
group by code
having count(*) > 1


"#,
    ),
    (
        "test.shop.unique_t01_plain_id.d5107cd1a5",
        "unique_t01_plain_id",
        r#"
    
    

select
    id as unique_field,
    count(*) as n_records

from "main"."t01_plain"
where id is not null
group by id
having count(*) > 1


"#,
    ),
    (
        "test.shop.unique_t02_config_id.ff0730ca40",
        "unique_t02_config_id",
        r#"
    
    

select
    id as unique_field,
    count(*) as n_records

from "main"."t02_config"
where id is not null
group by id
having count(*) > 1


"#,
    ),
    (
        "test.shop.unique_t02_config_id_amount.e99f186651",
        "unique_t02_config_id_amount",
        r#"
    
    

select
    id || '-' || amount as unique_field,
    count(*) as n_records

from "main"."t02_config"
where id || '-' || amount is not null
group by id || '-' || amount
having count(*) > 1


"#,
    ),
];
