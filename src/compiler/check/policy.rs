//! Policies: syntax of the conditions, the names they use, and whether the action makes sense.
//!
//! What a condition may use is data: `grammar/cel.yml`.

use mxcp_artifact::{Action, TypeDef, TypeKind};
use mxcp_base::{Severity, SourceFile, TextRange, codes, suggest};
use mxcp_syntax::cel::{self as syntax, BinaryOp, Expr, ExprKind, Literal};

use super::cel::{self, Names, ProblemKind, Type};
use super::grammar::{GRAMMAR, Position};
use super::{policy_action, policy_rules};
use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::{EndpointDef, ParameterDef, PolicyDef, lower_policies};
use crate::site::SQL_TOOLS;
use crate::sql::{Bound, bind_endpoint};

pub(super) fn check_policies(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    if def.input_policies.is_empty() && def.output_policies.is_empty() {
        return;
    }
    let columns = result_columns(db, file);
    let response = cel::response(def, columns.as_deref());
    for (phase, policies) in [
        ("input", &def.input_policies),
        ("output", &def.output_policies),
    ] {
        let Some(position) = GRAMMAR.positions.get(phase) else {
            continue;
        };
        let names = names(position, &def.parameters, &response);
        for (i, policy) in policies.iter().enumerate() {
            let pointer = def.pointer(&format!("policies/{phase}/{i}"));
            let place = policy_action::Place {
                file,
                pointer: &pointer,
                phase,
            };
            policy_action::check_action(&place, position, def, &response, policy, findings);
            check_condition(file, &pointer, &def.parameters, &names, policy, findings);
        }
        policy_rules::check_rules(file, def, phase, policies, findings);
    }
}

/// The policies of the built-in SQL tools, in the site file.
pub(super) fn check_sql_tools(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let tools = parse_yaml(db, file)
        .root()
        .and_then(|root| root.get("sql_tools"));
    let (Some(tools), Some(position)) = (tools, GRAMMAR.positions.get("input")) else {
        return;
    };
    for tool in SQL_TOOLS {
        let input = tools
            .get(tool)
            .and_then(|tool| tool.get("policies")?.get("input"));
        let argument = match tool {
            "execute_sql_query" => Some("sql"),
            "get_table_schema" => Some("table_name"),
            _ => None,
        };
        let parameters: Vec<ParameterDef> = argument
            .into_iter()
            .map(|name| ParameterDef {
                name: name.to_owned(),
                ty: Some(TypeDef::new(TypeKind::String)),
                index: 0,
                completion: None,
            })
            .collect();
        let names = names(position, &parameters, &Type::Dyn);
        for (i, policy) in lower_policies(input).iter().enumerate() {
            let pointer = format!("sql_tools/{tool}/policies/input/{i}");
            check_condition(file, &pointer, &parameters, &names, policy, findings);
        }
    }
}

/// The columns of an SQL endpoint's result, where they are known.
fn result_columns(db: &dyn Db, file: SourceFile) -> Option<Vec<String>> {
    match &bind_endpoint(db, file)?.bound {
        Bound::Columns { columns, .. } if !columns.is_empty() => {
            Some(columns.iter().map(|c| c.name.clone()).collect())
        }
        _ => None,
    }
}

fn names(position: &Position, parameters: &[ParameterDef], response: &Type) -> Names {
    let mut names = Names::new();
    for name in &position.names {
        match name.as_str() {
            "parameters" => {
                for parameter in parameters {
                    let ty = parameter.ty.as_ref().map_or(Type::Dyn, |ty| {
                        let nullable = ty.default.as_ref().is_some_and(serde_json::Value::is_null);
                        let declared = cel::declared(ty);
                        if nullable {
                            declared.nullable()
                        } else {
                            declared
                        }
                    });
                    names.insert(parameter.name.clone(), ty);
                }
            }
            "response" => {
                names.insert(name.clone(), response.clone());
            }
            other => {
                names.insert(other.to_owned(), Type::Dyn);
            }
        }
    }
    names
}

