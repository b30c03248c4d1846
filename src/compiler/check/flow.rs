//! Sensitive columns that reach a result without anybody saying so.

use mxcp_artifact::{Action, TypeDef, TypeKind};
use mxcp_base::{SourceFile, codes};
use mxcp_syntax::yaml::join_pointer;

use crate::Db;
use crate::documents::{endpoint_def, parse_yaml};
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lineage::{
    Cause, How, OutputColumn, SourceColumn, any_sensitive_column, cause, endpoint_lineage,
    model_lineage, reads_sensitive, sensitive_source,
};
use crate::lower::endpoint::EndpointDef;
use crate::models::{model_for_relation, template_range};
use crate::relations::RelationKey;
use crate::sql::{Bound, bind_endpoint, sql_source};

/// Longer ways are loops.
const MAX_STEPS: usize = 64;

pub(super) fn check_flow(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    if !any_sensitive_column(db) {
        return;
    }
    let (Some(source), Some(endpoint)) = (sql_source(db, file), bind_endpoint(db, file)) else {
        return;
    };
    let Bound::Columns { columns, .. } = &endpoint.bound else {
        return;
    };
    // A type that was not understood is reported, and says nothing here.
    if !reads_sensitive(db, &source.text) || (def.has_return && def.returns.is_none()) {
        return;
    }
    let lineage = endpoint_lineage(db, file);
    let by_position = lineage.complete && lineage.columns.len() == columns.len();
    for (index, column) in columns.iter().enumerate() {
        let written = if by_position {
            lineage.columns.get(index)
        } else {
            let same = |c: &&OutputColumn| c.name.eq_ignore_ascii_case(&column.name);
            lineage.columns.iter().find(same)
        };
        let Some(written) = written else {
            continue;
        };
        let place = place(def, &column.name, columns.len());
        let Place::Open(pointer) = place else {
            continue;
        };
        if let Some((from, how)) = sensitive_source(db, written)
            && !is_covered(def, &column.name)
            && !(is_guarded(def) && marked_by_endpoint(db, from))
        {
            let step = Step {
                name: &column.name,
                written,
                from,
                how,
            };
            findings.push(report(db, file, &source.origin, pointer, &step));
        }
    }
}

/// What `return` says of a column.
enum Place {
    /// Nothing of its being sensitive; where it is declared, if it is.
    Open(Option<String>),
    Declared,
}

fn place(def: &EndpointDef, column: &str, count: usize) -> Place {
    let Some(returns) = &def.returns else {
        return Place::Open(None);
    };
    let mut pointer = def.pointer(def.return_key);
    let mut row = returns;
    while let (false, TypeKind::Array, Some(items)) = (row.sensitive, row.kind, &row.items) {
        row = items;
        pointer.push_str("/items");
    }
    if row.sensitive {
        return Place::Declared;
    }
    if row.kind != TypeKind::Object {
        // With several columns the result does not fit, which is said elsewhere.
        return Place::Open((count == 1).then(|| format!("{pointer}/type")));
    }
    let property = row.properties.iter().flatten().find(|p| p.name == column);
    match property {
        Some(property) if any_sensitive(&property.ty) => Place::Declared,
        Some(property) => Place::Open(Some(join_pointer(
            &format!("{pointer}/properties"),
            &property.name,
        ))),
        None => Place::Open(None),
    }
}

fn any_sensitive(ty: &TypeDef) -> bool {
    ty.sensitive
        || ty.items.as_deref().is_some_and(any_sensitive)
        || ty.properties.iter().flatten().any(|p| any_sensitive(&p.ty))
}

/// Whether an output policy removes or masks the field for somebody.
fn is_covered(def: &EndpointDef, column: &str) -> bool {
    def.output_policies
        .iter()
        .filter(|policy| {
            matches!(
                policy.action,
                Some(Action::FilterFields | Action::MaskFields)
            )
        })
        .flat_map(|policy| policy.fields.iter().flatten())
        .any(|field| field == column || field.split('.').next() == Some(column))
}

/// Whether only some callers get an answer at all.
fn is_guarded(def: &EndpointDef) -> bool {
    let policies = def.input_policies.iter().chain(&def.output_policies);
    policies
        .filter(|policy| policy.action == Some(Action::Deny))
        .filter_map(|policy| policy.condition.as_deref())
        .any(|condition| condition.contains("user."))
}

