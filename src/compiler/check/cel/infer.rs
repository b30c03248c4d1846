//! Inferring types from the leaves up, and reporting what cannot work.

use mxcp_base::TextRange;
use mxcp_syntax::cel::{BinaryOp, Expr, ExprKind, Literal, Macro, UnaryOp};

use super::names::{Names, user_field};
use super::types::{Allowed, Type};
use crate::check::grammar::{GRAMMAR, Overload};

/// Something wrong with the types of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) struct Problem {
    pub(in crate::check) range: TextRange,
    pub(in crate::check) message: String,
    pub(in crate::check) help: Option<String>,
    pub(in crate::check) kind: ProblemKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum ProblemKind {
    /// A field that cannot be there.
    Unknown,
    /// The evaluation fails whoever calls.
    Fails,
    /// The outcome does not depend on the call.
    Decided,
}

/// The type of a condition, and what is wrong in it.
pub(in crate::check) struct Typed {
    pub(in crate::check) ty: Type,
    pub(in crate::check) problems: Vec<Problem>,
}

pub(in crate::check) fn infer(expr: &Expr, names: &Names) -> Typed {
    let mut inference = Inference {
        names,
        bound: Vec::new(),
        problems: Vec::new(),
    };
    let ty = inference.expr(expr);
    Typed {
        ty,
        problems: inference.problems,
    }
}

struct Inference<'a> {
    names: &'a Names,
    /// The variables of the macros around the current expression.
    bound: Vec<(String, Type)>,
    problems: Vec<Problem>,
}

