//! Declared types: constraints that nothing can meet or that mean nothing where they stand, and
//! values written beside a type that are not of it.
//!
//! Values are judged by the rules of a call, so that what is said here is what a client would see.

use mxcp_artifact::{TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, codes, suggest};
use mxcp_syntax::yaml::{Node, join_pointer, schema};

use super::{bounds, written};
use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::{EndpointDef, Language};
use crate::lower::types::lower_type;

/// Keywords that say something of one kind of value only.
const KEYWORDS: [(&str, &[TypeKind]); 16] = [
    ("format", &[TypeKind::String]),
    ("minLength", &[TypeKind::String]),
    ("maxLength", &[TypeKind::String]),
    ("pattern", &[TypeKind::String]),
    ("minimum", NUMBERS),
    ("maximum", NUMBERS),
    ("exclusiveMinimum", NUMBERS),
    ("exclusiveMaximum", NUMBERS),
    ("multipleOf", NUMBERS),
    ("items", &[TypeKind::Array]),
    ("minItems", &[TypeKind::Array]),
    ("maxItems", &[TypeKind::Array]),
    ("uniqueItems", &[TypeKind::Array]),
    ("properties", &[TypeKind::Object]),
    ("required", &[TypeKind::Object]),
    ("additionalProperties", &[TypeKind::Object]),
];
const NUMBERS: &[TypeKind] = &[TypeKind::Number, TypeKind::Integer];

/// What a type is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Parameter,
    Return {
        /// Whether its properties are compared with the columns of a query, which says more.
        compared: bool,
    },
}

pub(super) fn check_types(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    let tree = parse_yaml(db, file);
    let mut checker = Checker { file, findings };
    for parameter in &def.parameters {
        let pointer = def.pointer(&format!("parameters/{}", parameter.index));
        if let Some(node) = tree.lookup(&pointer) {
            checker.check(node, &pointer, Role::Parameter);
        }
    }
    let pointer = def.pointer(def.return_key);
    if let Some(node) = tree.lookup(&pointer).filter(|_| def.has_return) {
        let compared = def.language == Language::Sql;
        checker.check(node, &pointer, Role::Return { compared });
    }
}

struct Checker<'a> {
    file: SourceFile,
    findings: &'a mut Vec<Finding>,
}

