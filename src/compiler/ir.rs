//! Definitions to the typed IR: what the manifest holds of one endpoint.

use mxcp_artifact::{
    Body, Digest, Endpoint, EndpointKind, Parameter, Policies, Policy, PromptBody, PythonBody,
    SqlBody, schema_json,
};
use mxcp_base::SourceFile;

use crate::Db;
use crate::check::check_file;
use crate::check::python::entry_function;
use crate::completion::completions;
use crate::diagnostics::is_configured_away;
use crate::documents::{endpoint_def, python_module};
use crate::finding::{Consequence, Finding, TextOrigin};
use crate::lower::endpoint::{EndpointDef, Language, PolicyDef};
use crate::sql::{Bound, SqlText, analyze_sql, bind_endpoint, effects, endpoint_source};

/// Whether clients may get this endpoint: it has no error that shows before it is called.
#[salsa::tracked(returns(copy))]
pub fn is_served(db: &dyn Db, file: SourceFile) -> bool {
    consequence(db, file) == Consequence::None
        && bind_endpoint(db, file).is_none_or(|e| e.bound != Bound::Poisoned)
        && endpoint_ir(db, file).is_some()
}

fn consequence(db: &dyn Db, file: SourceFile) -> Consequence {
    check_file(db, file)
        .iter()
        .filter(|finding| finding.is_error() && !is_silenced(db, finding))
        .map(Finding::consequence)
        .max()
        .unwrap_or(Consequence::None)
}

// An error that the author has looked at and let pass, in the site file or in a comment: what then can
// be run is.
fn is_silenced(db: &dyn Db, finding: &Finding) -> bool {
    is_configured_away(db, finding) || crate::suppress::hides(db, finding)
}

/// The IR of one endpoint; `None` when it is disabled or an error leaves nothing that could be run.
#[salsa::tracked(returns(as_ref))]
pub fn endpoint_ir(db: &dyn Db, file: SourceFile) -> Option<Endpoint> {
    let def = endpoint_def(db, file)?;
    if !def.enabled || consequence(db, file) == Consequence::NotRun {
        return None;
    }
    let parameters = def.typed_parameters()?;
    let body = body(db, file, def, &parameters)?;
    let is_tool = def.kind == EndpointKind::Tool;
    Some(Endpoint {
        kind: def.kind,
        name: def.name.clone(),
        uri: def.uri.clone(),
        path: file.path(db).to_owned(),
        title: def.title.clone(),
        description: def.description.clone(),
        tags: def.tags.clone(),
        mime_type: def.mime_type.clone(),
        annotations: def.annotations.clone(),
        input_schema: schema_json::input_schema(&parameters),
        output_schema: def
            .returns
            .as_ref()
            .filter(|_| is_tool)
            .map(schema_json::output_schema),
        parameters,
        returns: def.returns.clone(),
        body,
        policies: Policies {
            input: policies(&def.input_policies)?,
            output: policies(&def.output_policies)?,
        },
        tests: def.tests.clone(),
        metadata: def.metadata.clone(),
        completions: completions(db, file, def),
    })
}

pub(crate) fn policies(defs: &[PolicyDef]) -> Option<Vec<Policy>> {
    defs.iter()
        .map(|def| {
            Some(Policy {
                condition: def.condition.clone()?,
                action: def.action?,
                reason: def.reason.clone(),
                fields: def.fields.clone().unwrap_or_default(),
            })
        })
        .collect()
}

fn body(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    parameters: &[Parameter],
) -> Option<Body> {
    if def.kind == EndpointKind::Prompt {
        return Some(Body::Prompt(PromptBody {
            messages: def.messages.clone(),
        }));
    }
    let (text, origin) = endpoint_source(db, file)?.as_ref().ok()?;
    let source = match origin {
        TextOrigin::File(source) => Some(*source),
        TextOrigin::Scalar(..) => None,
    };
    if def.language == Language::Python {
        let source = source?;
        let module = python_module(db, source);
        let function = entry_function(def, source.path(db), module)?;
        return Some(Body::Python(PythonBody {
            file: source.path(db).to_owned(),
            digest: Digest::of(text.as_bytes()),
            is_async: module
                .functions
                .iter()
                .any(|f| f.name == function && f.is_async),
            function,
        }));
    }
    let analysis = analyze_sql(db, SqlText::new(db, text.to_string()));
    let mut effects = effects(analysis);
    let columns = match bind_endpoint(db, file) {
        Some(endpoint) => {
            effects.reads.clone_from(&endpoint.reads);
            match &endpoint.bound {
                Bound::Columns { columns, .. } => Some(columns.clone()),
                Bound::Poisoned | Bound::Opaque(_) | Bound::Failed { .. } => None,
            }
        }
        None => None,
    };
    let mut used: Vec<String> = Vec::new();
    for parameter in mxcp_syntax::sql::parameters(text) {
        let declared = parameters
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(&parameter.name));
        if let Some(declared) = declared
            && !used.contains(&declared.name)
        {
            used.push(declared.name.clone());
        }
    }
    Some(Body::Sql(SqlBody {
        sql: text.to_string(),
        parameters: used,
        columns,
        effects,
        file: source.map(|s| s.path(db).to_owned()),
    }))
}
