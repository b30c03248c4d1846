//! Random types and random values: what clients are told and what is accepted are the same.
//!
//! The judge is the `jsonschema` crate with the advertised schema and its own formats, not the
//! validators of this crate. Ten thousand values in all.

use mxcp_artifact::{Endpoint, Format, Parameter, TypeDef, TypeKind, schema_json};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use mxcp_values::{equal, example, formats};

use crate::input::Inputs;
use crate::output::Output;

mod generate;

use generate::type_and_values;

/// Values tried with each type.
const VALUES: usize = 5;

fn judge(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .offline()
        .build(schema)
        .unwrap()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        // The same types and values in every run; another seed is one edit away.
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_260_101),
        ..ProptestConfig::default()
    }
}

fn arguments(value: &Value) -> Map<String, Value> {
    let mut arguments = Map::new();
    arguments.insert("p".into(), value.clone());
    arguments
}

/// Whether the value has, at some place, one of the spellings that are accepted besides those of the
/// schema.
fn lenient(ty: &TypeDef, value: &Value) -> bool {
    match (ty.kind, value) {
        // A number for a text.
        (TypeKind::String, Value::Number(_)) => ty.format.is_none_or(|f| f == Format::Timestamp),
        (TypeKind::String, Value::Bool(_)) => ty.format.is_none(),
        // A day, a time, a moment, an address as people write them.
        (TypeKind::String, Value::String(text)) => ty.format.is_some_and(|format| match format {
            Format::Timestamp => formats::timestamp(text).is_some(),
            // Results are checked more strictly.
            Format::Date => formats::date(text).is_some(),
            format => formats::CHECKS
                .iter()
                .any(|(name, check)| *name == format.as_str() && check(text)),
        }),
        // A number or a truth value as text, a truth value as a number.
        (TypeKind::Number | TypeKind::Integer | TypeKind::Boolean, Value::String(_)) => true,
        (TypeKind::Boolean, Value::Number(_)) => true,
        // JSON in a text.
        (TypeKind::Array | TypeKind::Object, Value::String(_)) => true,
        (TypeKind::Array, Value::Array(items)) => ty
            .items
            .as_deref()
            .is_some_and(|item| items.iter().any(|value| lenient(item, value))),
        (TypeKind::Object, Value::Object(fields)) => {
            fields.iter().any(|(name, value)| {
                ty.property(name).is_some_and(|property| {
                    // Null is what an optional property is without a value.
                    lenient(property, value) || (value.is_null() && !ty.required.contains(name))
                })
            }) || completed(ty, fields)
        }
        _ => false,
    }
}

/// A property that was left out has its default before `enum` and `uniqueItems` are looked at.
fn completed(ty: &TypeDef, fields: &Map<String, Value>) -> bool {
    let mut properties = ty.properties.iter().flatten();
    properties.any(|p| p.ty.default.is_some() && !fields.contains_key(&p.name))
}

/// Whether what a schema accepted as it stands still says the same after conversion.
fn same(ty: &TypeDef, sent: &Value, got: &Value) -> bool {
    match (ty.kind, sent, got) {
        (TypeKind::Number, Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (TypeKind::Integer, _, _) => equal(sent, got) && !got.to_string().contains(['.', 'e', 'E']),
        (TypeKind::String, Value::String(a), Value::String(b)) => match ty.format {
            Some(Format::Date) => formats::date(a) == formats::date(b),
            Some(Format::Time) => formats::time(a) == formats::time(b),
            Some(Format::DateTime) => formats::date_time(a) == formats::date_time(b),
            Some(Format::Timestamp) => {
                formats::timestamp(a).map(|(_, t)| (t, None)) == formats::date_time(b)
            }
            _ => a == b,
        },
        (TypeKind::Array, Value::Array(a), Value::Array(b)) => match &ty.items {
            Some(item) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(item, a, b)),
            None => a == b,
        },
        (TypeKind::Object, Value::Object(a), Value::Object(b)) => {
            let kept = a.iter().all(|(name, a)| {
                b.get(name).is_some_and(|b| match ty.property(name) {
                    Some(ty) => same(ty, a, b),
                    None => a == b,
                })
            });
            // What is new is a default.
            kept && b.keys().all(|name| {
                a.contains_key(name) || ty.property(name).is_some_and(|p| p.default.is_some())
            })
        }
        _ => sent == got,
    }
}

