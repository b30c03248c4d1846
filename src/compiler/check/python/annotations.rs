//! Annotations of a function as types, against what the endpoint declares.
//!
//! What is not understood (`Any`, classes of other files, type variables) says nothing.

use mxcp_artifact::{Format, TypeDef, TypeKind};
use mxcp_syntax::python::{Class, Module};

/// The type an annotation names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Any,
    None,
    Text,
    Integer,
    Float,
    Bool,
    Bytes,
    Date,
    DateTime,
    Time,
    Duration,
    Decimal,
    Uuid,
    /// Lists and what is used like one.
    List(Box<Type>),
    Dict(Box<Type>),
    Record(Record),
    Frame,
    Literal(Vec<String>),
    Union(Vec<Type>),
}

/// A class with annotated fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    name: String,
    fields: Vec<(String, Type)>,
    /// Whether its values are dicts.
    is_dict: bool,
}

pub(super) fn read(text: &str, module: &Module) -> Type {
    let mut reader = Reader {
        rest: text,
        module,
        depth: 0,
    };
    let ty = reader.union();
    if reader.rest.trim().is_empty() {
        ty
    } else {
        Type::Any
    }
}

struct Reader<'a> {
    rest: &'a str,
    module: &'a Module,
    depth: u32,
}

impl Reader<'_> {
    fn union(&mut self) -> Type {
        self.depth += 1;
        if self.depth > 32 {
            return Type::Any;
        }
        let mut members = vec![self.atom()];
        while self.eat('|') {
            members.push(self.atom());
        }
        self.depth -= 1;
        union(members)
    }

    fn eat(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn atom(&mut self) -> Type {
        self.rest = self.rest.trim_start();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let body = &self.rest[1..];
            let Some(end) = body.find(quote) else {
                return self.give_up();
            };
            let text = &body[..end];
            self.rest = &body[end + 1..];
            if self.depth > 8 {
                return Type::Any;
            }
            return read(text, self.module);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return self.give_up();
        }
        self.rest = rest;
        let last = name.rsplit('.').next().unwrap_or(name);
        if !self.eat('[') {
            return self.named(name, last, Vec::new());
        }
        if last == "Literal" {
            let Some(end) = self.rest.find(']') else {
                return self.give_up();
            };
            let (inner, rest) = self.rest.split_at(end);
            self.rest = &rest[1..];
            let values = inner
                .split(',')
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
                .collect();
            return Type::Literal(values);
        }
        let mut arguments = Vec::new();
        while !self.eat(']') {
            // `[int, str]` of a Callable, `...` of a tuple.
            if self.eat('[') || self.eat('.') {
                return self.give_up();
            }
            arguments.push(self.union());
            if !self.eat(',') && !self.rest.trim_start().starts_with(']') {
                return self.give_up();
            }
        }
        self.named(name, last, arguments)
    }

    fn give_up(&mut self) -> Type {
        self.rest = "";
        Type::Any
    }

    fn named(&self, name: &str, last: &str, arguments: Vec<Type>) -> Type {
        if let Some(class) = self.module.classes.iter().rev().find(|c| c.name == name) {
            return self.class(class);
        }
        // A name of the module's own may be anything.
        let is_bare = name == last;
        let imported = || {
            self.module.facts.imports.iter().any(|i| {
                i.name.as_deref() == Some(last) && KNOWN_MODULES.contains(&i.module.as_str())
            })
        };
        let builtin = matches!(
            name,
            "str"
                | "int"
                | "float"
                | "bool"
                | "bytes"
                | "list"
                | "tuple"
                | "set"
                | "frozenset"
                | "dict"
                | "None"
        );
        if is_bare && self.module.names.contains(name) && !imported() {
            return Type::Any;
        }
        if is_bare && !builtin && !imported() {
            return Type::Any;
        }
        let mut arguments = arguments.into_iter();
        let mut first = || arguments.next().unwrap_or(Type::Any);
        match last {
            "None" => Type::None,
            // Only an exception leaves such a function.
            "NoReturn" | "Never" => Type::Any,
            "str" => Type::Text,
            "int" => Type::Integer,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "bytes" | "bytearray" => Type::Bytes,
            "date" => Type::Date,
            "datetime" | "Timestamp" => Type::DateTime,
            "time" => Type::Time,
            "timedelta" => Type::Duration,
            "Decimal" => Type::Decimal,
            "UUID" => Type::Uuid,
            "list" | "List" | "Sequence" | "Iterable" | "Collection" | "MutableSequence"
            | "Iterator" | "Generator" | "AsyncIterator" | "AsyncGenerator" | "AsyncIterable"
            | "set" | "Set" | "frozenset" | "FrozenSet" | "AbstractSet" | "MutableSet" => {
                Type::List(Box::new(first()))
            }
            // Its items have a type each.
            "tuple" | "Tuple" => Type::List(Box::new(Type::Any)),
            "dict" | "Dict" | "Mapping" | "MutableMapping" | "OrderedDict" | "defaultdict"
            | "DefaultDict" => {
                let _ = first();
                Type::Dict(Box::new(first()))
            }
            "Optional" => union(vec![first(), Type::None]),
            "Union" => union(arguments.collect()),
            "Annotated" | "Final" | "Required" | "NotRequired" | "ReadOnly" | "Awaitable" => {
                first()
            }
            "Coroutine" => {
                let _ = (first(), first());
                first()
            }
            "DataFrame" => Type::Frame,
            _ => Type::Any,
        }
    }

    fn class(&self, class: &Class) -> Type {
        let decorated = |name: &str| {
            class
                .decorators
                .iter()
                .any(|d| d.split('(').next().unwrap_or(d).rsplit('.').next() == Some(name))
        };
        let is_dict = class.bases.iter().any(|b| b == "TypedDict");
        let is_record =
            is_dict || decorated("dataclass") || class.bases.iter().any(|b| b == "BaseModel");
        // What it inherits from another class is not known.
        if !is_record || class.bases.len() > 1 || self.depth > 6 {
            return Type::Any;
        }
        Type::Record(Record {
            name: class.name.clone(),
            is_dict,
            fields: class
                .fields
                .iter()
                .map(|(name, annotation, _)| {
                    let mut reader = Reader {
                        rest: annotation,
                        module: self.module,
                        depth: self.depth + 2,
                    };
                    (name.clone(), reader.union())
                })
                .collect(),
        })
    }
}

