//! The parameters of one endpoint, compiled, and what a call's arguments become.

use std::collections::BTreeMap;

use mxcp_artifact::{Parameter, TypeKind};
use mxcp_python::Cell;
use mxcp_values::coerce::{self, canonical};
use mxcp_values::fault::as_example;
use mxcp_values::{Fault, Validator, accept, equal, example, repr};
use serde_json::{Map, Value};

use super::typed::{Target, typed};
use crate::call::PARAMETER_ERROR;
use crate::database::bind::declared_type;
use crate::database::execute::Argument;

/// The parameters of an endpoint, ready to check arguments.
#[derive(Debug)]
pub(crate) struct Inputs {
    parameters: Vec<(Parameter, Validator)>,
}

impl Inputs {
    pub(crate) fn new(parameters: &[Parameter]) -> Self {
        Self {
            parameters: parameters
                .iter()
                .map(|p| (p.clone(), Validator::input(&p.ty)))
                .collect(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters
            .iter()
            .map(|(p, _)| p)
            .find(|p| p.name == name)
    }

    /// Applies defaults, converts and validates. The result has every declared parameter.
    pub(crate) fn process(
        &self,
        mut arguments: Map<String, Value>,
        lenient_strings: bool,
    ) -> Result<Map<String, Value>, String> {
        for (parameter, _) in &self.parameters {
            if parameter.is_required() && !arguments.contains_key(&parameter.name) {
                return Err(missing(parameter));
            }
        }
        if let Some(name) = arguments.keys().find(|name| self.get(name).is_none()) {
            return Err(self.unknown(name));
        }
        let mut out = Map::with_capacity(self.parameters.len());
        for (parameter, validator) in &self.parameters {
            let sent = arguments.shift_remove(&parameter.name);
            let value = argument(parameter, validator, sent, lenient_strings)?;
            out.insert(parameter.name.clone(), value);
        }
        Ok(out)
    }

    /// The defaults, and those of some arguments that are values of their parameters. Everything is text.
    pub(crate) fn partly(&self, given: &BTreeMap<String, String>) -> Map<String, Value> {
        self.parameters
            .iter()
            .filter_map(|(parameter, _)| {
                let name = &parameter.name;
                let value = match given.get(name) {
                    Some(text) => self.one(name, text)?,
                    None => parameter.ty.default.clone()?,
                };
                Some((name.clone(), value))
            })
            .collect()
    }

    /// The value that a text is for a parameter, if it may have it.
    pub(crate) fn one(&self, name: &str, text: &str) -> Option<Value> {
        let (parameter, validator) = self.parameters.iter().find(|(p, _)| p.name == name)?;
        argument(parameter, validator, Some(text.into()), true).ok()
    }

    fn unknown(&self, name: &str) -> String {
        let name: String = name.chars().take(80).collect();
        let known: Vec<&str> = self
            .parameters
            .iter()
            .map(|(p, _)| p.name.as_str())
            .collect();
        match known.as_slice() {
            [] => format!("Unknown parameter: {name}; there are no parameters"),
            known => format!("Unknown parameter: {name}; expected {}", known.join(", ")),
        }
    }

    /// Processed arguments as SQL binds them.
    pub(crate) fn arguments(&self, values: &Map<String, Value>) -> Vec<Argument> {
        self.parameters
            .iter()
            .map(|(parameter, _)| Argument {
                name: parameter.name.clone(),
                value: cell(parameter, values, Target::Sql),
                ty: Some(declared_type(&parameter.ty)),
            })
            .collect()
    }

    /// Processed arguments as Python receives them.
    pub(crate) fn cells(&self, values: &Map<String, Value>) -> Vec<(String, Cell)> {
        self.parameters
            .iter()
            .map(|(parameter, _)| {
                (
                    parameter.name.clone(),
                    cell(parameter, values, Target::Python),
                )
            })
            .collect()
    }
}

fn cell(parameter: &Parameter, values: &Map<String, Value>, target: Target) -> Cell {
    values
        .get(&parameter.name)
        .map_or(Cell::Null, |value| typed(&parameter.ty, value, target))
}

fn missing(parameter: &Parameter) -> String {
    let mut text = format!(
        "Required parameter missing: {}; expected {}",
        parameter.name,
        parameter.ty.kind.as_str()
    );
    if let Some(shown) = example(&parameter.ty).as_ref().and_then(as_example) {
        text.push_str(", ");
        text.push_str(&shown);
    }
    text
}

fn argument(
    parameter: &Parameter,
    validator: &Validator,
    sent: Option<Value>,
    lenient_strings: bool,
) -> Result<Value, String> {
    let ty = &parameter.ty;
    let value = match sent {
        Some(Value::String(text))
            if lenient_strings && text == "null" && ty.kind != TypeKind::String =>
        {
            Value::Null
        }
        Some(value) => value,
        None => ty.default.clone().unwrap_or(Value::Null),
    };
    let accepted = match value {
        Value::Null if parameter.is_required() => {
            Err(coerce::null(ty.kind).expecting("the parameter is required"))
        }
        Value::Null => return Ok(Value::Null),
        value => accept(ty, validator, value),
    };
    accepted
        .map(|value| canonical(ty, value))
        .map_err(|fault| refusal(parameter, &fault))
}

fn refusal(parameter: &Parameter, fault: &Fault) -> String {
    let ty = &parameter.ty;
    let example = fault.place(ty).0.and_then(example);
    let whole = fault.value.as_ref().filter(|_| fault.path.is_empty());
    match (&ty.allowed, whole) {
        // Allowed values have a message of their own.
        (Some(allowed), Some(value)) if !allowed.iter().any(|a| equal(a, value)) => {
            let text = format!(
                "Invalid value for {}. Must be one of: {}",
                parameter.name,
                repr::list(allowed)
            );
            let fault = Fault::new(text, value);
            fault.explain(ty, example.as_ref())
        }
        _ => format!(
            "{PARAMETER_ERROR}{}': {}",
            parameter.name,
            fault.explain(ty, example.as_ref())
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inputs(parameters: Value) -> Inputs {
        let parameters: Vec<Parameter> = serde_json::from_value(parameters).unwrap();
        Inputs::new(&parameters)
    }

    fn process(inputs: &Inputs, arguments: Value) -> Result<Value, String> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        inputs.process(arguments, false).map(Value::Object)
    }

    #[test]
    fn defaults_and_nulls() {
        let inputs = inputs(json!([
            {"name": "id", "type": {"type": "integer"}},
            {"name": "kind", "type": {"type": "string", "enum": ["x", "y"], "default": null}},
            {"name": "limit", "type": {"type": "integer", "default": "10"}}
        ]));
        assert_eq!(
            process(&inputs, json!({"id": "7"})),
            Ok(json!({"id": 7, "kind": null, "limit": 10}))
        );
        assert_eq!(
            process(&inputs, json!({})),
            Err("Required parameter missing: id; expected integer, e.g. 1".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": null})),
            Err("Error validating parameter 'id': Expected integer, got null; the parameter is required, e.g. 1".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": 1, "kind": "z"})),
            Err("Invalid value for kind. Must be one of: ['x', 'y']; got 'z', e.g. 'x'".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": 1, "other": 2})),
            Err("Unknown parameter: other; expected id, kind, limit".into())
        );
    }

    #[test]
    fn nothing_is_accepted_where_nothing_is_declared() {
        assert_eq!(
            process(&inputs(json!([])), json!({"x": 1})),
            Err("Unknown parameter: x; there are no parameters".into())
        );
    }

    #[test]
    fn constraints_hold_at_every_depth() {
        let inputs = inputs(json!([
            {"name": "n", "type": {"type": "number", "minimum": 5, "multipleOf": 0.5, "default": 5}},
            {"name": "s", "type": {"type": "string", "pattern": "^a", "maxLength": 2, "default": "a"}},
            {"name": "l", "type": {"type": "array", "uniqueItems": true, "default": [],
             "items": {"type": "string", "enum": ["p", "q"]}}}
        ]));
        let refused = |arguments: Value| process(&inputs, arguments).unwrap_err();
        assert_eq!(
            refused(json!({"n": 4})),
            "Error validating parameter 'n': Value must be >= 5; got 4, e.g. 5"
        );
        assert_eq!(
            refused(json!({"n": 5.3})),
            "Error validating parameter 'n': Value must be multiple of 0.5; got 5.3, e.g. 5"
        );
        assert_eq!(
            refused(json!({"s": "b"})),
            "Error validating parameter 's': String must match the pattern ^a; got 'b', e.g. 'a'"
        );
        assert_eq!(
            refused(json!({"l": ["z"]})),
            "Error validating parameter 'l': Array item 0: Must be one of: ['p', 'q']; got 'z', e.g. 'p'"
        );
        assert_eq!(
            refused(json!({"l": ["p", "p"]})),
            "Error validating parameter 'l': Array must contain unique items; got [\"p\",\"p\"], e.g. [\"p\"]"
        );
    }

    #[test]
    fn text_of_a_command_line_can_say_null() {
        let inputs = inputs(json!([{"name": "n", "type": {"type": "integer", "default": 3}}]));
        let arguments = json!({"n": "null"}).as_object().cloned().unwrap();
        assert_eq!(
            inputs.process(arguments, true).map(Value::Object),
            Ok(json!({"n": null}))
        );
    }
}
