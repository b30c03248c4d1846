//! What a test expects of the result against what the result can be.

use mxcp_artifact::{SqlType, TestCase, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes, suggest};
use mxcp_syntax::yaml::join_pointer;
use serde_json::{Map, Value};

use super::shape::{Fields, Leaf, Policies, Shape};
use crate::finding::{Anchor, Finding};

pub(super) struct Expectations<'a> {
    pub file: SourceFile,
    pub test: &'a TestCase,
    /// The pointer of the test.
    pub place: &'a str,
    pub policies: Policies,
    pub single_row: bool,
    /// What the `LIMIT` of the query lets through.
    pub most_rows: Option<u64>,
}

/// How an object is compared with what is expected of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing may be missing or left over.
    Whole,
    Part,
}

impl Expectations<'_> {
    pub(super) fn check(&self, shape: &Shape, findings: &mut Vec<Finding>) {
        let at = |key: &str| format!("{}/{key}", self.place);
        if let Some(wanted) = &self.test.result {
            self.value(shape, wanted, &at("result"), Mode::Whole, findings);
        }
        if let Some(wanted) = &self.test.result_contains {
            self.contains(shape, wanted, &at("result_contains"), findings);
        }
        if let Some(names) = &self.test.result_not_contains {
            self.not_contains(shape, names, &at("result_not_contains"), findings);
        }
        if let Some(wanted) = &self.test.result_contains_item
            && let Some(item) = self.item_of(shape, "result_contains_item", findings)
        {
            self.value(
                item,
                wanted,
                &at("result_contains_item"),
                Mode::Part,
                findings,
            );
        }
        if let Some(wanted) = &self.test.result_contains_all
            && let Some(item) = self.item_of(shape, "result_contains_all", findings)
        {
            for (i, wanted) in wanted.iter().enumerate() {
                let place = at(&format!("result_contains_all/{i}"));
                self.value(item, wanted, &place, Mode::Part, findings);
            }
        }
        if let Some(length) = self.test.result_length
            && self.item_of(shape, "result_length", findings).is_some()
        {
            self.rows(length, &at("result_length"), findings);
        } else if let (Some(Value::Array(rows)), Shape::List(_)) = (&self.test.result, shape) {
            self.rows(rows.len() as u64, &at("result"), findings);
        }
    }

    /// So many rows are expected.
    fn rows(&self, length: u64, place: &str, findings: &mut Vec<Finding>) {
        if self.single_row && length > 1 {
            findings.push(self.misfit(
                place,
                format!("the query gives one row, never {length}"),
                "correct the number, or group the query",
            ));
        } else if let Some(most) = self.most_rows.filter(|most| length > *most) {
            findings.push(self.misfit(
                place,
                format!("the query gives {most} rows at most, never {length}: its `LIMIT` says so"),
                "correct the number, or the `LIMIT`",
            ));
        }
    }

    /// What the items of a list are; anything else than a list is reported.
    fn item_of<'s>(
        &self,
        shape: &'s Shape,
        assertion: &str,
        findings: &mut Vec<Finding>,
    ) -> Option<&'s Shape> {
        let what = match shape {
            Shape::Any => return None,
            Shape::List(item) => return Some(item),
            Shape::Object(_) => "an object",
            Shape::Scalar(_) => "a single value",
        };
        let help = match (assertion, shape) {
            ("result_length", _) => "remove it, or return an array",
            (_, Shape::Object(_)) => "use `result_contains` for the fields of an object",
            _ => "use `result` for a single value",
        };
        findings.push(
            Finding::new(
                codes::MX0710,
                format!("`{assertion}` needs a list, but the result is {what}"),
                Anchor::key(self.file, format!("{}/{assertion}", self.place)),
            )
            .help(help),
        );
        None
    }

    fn contains(&self, shape: &Shape, wanted: &Value, place: &str, findings: &mut Vec<Finding>) {
        match (shape, wanted) {
            (Shape::Any, _) => {}
            (Shape::Scalar(_), _) => findings.push(
                Finding::new(
                    codes::MX0710,
                    "`result_contains` needs an object or a list, but the result is a single value",
                    Anchor::key(self.file, place),
                )
                .help("use `result`, or `result_contains_text` for a part of a text"),
            ),
            (Shape::Object(_), Value::Object(_)) => {
                self.value(shape, wanted, place, Mode::Part, findings);
            }
            (Shape::Object(_), _) => findings.push(
                Finding::new(
                    codes::MX0710,
                    "the result is an object, so its fields are expected by name",
                    Anchor::value(self.file, place),
                )
                .help("write `name: value` for each field"),
            ),
            (Shape::List(item), _) => self.value(item, wanted, place, Mode::Part, findings),
        }
    }

    fn not_contains(
        &self,
        shape: &Shape,
        names: &[String],
        place: &str,
        findings: &mut Vec<Finding>,
    ) {
        let fields = match shape {
            Shape::Any => return,
            Shape::Object(fields) => fields,
            Shape::List(_) | Shape::Scalar(_) => {
                // An empty list asserts nothing.
                if !names.is_empty() {
                    let what = match shape {
                        Shape::List(_) => "a list",
                        _ => "a single value",
                    };
                    findings.push(
                        Finding::new(
                            codes::MX0710,
                            format!(
                                "`result_not_contains` needs an object, but the result is {what}"
                            ),
                            Anchor::key(self.file, place),
                        )
                        .help("test an endpoint that returns one object, or say `result` in full"),
                    );
                }
                return;
            }
        };
        for (i, name) in names.iter().enumerate() {
            let here = format!("{place}/{i}");
            if fields.known.contains_key(name) {
                if fields.complete && !self.policies.removes {
                    findings.push(
                        Finding::new(
                            codes::MX0710,
                            format!("`{name}` is a column of the query and nothing removes it"),
                            Anchor::value(self.file, here),
                        )
                        .help("do not select it, or filter it with an output policy"),
                    );
                }
            } else if fields.closed
                && let Some(near) = suggest::nearest(name, fields.known.keys().map(String::as_str))
            {
                let mut finding = self.no_field(name, Anchor::value(self.file, here), fields);
                finding.help = Some(format!("did you mean `{near}`? This always holds"));
                finding.severity = Some(Severity::Warning);
                findings.push(finding);
            }
        }
    }

    fn value(
        &self,
        shape: &Shape,
        wanted: &Value,
        place: &str,
        mode: Mode,
        findings: &mut Vec<Finding>,
    ) {
        match (shape, wanted) {
            (Shape::Any, _) | (_, Value::Null) => {}
            (Shape::Scalar(leaf), wanted) => self.leaf(leaf, wanted, place, None, findings),
            (Shape::Object(fields), Value::Object(wanted)) => {
                self.fields(fields, wanted, place, mode, findings);
            }
            (Shape::List(item), Value::Array(wanted)) => {
                for (i, wanted) in wanted.iter().enumerate() {
                    self.value(item, wanted, &format!("{place}/{i}"), mode, findings);
                }
                if self.single_row && wanted.len() > 1 {
                    findings.push(self.misfit(
                        place,
                        format!("the query gives one row, never {}", wanted.len()),
                        "expect one item, or group the query",
                    ));
                }
            }
            (Shape::Object(_) | Shape::List(_), wanted) => {
                let is = if matches!(shape, Shape::List(_)) {
                    "a list"
                } else {
                    "an object"
                };
                findings.push(self.misfit(
                    place,
                    format!("the result is {is} here, never {}", class(wanted).name()),
                    "expect what `return` says",
                ));
            }
        }
    }

    fn fields(
        &self,
        fields: &Fields,
        wanted: &Map<String, Value>,
        place: &str,
        mode: Mode,
        findings: &mut Vec<Finding>,
    ) {
        for (name, wanted) in wanted {
            let here = join_pointer(place, name);
            match fields.known.get(name) {
                Some(leaf) => self.leaf(leaf, wanted, &here, Some(name), findings),
                None if fields.closed => {
                    findings.push(self.no_field(name, Anchor::key(self.file, here), fields));
                }
                // Other fields may exist; one so near to a declared one is a slip.
                None => {
                    let names = fields.known.keys().map(String::as_str);
                    if suggest::nearest(name, names).is_some() {
                        let mut finding = self.no_field(name, Anchor::key(self.file, here), fields);
                        finding.severity = Some(Severity::Warning);
                        findings.push(finding);
                    }
                }
            }
        }
        if mode == Mode::Whole && fields.complete && !self.policies.removes {
            for name in fields.known.keys().filter(|n| !wanted.contains_key(*n)) {
                findings.push(self.misfit(
                    place,
                    format!("the result also has `{name}`, which is not expected"),
                    "`result` is compared as a whole; use `result_contains` for a part",
                ));
            }
        }
    }

    fn leaf(
        &self,
        leaf: &Leaf,
        wanted: &Value,
        place: &str,
        name: Option<&str>,
        findings: &mut Vec<Finding>,
    ) {
        let masked =
            wanted == "****" && name.is_some_and(|n| self.policies.masked.iter().any(|m| m == n));
        if masked || wanted.is_null() {
            return;
        }
        let subject = name.map_or_else(|| "the result".to_owned(), |name| format!("`{name}`"));
        if let Some(problem) = impossible(leaf, wanted) {
            findings.push(self.misfit(
                place,
                format!("{subject} {problem}"),
                "correct the expected value, or the declared type",
            ));
            return;
        }
        self.inside(leaf, wanted, place, findings);
    }

    /// What is expected inside an object or a list that is a value itself. Part of one is never enough there.
    fn inside(&self, leaf: &Leaf, wanted: &Value, place: &str, findings: &mut Vec<Finding>) {
        match wanted {
            Value::Object(wanted) => {
                let Some(fields) = super::shape::fields_of(leaf) else {
                    return;
                };
                for (name, wanted) in wanted {
                    let here = join_pointer(place, name);
                    match fields.known.get(name) {
                        Some(leaf) => self.leaf(leaf, wanted, &here, Some(name), findings),
                        None if fields.closed => findings.push(self.no_field(
                            name,
                            Anchor::key(self.file, here),
                            &fields,
                        )),
                        None => {}
                    }
                }
            }
            Value::Array(wanted) => {
                let Some(item) = super::shape::item_of(leaf) else {
                    return;
                };
                for (i, wanted) in wanted.iter().enumerate() {
                    self.leaf(&item, wanted, &format!("{place}/{i}"), None, findings);
                }
            }
            _ => {}
        }
    }

    fn misfit(&self, place: &str, message: String, help: &str) -> Finding {
        Finding::new(codes::MX0710, message, Anchor::value(self.file, place)).help(help)
    }

    fn no_field(&self, name: &str, anchor: Anchor, fields: &Fields) -> Finding {
        let names = || fields.known.keys().map(String::as_str);
        let finding = Finding::new(
            codes::MX0709,
            format!("the result has no field `{name}`"),
            anchor.clone(),
        );
        match suggest::nearest(name, names()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")).fix(
                format!("change to `{near}`"),
                anchor,
                near,
            ),
            None => {
                let names: Vec<String> = names().map(|n| format!("`{n}`")).collect();
                finding.help(format!("its fields are {}", names.join(", ")))
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    /// Booleans too: 1 and true are alike.
    Number,
    List,
    Object,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number or boolean",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

fn class(value: &Value) -> Class {
    match value {
        Value::String(_) | Value::Null => Class::Text,
        Value::Number(_) | Value::Bool(_) => Class::Number,
        Value::Array(_) => Class::List,
        Value::Object(_) => Class::Object,
    }
}

/// Why a value of this type never equals what is expected; `None` when it may.
fn impossible(leaf: &Leaf, wanted: &Value) -> Option<String> {
    let found = class(wanted);
    if let Some(declared) = &leaf.declared {
        let expected = match declared.kind {
            TypeKind::String => Class::Text,
            TypeKind::Number | TypeKind::Integer | TypeKind::Boolean => Class::Number,
            TypeKind::Array => Class::List,
            TypeKind::Object => Class::Object,
        };
        if found != expected && !digits(leaf, wanted) {
            return Some(format!(
                "is declared as {}, never {}",
                declared.kind.as_str(),
                found.name()
            ));
        }
        return outside(declared, wanted);
    }
    let sql = leaf.sql.as_ref()?;
    let expected = match sql {
        SqlType::Null | SqlType::Json | SqlType::Other(_) | SqlType::Union(_) => return None,
        SqlType::List(_) | SqlType::Array(..) => Class::List,
        SqlType::Struct(_) | SqlType::Map(..) => Class::Object,
        SqlType::Boolean => Class::Number,
        ty if ty.is_numeric() => Class::Number,
        _ => Class::Text,
    };
    (found != expected && !digits(leaf, wanted))
        .then(|| format!("is {sql}, never {}", found.name()))
}

/// Numbers with more digits than JSON readers keep are texts.
fn digits(leaf: &Leaf, wanted: &Value) -> bool {
    let wide = match &leaf.sql {
        Some(ty) => matches!(
            ty,
            SqlType::HugeInt | SqlType::UHugeInt | SqlType::BigNum | SqlType::Decimal(..)
        ),
        None => true,
    };
    wide && wanted
        .as_str()
        .is_some_and(|text| text.trim().parse::<f64>().is_ok())
}

/// What the declared constraints rule out; the result is checked against them before a test sees it.
fn outside(declared: &TypeDef, wanted: &Value) -> Option<String> {
    if let Some(allowed) = &declared.allowed {
        let same = |a: &Value| {
            a == wanted || matches!((a.as_f64(), wanted.as_f64()), (Some(a), Some(b)) if a == b)
        };
        if !allowed.is_empty() && !allowed.iter().any(same) {
            let names: Vec<String> = allowed.iter().take(8).map(|v| format!("`{v}`")).collect();
            return Some(format!("is one of {}, never `{wanted}`", names.join(", ")));
        }
    }
    let Some(number) = wanted.as_f64() else {
        let text = wanted.as_str()?;
        let length = text.chars().count() as u64;
        if declared.min_length.is_some_and(|min| length < min)
            || declared.max_length.is_some_and(|max| length > max)
        {
            return Some(format!("never has {length} characters"));
        }
        return None;
    };
    if declared.kind == TypeKind::Integer && number.fract() != 0.0 {
        return Some(format!("is declared as integer, never {wanted}"));
    }
    let bound = |n: &Option<serde_json::Number>| n.as_ref().and_then(serde_json::Number::as_f64);
    let beyond = bound(&declared.minimum).is_some_and(|min| number < min)
        || bound(&declared.maximum).is_some_and(|max| number > max)
        || bound(&declared.exclusive_minimum).is_some_and(|min| number <= min)
        || bound(&declared.exclusive_maximum).is_some_and(|max| number >= max);
    beyond.then(|| format!("is never {wanted}: its declared bounds exclude that"))
}