const KNOWN_MODULES: [&str; 9] = [
    "typing",
    "typing_extensions",
    "collections.abc",
    "collections",
    "datetime",
    "decimal",
    "uuid",
    "pandas",
    "polars",
];

fn union(mut members: Vec<Type>) -> Type {
    if members.len() == 1 {
        return members.pop().unwrap_or(Type::Any);
    }
    Type::Union(members)
}

impl Type {
    fn describe(&self) -> String {
        match self {
            Self::Any => "anything".into(),
            Self::None => "None".into(),
            Self::Text | Self::Literal(_) => "a text".into(),
            Self::Integer => "an int".into(),
            Self::Float => "a float".into(),
            Self::Bool => "a bool".into(),
            Self::Bytes => "bytes".into(),
            Self::Date => "a date".into(),
            Self::DateTime => "a datetime".into(),
            Self::Time => "a time".into(),
            Self::Duration => "a timedelta".into(),
            Self::Decimal => "a Decimal".into(),
            Self::Uuid => "a UUID".into(),
            Self::List(_) => "a list".into(),
            Self::Dict(_) => "a dict".into(),
            Self::Record(record) => format!("a `{}`", record.name),
            Self::Frame => "a DataFrame".into(),
            Self::Union(_) => "another type".into(),
        }
    }
}

