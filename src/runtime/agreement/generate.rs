//! Random types, and values that mostly have something to do with them.

use mxcp_artifact::{Format, Property, TypeDef, TypeKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Number, Value};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const PATTERNS: [&str; 7] = [
    "b+",
    "^[a-z]*$",
    "^\\d{2}$",
    "^(ab|cd)?$",
    "[^a]",
    "^2024",
    "^(?!x)",
];
const FORMATS: [Format; 7] = [
    Format::Email,
    Format::Uri,
    Format::Date,
    Format::Time,
    Format::DateTime,
    Format::Duration,
    Format::Timestamp,
];
const TEXTS: [&str; 64] = [
    "",
    "a",
    "ab",
    "abb",
    "12",
    "é",
    "日本",
    "😀😀",
    " ",
    "x",
    "null",
    "true",
    "False",
    "yes",
    "off",
    "0",
    "1",
    "-7",
    "2.0",
    "2.5",
    "1e2",
    "nan",
    "inf",
    "1_0",
    "[1, 2]",
    "[]",
    "[\"a\"]",
    "{}",
    "{\"a\": 1}",
    "{\"a\": \"x\", \"b\": [1]}",
    "[1,]",
    "{\"a\"",
    "a@b.co",
    "a@b",
    "\"a b\"@c.de",
    "a b@c.de",
    "é@ü.de",
    "a@[127.0.0.1]",
    "http://x.y/z",
    "a:",
    "http://a b",
    "//x",
    "2024-01-31",
    "2024-1-5",
    "2024-02-30",
    "2024-W05-3",
    "20240131",
    "10:11",
    "10:11:12",
    "10:11:12.5Z",
    "10:11:12+02:00",
    "23:59:60Z",
    "2024-01-31T10:11:12Z",
    "2024-01-31t10:11:12.5-23:59",
    "2024-01-31 10:11",
    "2024-01-31T10",
    "2016-12-31T23:59:60Z",
    "P1D",
    "P",
    "P1W",
    "P1Y2M3DT4H5M6S",
    "PT0.5S",
    "1706695872.25",
    "-99999999999",
];

fn digits(text: &str) -> Value {
    text.parse().map_or(Value::Null, Value::Number)
}

fn number() -> BoxedStrategy<Value> {
    prop_oneof![
        (-12_i64..12).prop_map(Value::from),
        (-40_i64..40, 1_u32..3).prop_map(|(n, scale)| digits(&format!("{n}e-{scale}"))),
        (-6_i64..6).prop_map(|n| digits(&format!("{n}.0"))),
        select(vec![
            "9007199254740993",
            "18446744073709551616",
            "1e20",
            "-1e3",
            "123456789012345678901234567890",
            "0.1",
            "0.3",
            "1e-9",
            "1e300",
            "-0",
            "-0.0",
            "2147483648",
        ])
        .prop_map(digits),
    ]
    .boxed()
}

fn text() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => select(TEXTS.to_vec()).prop_map(Value::from),
        1 => "[a-d0-9]{0,4}".prop_map(Value::from),
    ]
    .boxed()
}

fn any_value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text(),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((select(NAMES.to_vec()), inner), 0..4).prop_map(|fields| {
                let fields: Map<String, Value> =
                    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                fields.into()
            }),
        ]
    })
    .boxed()
}

fn bound() -> BoxedStrategy<Option<Number>> {
    option::weighted(
        0.25,
        number().prop_filter_map("a small number", |value| match value {
            Value::Number(n) if n.as_f64().is_some_and(|f| f.abs() < 1e6) => Some(n),
            _ => None,
        }),
    )
    .boxed()
}

fn step() -> BoxedStrategy<Option<Number>> {
    option::weighted(
        0.2,
        select(vec!["1", "2", "3", "0.1", "0.5", "1.5", "0.01", "1e1"])
            .prop_filter_map("a number", |text| text.parse().ok()),
    )
    .boxed()
}

fn count() -> BoxedStrategy<Option<u64>> {
    option::weighted(0.25, 0_u64..5).boxed()
}

fn base(kind: TypeKind) -> BoxedStrategy<TypeDef> {
    let ty = TypeDef::new(kind);
    match kind {
        TypeKind::String => (
            option::weighted(0.5, select(FORMATS.to_vec())),
            option::weighted(0.25, select(PATTERNS.to_vec())),
            count(),
            option::weighted(0.2, 0_u64..25),
        )
            .prop_map(move |(format, pattern, min, max)| {
                let mut ty = ty.clone();
                ty.format = format;
                ty.pattern = pattern.map(str::to_owned);
                ty.min_length = min;
                ty.max_length = max;
                ty
            })
            .boxed(),
        TypeKind::Number | TypeKind::Integer => (bound(), bound(), bound(), bound(), step())
            .prop_map(move |(min, max, above, below, step)| {
                let mut ty = ty.clone();
                ty.minimum = min;
                ty.maximum = max;
                ty.exclusive_minimum = above;
                ty.exclusive_maximum = below;
                ty.multiple_of = step;
                ty
            })
            .boxed(),
        _ => Just(ty).boxed(),
    }
}

