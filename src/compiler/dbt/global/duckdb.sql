{# Files behind relations: what projects with external models call. #}

{% macro external_location(relation, config) -%}
  {%- set place = adapter.external_root() ~ '/' ~ relation.identifier -%}
  {%- if config.get('options', {}).get('partition_by') is none -%}
    {{- place ~ '.' ~ config.get('format', 'parquet') -}}
  {%- else -%}
    {{- place -}}
  {%- endif -%}
{%- endmacro %}

{% macro render_write_options(config) %}
  {% set options = {} %}
  {% for name, value in config.get('options', {}).items() %}
    {% do options.update({name: value if value is string else (value | string)}) %}
  {% endfor %}
  {% if config.get('format') and 'format' not in options %}
    {% do options.update({'format': config.get('format')}) %}
  {% endif %}
  {{ return(options) }}
{% endmacro %}

{# Views over the files of external models that the selected nodes read and that are not built in this run. #}
{% macro register_upstream_external_models() -%}
  {% if execute %}
    {% set seen = [] %}
    {% for id in selected_resources %}
      {% set reader = graph.nodes.get(id) %}
      {% for parent in (reader.depends_on.nodes if reader else []) %}
        {% set node = graph.nodes.get(parent) %}
        {% if node and parent not in seen and parent not in selected_resources
            and node.resource_type in ('model', 'seed') and node.config.materialized == 'external' %}
          {% do seen.append(parent) %}
          {% set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
          {% set location = node.config.get('location', external_location(relation, node.config)) %}
          {% set read = adapter.external_read_location(location, render_write_options(node.config)) %}
          {% do run_query('create schema if not exists ' ~ relation.without_identifier()) %}
          {% do run_query('create or replace view ' ~ relation ~ " as (select * from '" ~ read ~ "')") %}
        {% endif %}
      {% endfor %}
    {% endfor %}
  {% endif %}
{%- endmacro %}