/// Why a value of the declared type is not what a parameter's annotation says; `None` when it is.
pub(super) fn argument_problem(ty: &Type, declared: &TypeDef) -> Option<String> {
    use TypeKind as K;
    let fits = match (ty, declared.kind) {
        (Type::Any, _) => true,
        (Type::Union(members), _) => {
            return members
                .iter()
                .filter(|m| **m != Type::None)
                .map(|m| argument_problem(m, declared))
                .reduce(|a, b| if a.is_none() { a } else { b })
                .flatten();
        }
        (Type::Literal(values), K::String) => {
            let missing = declared.allowed.iter().flatten().find_map(|v| {
                let text = v.as_str()?;
                let listed = values.iter().any(|l| l.trim_matches(['"', '\'']) == text);
                (!listed).then_some(text)
            });
            return missing.map(|v| format!("leaves out `{v}`, which `enum` allows"));
        }
        (Type::Literal(_), K::Integer | K::Number | K::Boolean) => true,
        (Type::Text, K::String) => true,
        (Type::Date, K::String) => matches!(
            declared.format,
            Some(Format::Date | Format::DateTime | Format::Timestamp)
        ),
        (Type::DateTime, K::String) => {
            matches!(declared.format, Some(Format::DateTime | Format::Timestamp))
        }
        (Type::Time, K::String) => declared.format == Some(Format::Time),
        (Type::Float | Type::Integer | Type::Decimal, K::Number | K::Integer) => true,
        (Type::Bool | Type::Integer, K::Boolean) => true,
        (Type::List(item), K::Array) => {
            return declared
                .items
                .as_deref()
                .and_then(|items| argument_problem(item, items))
                .map(|problem| format!("is a list whose item {problem}"));
        }
        (Type::Dict(_), K::Object) => true,
        (Type::Record(record), K::Object) => {
            if !record.is_dict {
                return Some(format!(
                    "says a `{}`, but an object arrives as a dict",
                    record.name
                ));
            }
            true
        }
        _ => false,
    };
    (!fits).then(|| {
        format!(
            "says {}, but it is declared as {}",
            ty.describe(),
            written(declared)
        )
    })
}

fn written(declared: &TypeDef) -> String {
    match declared.format {
        Some(format) => format!("{} ({})", declared.kind.as_str(), format.as_str()),
        None => declared.kind.as_str().to_owned(),
    }
}

/// Why what a function returns by its annotation is not what `return` says; `None` when it is.
pub(super) fn result_problem(ty: &Type, declared: &TypeDef) -> Option<String> {
    use TypeKind as K;
    let fits = match (ty, declared.kind) {
        (Type::Any | Type::Literal(_), _) => true,
        (Type::Union(members), _) => {
            return members
                .iter()
                .filter(|m| **m != Type::None)
                .map(|m| result_problem(m, declared))
                .reduce(|a, b| if a.is_none() { a } else { b })
                .flatten();
        }
        (Type::None, _) => false,
        (
            Type::Text
            | Type::Bytes
            | Type::Date
            | Type::DateTime
            | Type::Time
            | Type::Duration
            | Type::Uuid
            | Type::Decimal,
            K::String,
        ) => true,
        (Type::Integer | Type::Decimal, K::Integer | K::Number) => true,
        (Type::Float, K::Number) => true,
        (Type::Bool, K::Boolean) => true,
        (Type::List(item), K::Array) => {
            return declared
                .items
                .as_deref()
                .and_then(|items| result_problem(item, items))
                .map(|problem| format!("is a list whose item {problem}"));
        }
        (Type::Frame, K::Array | K::Object) => true,
        (Type::Dict(value), K::Object) => {
            return declared.properties.iter().flatten().find_map(|p| {
                result_problem(value, &p.ty)
                    .map(|problem| format!("is a dict: `{}` {problem}", p.name))
            });
        }
        (Type::Record(record), K::Object) => return record_problem(record, declared),
        _ => false,
    };
    (!fits).then(|| {
        format!(
            "says {}, but `return` is {}",
            ty.describe(),
            written(declared)
        )
    })
}

fn record_problem(record: &Record, declared: &TypeDef) -> Option<String> {
    for property in declared.properties.iter().flatten() {
        match record
            .fields
            .iter()
            .find(|(name, _)| *name == property.name)
        {
            Some((_, ty)) => {
                if let Some(problem) = result_problem(ty, &property.ty)
                    && *ty != Type::None
                {
                    return Some(format!(
                        "says a `{}`, whose `{}` {problem}",
                        record.name, property.name
                    ));
                }
            }
            None => {
                return Some(format!(
                    "says a `{}`, which has no `{}`",
                    record.name, property.name
                ));
            }
        }
    }
    if !declared.allows_additional()
        && let Some((extra, _)) = record
            .fields
            .iter()
            .find(|(name, _)| declared.property(name).is_none())
    {
        return Some(format!(
            "says a `{}`, whose `{extra}` is not among the properties",
            record.name
        ));
    }
    None
}