impl Inference<'_> {
    fn expr(&mut self, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Literal(literal) => of_literal(literal),
            ExprKind::Ident(name) => self.ident(name),
            ExprKind::Select {
                operand,
                field,
                field_range,
                test_only,
            } => self.select(operand, field, *field_range, *test_only),
            ExprKind::Index { operand, index } => self.index(operand, index),
            ExprKind::Call {
                function,
                function_range,
                target,
                args,
            } => self.call(function, *function_range, target.as_deref(), args),
            ExprKind::Unary { op, operand } => self.unary(*op, operand),
            ExprKind::Binary {
                op, left, right, ..
            } => self.binary(*op, left, right, expr.range),
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                self.bool_operand(condition, "?:");
                let then = self.expr(then);
                then.join(self.expr(otherwise))
            }
            ExprKind::List(items) => {
                let types: Vec<Type> = items.iter().map(|item| self.expr(item)).collect();
                let item = types.into_iter().reduce(Type::join).unwrap_or(Type::Dyn);
                Type::List(Box::new(item))
            }
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    self.expr(key);
                    self.expr(value);
                }
                Type::from_name("map")
            }
            ExprKind::Struct { fields, .. } => {
                for (_, value) in fields {
                    self.expr(value);
                }
                Type::Dyn
            }
            ExprKind::Comprehension {
                macro_,
                operand,
                variable,
                filter,
                body,
                ..
            } => self.comprehension(*macro_, operand, variable, filter.as_deref(), body),
        }
    }

    fn ident(&self, name: &str) -> Type {
        let plain = name.trim_start_matches('.');
        if let Some((_, ty)) = self.bound.iter().rev().find(|(bound, _)| bound == plain) {
            return ty.clone();
        }
        match self.names.get(plain) {
            Some(ty) => ty.clone(),
            None if GRAMMAR.type_names.contains(plain) => Type::Kind,
            None => Type::Dyn,
        }
    }

    fn select(&mut self, operand: &Expr, field: &str, range: TextRange, test_only: bool) -> Type {
        let is_user = matches!(&operand.kind, ExprKind::Ident(name) if name == "user")
            && !self.bound.iter().any(|(name, _)| name == "user");
        let found = if is_user {
            user_field(field)
        } else {
            let ty = self.expr(operand);
            self.field_of(&ty, operand, field, range, test_only)
        };
        if test_only { Type::Bool } else { found }
    }

    fn field_of(
        &mut self,
        ty: &Type,
        operand: &Expr,
        field: &str,
        range: TextRange,
        test_only: bool,
    ) -> Type {
        match ty.certain() {
            Some(Type::Map(fields)) => match fields.known.get(field) {
                Some(ty) => ty.clone(),
                None if fields.closed && !test_only => {
                    let what = operand.dotted_path().unwrap_or_else(|| "this map".into());
                    let names = fields.known.keys().map(String::as_str);
                    let help =
                        mxcp_base::suggest::did_you_mean(field, names).unwrap_or_else(|| {
                            let names: Vec<&str> =
                                fields.known.keys().map(String::as_str).collect();
                            format!("its fields are `{}`", names.join("`, `"))
                        });
                    self.unknown(range, format!("`{what}` has no field `{field}`"), help);
                    Type::Dyn
                }
                None => Type::Dyn,
            },
            Some(list @ Type::List(_)) => {
                let what = operand.dotted_path().unwrap_or_else(|| "this".into());
                self.fails(
                    range,
                    format!("`{what}` is a {list} and has no field `{field}`"),
                    format!("ask about its items, e.g. `{what}.exists(x, x.{field} …)`"),
                );
                Type::Dyn
            }
            Some(other) => {
                let what = operand.dotted_path().unwrap_or_else(|| "this value".into());
                self.fails(
                    range,
                    format!("`{what}` is a {other} and has no field `{field}`"),
                    "compare the value itself",
                );
                Type::Dyn
            }
            None => Type::Dyn,
        }
    }

    fn index(&mut self, operand: &Expr, index: &Expr) -> Type {
        let ty = self.expr(operand);
        let at = self.expr(index);
        match ty.certain() {
            Some(Type::List(item)) => {
                if at.certain().is_some_and(|at| !at.is_numeric()) {
                    self.fails(
                        index.range,
                        format!("a list is indexed by int, not {at}"),
                        "the first item is `[0]`",
                    );
                }
                (**item).clone()
            }
            Some(Type::Map(fields)) => match &index.kind {
                ExprKind::Literal(Literal::String(key)) => {
                    fields.known.get(key).cloned().unwrap_or(Type::Dyn)
                }
                _ => Type::Dyn,
            },
            Some(other) => {
                self.fails(
                    operand.range,
                    format!("a {other} cannot be indexed"),
                    "only lists and maps can",
                );
                Type::Dyn
            }
            None => Type::Dyn,
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Type {
        match op {
            UnaryOp::Not => {
                self.bool_operand(operand, "!");
                Type::Bool
            }
            UnaryOp::Negate => {
                let ty = self.expr(operand);
                match ty.certain() {
                    Some(number @ (Type::Int | Type::Double)) => number.clone(),
                    Some(other) => {
                        self.fails(
                            operand.range,
                            format!("`-` does not apply to {other}"),
                            "it needs a number",
                        );
                        Type::Dyn
                    }
                    None => Type::Dyn,
                }
            }
        }
    }

    fn bool_operand(&mut self, operand: &Expr, op: &str) {
        let ty = self.expr(operand);
        if let Some(other) = ty.certain().filter(|ty| **ty != Type::Bool) {
            self.fails(
                operand.range,
                format!("`{op}` needs bool, this is {other}"),
                "compare it with something",
            );
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, range: TextRange) -> Type {
        use BinaryOp as Op;
        if matches!(op, Op::And | Op::Or) {
            self.bool_operand(left, op.symbol());
            self.bool_operand(right, op.symbol());
            return Type::Bool;
        }
        let a = self.expr(left);
        let b = self.expr(right);
        match op {
            Op::Equal | Op::NotEqual => {
                self.equality(op, (left, &a), (right, &b), range);
                Type::Bool
            }
            Op::In => {
                self.membership(&a, right, &b, range);
                Type::Bool
            }
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
                if let (Some(x), Some(y)) = (a.certain(), b.certain())
                    && !ordered(x, y)
                {
                    self.mismatch(op, x, y, range);
                }
                Type::Bool
            }
            _ => {
                if matches!(op, Op::Divide | Op::Modulo)
                    && matches!(right.kind, ExprKind::Literal(Literal::Int(0)))
                {
                    self.fails(
                        right.range,
                        "division by zero".into(),
                        "divide by something else",
                    );
                }
                self.arithmetic(op, &a, &b, range)
            }
        }
    }

    fn equality(
        &mut self,
        op: BinaryOp,
        (left, a): (&Expr, &Type),
        (right, b): (&Expr, &Type),
        range: TextRange,
    ) {
        let outcome = if op == BinaryOp::Equal {
            "false"
        } else {
            "true"
        };
        if !a.may_equal(b) {
            self.decided(
                range,
                format!("a {a} never equals a {b}: this is always {outcome}"),
                conversion(a, b),
            );
            return;
        }
        for (ty, other) in [(a, right), (b, left)] {
            if let (Some(Type::String(Some(allowed))), ExprKind::Literal(Literal::String(text))) =
                (ty.certain(), &other.kind)
            {
                self.allowed(allowed, text, other.range, outcome);
            }
        }
    }

    fn allowed(&mut self, allowed: &Allowed, text: &str, range: TextRange, outcome: &str) {
        if allowed.0.iter().any(|value| value == text) {
            return;
        }
        let names = allowed.0.iter().map(String::as_str);
        let help = mxcp_base::suggest::did_you_mean(text, names)
            .unwrap_or_else(|| format!("its values are `{}`", allowed.0.join("`, `")));
        self.decided(
            range,
            format!("`{text}` is not among the values of the enum: this is always {outcome}"),
            Some(help),
        );
    }

    fn membership(&mut self, a: &Type, right: &Expr, b: &Type, range: TextRange) {
        match b.certain() {
            Some(Type::List(item)) => {
                if !a.may_equal(item) {
                    self.decided(
                        range,
                        format!("a {a} is never in a list of {item}: this is always false"),
                        conversion(a, item),
                    );
                } else if let (Some(Type::String(Some(allowed))), ExprKind::List(items)) =
                    (a.certain(), &right.kind)
                {
                    for item in items {
                        if let ExprKind::Literal(Literal::String(text)) = &item.kind {
                            self.allowed(allowed, text, item.range, "false");
                        }
                    }
                }
            }
            Some(Type::Map(_)) | None => {}
            Some(other) => {
                let help = if matches!(other, Type::String(_)) {
                    "write `text.contains(part)`"
                } else {
                    "its right side is a list or a map"
                };
                self.fails(right.range, format!("`in` does not apply to {other}"), help);
            }
        }
    }

    fn arithmetic(&mut self, op: BinaryOp, a: &Type, b: &Type, range: TextRange) -> Type {
        use BinaryOp as Op;
        let (Some(x), Some(y)) = (a.certain(), b.certain()) else {
            return Type::Dyn;
        };
        let result = match (op, x, y) {
            (Op::Add, Type::Timestamp, Type::Duration)
            | (Op::Add, Type::Duration, Type::Timestamp)
            | (Op::Subtract, Type::Timestamp, Type::Duration) => Some(Type::Timestamp),
            (Op::Subtract, Type::Timestamp, Type::Timestamp) => Some(Type::Duration),
            (Op::Add | Op::Subtract, Type::Duration, Type::Duration) => Some(Type::Duration),
            (Op::Add, Type::String(_), Type::String(_)) => Some(Type::STRING),
            (Op::Add, Type::Bytes, Type::Bytes) => Some(Type::Bytes),
            (Op::Add, Type::List(_), Type::List(_)) => Some(x.clone().join(y.clone())),
            (Op::Modulo, Type::Double, _) | (Op::Modulo, _, Type::Double) => None,
            _ if x.is_numeric() && x.name() == y.name() => Some(x.clone()),
            _ => None,
        };
        result.unwrap_or_else(|| {
            self.mismatch(op, x, y, range);
            Type::Dyn
        })
    }

    fn mismatch(&mut self, op: BinaryOp, a: &Type, b: &Type, range: TextRange) {
        self.problems.push(Problem {
            range,
            message: format!("`{}` does not apply to {a} and {b}", op.symbol()),
            help: conversion(a, b),
            kind: ProblemKind::Fails,
        });
    }

    fn call(
        &mut self,
        function: &str,
        range: TextRange,
        target: Option<&Expr>,
        args: &[Expr],
    ) -> Type {
        let receiver = target.map(|target| self.expr(target));
        let types: Vec<Type> = args.iter().map(|arg| self.expr(arg)).collect();
        let Some(overloads) = GRAMMAR.functions.get(function) else {
            return Type::Dyn;
        };
        let fitting = overloads
            .iter()
            .find(|overload| fits(overload, receiver.as_ref(), &types));
        let pattern = args.last().filter(|_| function == "matches");
        if let Some(pattern) = pattern
            && let ExprKind::Literal(Literal::String(text)) = &pattern.kind
            && regex::Regex::new(text).is_err()
        {
            self.fails(
                pattern.range,
                format!("`{text}` is not a regular expression"),
                "close every bracket and parenthesis, and put `\\` before signs that stand for themselves",
            );
            return Type::Bool;
        }
        match fitting {
            Some(overload) => Type::from_name(&overload.returns),
            None => {
                let given: Vec<String> = types.iter().map(ToString::to_string).collect();
                let on = receiver.map_or_else(String::new, |ty| format!("a {ty} with "));
                let given = if given.is_empty() {
                    "no arguments".to_owned()
                } else {
                    given.join(", ")
                };
                let forms: Vec<String> = overloads.iter().map(|o| form(function, o)).collect();
                self.fails(
                    range,
                    format!("`{function}` does not apply to {on}{given}"),
                    format!("write {}", forms.join(" or ")),
                );
                Type::Dyn
            }
        }
    }

    fn comprehension(
        &mut self,
        macro_: Macro,
        operand: &Expr,
        variable: &str,
        filter: Option<&Expr>,
        body: &Expr,
    ) -> Type {
        let range = self.expr(operand);
        let item = match range.certain() {
            Some(Type::List(item)) => (**item).clone(),
            Some(Type::Map(_)) => Type::STRING,
            Some(other) => {
                self.fails(
                    operand.range,
                    format!(
                        "`{}` runs through a list or a map, this is {other}",
                        macro_.name()
                    ),
                    "compare the value itself",
                );
                Type::Dyn
            }
            None => Type::Dyn,
        };
        self.bound.push((variable.to_owned(), item.clone()));
        if let Some(filter) = filter {
            self.bool_operand(filter, macro_.name());
        }
        let result = match macro_ {
            Macro::Map => Type::List(Box::new(self.expr(body))),
            _ => {
                self.bool_operand(body, macro_.name());
                match macro_ {
                    Macro::Filter => Type::List(Box::new(item)),
                    _ => Type::Bool,
                }
            }
        };
        self.bound.pop();
        result
    }

    fn fails(&mut self, range: TextRange, message: String, help: impl Into<String>) {
        self.problems.push(Problem {
            range,
            message,
            help: Some(help.into()),
            kind: ProblemKind::Fails,
        });
    }

    fn unknown(&mut self, range: TextRange, message: String, help: String) {
        self.problems.push(Problem {
            range,
            message,
            help: Some(help),
            kind: ProblemKind::Unknown,
        });
    }

    fn decided(&mut self, range: TextRange, message: String, help: Option<String>) {
        self.problems.push(Problem {
            range,
            message,
            help,
            kind: ProblemKind::Decided,
        });
    }
}

fn of_literal(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::UInt(_) => Type::UInt,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::STRING,
        Literal::Bytes(_) => Type::Bytes,
    }
}

