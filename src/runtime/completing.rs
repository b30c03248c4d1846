//! The values that a client is offered for an argument: those that are declared, or those of the query
//! that the compiler made for it.
//!
//! Of the database nothing is offered that the caller could not use: each value is decided on by the input
//! policies of the endpoint, with the arguments given so far. A condition about one that is missing denies.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_artifact::endpoint::TYPED;
use mxcp_artifact::{Endpoint, EndpointKind, Parameter, SqlType};
use mxcp_python::Cell;
use serde_json::{Map, Value};

use crate::access::facts;
use crate::artifact::Compiled;
use crate::call::{CallError, Caller, Cancel, Decision};
use crate::database::execute::Argument;
use crate::policy::Facts;
use crate::runtime::Runtime;

/// An argument that is being typed.
#[derive(Clone, Debug)]
pub(crate) struct Typing {
    pub(crate) kind: EndpointKind,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) typed: String,
    /// The other arguments so far.
    pub(crate) given: BTreeMap<String, String>,
}

/// Values that begin with what was typed, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) values: Vec<String>,
    /// How many there are, where that is known.
    pub(crate) total: Option<usize>,
    pub(crate) more: bool,
}

/// The most values of one answer, which the protocol sets.
const MOST: usize = 100;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Endpoint,
    Argument,
}

/// What can be offered without asking the database; `None` where it has to be asked.
pub(crate) fn declared(
    endpoints: &[Endpoint],
    typing: &Typing,
) -> Result<Option<Offered>, Unknown> {
    let endpoint = find(endpoints, typing.kind, &typing.id).ok_or(Unknown::Endpoint)?;
    let own = parameter(endpoint, &typing.name).ok_or(Unknown::Argument)?;
    let completion = endpoint.completions.get(&typing.name);
    Ok(match completion {
        _ if own.ty.allowed.is_some() => Some(starting(own.ty.allowed.iter().flatten(), typing)),
        Some(completion) if completion.sql.is_some() => None,
        Some(completion) if completion.tool.is_none() => Some(Offered::default()),
        _ => Some(examples(endpoints, endpoint, own, typing)),
    })
}

/// What the types say: of the parameter, or of that of the tool it is for.
fn examples(
    endpoints: &[Endpoint],
    endpoint: &Endpoint,
    own: &Parameter,
    typing: &Typing,
) -> Offered {
    let tool = endpoint.completions.get(&typing.name);
    let tool = tool.and_then(|completion| completion.tool.as_deref());
    let theirs = tool
        .and_then(|name| find(endpoints, EndpointKind::Tool, name))
        .and_then(|tool| parameter(tool, &typing.name));
    let allowed = theirs.and_then(|theirs| theirs.ty.allowed.as_ref());
    let values = match (allowed, theirs) {
        (Some(allowed), _) => allowed,
        (None, Some(theirs)) if own.ty.examples.is_empty() => &theirs.ty.examples,
        _ => &own.ty.examples,
    };
    starting(values.iter(), typing)
}

fn starting<'a>(values: impl Iterator<Item = &'a Value>, typing: &Typing) -> Offered {
    let typed = typing.typed.to_lowercase();
    let mut values: Vec<String> = values
        .filter(|value| !value.is_null())
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .filter(|value| value.to_lowercase().starts_with(&typed))
        .collect();
    let total = values.len();
    values.truncate(MOST);
    Offered {
        values,
        total: Some(total),
        more: total > MOST,
    }
}

fn find<'a>(endpoints: &'a [Endpoint], kind: EndpointKind, id: &str) -> Option<&'a Endpoint> {
    endpoints.iter().find(|e| e.kind == kind && e.id() == id)
}

fn parameter<'a>(endpoint: &'a Endpoint, name: &str) -> Option<&'a Parameter> {
    endpoint.parameters.iter().find(|p| p.name == name)
}

impl Runtime {
    /// Asks the database for the values that [`declared`] does not know.
    pub(crate) fn complete(
        &self,
        typing: &Typing,
        caller: &Caller,
        cancel: &Cancel,
    ) -> Result<Offered, CallError> {
        let _running = self.enter(cancel)?;
        let artifact = self.artifact();
        let gone = || CallError::NotFound {
            kind: typing.kind,
            id: typing.id.clone(),
        };
        let (asked, asked_compiled, _) = artifact.find(typing.kind, &typing.id).ok_or_else(gone)?;
        let Some(completion) = asked.completions.get(&typing.name) else {
            return Ok(Offered::default());
        };
        let Some(sql) = &completion.sql else {
            return Ok(Offered::default());
        };
        let meant = match &completion.tool {
            Some(tool) => match artifact.find(EndpointKind::Tool, tool) {
                Some((_, compiled, _)) => compiled,
                None => return Ok(Offered::default()),
            },
            None => asked_compiled,
        };
        let given: Vec<Map<String, Value>> = [meant, asked_compiled]
            .into_iter()
            .map(|compiled| compiled.inputs.partly(&typing.given))
            .collect();
        let mut known = given.first().cloned().unwrap_or_default();
        known.shift_remove(&typing.name);
        let mut arguments = meant.inputs.arguments(&known);
        arguments.push(Argument {
            name: TYPED.to_owned(),
            value: Cell::Text(typing.typed.clone()),
            ty: Some(SqlType::Varchar),
        });
        let table = self.access().json(
            sql,
            &arguments,
            None,
            Arc::new(facts(caller.user.as_ref(), &caller.headers)),
            cancel,
            true,
        );
        let table = table.map_err(|error| self.sql_failure(error))?;
        let total = table
            .rows
            .first()
            .and_then(|row| row.get(1)?.as_u64())
            .and_then(|total| usize::try_from(total).ok())
            .unwrap_or_default();
        let found = table.rows.len();
        let mut values: Vec<String> = table
            .rows
            .into_iter()
            .filter_map(|row| match row.into_iter().next() {
                Some(Value::String(text)) => Some(text),
                _ => None,
            })
            .filter(|text| {
                [meant, asked_compiled]
                    .into_iter()
                    .zip(&given)
                    .all(|(compiled, given)| may_use(compiled, given, typing, text, caller))
            })
            .collect();
        // What the caller may not see is not counted for it either.
        let all = values.len() == found;
        let more = values.len() > MOST || total > found;
        values.truncate(MOST);
        if values.is_empty()
            && let Some(own) = parameter(asked, &typing.name)
        {
            return Ok(examples(&artifact.manifest.endpoints, asked, own, typing));
        }
        Ok(Offered {
            values,
            total: all.then_some(total),
            more,
        })
    }
}

fn may_use(
    compiled: &Compiled,
    given: &Map<String, Value>,
    typing: &Typing,
    text: &str,
    caller: &Caller,
) -> bool {
    let Some(value) = compiled.inputs.one(&typing.name, text) else {
        return false;
    };
    if compiled.policies.is_empty() {
        return true;
    }
    let mut arguments = given.clone();
    arguments.insert(typing.name.clone(), value);
    let facts = Facts::new(
        caller.user.as_ref(),
        &arguments,
        |name| compiled.inputs.get(name),
        false,
    );
    let decided = compiled
        .policies
        .check_input(&facts, &mut Decision::default());
    decided.is_ok()
}