/// Whether a whole number in it is in the range of doubles only: JSON Schema has no such limit, but no
/// integer type of the engine holds it.
fn beyond_integers(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|n| n.abs() >= 2f64.powi(127)),
        Value::Array(items) => items.iter().any(beyond_integers),
        Value::Object(fields) => fields.values().any(beyond_integers),
        _ => false,
    }
}

fn parameter(ty: &TypeDef) -> Parameter {
    Parameter {
        name: "p".into(),
        ty: ty.clone(),
    }
}

proptest! {
    #![proptest_config(config(1_400))]

    #[test]
    fn arguments_are_what_the_advertised_schema_says((ty, values) in type_and_values(VALUES)) {
        let parameters = [parameter(&ty)];
        let inputs = Inputs::new(&parameters);
        let advertised = judge(&schema_json::input_schema(&parameters));
        for value in values {
            let sent = arguments(&value);
            let valid = advertised.is_valid(&sent.clone().into());
            match inputs.process(sent.clone(), false) {
                Ok(got) => {
                    let optional_null = value.is_null() && ty.default.is_some();
                    prop_assert!(
                        valid || optional_null || lenient(&ty, &value),
                        "accepted, but the schema refuses it: {value}"
                    );
                    if valid {
                        prop_assert!(same(&ty, &value, &got["p"]), "{value} became {}", got["p"]);
                    }
                }
                Err(text) => {
                    prop_assert!(
                        !valid || beyond_integers(&value),
                        "the schema accepts {value}, but: {text}"
                    );
                    prop_assert!(text.contains('p'), "{text}");
                }
            }
        }
    }

    #[test]
    fn null_is_for_parameters_with_a_default((ty, _) in type_and_values(0)) {
        let inputs = Inputs::new(&[parameter(&ty)]);
        let null = inputs.process(arguments(&Value::Null), false);
        match ty.default {
            Some(_) => prop_assert_eq!(null, Ok(arguments(&Value::Null))),
            None => prop_assert!(null.is_err()),
        }
        let mut optional = ty;
        optional.default = Some(Value::Null);
        let inputs = Inputs::new(&[parameter(&optional)]);
        prop_assert_eq!(inputs.process(Map::new(), false), Ok(arguments(&Value::Null)));
    }

    #[test]
    fn every_example_shown_is_accepted((ty, values) in type_and_values(1)) {
        let inputs = Inputs::new(&[parameter(&ty)]);
        let advertised = judge(&schema_json::input_schema(&[parameter(&ty)]));
        if let Some(value) = example(&ty) {
            prop_assert!(inputs.process(arguments(&value), false).is_ok(), "{value}");
            // `10:00:00` is shown although the schema would have a zone.
            prop_assert!(
                advertised.is_valid(&arguments(&value).into()) || lenient(&ty, &value),
                "{value}"
            );
        }
        // A secret is not repeated, wherever it is refused.
        let mut secret = ty;
        secret.sensitive = true;
        for value in values {
            let inputs = Inputs::new(&[parameter(&secret)]);
            let sent = Value::from(format!("hunter2 {value}"));
            if let Err(text) = inputs.process(arguments(&sent), false) {
                prop_assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }
}

fn advertised_output(returns: &TypeDef) -> Value {
    let endpoint: Endpoint = serde_json::from_value(json!({
        "kind": "tool",
        "name": "t",
        "path": "tools/t.yml",
        "return": returns,
        "body": {"sql": {"sql": "SELECT 1", "effects": {}}},
        "input_schema": {"type": "object"},
        "output_schema": schema_json::output_schema(returns),
    }))
    .unwrap();
    crate::server::output_schema(&endpoint).unwrap().into()
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn results_are_what_the_advertised_schema_says((returns, values) in type_and_values(VALUES)) {
        let output = Output::new(&returns);
        let advertised = judge(&advertised_output(&returns));
        for value in values {
            // An object is the result itself, and the protocol wants one.
            if returns.kind == TypeKind::Object && value.is_null() {
                continue;
            }
            let structured = |value: &Value| match returns.kind {
                TypeKind::Object => value.clone(),
                _ => json!({"result": value}),
            };
            match output.accept(value.clone()) {
                Ok(got) => {
                    let valid = advertised.is_valid(&structured(&got));
                    prop_assert!(valid, "the schema refuses {got}");
                }
                // The formats that a schema of results leaves out are the only difference.
                Err(text) => prop_assert!(
                    text.contains("Invalid ") || !advertised.is_valid(&structured(&value)),
                    "the schema accepts {value}, but: {text}"
                ),
            }
        }
    }
}
