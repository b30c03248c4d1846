{# Relations: made, renamed, dropped. What asks the database is a method of `adapter`. #}

{% macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') %}
  {{ return(adapter.dispatch('make_intermediate_relation', 'dbt')(base_relation, suffix)) }}
{% endmacro %}

{% macro default__make_intermediate_relation(base_relation, suffix) %}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) }}
{% endmacro %}

{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') %}
  {{ return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) }}
{% endmacro %}

{% macro default__make_temp_relation(base_relation, suffix) %}
  {% set name = base_relation.identifier ~ suffix ~ py_current_timestring() %}
  {{ return(base_relation.incorporate(path={'identifier': name, 'schema': none, 'database': none}, type='table')) }}
{% endmacro %}

{% macro make_backup_relation(base_relation, backup_relation_type, suffix='__dbt_backup') %}
  {{ return(adapter.dispatch('make_backup_relation', 'dbt')(base_relation, backup_relation_type, suffix)) }}
{% endmacro %}

{% macro default__make_backup_relation(base_relation, backup_relation_type, suffix) %}
  {{ return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix}, type=backup_relation_type)) }}
{% endmacro %}

{% macro get_or_create_relation(database, schema, identifier, type) %}
  {% set found = adapter.get_relation(database=database, schema=schema, identifier=identifier) %}
  {% if found %}
    {{ return([true, found]) }}
  {% endif %}
  {{ return([false, api.Relation.create(database=database, schema=schema, identifier=identifier, type=type)]) }}
{% endmacro %}

{% macro drop_relation(relation) %}{% do adapter.drop_relation(relation) %}{% endmacro %}

{% macro drop_relation_if_exists(relation) %}
  {% if relation is not none %}{% do adapter.drop_relation(relation) %}{% endif %}
{% endmacro %}

{% macro rename_relation(from_relation, to_relation) %}{% do adapter.rename_relation(from_relation, to_relation) %}{% endmacro %}

{% macro truncate_relation(relation) %}{% do adapter.truncate_relation(relation) %}{% endmacro %}

{% macro create_schema(relation) %}{% do adapter.create_schema(relation) %}{% endmacro %}

{% macro drop_schema(relation) %}{% do adapter.drop_schema(relation) %}{% endmacro %}

{% macro list_schemas(database) %}
  {{ return(run_query("select schema_name from system.information_schema.schemata where lower(catalog_name) = lower('" ~ database ~ "')")) }}
{% endmacro %}

{% macro check_schema_exists(information_schema, schema) %}
  {{ return(adapter.check_schema_exists(information_schema.database, schema)) }}
{% endmacro %}

{% macro list_relations_without_caching(schema_relation) %}
  {{ return(adapter.list_relations_without_caching(schema_relation)) }}
{% endmacro %}

{% macro get_relation_last_modified(information_schema, relations) %}
  {{ exceptions.raise_not_implemented('the time of the last change of a relation is not known') }}
{% endmacro %}

{% macro information_schema_name(database) %}
  {{- adapter.dispatch('information_schema_name', 'dbt')(database) -}}
{% endmacro %}

{% macro default__information_schema_name(database) -%}
  {%- if database -%}{{ adapter.quote_as_configured(database, 'database') }}.information_schema{%- else -%}information_schema{%- endif -%}
{%- endmacro %}

{% macro get_columns_in_relation(relation) %}
  {{ return(adapter.get_columns_in_relation(relation)) }}
{% endmacro %}

{% macro sql_convert_columns_in_relation(table) %}
  {% set columns = [] %}
  {% for row in table %}
    {% do columns.append(api.Column(row[0], row[1], row[2], row[3], row[4])) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}

{% macro get_create_table_as_sql(temporary, relation, sql) %}
  {{ return(adapter.dispatch('get_create_table_as_sql', 'dbt')(temporary, relation, sql)) }}
{% endmacro %}

{% macro default__get_create_table_as_sql(temporary, relation, sql) %}
  {{ return(create_table_as(temporary, relation, sql)) }}
{% endmacro %}

