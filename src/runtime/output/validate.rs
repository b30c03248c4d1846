//! The compiled `return` of one endpoint.

use mxcp_artifact::TypeDef;
use serde_json::Value;

use crate::schema::{Side, Validator};

/// The declared result type of an endpoint, ready to check results.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) returns: TypeDef,
    validator: Validator,
}

impl Output {
    pub(crate) fn new(returns: &TypeDef) -> Self {
        Self {
            returns: returns.clone(),
            validator: Validator::new(returns, Side::Output),
        }
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        self.validator.check(value)
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
        let check = |row: Value| output.check(&json!([row]));
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
}
