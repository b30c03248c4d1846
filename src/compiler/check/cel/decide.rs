//! Conditions whose outcome their own shape decides: contradictions, tautologies, and comparisons that
//! the declared bounds of a value settle.

use mxcp_artifact::{TypeDef, TypeKind};
use mxcp_base::TextRange;
use mxcp_syntax::cel::{BinaryOp as Op, Expr, ExprKind, Literal};

use super::infer::{Problem, ProblemKind};

/// The declared type behind a dotted path, when its values are never null.
pub(in crate::check) type Declared<'a> = dyn Fn(&str) -> Option<&'a TypeDef> + 'a;

pub(in crate::check) fn decide(expr: &Expr, declared: &Declared<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    visit(expr, declared, &mut problems);
    problems
}

fn visit(expr: &Expr, declared: &Declared<'_>, problems: &mut Vec<Problem>) {
    if let ExprKind::Binary {
        op, left, right, ..
    } = &expr.kind
    {
        match op {
            Op::And | Op::Or => {
                let mut parts = Vec::new();
                flatten(expr, *op, &mut parts);
                let before = problems.len();
                chain(*op, &parts, expr.range, problems);
                if problems.len() == before {
                    for part in parts {
                        visit(part, declared, problems);
                    }
                }
                return;
            }
            _ => comparison(*op, left, right, expr.range, declared, problems),
        }
    }
    // What a macro binds has no declared type here, and its name may hide one that has.
    if matches!(expr.kind, ExprKind::Comprehension { .. }) {
        return;
    }
    for child in expr.children() {
        visit(child, declared, problems);
    }
}

fn flatten<'e>(expr: &'e Expr, op: Op, out: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Binary {
            op: found,
            left,
            right,
            ..
        } if *found == op => {
            flatten(left, op, out);
            flatten(right, op, out);
        }
        _ => out.push(expr),
    }
}

/// A path compared with a literal.
struct Fact<'e> {
    path: String,
    op: Op,
    value: &'e Literal,
}

fn fact(expr: &Expr) -> Option<Fact<'_>> {
    let ExprKind::Binary {
        op, left, right, ..
    } = &expr.kind
    else {
        return None;
    };
    match (&left.kind, &right.kind) {
        (_, ExprKind::Literal(value)) => Some(Fact {
            path: left.dotted_path()?,
            op: *op,
            value,
        }),
        (ExprKind::Literal(value), _) => Some(Fact {
            path: right.dotted_path()?,
            op: mirrored(*op)?,
            value,
        }),
        _ => None,
    }
}

fn mirrored(op: Op) -> Option<Op> {
    Some(match op {
        Op::Equal | Op::NotEqual => op,
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        Op::Greater => Op::Less,
        Op::GreaterEqual => Op::LessEqual,
        _ => return None,
    })
}

fn chain(op: Op, parts: &[&Expr], range: TextRange, problems: &mut Vec<Problem>) {
    let (outcome, absorbing) = match op {
        Op::And => ("false", false),
        _ => ("true", true),
    };
    if let Some(part) = parts
        .iter()
        .find(|part| part.kind == ExprKind::Literal(Literal::Bool(absorbing)))
    {
        problems.push(decided(
            part.range,
            format!("`{} {absorbing}` makes this always {outcome}", op.symbol()),
            "remove it".into(),
        ));
        return;
    }
    let facts: Vec<Fact<'_>> = parts.iter().filter_map(|part| fact(part)).collect();
    for (i, a) in facts.iter().enumerate() {
        for b in facts.iter().skip(i + 1).filter(|b| b.path == a.path) {
            let path = &a.path;
            let clash = match (op, a.op, b.op) {
                (Op::And, Op::Equal, Op::Equal) => (a.value != b.value)
                    .then(|| format!("`{path}` cannot equal both: this is always false")),
                (Op::Or, Op::NotEqual, Op::NotEqual) => (a.value != b.value).then(|| {
                    format!("`{path}` always differs from one of them: this is always true")
                }),
                (_, Op::Equal, Op::NotEqual) | (_, Op::NotEqual, Op::Equal) => (a.value == b.value)
                    .then(|| format!("`{path}` is asked for both: this is always {outcome}")),
                (Op::And, _, _) => excluded(a, b)
                    .then(|| format!("no `{path}` meets both bounds: this is always false")),
                _ => None,
            };
            if let Some(message) = clash {
                let other = if op == Op::And { "||" } else { "&&" };
                problems.push(decided(range, message, format!("`{other}` may be meant")));
                return;
            }
        }
    }
}

/// Whether no number satisfies both comparisons.
fn excluded(a: &Fact<'_>, b: &Fact<'_>) -> bool {
    let (Some(x), Some(y)) = (number(a.value), number(b.value)) else {
        return false;
    };
    let (low, low_op, high, high_op) = match (a.op, b.op) {
        (Op::Greater | Op::GreaterEqual, Op::Less | Op::LessEqual) => (x, a.op, y, b.op),
        (Op::Less | Op::LessEqual, Op::Greater | Op::GreaterEqual) => (y, b.op, x, a.op),
        (Op::Equal, op) => return !holds(op, x, y),
        (op, Op::Equal) => return !holds(op, y, x),
        _ => return false,
    };
    low > high || (low == high && (low_op == Op::Greater || high_op == Op::Less))
}