{% macro create_table_as(temporary, relation, compiled_code, language='sql') %}
  {{ return(adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code, language)) }}
{% endmacro %}

{% macro default__create_table_as(temporary, relation, compiled_code, language='sql') -%}
  {% if language != 'sql' %}
    {{ exceptions.raise_compiler_error('a table in ' ~ language ~ ' cannot be made by a statement') }}
  {% endif %}
  {% set contract = config.get('contract') %}
  {{ config.get('sql_header') or '' }}
  create {{ 'temporary ' if temporary }}table {{ relation.include(database=(not temporary), schema=(not temporary)) }}
  {% if contract and contract.enforced and not temporary %}
    {{ get_table_columns_and_constraints() }};
    insert into {{ relation }} {{ get_column_names() }} ({{ get_select_subquery(compiled_code) }});
  {% else %}
    as (
      {{ compiled_code }}
    );
  {% endif %}
{%- endmacro %}

{% macro get_create_view_as_sql(relation, sql) %}
  {{ return(adapter.dispatch('get_create_view_as_sql', 'dbt')(relation, sql)) }}
{% endmacro %}

{% macro default__get_create_view_as_sql(relation, sql) %}
  {{ return(create_view_as(relation, sql)) }}
{% endmacro %}

{% macro create_view_as(relation, sql) %}
  {{ return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) }}
{% endmacro %}

{% macro default__create_view_as(relation, sql) -%}
  {{ config.get('sql_header') or '' }}
  create view {{ relation }} as (
    {{ sql }}
  );
{%- endmacro %}

{% macro get_create_sql(relation, sql) %}
  {% if relation.is_view %}{{ return(get_create_view_as_sql(relation, sql)) }}{% endif %}
  {{ return(get_create_table_as_sql(false, relation, sql)) }}
{% endmacro %}

{% macro get_create_intermediate_sql(relation, sql) %}
  {% set between = make_intermediate_relation(relation) %}
  {{ return(get_drop_sql(between) ~ '\n' ~ get_create_sql(between, sql)) }}
{% endmacro %}

{% macro get_create_backup_sql(relation) %}
  {% set backup = make_backup_relation(relation, relation.type) %}
  {{ return(get_drop_sql(backup) ~ '\n' ~ get_rename_sql(relation, backup.identifier)) }}
{% endmacro %}

{% macro get_rename_intermediate_sql(relation) %}
  {{ return(get_rename_sql(make_intermediate_relation(relation), relation.identifier)) }}
{% endmacro %}

{% macro get_drop_backup_sql(relation) %}
  {{ return(get_drop_sql(make_backup_relation(relation, relation.type))) }}
{% endmacro %}

{% macro get_drop_sql(relation) -%}
  drop {{ relation.type or 'table' }} if exists {{ relation }} cascade;
{%- endmacro %}

{% macro drop_table(relation) -%}drop table if exists {{ relation }} cascade{%- endmacro %}

{% macro drop_view(relation) -%}drop view if exists {{ relation }} cascade{%- endmacro %}

{% macro get_rename_sql(relation, new_name) -%}
  alter {{ relation.type or 'table' }} {{ relation }} rename to {{ adapter.quote(new_name) }};
{%- endmacro %}

{% macro get_replace_sql(existing_relation, target_relation, sql) %}
  {{ return(get_drop_sql(existing_relation) ~ '\n' ~ get_create_sql(target_relation, sql)) }}
{% endmacro %}

{% macro get_select_subquery(sql) %}
  {{ return(adapter.dispatch('get_select_subquery', 'dbt')(sql)) }}
{% endmacro %}

{% macro default__get_select_subquery(sql) -%}
  select {% for name in model['columns'] %}{{ adapter.quote(name) if model['columns'][name].get('quote') else name }}{{ ', ' if not loop.last }}{% endfor %}
  from ({{ sql }}) as model_subq
{%- endmacro %}

