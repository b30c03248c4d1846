//! Relations and columns as templates see them: text, with parts and methods.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};
use mxcp_artifact::RelationName;
use mxcp_artifact::catalog::quote_identifier;

use super::pycompat::split;

/// A relation's name, with what is known of the thing it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    /// Written out only where it is not the run's own.
    pub(super) catalog: Option<String>,
    pub(super) database: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) identifier: Option<String>,
    /// `table`, `view`, `cte`, `external`, …
    pub(super) kind: Option<String>,
    /// Text that stands for it whatever the parts say.
    pub(super) text: Option<String>,
    /// The run's own database, where its name is known, and whether it is written.
    pub(super) own: Option<String>,
    pub(super) shows_own: bool,
    /// Parts that are left out when it is written.
    pub(super) hidden: [bool; 3],
    /// Parts that are written without quotes.
    pub(super) plain: [bool; 3],
}

const PARTS: [&str; 3] = ["database", "schema", "identifier"];

impl Relation {
    pub(super) fn of(name: RelationName, database: &str) -> Self {
        Self {
            database: Some(name.catalog.clone().unwrap_or_else(|| database.to_owned())),
            catalog: name.catalog,
            schema: Some(name.schema),
            identifier: Some(name.name),
            ..Self::default()
        }
    }

    /// Written with the name of the run's database, as dbt writes it.
    pub(super) fn within(mut self, own: Option<&str>) -> Self {
        self.shows_own = self.catalog.is_none() && own.is_some();
        self.own = own.map(str::to_owned);
        self
    }

    /// The common table expression that stands for an ephemeral model.
    pub(super) fn ephemeral(name: &str) -> Self {
        Self::cte(super::ephemeral::cte_name(name))
    }

    pub(super) fn cte(name: String) -> Self {
        Self {
            text: Some(name.clone()),
            identifier: Some(name),
            kind: Some("cte".to_owned()),
            ..Self::default()
        }
    }

    /// A query in parentheses that stands for the rows of a relation.
    pub(super) fn written_as(mut self, text: String) -> Self {
        self.text = Some(text);
        self
    }

    pub(super) fn name(&self) -> RelationName {
        RelationName {
            catalog: self.catalog.clone(),
            schema: self.schema.clone().unwrap_or_default(),
            name: self.identifier.clone().unwrap_or_default(),
        }
    }

    fn part(&self, index: usize) -> Option<&String> {
        match index {
            0 => self
                .catalog
                .as_ref()
                .or_else(|| self.own.as_ref().filter(|_| self.shows_own)),
            1 => self.schema.as_ref(),
            _ => self.identifier.as_ref(),
        }
    }

    pub(super) fn sql(&self) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let parts: Vec<String> = (0..3)
            .filter(|i| !self.hidden.get(*i).copied().unwrap_or(false))
            .filter_map(|i| {
                let plain = self.plain.get(i).copied().unwrap_or(false);
                let part = self.part(i).filter(|part| !part.is_empty())?;
                Some(if plain {
                    part.clone()
                } else {
                    quote_identifier(part)
                })
            })
            .collect();
        parts.join(".")
    }

    /// Sets the parts that the arguments name; `database` is the run's own.
    pub(super) fn set_path(&mut self, parts: &[(String, Value)], database: &str) {
        for (name, value) in parts {
            let text = (!value.is_none() && !value.is_undefined()).then(|| value.to_string());
            match name.as_str() {
                "database" => {
                    self.catalog = text.clone().filter(|text| text != database);
                    self.shows_own = self.catalog.is_none() && text.is_some();
                    self.database = text;
                }
                "schema" => self.schema = text,
                "identifier" => self.identifier = text,
                _ => {}
            }
        }
    }
}

fn pairs_of(value: &Value) -> Vec<(String, Value)> {
    let keys = value.try_iter().into_iter().flatten();
    keys.map(|key| {
        let item = value.get_item(&key).unwrap_or(Value::UNDEFINED);
        (key.to_string(), item)
    })
    .collect()
}