fn holds(op: Op, value: f64, bound: f64) -> bool {
    match op {
        Op::Less => value < bound,
        Op::LessEqual => value <= bound,
        Op::Greater => value > bound,
        Op::GreaterEqual => value >= bound,
        _ => true,
    }
}

fn comparison(
    op: Op,
    left: &Expr,
    right: &Expr,
    range: TextRange,
    declared: &Declared<'_>,
    problems: &mut Vec<Problem>,
) {
    if let (Some(a), Some(b)) = (left.dotted_path(), right.dotted_path())
        && a == b
    {
        let outcome = match op {
            Op::Equal | Op::LessEqual | Op::GreaterEqual => "true",
            Op::NotEqual | Op::Less | Op::Greater => "false",
            _ => return,
        };
        problems.push(decided(
            range,
            format!("`{a}` is compared with itself: this is always {outcome}"),
            "compare it with something else".into(),
        ));
        return;
    }
    let expr = Expr {
        range,
        kind: ExprKind::Binary {
            op,
            op_range: range,
            left: Box::new(left.clone()),
            right: Box::new(right.clone()),
        },
    };
    let Some(fact) = fact(&expr) else {
        return;
    };
    let Some(ty) = declared(&fact.path) else {
        return;
    };
    let outcome = match (ty.kind, fact.value) {
        (TypeKind::Integer | TypeKind::Number, _) => by_bounds(ty, &fact),
        (TypeKind::String, Literal::String(text)) => by_length(ty, &fact, text),
        _ => None,
    };
    if let Some((outcome, bound)) = outcome {
        problems.push(decided(
            range,
            format!("`{}` has {bound}: this is always {outcome}", fact.path),
            "compare it with a value that it can have".into(),
        ));
    }
}

fn by_bounds(ty: &TypeDef, fact: &Fact<'_>) -> Option<(bool, String)> {
    let value = number(fact.value)?;
    if let (Some(allowed), Op::Equal | Op::NotEqual) = (&ty.allowed, fact.op) {
        let known: Option<Vec<f64>> = allowed.iter().map(serde_json::Value::as_f64).collect();
        let apart = |n: &f64| (n - value).abs() > f64::EPSILON;
        if let Some(known) = known.filter(|k| !k.is_empty() && k.iter().all(apart)) {
            let names: Vec<String> = known.iter().take(8).map(f64::to_string).collect();
            let what = format!("only the values {}", names.join(", "));
            return Some((fact.op == Op::NotEqual, what));
        }
    }
    let bound = |closed: &Option<serde_json::Number>, open: &Option<serde_json::Number>| {
        let closed = closed.as_ref().and_then(serde_json::Number::as_f64);
        let open = open.as_ref().and_then(serde_json::Number::as_f64);
        (closed, open)
    };
    let (min, open_min) = bound(&ty.minimum, &ty.exclusive_minimum);
    let (max, open_max) = bound(&ty.maximum, &ty.exclusive_maximum);
    // Whether every allowed value is above (at least) or below (at most) `value`.
    let above = min.is_some_and(|m| m > value) || open_min.is_some_and(|m| m >= value);
    let from = above || min.is_some_and(|m| m >= value);
    let below = max.is_some_and(|m| m < value) || open_max.is_some_and(|m| m <= value);
    let up_to = below || max.is_some_and(|m| m <= value);
    let low = || {
        let text = min.or(open_min).unwrap_or_default();
        format!("a minimum of {text}")
    };
    let high = || {
        let text = max.or(open_max).unwrap_or_default();
        format!("a maximum of {text}")
    };
    Some(match fact.op {
        Op::Greater if up_to => (false, high()),
        Op::Greater if above => (true, low()),
        Op::GreaterEqual if below => (false, high()),
        Op::GreaterEqual if from => (true, low()),
        Op::Less if from => (false, low()),
        Op::Less if below => (true, high()),
        Op::LessEqual if above => (false, low()),
        Op::LessEqual if up_to => (true, high()),
        Op::Equal if above => (false, low()),
        Op::Equal if below => (false, high()),
        Op::NotEqual if above => (true, low()),
        Op::NotEqual if below => (true, high()),
        _ => return None,
    })
}

fn by_length(ty: &TypeDef, fact: &Fact<'_>, text: &str) -> Option<(bool, String)> {
    let len = u64::try_from(text.chars().count()).ok()?;
    let bound = match (ty.min_length, ty.max_length) {
        (Some(min), _) if len < min => format!("at least {min} characters"),
        (_, Some(max)) if len > max => format!("at most {max} characters"),
        _ => return None,
    };
    match fact.op {
        Op::Equal => Some((false, bound)),
        Op::NotEqual => Some((true, bound)),
        _ => None,
    }
}

// Bounds are small; what a double cannot tell apart is not worth a word.
#[allow(clippy::cast_precision_loss)]
fn number(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Int(n) => Some(*n as f64),
        Literal::UInt(n) => Some(*n as f64),
        Literal::Double(n) => Some(*n),
        _ => None,
    }
}

fn decided(range: TextRange, message: String, help: String) -> Problem {
    Problem {
        range,
        message,
        help: Some(help),
        kind: ProblemKind::Decided,
    }
}
