//! Policies: syntax of the conditions, the names they use, and whether the action makes sense.
//!
//! What a condition may use is data: `grammar/cel.yml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use mxcp_artifact::{Action, TypeDef, TypeKind};
use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::cel::{self, Expr, ExprKind};
use serde::Deserialize;

use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::{EndpointDef, PolicyDef};

#[derive(Debug, Deserialize)]
struct Grammar {
    positions: BTreeMap<String, Position>,
    user: User,
    type_names: BTreeSet<String>,
    macros: BTreeMap<String, serde_yaml::Value>,
    functions: BTreeMap<String, serde_yaml::Value>,
}

#[derive(Debug, Deserialize)]
struct Position {
    names: Vec<String>,
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct User {
    open: bool,
    fields: BTreeMap<String, String>,
}

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("../../../grammar/cel.yml"))
        .expect("grammar/cel.yml has the documented shape")
});

pub(super) fn check_policies(file: SourceFile, def: &EndpointDef, findings: &mut Vec<Finding>) {
    for (phase, policies) in [
        ("input", &def.input_policies),
        ("output", &def.output_policies),
    ] {
        let Some(position) = GRAMMAR.positions.get(phase) else {
            continue;
        };
        for (i, policy) in policies.iter().enumerate() {
            let pointer = def.pointer(&format!("policies/{phase}/{i}"));
            check_action(file, &pointer, phase, position, policy, findings);
            check_condition(file, &pointer, position, def, policy, findings);
        }
    }
}

fn check_action(
    file: SourceFile,
    pointer: &str,
    phase: &str,
    position: &Position,
    policy: &PolicyDef,
    findings: &mut Vec<Finding>,
) {
    let Some(action) = policy.action else {
        return;
    };
    if !position.actions.contains(&action) {
        findings.push(
            Finding::new(
                codes::MX0605,
                format!("`{}` does nothing under `{phase}`", action.as_str()),
                Anchor::value(file, format!("{pointer}/action")),
            )
            .help("move the policy to `output`, or use `deny`"),
        );
    }
    let needs_fields = matches!(action, Action::FilterFields | Action::MaskFields);
    let no_fields = policy.fields.as_ref().is_none_or(Vec::is_empty);
    if needs_fields && no_fields {
        findings.push(
            Finding::new(
                codes::MX0604,
                format!("`{}` needs `fields`", action.as_str()),
                Anchor::value(file, format!("{pointer}/action")),
            )
            .help("list the fields under `fields:`"),
        );
    }
}

fn check_condition(
    file: SourceFile,
    pointer: &str,
    position: &Position,
    def: &EndpointDef,
    policy: &PolicyDef,
    findings: &mut Vec<Finding>,
) {
    let Some(condition) = &policy.condition else {
        return;
    };
    let origin = TextOrigin::Scalar(file, format!("{pointer}/condition"));
    match cel::parse(condition) {
        Err(errors) => {
            for error in errors {
                let range = u32::from(error.range.start())..u32::from(error.range.end());
                findings.push(
                    Finding::new(codes::MX0601, error.message, Anchor::inside(&origin, range))
                        .help_if(error.help),
                );
            }
        }
        Ok(expr) => {
            let mut names = Names {
                known: BTreeMap::new(),
                bound: Vec::new(),
                origin: &origin,
                findings,
            };
            for name in &position.names {
                match name.as_str() {
                    "parameters" => {
                        for parameter in &def.parameters {
                            names
                                .known
                                .insert(parameter.name.clone(), parameter.ty.as_ref());
                        }
                    }
                    "response" => {
                        names.known.insert(name.clone(), def.returns.as_ref());
                    }
                    other => {
                        names.known.insert(other.to_owned(), None);
                    }
                }
            }
            names.visit(&expr);
        }
    }
}

struct Names<'a> {
    /// Names at the top level, with their declared type where there is one.
    known: BTreeMap<String, Option<&'a TypeDef>>,
    /// Variables of the macros around the current expression.
    bound: Vec<String>,
    origin: &'a TextOrigin,
    findings: &'a mut Vec<Finding>,
}

