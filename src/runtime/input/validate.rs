//! The parameters of one endpoint, compiled, and what a call's arguments become.

use mxcp_artifact::{Parameter, TypeKind};
use mxcp_python::Cell;
use serde_json::{Map, Value};

use super::convert::{convert, is_allowed};
use super::typed;
use crate::call::PARAMETER_ERROR;
use crate::database::bind::declared_type;
use crate::database::execute::Argument;
use crate::repr;
use crate::schema::{Side, Validator};

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
                .map(|p| {
                    // Allowed values have a message of their own.
                    let mut ty = p.ty.clone();
                    ty.allowed = None;
                    (p.clone(), Validator::new(&ty, Side::Input))
                })
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
                return Err(format!("Required parameter missing: {}", parameter.name));
            }
        }
        if let Some(name) = arguments.keys().find(|name| self.get(name).is_none()) {
            return Err(format!("Unknown parameter: {name}"));
        }
        let mut out = Map::with_capacity(self.parameters.len());
        for (parameter, validator) in &self.parameters {
            let sent = arguments.shift_remove(&parameter.name);
            let value = argument(parameter, validator, sent, lenient_strings)?;
            out.insert(parameter.name.clone(), value);
        }
        Ok(out)
    }

    /// Processed arguments as SQL binds them.
    pub(crate) fn arguments(&self, values: &Map<String, Value>) -> Vec<Argument> {
        self.parameters
            .iter()
            .map(|(parameter, _)| Argument {
                name: parameter.name.clone(),
                value: cell(parameter, values),
                ty: Some(declared_type(&parameter.ty)),
            })
            .collect()
    }

    /// Processed arguments as Python receives them.
    pub(crate) fn cells(&self, values: &Map<String, Value>) -> Vec<(String, Cell)> {
        self.parameters
            .iter()
            .map(|(parameter, _)| (parameter.name.clone(), cell(parameter, values)))
            .collect()
    }
}

fn cell(parameter: &Parameter, values: &Map<String, Value>) -> Cell {
    values
        .get(&parameter.name)
        .map_or(Cell::Null, |value| typed(&parameter.ty, value))
}

fn argument(
    parameter: &Parameter,
    validator: &Validator,
    sent: Option<Value>,
    lenient_strings: bool,
) -> Result<Value, String> {
    let at = |detail: String| format!("{PARAMETER_ERROR}{}': {detail}", parameter.name);
    let ty = &parameter.ty;
    let sent = match sent {
        Some(Value::String(text))
            if lenient_strings && text == "null" && ty.kind != TypeKind::String =>
        {
            Value::Null
        }
        Some(value) => value,
        None => ty.default.clone().unwrap_or(Value::Null),
    };
    if sent.is_null() {
        return if parameter.is_required() {
            Err(at(format!(
                "Expected {}, got null; the parameter is required",
                ty.kind.as_str()
            )))
        } else {
            Ok(Value::Null)
        };
    }
    let not_allowed = || {
        let allowed: Vec<Value> = ty.allowed.iter().flatten().cloned().collect();
        format!(
            "Invalid value for {}. Must be one of: {}",
            parameter.name,
            repr::list(&allowed)
        )
    };
    let converted = match convert(ty, sent.clone()) {
        Ok(value) => value,
        Err(_) if ty.allowed.is_some() => return Err(not_allowed()),
        Err(detail) => return Err(at(detail)),
    };
    if let Some(allowed) = &ty.allowed
        && !is_allowed(allowed, &sent, &converted)
    {
        return Err(not_allowed());
    }
    validator.check(&converted).map_err(at)?;
    Ok(converted)
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
            Err("Required parameter missing: id".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": null})),
            Err("Error validating parameter 'id': Expected integer, got null; the parameter is required".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": 1, "kind": "z"})),
            Err("Invalid value for kind. Must be one of: ['x', 'y']".into())
        );
        assert_eq!(
            process(&inputs, json!({"id": 1, "other": 2})),
            Err("Unknown parameter: other".into())
        );
    }

    #[test]
    fn nothing_is_accepted_where_nothing_is_declared() {
        assert_eq!(
            process(&inputs(json!([])), json!({"x": 1})),
            Err("Unknown parameter: x".into())
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
            "Error validating parameter 'n': Value must be >= 5"
        );
        assert_eq!(
            refused(json!({"n": 5.3})),
            "Error validating parameter 'n': Value must be multiple of 0.5"
        );
        assert_eq!(
            refused(json!({"s": "b"})),
            "Error validating parameter 's': String must match the pattern ^a"
        );
        assert_eq!(
            refused(json!({"l": ["z"]})),
            "Error validating parameter 'l': Array item 0: Must be one of: ['p', 'q']"
        );
        assert_eq!(
            refused(json!({"l": ["p", "p"]})),
            "Error validating parameter 'l': Array must contain unique items"
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
