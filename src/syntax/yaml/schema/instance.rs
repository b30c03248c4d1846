//! The tree as an instance representation of the `jsonschema` crate.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node as InstanceNode, NodeIdentity, Object};
use serde_json::{Number, Value};

use crate::yaml::resolve::{self, Timestamp};
use crate::yaml::{Entries, Items, Kind, Node, YamlFile};

/// The representation's marker type.
#[derive(Clone, Copy, Debug)]
pub struct YamlJson;

/// A value of the tree, or a property name on its own.
#[derive(Clone, Copy, Debug)]
pub enum Instance<'a> {
    Node(Node<'a>),
    Name(&'a str),
    /// The document of an empty text.
    Nothing,
}

pub(super) fn root(file: &YamlFile) -> Instance<'_> {
    file.root().map_or(Instance::Nothing, Instance::Node)
}

impl Json for YamlJson {
    type Node<'a> = Instance<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Instance<'_>) -> T) -> T {
        f(Instance::Name(string))
    }
}

impl<'a> Instance<'a> {
    fn node(&self) -> Option<Node<'a>> {
        match self {
            Instance::Node(node) => Some(*node),
            _ => None,
        }
    }

    /// Numbers of JSON: integers that fit none, infinities and NaN are not.
    fn number(&self) -> Option<Number> {
        let node = self.node()?;
        let text = node.scalar()?;
        match node.kind() {
            Kind::Int => match resolve::int_json(text) {
                Value::Number(number) => Some(number),
                Value::String(digits) => digits.parse().ok().and_then(Number::from_f64),
                _ => None,
            },
            Kind::Float => resolve::f64_value(text).and_then(Number::from_f64),
            _ => None,
        }
    }
}

impl<'a> InstanceNode<'a, YamlJson> for Instance<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = Number;

    fn as_object(&self) -> Option<Members<'a>> {
        self.node()
            .filter(|node| node.kind() == Kind::Map)
            .map(Members)
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        self.node()
            .filter(|node| node.kind() == Kind::Seq)
            .map(Elements)
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            Instance::Name(name) => Some(Cow::Borrowed(name)),
            Instance::Nothing => None,
            Instance::Node(node) => match node.kind() {
                Kind::String => node.scalar().map(Cow::Borrowed),
                Kind::Date | Kind::Timestamp => {
                    let text = node.scalar()?;
                    Some(Timestamp::parse(text).map_or(Cow::Borrowed(text), |t| t.iso().into()))
                }
                _ => None,
            },
        }
    }

    fn as_number(&self) -> Option<Number> {
        self.number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.node().and_then(|node| node.as_bool())
    }

    fn is_null(&self) -> bool {
        self.json_type() == JsonType::Null
    }

    fn json_type(&self) -> JsonType {
        let node = match self {
            Instance::Name(_) => return JsonType::String,
            Instance::Nothing => return JsonType::Null,
            Instance::Node(node) => node,
        };
        match node.kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool => JsonType::Boolean,
            Kind::Int => JsonType::Number,
            Kind::Float if self.number().is_some() => JsonType::Number,
            Kind::Float => JsonType::Null,
            Kind::String | Kind::Date | Kind::Timestamp => JsonType::String,
            Kind::Seq => JsonType::Array,
            Kind::Map => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(match self {
            Instance::Node(node) => node.to_json(),
            Instance::Name(name) => Value::String((*name).to_owned()),
            Instance::Nothing => Value::Null,
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        self.node().map(|node| {
            NodeIdentity::tagged(
                std::ptr::from_ref::<YamlFile>(node.file()) as usize,
                node.target_id().0,
            )
        })
    }
}

/// A mapping.
#[derive(Debug)]
pub struct Members<'a>(Node<'a>);

impl<'a> Object<'a, YamlJson> for Members<'a> {
    type Node = Instance<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<Instance<'a>> {
        self.0.get(key).map(Instance::Node)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.entries())
    }
}

/// The members of a mapping.
#[derive(Debug)]
pub struct MembersIter<'a>(Entries<'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Instance<'a>);

    fn next(&mut self) -> Option<(&'a str, Instance<'a>)> {
        let (key, value) = self.0.next()?;
        Some((key.text, Instance::Node(value)))
    }
}

/// A sequence.
#[derive(Debug)]
pub struct Elements<'a>(Node<'a>);

impl<'a> Array<'a, YamlJson> for Elements<'a> {
    type Node = Instance<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.0.items())
    }

    fn is_unique(&self) -> bool {
        let values: Vec<Value> = self.0.items().map(|item| item.to_json()).collect();
        jsonschema::json::unique::is_unique(&values)
    }
}

/// The items of a sequence.
#[derive(Debug)]
pub struct ElementsIter<'a>(Items<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Instance<'a>;

    fn next(&mut self) -> Option<Instance<'a>> {
        self.0.next().map(Instance::Node)
    }
}
