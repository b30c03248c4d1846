{# What materialisations of projects and packages call. #}

{% macro run_hooks(hooks, inside_transaction=true) %}
  {{ return(adapter.dispatch('run_hooks', 'dbt')(hooks, inside_transaction)) }}
{% endmacro %}

{% macro default__run_hooks(hooks, inside_transaction=true) %}
  {% for hook in hooks if hook.get('transaction', true) == inside_transaction %}
    {% set rendered = render(hook.get('sql')) | trim %}
    {% if rendered | length > 0 %}
      {% call statement(auto_begin=inside_transaction) %}{{ rendered }}{% endcall %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{% macro make_hook_config(sql, inside_transaction) %}
  {{ return(tojson({'sql': sql, 'transaction': inside_transaction})) }}
{% endmacro %}

{% macro before_begin(sql) %}{{ make_hook_config(sql, false) }}{% endmacro %}

{% macro in_transaction(sql) %}{{ make_hook_config(sql, true) }}{% endmacro %}

{% macro after_commit(sql) %}{{ make_hook_config(sql, false) }}{% endmacro %}

{% macro set_sql_header(config) %}{% do builtins.config(sql_header=caller()) %}{% endmacro %}

{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) %}
  {% do store_raw_result(name, message, code, rows_affected, res) %}
{% endmacro %}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') %}
  {% if on_schema_change in ['sync_all_columns', 'append_new_columns', 'fail', 'ignore'] %}
    {{ return(on_schema_change) }}
  {% endif %}
  {% do log('`' ~ on_schema_change ~ '` is no value of on_schema_change; using ' ~ default, info=true) %}
  {{ return(default) }}
{% endmacro %}

{% macro diff_columns(source_columns, target_columns) %}
  {% set known = target_columns | map(attribute='column') | list %}
  {% set missing = [] %}
  {% for column in source_columns if column.column not in known %}
    {% do missing.append(column) %}
  {% endfor %}
  {{ return(missing) }}
{% endmacro %}

{% macro diff_column_data_types(source_columns, target_columns) %}
  {% set changed = [] %}
  {% for new in source_columns %}
    {% for old in target_columns if old.name == new.name and old.data_type != new.data_type %}
      {% do changed.append({'column_name': old.name, 'new_type': new.data_type}) %}
    {% endfor %}
  {% endfor %}
  {{ return(changed) }}
{% endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) %}
  {% set source = adapter.get_columns_in_relation(source_relation) %}
  {% set target = adapter.get_columns_in_relation(target_relation) %}
  {% set added = diff_columns(source, target) %}
  {% set removed = diff_columns(target, source) %}
  {% set retyped = diff_column_data_types(source, target) %}
  {{ return({
    'schema_changed': (added | length + removed | length + retyped | length) > 0,
    'source_not_in_target': added,
    'target_not_in_source': removed,
    'source_columns': source,
    'target_columns': target,
    'new_target_types': retyped
  }) }}
{% endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) %}
  {% set added = schema_changes_dict['source_not_in_target'] %}
  {% if on_schema_change == 'append_new_columns' %}
    {% if added %}{% do alter_relation_add_remove_columns(target_relation, added, none) %}{% endif %}
  {% elif on_schema_change == 'sync_all_columns' %}
    {% set removed = schema_changes_dict['target_not_in_source'] %}
    {% if added or removed %}{% do alter_relation_add_remove_columns(target_relation, added, removed) %}{% endif %}
    {% for change in schema_changes_dict['new_target_types'] %}
      {% do alter_column_type(target_relation, change['column_name'], change['new_type']) %}
    {% endfor %}
  {% endif %}
{% endmacro %}

{% macro process_schema_changes(on_schema_change, source_relation, target_relation) %}
  {% if on_schema_change == 'ignore' %}{{ return({}) }}{% endif %}
  {% set changes = check_for_schema_changes(source_relation, target_relation) %}
  {% if changes['schema_changed'] %}
    {% if on_schema_change == 'fail' %}
      {{ exceptions.raise_compiler_error('the columns of ' ~ target_relation ~ ' are out of step with the query, and on_schema_change is `fail`') }}
    {% endif %}
    {% do sync_column_schemas(on_schema_change, target_relation, changes) %}
  {% endif %}
  {{ return(changes['source_columns']) }}
{% endmacro %}

{% macro get_quoted_csv(column_names) %}
  {% set quoted = [] %}
  {% for name in column_names %}{% do quoted.append(adapter.quote(name)) %}{% endfor %}
  {{ return(quoted | join(', ')) }}
{% endmacro %}

{% macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) %}
  {% if merge_update_columns %}{{ return(merge_update_columns) }}{% endif %}
  {% set left_out = (merge_exclude_columns or []) | map('lower') | list %}
  {% set names = [] %}
  {% for column in dest_columns if column.column | lower not in left_out %}
    {% do names.append(column.quoted) %}
  {% endfor %}
  {{ return(names) }}
{% endmacro %}

{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
  {{ return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{% endmacro %}

{% macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set names = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set updated = get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
  {%- set conditions = [] -%}
  {%- do conditions.extend(incremental_predicates or []) -%}
  {%- if unique_key -%}
    {%- for key in ([unique_key] if unique_key is string else unique_key) -%}
      {%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) -%}
    {%- endfor -%}
  {%- else -%}
    {%- do conditions.append('FALSE') -%}
  {%- endif -%}
  merge into {{ target }} as DBT_INTERNAL_DEST
    using {{ source }} as DBT_INTERNAL_SOURCE
    on ({{ conditions | join(') and (') }})
  {% if unique_key %}
  when matched then update set
    {% for name in updated %}{{ name }} = DBT_INTERNAL_SOURCE.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
  {% endif %}
  when not matched then insert ({{ names }}) values (
    {%- for column in dest_columns %}DBT_INTERNAL_SOURCE.{{ adapter.quote(column.name) }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) %}
  {{ return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) }}
{% endmacro %}

{% macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set names = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- if unique_key -%}
    {%- set keys = [unique_key] if unique_key is string else unique_key -%}
  delete from {{ target }} as DBT_INTERNAL_DEST
  where ({{ keys | join(', ') }}) in (
    select {% for key in keys %}{{ key }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ source }} as DBT_INTERNAL_SOURCE
  )
  {%- for predicate in incremental_predicates or [] %} and {{ predicate }}{% endfor %};
  {%- endif %}
  insert into {{ target }} ({{ names }}) (
    select {{ names }} from {{ source }}
  )
{%- endmacro %}

{% macro get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header=false) -%}
  {%- set names = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  delete from {{ target }}{% if predicates %} where {{ predicates | join(' and ') }}{% endif %};
  insert into {{ target }} ({{ names }}) (select {{ names }} from {{ source }})
{%- endmacro %}

{% macro get_insert_into_sql(target_relation, temp_relation, dest_columns) -%}
  {%- set names = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  insert into {{ target_relation }} ({{ names }}) (
    select {{ names }} from {{ temp_relation }}
  )
{%- endmacro %}

{% macro get_incremental_append_sql(arg_dict) %}
  {{ return(get_insert_into_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns'])) }}
{% endmacro %}

{% macro get_incremental_delete_insert_sql(arg_dict) %}
  {{ return(get_delete_insert_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) }}
{% endmacro %}

{% macro get_incremental_merge_sql(arg_dict) %}
  {{ return(get_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) }}
{% endmacro %}

{% macro get_incremental_insert_overwrite_sql(arg_dict) %}
  {{ return(get_insert_overwrite_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns'], arg_dict['incremental_predicates'])) }}
{% endmacro %}

{% macro get_incremental_default_sql(arg_dict) %}
  {% if arg_dict['unique_key'] %}{{ return(get_incremental_delete_insert_sql(arg_dict)) }}{% endif %}
  {{ return(get_incremental_append_sql(arg_dict)) }}
{% endmacro %}

{% macro get_where_subquery(relation) %}
  {{ return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) }}
{% endmacro %}

{% macro default__get_where_subquery(relation) %}
  {% set condition = config.get('where', '') %}
  {% if condition %}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ condition ~ ') dbt_subquery') }}
  {% endif %}
  {{ return(relation) }}
{% endmacro %}

{% macro get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
  select
    {{ fail_calc }} as failures,
    {{ fail_calc }} {{ warn_if }} as should_warn,
    {{ fail_calc }} {{ error_if }} as should_error
  from (
    {{ main_sql }}
    {{ 'limit ' ~ limit if limit }}
  ) dbt_internal_test
{%- endmacro %}

{# A query with parameters: what reads it writes parentheses behind its name. #}
{% materialization table_function, adapter='duckdb' %}
  {% set function = api.Relation.create(database=this.database, schema=this.schema, identifier=this.identifier, type='view') %}
  {% set parameters = config.get('parameters') or [] %}
  {% if parameters is string or parameters is number %}{% set parameters = [parameters] %}{% endif %}
  {{ run_hooks(pre_hooks, inside_transaction=false) }}
  {{ run_hooks(pre_hooks, inside_transaction=true) }}
  {% call statement('main') %}
    create or replace function {{ function.include(database=false) }}({{ parameters | join(', ') }}) as table (
{{ sql }});
  {% endcall %}
  {{ run_hooks(post_hooks, inside_transaction=true) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=false) }}
  {{ return({'relations': [function]}) }}
{% endmaterialization %}