fn check_condition(
    file: SourceFile,
    pointer: &str,
    parameters: &[ParameterDef],
    names: &Names,
    policy: &PolicyDef,
    findings: &mut Vec<Finding>,
) {
    let Some(condition) = &policy.condition else {
        return;
    };
    let origin = TextOrigin::Scalar(file, format!("{pointer}/condition"));
    let expr = match syntax::parse(condition) {
        Ok(expr) => expr,
        Err(errors) => {
            findings.extend(errors.into_iter().map(|error| {
                Finding::new(codes::MX0601, error.message, inside(&origin, error.range))
                    .help_if(error.help)
            }));
            return;
        }
    };
    let before = findings.len();
    let mut known = Known {
        names,
        bound: Vec::new(),
        lists: Vec::new(),
        depends_on_call: false,
        origin: &origin,
        findings,
    };
    known.visit(&expr);
    let depends_on_call = known.depends_on_call;
    if findings.len() > before {
        return;
    }
    check_types(&expr, names, &origin, findings);
    if findings.len() == before {
        check_decided(&expr, parameters, &origin, findings);
    }
    if findings.len() == before && !depends_on_call && !is_plain_true(&expr, policy.action) {
        findings.push(
            Finding::new(
                codes::MX0607,
                "the condition is the same for every call",
                inside(&origin, expr.range),
            )
            .help("compare a parameter or something about `user`"),
        );
    }
}

// `condition: "true"` is how a rule says that it holds for everybody; for `deny` it is a closed door.
fn is_plain_true(expr: &Expr, action: Option<Action>) -> bool {
    expr.kind == ExprKind::Literal(Literal::Bool(true)) && action != Some(Action::Deny)
}

fn check_types(expr: &Expr, names: &Names, origin: &TextOrigin, findings: &mut Vec<Finding>) {
    let typed = cel::infer(expr, names);
    for problem in typed.problems {
        let code = match problem.kind {
            ProblemKind::Unknown => codes::MX0602,
            ProblemKind::Fails => codes::MX0606,
            ProblemKind::Decided => codes::MX0607,
        };
        findings.push(
            Finding::new(code, problem.message, inside(origin, problem.range))
                .help_if(problem.help),
        );
    }
    if let Some(other) = typed.ty.certain().filter(|ty| **ty != Type::Bool) {
        let mut finding = Finding::new(
            codes::MX0606,
            format!("the condition is {other}, not bool"),
            inside(origin, expr.range),
        )
        .help("it holds unless the value is empty or zero: say with what it is compared");
        finding.severity = Some(Severity::Warning);
        findings.push(finding);
    }
}

/// Contradictions, tautologies, and comparisons that a parameter's own bounds settle.
fn check_decided(
    expr: &Expr,
    parameters: &[ParameterDef],
    origin: &TextOrigin,
    findings: &mut Vec<Finding>,
) {
    let declared = |path: &str| {
        let ty = parameters.iter().find(|p| p.name == path)?.ty.as_ref()?;
        let nullable = ty.default.as_ref().is_some_and(serde_json::Value::is_null);
        (!nullable && !matches!(path, "user" | "response")).then_some(ty)
    };
    for problem in cel::decide(expr, &declared) {
        findings.push(
            Finding::new(
                codes::MX0607,
                problem.message,
                inside(origin, problem.range),
            )
            .help_if(problem.help),
        );
    }
}

fn inside(origin: &TextOrigin, range: TextRange) -> Anchor {
    Anchor::inside(origin, u32::from(range.start())..u32::from(range.end()))
}

struct Known<'a> {
    names: &'a Names,
    /// Variables of the macros around the current expression.
    bound: Vec<String>,
    /// Selections that the condition uses as lists.
    lists: Vec<TextRange>,
    /// Whether any name of the call is used.
    depends_on_call: bool,
    origin: &'a TextOrigin,
    findings: &'a mut Vec<Finding>,
}