// With values of its own in `enum` and as the default.
fn with_values(ty: BoxedStrategy<TypeDef>) -> BoxedStrategy<TypeDef> {
    ty.prop_flat_map(|ty| {
        let values = option::weighted(0.2, vec(fitting(&ty), 1..4));
        let default = option::weighted(0.4, prop_oneof![Just(Value::Null), fitting(&ty)]);
        (Just(ty), values, default)
    })
    .prop_map(|(mut ty, allowed, default)| {
        ty.allowed = allowed;
        ty.default = default;
        ty
    })
    .boxed()
}

fn scalar() -> BoxedStrategy<TypeDef> {
    with_values(
        select(vec![
            TypeKind::String,
            TypeKind::String,
            TypeKind::Integer,
            TypeKind::Number,
            TypeKind::Boolean,
        ])
        .prop_flat_map(base)
        .boxed(),
    )
}

fn any_type() -> BoxedStrategy<TypeDef> {
    scalar()
        .prop_recursive(3, 12, 3, |inner| {
            let array = (
                option::weighted(0.8, inner.clone()),
                count(),
                count(),
                any::<bool>(),
            )
                .prop_map(|(items, min, max, unique)| {
                    let mut ty = TypeDef::new(TypeKind::Array);
                    ty.items = items.map(Box::new);
                    ty.min_items = min;
                    ty.max_items = max;
                    ty.unique_items = unique;
                    ty
                });
            let object = (
                option::weighted(0.9, vec(inner, 0..4)),
                vec(any::<bool>(), 4),
                option::weighted(0.5, any::<bool>()),
            )
                .prop_map(|(properties, required, additional)| {
                    let mut ty = TypeDef::new(TypeKind::Object);
                    ty.additional_properties = additional;
                    ty.properties = properties.map(|types| {
                        types
                            .into_iter()
                            .zip(NAMES)
                            .map(|(ty, name)| Property {
                                name: name.into(),
                                ty,
                            })
                            .collect()
                    });
                    for (name, required) in NAMES.iter().zip(required) {
                        if required && ty.property(name).is_some() {
                            ty.required.push((*name).to_owned());
                        }
                    }
                    ty
                });
            prop_oneof![
                1 => array.boxed(),
                1 => with_values(object.boxed()),
            ]
        })
        .boxed()
}

/// A value of the JSON type that is asked for, constraints left to chance.
fn fitting(ty: &TypeDef) -> BoxedStrategy<Value> {
    match ty.kind {
        TypeKind::String => text(),
        TypeKind::Number => number(),
        TypeKind::Integer => number()
            .prop_map(|value| match value.as_f64() {
                Some(f) if f.fract() != 0.0 => 3.into(),
                Some(f) if f.abs() > 1e30 => 3.into(),
                _ => value,
            })
            .boxed(),
        TypeKind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        TypeKind::Array => {
            let item = ty.items.as_deref().map_or_else(any_value, value_for);
            vec(item, 0..4).prop_map(Value::from).boxed()
        }
        TypeKind::Object => {
            let mut fields: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
            for property in ty.properties.iter().flatten() {
                let likely = if ty.required.contains(&property.name) {
                    0.95
                } else {
                    0.6
                };
                let value = option::weighted(likely, value_for(&property.ty));
                let name = property.name.clone();
                fields = (fields, value)
                    .prop_map(move |(mut fields, value)| {
                        if let Some(value) = value {
                            fields.insert(name.clone(), value);
                        }
                        fields
                    })
                    .boxed();
            }
            let more = option::weighted(0.2, any_value());
            (fields, more)
                .prop_map(|(mut fields, more)| {
                    if let Some(more) = more {
                        fields.insert("z".into(), more);
                    }
                    fields.into()
                })
                .boxed()
        }
    }
}

/// A value that often is one of the type, sometimes nearly, sometimes not at all.
fn value_for(ty: &TypeDef) -> BoxedStrategy<Value> {
    let fitting = fitting(ty);
    // As a command line or a hasty model sends it.
    let as_text = fitting.clone().prop_map(|value| match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    });
    let given: Vec<Value> = ty.allowed.iter().flatten().cloned().collect();
    let given = if given.is_empty() {
        fitting.clone()
    } else {
        select(given).boxed()
    };
    prop_oneof![
        8 => fitting,
        3 => given,
        2 => as_text,
        1 => any_value(),
    ]
    .boxed()
}

pub(super) fn type_and_values(count: usize) -> BoxedStrategy<(TypeDef, Vec<Value>)> {
    any_type()
        .prop_flat_map(move |ty| {
            let values = vec(value_for(&ty), count);
            (Just(ty), values)
        })
        .boxed()
}