impl Checker<'_> {
    fn check(&mut self, node: Node<'_>, pointer: &str, role: Role) {
        let before = self.findings.len();
        self.check_pattern(node, pointer);
        self.check_step(node, pointer);
        let ty = lower_type(node);
        if let Some(ty) = &ty {
            self.check_keywords(node, pointer, ty);
            self.check_enum(node, pointer, ty);
            self.check_required(node, pointer, ty, role);
            if ty.kind == TypeKind::Array && ty.items.is_none() && node.get("items").is_none() {
                let mut finding = Finding::new(
                    codes::MX0114,
                    "this array does not say what its items are",
                    Anchor::value(self.file, join_pointer(pointer, "type")),
                );
                finding = match role {
                    Role::Parameter => finding.help(
                        "add `items:` with their type; some clients refuse an array without it",
                    ),
                    Role::Return { .. } => {
                        finding.severity = Some(Severity::Info);
                        finding.help("add `items:` with their type, so that a model knows them")
                    }
                };
                self.push(finding);
            }
        }
        if let Some(items) = node.get("items") {
            self.check(items, &join_pointer(pointer, "items"), role);
        }
        let properties = node.get("properties").into_iter();
        for (key, property) in properties.flat_map(|n| n.entries()) {
            let pointer = join_pointer(&join_pointer(pointer, "properties"), key.text);
            self.check(property, &pointer, role);
        }
        // Nothing is said of values whose type is itself a mistake.
        let broken = self.findings[before..].iter().any(Finding::is_error);
        if let Some(ty) = ty.filter(|_| !broken) {
            if let Some(problem) = bounds::impossible(&ty) {
                let anchor = Anchor::value(self.file, join_pointer(pointer, problem.key));
                self.push(Finding::new(codes::MX0111, problem.message, anchor).help(problem.help));
            } else {
                written::check_written(self.file, node, pointer, &ty, self.findings);
            }
        }
    }

    fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn check_pattern(&mut self, node: Node<'_>, pointer: &str) {
        if let Some(pattern) = node.get("pattern").and_then(|n| n.as_str())
            && !schema::is_pattern(pattern)
        {
            self.push(
                Finding::new(
                    codes::MX0108,
                    format!("`{pattern}` is not a regular expression"),
                    Anchor::value(self.file, join_pointer(pointer, "pattern")),
                )
                .help("close every bracket and parenthesis, and put `\\` before signs that stand for themselves"),
            );
        }
    }

    fn check_step(&mut self, node: Node<'_>, pointer: &str) {
        let step = node.get("multipleOf").and_then(|n| {
            n.as_f64()
                .or_else(|| n.as_str().and_then(|text| text.trim().parse().ok()))
        });
        if step.is_some_and(|step| step <= 0.0) {
            self.push(
                Finding::new(
                    codes::MX0108,
                    "`multipleOf` must be greater than 0",
                    Anchor::value(self.file, join_pointer(pointer, "multipleOf")),
                )
                .help("give the step between allowed values, or remove the key"),
            );
        }
    }

    fn check_keywords(&mut self, node: Node<'_>, pointer: &str, ty: &TypeDef) {
        for (key, kinds) in KEYWORDS {
            let given = node.get(key).is_some_and(|n| !n.is_null());
            if given && !kinds.contains(&ty.kind) {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
                let kinds = kinds.join(" or ");
                self.push(
                    Finding::new(
                        codes::MX0113,
                        format!(
                            "`{key}` says nothing of a value of type `{}`",
                            ty.kind.as_str()
                        ),
                        Anchor::key(self.file, join_pointer(pointer, key)),
                    )
                    .help(format!(
                        "it is for {kinds}: change `type:`, or remove the key"
                    )),
                );
            }
        }
    }

    fn check_enum(&mut self, node: Node<'_>, pointer: &str, ty: &TypeDef) {
        let Some(list) = node.get("enum").filter(|n| !n.is_null()) else {
            return;
        };
        let pointer = join_pointer(pointer, "enum");
        if list.items().next().is_none() {
            self.push(
                Finding::new(
                    codes::MX0115,
                    "an `enum` without values allows every value",
                    Anchor::value(self.file, pointer),
                )
                .help("list the allowed values, or remove the key"),
            );
            return;
        }
        for (i, item) in list.items().enumerate() {
            let place = format!("{pointer}/{i}");
            if ty.kind == TypeKind::String && item.as_bool().is_some() {
                let text = item.scalar().unwrap_or_default();
                self.push(
                    Finding::new(
                        codes::MX0115,
                        format!("YAML reads `{text}` as a boolean; the text is taken"),
                        Anchor::value(self.file, place.clone()),
                    )
                    .help("put it in quotes")
                    .fix(
                        "quote it",
                        Anchor::value(self.file, place),
                        format!("\"{text}\""),
                    ),
                );
                continue;
            }
            let values = ty.allowed.iter().flatten();
            let earlier = values.clone().take(i);
            if let Some(value) = values.clone().nth(i)
                && earlier.into_iter().any(|e| mxcp_values::equal(e, value))
            {
                self.push(
                    Finding::new(
                        codes::MX0115,
                        format!("{value} is listed twice"),
                        Anchor::value(self.file, place),
                    )
                    .help("remove one of them"),
                );
            }
        }
    }

    fn check_required(&mut self, node: Node<'_>, pointer: &str, ty: &TypeDef, role: Role) {
        // The check of columns knows these names better.
        let compared = role == (Role::Return { compared: true });
        let Some(list) = node.get("required").filter(|_| ty.kind == TypeKind::Object) else {
            return;
        };
        for (i, item) in list.items().enumerate() {
            let Some(name) = item.as_str() else { continue };
            let place = Anchor::value(self.file, format!("{pointer}/required/{i}"));
            if list
                .items()
                .take(i)
                .any(|earlier| earlier.as_str() == Some(name))
            {
                let finding =
                    Finding::new(codes::MX0115, format!("`{name}` is listed twice"), place);
                self.push(finding.help("remove one of them"));
                continue;
            }
            if compared || ty.property(name).is_some() || ty.properties.is_none() {
                continue;
            }
            // A property whose type is not understood is still a property.
            let properties = node.get("properties").into_iter();
            let mut keys = properties
                .flat_map(|n| n.entries())
                .map(|(key, _)| key.text);
            if keys.clone().any(|key| key == name) {
                continue;
            }
            let near = suggest::did_you_mean(name, keys.by_ref());
            let mut finding = Finding::new(
                codes::MX0116,
                format!("`required` names `{name}`, which is not among the properties"),
                place,
            );
            if ty.allows_additional() && near.is_none() {
                finding.severity = Some(Severity::Warning);
            }
            self.push(
                finding
                    .help(near.unwrap_or_else(|| format!("declare `{name}` under `properties:`"))),
            );
        }
    }
}