/// Whether nobody but another endpoint marks the column: that says what the endpoint shows to its own callers, so
/// one that chooses its callers may decide otherwise. What a model marks is sensitive wherever it goes.
fn marked_by_endpoint(db: &dyn Db, column: &SourceColumn) -> bool {
    let mut at = column;
    for _ in 0..MAX_STEPS {
        match cause(db, at) {
            Some(Cause::From { source, .. }) => at = source,
            Some(Cause::Marked { file, .. }) => return endpoint_def(db, *file).is_some(),
            None => break,
        }
    }
    false
}

struct Step<'a> {
    name: &'a str,
    written: &'a OutputColumn,
    from: &'a SourceColumn,
    how: How,
}

fn report(
    db: &dyn Db,
    file: SourceFile,
    origin: &TextOrigin,
    pointer: Option<String>,
    step: &Step<'_>,
) -> Finding {
    let selected = match &step.written.range {
        Some(range) => Anchor::inside(origin, range.clone()),
        None => Anchor::origin(origin),
    };
    let mut labels = Vec::new();
    let anchor = match pointer {
        Some(pointer) => {
            labels.push((selected, format!("{} here", came(step.how, step.from))));
            Anchor::value(file, pointer)
        }
        None => selected,
    };
    let mut path = vec![named(step.from)];
    let mut at = step.from;
    for _ in 0..MAX_STEPS {
        match cause(db, at) {
            Some(Cause::From { source, how }) => {
                labels.extend(
                    model_anchor(db, at)
                        .map(|anchor| (anchor, format!("{} here", came(*how, source)))),
                );
                path.push(named(source));
                at = source;
            }
            Some(Cause::Marked { file, pointer }) => {
                let text = format!("`{}` is marked as sensitive here", named(at));
                labels.push((mark_anchor(db, *file, pointer), text));
                break;
            }
            None => break,
        }
    }
    let through = match path.as_slice() {
        [_] => String::new(),
        [first @ .., last] => {
            let _ = last;
            format!(" by way of `{}`", first.join("`, `"))
        }
        [] => String::new(),
    };
    let marked = path.last().map_or("", String::as_str);
    let verb = match step.how {
        How::Direct => "is",
        How::Expression | How::Aggregate => "shows",
    };
    let mut finding = Finding::new(
        codes::MX0612,
        format!("`{}` {verb} the sensitive column `{marked}`{through}", step.name),
        anchor,
    )
    .help(format!(
        "say `sensitive: true` in `return`, or remove `{}` for some callers with a policy under `output`",
        step.name
    ));
    finding.labels = labels;
    finding
}

fn came(how: How, from: &SourceColumn) -> String {
    match how {
        How::Direct => format!("`{}` is selected", named(from)),
        How::Expression => format!("it is computed from `{}`", named(from)),
        How::Aggregate => format!("it is aggregated from `{}`", named(from)),
    }
}

fn named(column: &SourceColumn) -> String {
    // An ephemeral model is read under the name of the table expression it becomes.
    let relation = column.relation.to_string();
    let relation = relation.strip_prefix("__dbt__cte__").unwrap_or(&relation);
    format!("{relation}.{}", column.column)
}

/// Where the model that makes a column selects it.
fn model_anchor(db: &dyn Db, column: &SourceColumn) -> Option<Anchor> {
    let model = model_for_relation(db, RelationKey::new(db, column.relation.clone()))?;
    let written = model_lineage(db, model)
        .columns
        .iter()
        .find(|c| c.name.eq_ignore_ascii_case(&column.column))?;
    let range = template_range(db, model, written.range.clone()?);
    Some(Anchor::inside(&TextOrigin::File(model), range))
}

fn mark_anchor(db: &dyn Db, file: SourceFile, pointer: &str) -> Anchor {
    let yaml = parse_yaml(db, file);
    let place = ["sensitive", "meta/sensitive", "config/meta/sensitive"]
        .iter()
        .map(|rest| format!("{pointer}/{rest}"))
        .find(|place| yaml.lookup(place).is_some());
    Anchor::value(file, place.unwrap_or_else(|| format!("{pointer}/name")))
}
