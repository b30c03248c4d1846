//! The compiled `return` of one endpoint.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use mxcp_values::{Validator, formats};
use serde_json::Value;

/// The declared result type of an endpoint, ready to check results.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) returns: TypeDef,
    validator: Validator,
    has_days: bool,
}

impl Output {
    pub(crate) fn new(returns: &TypeDef) -> Self {
        Self {
            returns: returns.clone(),
            validator: Validator::output(returns),
            has_days: has_days(returns),
        }
    }

    /// The result as it was declared. What is wrong with it says where, and no more of the value than
    /// the texts that name it always did: a policy may be about to hide it from this caller.
    pub(crate) fn accept(&self, value: Value) -> Result<Value, String> {
        if self.has_days {
            let declared = days(&self.returns, value.clone());
            if self.validator.check(&declared).is_ok() {
                return Ok(declared);
            }
        }
        match self.validator.check(&value) {
            Ok(()) => Ok(value),
            Err(fault) => Err(fault.sentence(&self.returns)),
        }
    }
}

fn is_day(ty: &TypeDef) -> bool {
    ty.kind == TypeKind::String && matches!(ty.format, Some(Format::Date | Format::DateTime))
}

fn has_days(ty: &TypeDef) -> bool {
    is_day(ty)
        || ty.items.as_deref().is_some_and(has_days)
        || ty.properties.iter().flatten().any(|p| has_days(&p.ty))
}

// SQL changes freely between a day and its first moment (`date_trunc`, `+ INTERVAL`): the one that
// was declared is meant.
fn days(ty: &TypeDef, value: Value) -> Value {
    const MIDNIGHT: &str = "T00:00:00";
    match (value, ty.format) {
        (Value::String(text), Some(Format::Date)) if is_day(ty) => {
            let day = text.strip_suffix(MIDNIGHT).unwrap_or(&text);
            formats::date(day).map_or(text, formats::date_text).into()
        }
        (Value::String(text), Some(Format::DateTime)) if is_day(ty) => {
            if formats::date(&text).is_some() {
                (text + MIDNIGHT).into()
            } else {
                text.into()
            }
        }
        (Value::Array(items), _) => match &ty.items {
            Some(item) => items.into_iter().map(|value| days(item, value)).collect(),
            None => items.into(),
        },
        (Value::Object(mut fields), _) => {
            for property in ty.properties.iter().flatten() {
                if let Some(value) = fields.get_mut(&property.name) {
                    *value = days(&property.ty, value.take());
                }
            }
            fields.into()
        }
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_checked_completely_and_nulls_pass() {
        let returns: TypeDef = serde_json::from_value(json!({
            "type": "array",
            "items": {
                "type": "object",
                "properties": [
                    {"name": "id", "type": {"type": "integer", "exclusiveMinimum": 0}},
                    {"name": "tier", "type": {"type": "string", "enum": ["gold", "silver"]}},
                    {"name": "day", "type": {"type": "string", "format": "date"}}
                ],
                "required": ["id"],
                "additionalProperties": false
            }
        }))
        .unwrap();
        let output = Output::new(&returns);
        let check = |row: Value| output.accept(json!([row])).map(|_| ());
        assert_eq!(
            check(json!({"id": 1, "tier": null, "day": "2024-01-31"})),
            Ok(())
        );
        assert_eq!(check(json!({"id": null})), Ok(()));
        assert_eq!(check(Value::Null), Ok(()));
        for (row, text) in [
            (
                json!({"id": "x"}),
                "Array item 0: Property 'id': Expected integer, got str",
            ),
            (
                json!({"id": 0}),
                "Array item 0: Property 'id': Value must be > 0",
            ),
            (
                json!({"id": 1, "tier": "tin"}),
                "Array item 0: Property 'tier': Must be one of: ['gold', 'silver']",
            ),
            (
                json!({"id": 1, "day": "soon"}),
                "Array item 0: Property 'day': Invalid date format: soon",
            ),
            (
                json!({"tier": "gold"}),
                "Array item 0: Missing required properties: id",
            ),
            (
                json!({"id": 1, "z": 1}),
                "Array item 0: Unexpected property: z",
            ),
        ] {
            assert_eq!(check(row), Err(text.to_owned()));
        }
    }

    #[test]
    fn a_day_and_its_first_moment_are_what_was_declared() {
        let returns: TypeDef = serde_json::from_value(json!({
            "type": "object",
            "properties": [
                {"name": "day", "type": {"type": "string", "format": "date"}},
                {"name": "at", "type": {"type": "array",
                    "items": {"type": "string", "format": "date-time"}}}
            ]
        }))
        .unwrap();
        let output = Output::new(&returns);
        assert_eq!(
            output.accept(json!({"day": "2024-1-31T00:00:00", "at": ["2024-01-31"]})),
            Ok(json!({"day": "2024-01-31", "at": ["2024-01-31T00:00:00"]}))
        );
        assert_eq!(
            output.accept(json!({"day": "2024-01-31T10:00:00"})),
            Err("Property 'day': Invalid date format: 2024-01-31T10:00:00".into())
        );
        assert_eq!(
            output.accept(json!({"at": ["1"]})),
            Err("Property 'at': Array item 0: Invalid date-time format: 1".into())
        );
    }

    #[test]
    fn a_sensitive_value_is_not_shown() {
        let returns: TypeDef =
            serde_json::from_value(json!({"type": "string", "format": "email", "sensitive": true}))
                .unwrap();
        assert_eq!(
            Output::new(&returns).accept(json!("hunter2")),
            Err("Invalid email format".into())
        );
    }
}