impl Known<'_> {
    fn visit(&mut self, expr: &Expr) {
        let list = match &expr.kind {
            ExprKind::Comprehension { operand, .. } | ExprKind::Index { operand, .. } => {
                Some(&operand.kind)
            }
            ExprKind::Binary {
                op: BinaryOp::In,
                right,
                ..
            } => Some(&right.kind),
            ExprKind::Call { function, args, .. } if function == "size" => {
                args.first().map(|argument| &argument.kind)
            }
            _ => None,
        };
        if let Some(ExprKind::Select { field_range, .. }) = list {
            self.lists.push(*field_range);
        }
        match &expr.kind {
            ExprKind::Ident(name) => self.ident(name, expr),
            // `google.protobuf.Timestamp` is one name, not three.
            ExprKind::Select { .. }
                if expr
                    .dotted_path()
                    .is_some_and(|name| GRAMMAR.type_names.contains(&name)) =>
            {
                return;
            }
            ExprKind::Select {
                operand,
                field,
                field_range,
                ..
            } => self.user_field(operand, field, *field_range),
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
        if self.bound.iter().any(|b| b == plain) || GRAMMAR.type_names.contains(plain) {
            return;
        }
        if self.names.contains_key(plain) {
            self.depends_on_call = true;
            return;
        }
        let help = suggest::did_you_mean(plain, self.names.keys().map(String::as_str))
            .unwrap_or_else(|| {
                let names: Vec<String> = self.names.keys().map(|n| format!("`{n}`")).collect();
                format!("a condition here may use {}", names.join(", "))
            });
        let message = format!("unknown name `{plain}`");
        self.report(codes::MX0602, message, expr.range, help);
    }

    /// A profile may have any field, so a name that is nearly a known one is only suspicious.
    fn user_field(&mut self, operand: &Expr, field: &str, range: TextRange) {
        let is_user = matches!(&operand.kind, ExprKind::Ident(name) if name == "user");
        if !is_user || GRAMMAR.user.fields.contains_key(field) {
            return;
        }
        let mut known = GRAMMAR.user.fields.keys();
        let Some(near) = known.find(|name| strsim::damerau_levenshtein(name, field) == 1) else {
            return;
        };
        // `user.roles` beside `user.role`: what is used as a list is not the text of nearly that name.
        if self.lists.contains(&range) {
            return;
        }
        let message = format!("`user` has no field `{field}` of its own");
        self.report(
            codes::MX0602,
            message,
            range,
            format!("did you mean `{near}`?"),
        );
        if let Some(finding) = self.findings.last_mut().filter(|_| GRAMMAR.user.open) {
            finding.severity = Some(Severity::Warning);
        }
    }

    fn function(&mut self, name: &str, range: TextRange) {
        if GRAMMAR.functions.contains_key(name) {
            return;
        }
        // In its own form a macro is no call any more.
        if GRAMMAR.macros.contains_key(name) {
            let help = match name {
                "has" => {
                    "write `has(user.email)`; whether a list has an item is `'item' in list`".into()
                }
                "map" => format!("write `list.{name}(x, value)`"),
                _ => format!("write `list.{name}(x, condition)`"),
            };
            let message = format!("`{name}` is not called like this");
            self.report(codes::MX0603, message, range, help);
            return;
        }
        let known = GRAMMAR
            .functions
            .keys()
            .chain(GRAMMAR.macros.keys())
            .map(String::as_str);
        let help = suggest::did_you_mean(name, known)
            .unwrap_or_else(|| "see grammar/cel.yml for the functions there are".into());
        let message = format!("unknown function `{name}`");
        self.report(codes::MX0603, message, range, help);
    }

    fn report(&mut self, code: mxcp_base::Code, message: String, range: TextRange, help: String) {
        self.findings
            .push(Finding::new(code, message, inside(self.origin, range)).help(help));
    }
}