fn ordered(a: &Type, b: &Type) -> bool {
    (a.is_numeric() && b.is_numeric())
        || (a.name() == b.name()
            && matches!(
                a,
                Type::Bool | Type::String(_) | Type::Bytes | Type::Timestamp | Type::Duration
            ))
}

fn fits(overload: &Overload, receiver: Option<&Type>, args: &[Type]) -> bool {
    let accepts = |names: &[String], ty: &Type| {
        let Some(ty) = ty.certain() else {
            return true;
        };
        names.iter().any(|name| name == "dyn" || name == ty.name())
    };
    let receiver_fits = match (&overload.receiver, receiver) {
        (Some(names), Some(ty)) => accepts(names, ty),
        (None, None) => true,
        _ => false,
    };
    receiver_fits
        && overload.args.len() == args.len()
        && overload
            .args
            .iter()
            .zip(args)
            .all(|(names, ty)| accepts(names, ty))
}

/// `string.contains(string)`
fn form(function: &str, overload: &Overload) -> String {
    let args: Vec<String> = overload.args.iter().map(|names| names.join("|")).collect();
    match &overload.receiver {
        Some(names) => format!("`{}.{function}({})`", names.join("|"), args.join(", ")),
        None => format!("`{function}({})`", args.join(", ")),
    }
}

/// How to bring two types together.
fn conversion(a: &Type, b: &Type) -> Option<String> {
    let (a, b) = (a.certain()?, b.certain()?);
    Some(match (a, b) {
        (Type::String(_), number) | (number, Type::String(_)) if number.is_numeric() => {
            format!("convert one of them: `string(…)` or `{number}(…)`")
        }
        (x, y) if x.is_numeric() && y.is_numeric() => "write `double(…)` around the int".to_owned(),
        (Type::String(_), Type::Bool) | (Type::Bool, Type::String(_)) => {
            "write `true` or `false` without quotes".to_owned()
        }
        (Type::String(_), Type::Timestamp) | (Type::Timestamp, Type::String(_)) => {
            "write `timestamp(…)` around the text".to_owned()
        }
        _ => return None,
    })
}