impl Object for Relation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let text = |text: &Option<String>| match text {
            Some(text) => Value::from(text.as_str()),
            None => Value::from(()),
        };
        let kind = self.kind.as_deref();
        Some(match key.as_str()? {
            "database" => text(&self.database),
            "schema" => text(&self.schema),
            "identifier" | "name" | "table" => text(&self.identifier),
            "type" => text(&self.kind),
            "is_cte" => Value::from(kind == Some("cte")),
            "is_table" => Value::from(kind == Some("table")),
            "is_view" => Value::from(kind == Some("view")),
            "is_materialized_view" | "is_dynamic_table" | "is_pointer" => Value::from(false),
            "can_be_renamed" | "can_be_replaced" => {
                Value::from(matches!(kind, Some("table" | "view")))
            }
            "renameable_relations" | "replaceable_relations" => {
                Value::from_iter(["table", "view"].map(Value::from))
            }
            "external" => Value::from(()),
            // Packages tell relations from texts by it.
            "metadata" => Value::from_pairs([("type", "DuckDBRelation")]),
            "path" => Value::from_pairs([
                ("database", text(&self.database)),
                ("schema", text(&self.schema)),
                ("identifier", text(&self.identifier)),
            ]),
            "quote_policy" | "include_policy" => {
                Value::from_pairs(PARTS.map(|part| (part, Value::from(true))))
            }
            // The members of `api.Relation`'s own that a relation hands on.
            "View" => Value::from("view"),
            "Table" => Value::from("table"),
            "CTE" => Value::from("cte"),
            "External" => Value::from("external"),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (positional, named) = split(args);
        let flag = |part: &str| {
            named
                .iter()
                .find(|(name, _)| name == part)
                .map(|(_, value)| value.is_true())
        };
        let mut new = Self::clone(self);
        match method {
            "include" => {
                for (i, part) in PARTS.iter().enumerate() {
                    if let (Some(kept), Some(slot)) = (flag(part), new.hidden.get_mut(i)) {
                        *slot = !kept;
                    }
                }
            }
            "quote" => {
                for (i, part) in PARTS.iter().enumerate() {
                    if let (Some(quoted), Some(slot)) = (flag(part), new.plain.get_mut(i)) {
                        *slot = !quoted;
                    }
                }
            }
            "render" => return Ok(Value::from(self.sql())),
            "without_identifier" => {
                new.hidden[2] = true;
                new.text = None;
            }
            "incorporate" | "replace_path" | "replace" => {
                let own = self.database.clone().unwrap_or_default();
                // A name within the same database keeps out of it.
                let same = match self.catalog {
                    Some(_) => String::new(),
                    None => own,
                };
                for (name, value) in &named {
                    match name.as_str() {
                        "path" => new.set_path(&pairs_of(value), &same),
                        "type" => {
                            new.kind = (!value.is_none()).then(|| value.to_string());
                        }
                        _ if method == "replace_path" => {
                            new.set_path(&[(name.clone(), value.clone())], &same);
                        }
                        _ => {}
                    }
                }
                new.text = None;
            }
            "get" => {
                let key = positional.first().cloned().unwrap_or(Value::UNDEFINED);
                let found = self.get_value(&key);
                let default = positional.get(1).cloned().unwrap_or(Value::from(()));
                return Ok(found.unwrap_or(default));
            }
            "matches" => {
                let wanted = |i: usize, name: &str| {
                    positional
                        .get(i)
                        .or_else(|| named.iter().find(|(n, _)| n == name).map(|(_, v)| v))
                        .filter(|value| !value.is_none() && !value.is_undefined())
                        .map(ToString::to_string)
                };
                let have = [&self.database, &self.schema, &self.identifier];
                let all = PARTS.iter().zip(have).enumerate().all(|(i, (part, have))| {
                    wanted(i, part).is_none_or(|wanted| {
                        have.as_ref()
                            .is_some_and(|have| have.eq_ignore_ascii_case(&wanted))
                    })
                });
                return Ok(Value::from(all));
            }
            "information_schema" | "information_schema_only" => {
                let view = positional.first().filter(|view| !view.is_none());
                let catalog = new.catalog.as_deref().map(quote_identifier);
                let catalog = catalog.map_or_else(String::new, |catalog| catalog + ".");
                new.text = Some(match view {
                    Some(view) => format!("{catalog}information_schema.{view}"),
                    None => format!("{catalog}information_schema"),
                });
            }
            "to_dict" => {
                return Ok(Value::from_pairs([
                    (
                        "path",
                        self.get_value(&Value::from("path")).unwrap_or_default(),
                    ),
                    (
                        "type",
                        self.get_value(&Value::from("type")).unwrap_or_default(),
                    ),
                ]));
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from_object(new))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(self.sql().cmp(&other.sql()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql())
    }
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) char_size: Option<i64>,
    pub(super) precision: Option<i64>,
    pub(super) scale: Option<i64>,
}

const STRINGS: [&str; 4] = ["text", "character varying", "character", "varchar"];
const FLOATS: [&str; 5] = ["real", "float", "float4", "float8", "double"];
const INTEGERS: [&str; 18] = [
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "int1",
    "int2",
    "int4",
    "int8",
    "short",
    "int",
    "signed",
    "long",
    "uhugeint",
];

impl Column {
    pub(super) fn new(name: &str, ty: &str) -> Self {
        Self {
            name: name.to_owned(),
            ty: ty.to_owned(),
            char_size: None,
            precision: None,
            scale: None,
        }
    }

    fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.ty.eq_ignore_ascii_case(name))
    }

    fn is_string(&self) -> bool {
        self.is(&STRINGS)
    }

    fn is_numeric(&self) -> bool {
        self.is(&["numeric", "decimal"])
    }

    fn is_number(&self) -> bool {
        self.is(&FLOATS) || self.is(&INTEGERS) || self.is_numeric()
    }

    fn string_size(&self) -> i64 {
        // Texts without a length count as 256 long, as in dbt.
        match self.is(&["text", "character varying", "varchar"]) && self.char_size.is_none() {
            true => 256,
            false => self.char_size.unwrap_or(256),
        }
    }

    fn data_type(&self) -> String {
        if self.is_string() {
            return format!("character varying({})", self.string_size());
        }
        match (self.is_numeric(), self.precision, self.scale) {
            (true, Some(precision), Some(scale)) => format!("{}({precision},{scale})", self.ty),
            _ => self.ty.clone(),
        }
    }

    fn flatten(&self) -> Vec<Self> {
        let Some(inner) = self
            .ty
            .get(..7)
            .filter(|head| head.eq_ignore_ascii_case("struct("))
            .and_then(|_| self.ty.get(7..)?.strip_suffix(')'))
        else {
            return vec![self.clone()];
        };
        let mut fields = Vec::new();
        let (mut depth, mut start) = (0usize, 0usize);
        for (i, c) in inner.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    fields.push(inner.get(start..i).unwrap_or(""));
                    start = i + 1;
                }
                _ => {}
            }
        }
        fields.push(inner.get(start..).unwrap_or(""));
        fields
            .into_iter()
            .filter_map(|field| field.trim().split_once(' '))
            .flat_map(|(name, ty)| Self::new(&format!("{}.{name}", self.name), ty).flatten())
            .collect()
    }
}

