//! The types of CEL values, as far as declarations tell them.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) enum Type {
    /// Any value: nothing is said about it.
    Dyn,
    Null,
    Bool,
    Int,
    UInt,
    Double,
    String(Option<Allowed>),
    Bytes,
    List(Box<Type>),
    Map(Fields),
    Timestamp,
    Duration,
    /// The type of a type.
    Kind,
    /// A value of the type, or null.
    Nullable(Box<Type>),
}

/// The texts that a declared `enum` allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) struct Allowed(pub(super) Vec<String>);

/// What is known of the keys of a map.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(in crate::check) struct Fields {
    pub(super) known: BTreeMap<String, Type>,
    /// No other keys exist.
    pub(super) closed: bool,
}

/// What is known of a field that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) enum FieldLookup {
    Found,
    /// Nothing says that it is there, nothing that it is not.
    Possible,
    /// It cannot be there; these can.
    Missing(Vec<String>),
    /// The path goes through this, which is neither an object nor a list of objects.
    Scalar(String),
}

impl Type {
    /// Follows a dotted path through maps and through the items of lists.
    pub(in crate::check) fn lookup(&self, path: &str) -> FieldLookup {
        let fields = match self.certain() {
            Some(Self::List(item)) => return item.lookup(path),
            Some(Self::Map(fields)) => fields,
            Some(_) => return FieldLookup::Missing(Vec::new()),
            None => return FieldLookup::Possible,
        };
        if fields.known.contains_key(path) {
            return FieldLookup::Found;
        }
        if let Some((head, rest)) = path.split_once('.')
            && let Some(inner) = fields.known.get(head)
        {
            return match inner.certain() {
                Some(Self::Map(_) | Self::List(_)) | None => inner.lookup(rest),
                Some(_) => FieldLookup::Scalar(head.to_owned()),
            };
        }
        let names = || fields.known.keys().cloned().collect();
        // An open object may have any field; one that is nearly a declared one is a slip.
        let near = fields
            .known
            .keys()
            .any(|name| strsim::damerau_levenshtein(name, path) <= 2 && path.len() > 3);
        if fields.closed || near {
            FieldLookup::Missing(names())
        } else {
            FieldLookup::Possible
        }
    }

    pub(in crate::check) const STRING: Self = Self::String(None);

    pub(super) fn list_of_any() -> Self {
        Self::List(Box::new(Self::Dyn))
    }

    pub(in crate::check) fn nullable(self) -> Self {
        match self {
            Self::Dyn | Self::Null | Self::Nullable(_) => self,
            other => Self::Nullable(Box::new(other)),
        }
    }

    /// The type without null; `None` when it is null or not known.
    pub(in crate::check) fn certain(&self) -> Option<&Self> {
        match self {
            Self::Dyn | Self::Null => None,
            Self::Nullable(inner) => inner.certain(),
            other => Some(other),
        }
    }

    pub(super) fn is_numeric(&self) -> bool {
        matches!(self, Self::Int | Self::UInt | Self::Double)
    }

    /// The name that `grammar/cel.yml` uses.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Dyn => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::UInt => "uint",
            Self::Double => "double",
            Self::String(_) => "string",
            Self::Bytes => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Kind => "type",
            Self::Nullable(inner) => inner.name(),
        }
    }

    /// The type that a name of `grammar/cel.yml` stands for.
    pub(super) fn from_name(name: &str) -> Self {
        if let Some(name) = name.strip_suffix('?') {
            return Self::from_name(name).nullable();
        }
        match name {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::UInt,
            "double" => Self::Double,
            "string" => Self::STRING,
            "bytes" => Self::Bytes,
            "list" => Self::list_of_any(),
            "map" => Self::Map(Fields::default()),
            "null_type" => Self::Null,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            "type" => Self::Kind,
            _ => Self::Dyn,
        }
    }

    /// Whether a value of one type can equal one of the other.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            // Comparing with null asks whether there is a value, also where there always is one.
            (Self::Null, _) | (_, Self::Null) => true,
            (Self::Nullable(a), b) | (b, Self::Nullable(a)) => a.may_equal(b),
            (Self::List(a), Self::List(b)) => a.may_equal(b),
            (Self::Map(_), Self::Map(_)) => true,
            (a, b) => a.name() == b.name() || (a.is_numeric() && b.is_numeric()),
        }
    }

    /// What either of two types can be.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Null, b) => b.nullable(),
            (a, Self::Null) => a.nullable(),
            (Self::Nullable(a), b) | (b, Self::Nullable(a)) => a.join(b).nullable(),
            (Self::String(_), Self::String(_)) => Self::STRING,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b))),
            (Self::Map(_), Self::Map(_)) => Self::Map(Fields::default()),
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