{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
  select * from (
    {{ select_sql }}
  ) as __dbt_sbq
  where false
  limit 0
{%- endmacro %}

{% macro get_empty_schema_sql(columns) -%}
  select {% for name in columns %}cast(null as {{ columns[name]['data_type'] }}) as {{ adapter.quote(name) if columns[name].get('quote') else name }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro get_column_names() -%}
  ({% for name in model['columns'] %}{{ adapter.quote(name) if model['columns'][name].get('quote') else name }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro get_table_columns_and_constraints() -%}
  {{ adapter.dispatch('get_table_columns_and_constraints', 'dbt')() }}
{%- endmacro %}

{% macro default__get_table_columns_and_constraints() -%}
  (
  {% for name in model['columns'] %}
    {%- set column = model['columns'][name] %}
    {{ adapter.quote(name) if column.get('quote') else name }} {{ column['data_type'] }}
    {%- for constraint in column.get('constraints', []) %} {{ constraint_sql(constraint) }}{% endfor %}
    {{- ',' if not loop.last }}
  {% endfor %}
  {%- for constraint in model.get('constraints', []) %}
    , {{ constraint_sql(constraint) }}{{ ' (' ~ constraint['columns'] | join(', ') ~ ')' if constraint.get('columns') }}
  {%- endfor %}
  )
{%- endmacro %}

{% macro constraint_sql(constraint) -%}
  {%- set words = {'not_null': 'not null', 'unique': 'unique', 'primary_key': 'primary key', 'foreign_key': 'references', 'check': 'check'} -%}
  {{ words.get(constraint['type'], '') }}
  {%- if constraint.get('expression') %} {{ '(' ~ constraint['expression'] ~ ')' if constraint['type'] == 'check' else constraint['expression'] }}{% endif -%}
{%- endmacro %}

{% macro get_assert_columns_equivalent(sql) %}{% endmacro %}

{% macro assert_columns_equivalent(sql) %}{% endmacro %}

{% macro create_indexes(relation) %}
  {% for index in config.get('indexes', []) %}
    {% do run_query(get_create_index_sql(relation, index)) %}
  {% endfor %}
{% endmacro %}

{% macro do_create_indexes(relation) %}{{ create_indexes(relation) }}{% endmacro %}

{% macro get_create_index_sql(relation, index_dict) -%}
  {%- set columns = index_dict['columns'] -%}
  create {{ 'unique ' if index_dict.get('unique') }}index {{ adapter.quote(local_md5(relation.identifier ~ (columns | join('_')))) }}
  on {{ relation }} ({{ columns | join(', ') }});
{%- endmacro %}

{% macro drop_indexes_on_relation(relation) %}
  {% for row in run_query("select index_name from duckdb_indexes() where schema_name = '" ~ relation.schema ~ "' and table_name = '" ~ relation.identifier ~ "'") %}
    {% do run_query('drop index ' ~ adapter.quote(relation.schema) ~ '.' ~ adapter.quote(row[0])) %}
  {% endfor %}
{% endmacro %}

{% macro alter_column_type(relation, column_name, new_column_type) %}
  {% do run_query('alter table ' ~ relation ~ ' alter column ' ~ adapter.quote(column_name) ~ ' type ' ~ new_column_type) %}
{% endmacro %}

{% macro alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) %}
  {% for column in add_columns or [] %}
    {% do run_query('alter table ' ~ relation ~ ' add column ' ~ column.quoted ~ ' ' ~ column.data_type) %}
  {% endfor %}
  {% for column in remove_columns or [] %}
    {% do run_query('alter table ' ~ relation ~ ' drop column ' ~ column.quoted) %}
  {% endfor %}
{% endmacro %}

{% macro persist_docs(relation, model, for_relation=true, for_columns=true) %}{% endmacro %}

{% macro apply_grants(relation, grant_config, should_revoke=true) %}{% endmacro %}

{% macro should_revoke(existing_relation, full_refresh_mode=true) %}{{ return(false) }}{% endmacro %}

{% macro copy_grants() %}{{ return(false) }}{% endmacro %}