impl Object for Column {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let number = |n: Option<i64>| n.map_or_else(|| Value::from(()), Value::from);
        Some(match key.as_str()? {
            "name" | "column" => Value::from(self.name.as_str()),
            "quoted" => Value::from(quote_identifier(&self.name)),
            "dtype" => Value::from(self.ty.as_str()),
            "data_type" => Value::from(self.data_type()),
            "char_size" => number(self.char_size),
            "numeric_precision" => number(self.precision),
            "numeric_scale" => number(self.scale),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        Ok(match method {
            "is_string" => Value::from(self.is_string()),
            "is_number" => Value::from(self.is_number()),
            "is_float" => Value::from(self.is(&FLOATS)),
            "is_integer" => Value::from(self.is(&INTEGERS)),
            "is_numeric" => Value::from(self.is_numeric()),
            "is_struct" => Value::from(self.ty.to_lowercase().starts_with("struct")),
            "string_size" => Value::from(self.string_size()),
            "string_type" => {
                let size = args
                    .first()
                    .map_or_else(|| "256".to_owned(), ToString::to_string);
                Value::from(format!("character varying({size})"))
            }
            "literal" => {
                let value = args.first().map(ToString::to_string).unwrap_or_default();
                Value::from(format!("{value}::{}", self.data_type()))
            }
            "can_expand_to" => {
                let other = args.first().and_then(|v| v.downcast_object_ref::<Self>());
                Value::from(other.is_some_and(|other| {
                    self.is_string()
                        && other.is_string()
                        && other.string_size() > self.string_size()
                }))
            }
            "flatten" => Value::from_iter(self.flatten().into_iter().map(Value::from_object)),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(
        self: &Arc<Self>,
        other: &minijinja::value::DynObject,
    ) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some((&self.name, &self.ty).cmp(&(&other.name, &other.ty)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Column {} ({})>", self.name, self.data_type())
    }
}
