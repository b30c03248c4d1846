//! Random SQL types and, for each, literals with the JSON they are to become.

use proptest::prelude::*;

use super::compare::Expect;
use super::scalars::{Scalar, any_scalar};

#[derive(Clone, Debug)]
pub(super) enum Ty {
    Scalar(Scalar),
    List(Box<Ty>),
    Array(Box<Ty>, usize),
    Struct(Vec<(String, Ty)>),
    Tuple(Vec<Ty>),
    Map(Scalar, Box<Ty>),
    Union(Vec<(String, Ty)>),
    /// A VARIANT and the type of what it is made from.
    Variant(Box<Ty>),
}

pub(super) type Sample = (String, Expect);

impl Ty {
    pub(super) fn sql(&self) -> String {
        let fields = |fields: &[(String, Ty)]| {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, ty)| format!("\"{}\" {}", name.replace('"', "\"\""), ty.sql()))
                .collect();
            fields.join(", ")
        };
        match self {
            Self::Scalar(scalar) => scalar.sql(),
            Self::List(item) => format!("{}[]", item.sql()),
            Self::Array(item, size) => format!("{}[{size}]", item.sql()),
            Self::Struct(members) => format!("STRUCT({})", fields(members)),
            Self::Tuple(members) => {
                let members: Vec<String> = members.iter().map(Self::sql).collect();
                format!("TUPLE({})", members.join(", "))
            }
            Self::Map(key, value) => format!("MAP({}, {})", key.sql(), value.sql()),
            Self::Union(members) => format!("UNION({})", fields(members)),
            Self::Variant(_) => "VARIANT".into(),
        }
    }

    fn suits_variant(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.suits_variant(),
            Self::List(item) | Self::Array(item, _) => item.suits_variant(),
            Self::Struct(fields) => fields.iter().all(|(_, ty)| ty.suits_variant()),
            Self::Tuple(members) => members.iter().all(Self::suits_variant),
            // Maps become lists of entries and unions forget their member: both have tests of their
            // own.
            Self::Map(..) | Self::Union(_) | Self::Variant(_) => false,
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,6}",
        1 => "[a-z \"'äß日.$-]{1,8}",
    ]
}

fn named(item: impl Strategy<Value = Ty>) -> impl Strategy<Value = Vec<(String, Ty)>> {
    prop::collection::vec((name(), item), 1..4).prop_map(|mut fields| {
        // Names that differ only in case are one for the engine.
        let mut seen = std::collections::HashSet::new();
        fields.retain(|(name, _)| seen.insert(name.to_lowercase()));
        fields
    })
}

pub(super) fn any_type() -> impl Strategy<Value = Ty> {
    let scalar = any_scalar().prop_map(Ty::Scalar);
    scalar.prop_recursive(3, 12, 3, |item| {
        prop_oneof![
            2 => item.clone().prop_map(|item| Ty::List(Box::new(item))),
            1 => (item.clone(), 1usize..4).prop_map(|(item, n)| Ty::Array(Box::new(item), n)),
            2 => named(item.clone()).prop_map(Ty::Struct),
            1 => prop::collection::vec(item.clone(), 1..4).prop_map(Ty::Tuple),
            2 => (Scalar::key(), item.clone())
                .prop_map(|(key, value)| Ty::Map(key, Box::new(value))),
            1 => named(item.clone()).prop_map(Ty::Union),
            1 => item.prop_map(|item| match item.suits_variant() {
                true => Ty::Variant(Box::new(item)),
                false => item,
            }),
        ]
    })
}

/// Literals of a type, every eighth of them NULL.
pub(super) fn values(ty: &Ty) -> BoxedStrategy<Sample> {
    let null = format!("CAST(NULL AS {})", ty.sql());
    prop_oneof![
        1 => Just((null, Expect::Null)),
        7 => present(ty),
    ]
    .boxed()
}

fn present(ty: &Ty) -> BoxedStrategy<Sample> {
    let cast = ty.sql();
    match ty {
        Ty::Scalar(scalar) => scalar.values(),
        Ty::List(item) => list(prop::collection::vec(values(item), 0..4), cast),
        Ty::Array(item, size) => list(prop::collection::vec(values(item), *size), cast),
        Ty::Struct(fields) => {
            let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
            let parts: Vec<_> = fields.iter().map(|(_, ty)| values(ty)).collect();
            parts
                .prop_map(move |parts| {
                    let literal: Vec<String> = names
                        .iter()
                        .zip(&parts)
                        .map(|(name, (sql, _))| format!("'{}': {sql}", name.replace('\'', "''")))
                        .collect();
                    let wanted = names.iter().cloned().zip(parts.into_iter().map(|p| p.1));
                    (
                        format!("{{{}}}", literal.join(", ")),
                        Expect::Object(wanted.collect()),
                    )
                })
                .boxed()
        }
        Ty::Tuple(members) => {
            let parts: Vec<_> = members.iter().map(values).collect();
            parts
                .prop_map(|parts| {
                    let (literals, wanted): (Vec<String>, Vec<Expect>) = parts.into_iter().unzip();
                    (
                        format!("row({})", literals.join(", ")),
                        Expect::List(wanted),
                    )
                })
                .boxed()
        }
        Ty::Map(key, value) => prop::collection::vec((key.values(), values(value)), 0..4)
            .prop_map(move |mut entries| {
                let mut seen = std::collections::HashSet::new();
                entries.retain(|((literal, _), _)| seen.insert(literal.clone()));
                map(entries, &cast)
            })
            .boxed(),
        Ty::Union(members) => {
            let choices: Vec<BoxedStrategy<Sample>> = members
                .iter()
                .map(|(name, ty)| {
                    let name = name.replace('"', "\"\"");
                    values(ty)
                        .prop_map(move |(sql, wanted)| {
                            (format!("union_value(\"{name}\" := {sql})"), wanted)
                        })
                        .boxed()
                })
                .collect();
            prop::strategy::Union::new(choices)
                .prop_map(move |(sql, wanted)| (format!("CAST({sql} AS {cast})"), wanted))
                .boxed()
        }
        Ty::Variant(inner) => {
            let cast = inner.sql();
            present(inner)
                .prop_map(move |(sql, wanted)| {
                    (
                        format!("CAST(CAST({sql} AS {cast}) AS VARIANT)"),
                        wanted.sorted(),
                    )
                })
                .boxed()
        }
    }
}

fn list(
    items: impl Strategy<Value = Vec<Sample>> + 'static,
    cast: String,
) -> BoxedStrategy<Sample> {
    items
        .prop_map(move |items| {
            let (literals, wanted): (Vec<String>, Vec<Expect>) = items.into_iter().unzip();
            (
                format!("CAST([{}] AS {cast})", literals.join(", ")),
                Expect::List(wanted),
            )
        })
        .boxed()
}

fn map(entries: Vec<(Sample, Sample)>, cast: &str) -> Sample {
    let literals: Vec<String> = entries
        .iter()
        .map(|((key, _), (value, _))| format!("{key}: {value}"))
        .collect();
    let wanted = entries.into_iter().map(|((_, key), (_, value))| {
        let key = match key {
            Expect::Text(text) | Expect::Whole(text) => text,
            Expect::Bool(value) => value.to_string(),
            other => panic!("no key: {other:?}"),
        };
        (key, value)
    });
    (
        format!("CAST(MAP {{{}}} AS {cast})", literals.join(", ")),
        Expect::Object(wanted.collect()),
    )
}