impl Names<'_> {
    fn visit(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Ident(name) => self.ident(name, expr),
            ExprKind::Select {
                operand,
                field,
                field_range,
                ..
            } => {
                self.field(operand, field, *field_range);
                // `google.protobuf.Timestamp` is one name, not three.
                if dotted(expr).is_some_and(|name| GRAMMAR.type_names.contains(&name)) {
                    return;
                }
            }
            ExprKind::Call {
                function,
                function_range,
                ..
            } => self.function(function, *function_range),
            ExprKind::Comprehension {
                operand,
                variable,
                filter,
                body,
                ..
            } => {
                self.visit(operand);
                self.bound.push(variable.clone());
                if let Some(filter) = filter {
                    self.visit(filter);
                }
                self.visit(body);
                self.bound.pop();
                return;
            }
            _ => {}
        }
        for child in expr.children() {
            self.visit(child);
        }
    }

    fn ident(&mut self, name: &str, expr: &Expr) {
        let plain = name.trim_start_matches('.');
        if self.bound.iter().any(|b| b == plain)
            || self.known.contains_key(plain)
            || GRAMMAR.type_names.contains(plain)
        {
            return;
        }
        let help = suggest::did_you_mean(plain, self.known.keys().map(String::as_str))
            .unwrap_or_else(|| {
                let names: Vec<String> = self.known.keys().map(|n| format!("`{n}`")).collect();
                format!("a condition here may use {}", names.join(", "))
            });
        self.report(
            codes::MX0602,
            format!("unknown name `{plain}`"),
            expr.range,
            help,
        );
    }

    /// Fields of the caller and of objects with declared properties and nothing else.
    fn field(&mut self, operand: &Expr, field: &str, range: mxcp_base::TextRange) {
        let ExprKind::Ident(name) = &operand.kind else {
            return;
        };
        if self.bound.iter().any(|b| b == name) {
            return;
        }
        if name == "user" {
            if !GRAMMAR.user.open && !GRAMMAR.user.fields.contains_key(field) {
                let fields = GRAMMAR.user.fields.keys().map(String::as_str);
                let help = suggest::did_you_mean(field, fields).unwrap_or_default();
                self.report(
                    codes::MX0602,
                    format!("`user` has no field `{field}`"),
                    range,
                    help,
                );
            }
            return;
        }
        let Some(Some(ty)) = self.known.get(name).copied() else {
            return;
        };
        let closed = ty.kind == TypeKind::Object && !ty.allows_additional();
        if let Some(properties) = &ty.properties
            && closed
            && ty.property(field).is_none()
        {
            let names: Vec<&str> = properties.iter().map(|p| p.name.as_str()).collect();
            let help = suggest::did_you_mean(field, names.iter().copied())
                .unwrap_or_else(|| format!("its fields are `{}`", names.join("`, `")));
            self.report(
                codes::MX0602,
                format!("`{name}` has no field `{field}`"),
                range,
                help,
            );
        }
    }

    fn function(&mut self, name: &str, range: mxcp_base::TextRange) {
        if GRAMMAR.functions.contains_key(name) || GRAMMAR.macros.contains_key(name) {
            return;
        }
        let known = GRAMMAR
            .functions
            .keys()
            .chain(GRAMMAR.macros.keys())
            .map(String::as_str);
        let help = suggest::did_you_mean(name, known)
            .unwrap_or_else(|| "see grammar/cel.yml for the functions there are".into());
        self.report(
            codes::MX0603,
            format!("unknown function `{name}`"),
            range,
            help,
        );
    }

    fn report(
        &mut self,
        code: mxcp_base::Code,
        message: String,
        range: mxcp_base::TextRange,
        help: String,
    ) {
        let range = u32::from(range.start())..u32::from(range.end());
        let finding = Finding::new(code, message, Anchor::inside(self.origin, range));
        self.findings.push(if help.is_empty() {
            finding
        } else {
            finding.help(help)
        });
    }
}

fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Ident(name) => Some(name.trim_start_matches('.').to_owned()),
        ExprKind::Select { operand, field, .. } => Some(format!("{}.{field}", dotted(operand)?)),
        _ => None,
    }
}
