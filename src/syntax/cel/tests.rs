#![allow(clippy::unwrap_used)]

use cel::common::ast::{EntryExpr, Expr as CelExpr, IdedExpr, LiteralValue};
use proptest::prelude::*;

use super::*;

/// Both trees, in one notation; the other one is parsed without macros, so that it shows the text as written.
fn ours(expr: &Expr) -> String {
    let list = |items: &[Expr]| items.iter().map(ours).collect::<Vec<_>>().join(" ");
    match &expr.kind {
        ExprKind::Literal(Literal::Double(value)) => format!("{value:?}"),
        ExprKind::Literal(Literal::String(value)) => format!("{value:?}"),
        ExprKind::Literal(Literal::Int(value)) => format!("{value}"),
        ExprKind::Literal(Literal::UInt(value)) => format!("{value}u"),
        ExprKind::Literal(Literal::Bool(value)) => format!("{value}"),
        ExprKind::Literal(Literal::Bytes(value)) => format!("b{value:?}"),
        ExprKind::Literal(Literal::Null) => "null".into(),
        ExprKind::Ident(name) => name.clone(),
        ExprKind::Select {
            operand,
            field,
            test_only,
            ..
        } => {
            let select = format!("(. {} {field})", ours(operand));
            if *test_only {
                format!("(has {select})")
            } else {
                select
            }
        }
        ExprKind::Index { operand, index } => format!("(_[_] {} {})", ours(operand), ours(index)),
        ExprKind::Call {
            function,
            target,
            args,
            ..
        } => match target {
            Some(target) => format!("({function} @{} {})", ours(target), list(args)),
            None => format!("({function} {})", list(args)),
        },
        ExprKind::Unary { op, operand } => {
            // Pairs cancel out in the other parser.
            if let ExprKind::Unary { op: inner, operand } = &operand.kind
                && inner == op
            {
                return ours(operand);
            }
            let name = match op {
                UnaryOp::Not => "!_",
                UnaryOp::Negate => "-_",
            };
            format!("({name} {})", ours(operand))
        }
        ExprKind::Binary {
            op, left, right, ..
        } => {
            let name = match op {
                BinaryOp::In => "@in".to_owned(),
                op => format!("_{}_", op.symbol()),
            };
            if matches!(op, BinaryOp::And | BinaryOp::Or) {
                return format!("({name} {} {})", terms(left, *op), terms(right, *op));
            }
            format!("({name} {} {})", ours(left), ours(right))
        }
        ExprKind::Ternary {
            condition,
            then,
            otherwise,
        } => {
            format!(
                "(_?_:_ {} {} {})",
                ours(condition),
                ours(then),
                ours(otherwise)
            )
        }
        ExprKind::List(items) => format!("[{}]", list(items)),
        ExprKind::Map(entries) => {
            entries.iter().fold("{".to_owned(), |out, (k, v)| {
                format!("{out}{}:{} ", ours(k), ours(v))
            }) + "}"
        }
        ExprKind::Struct { name, .. } => format!("{name}{{}}"),
        ExprKind::Comprehension {
            macro_,
            operand,
            variable,
            filter,
            body,
            ..
        } => {
            let filter = filter
                .as_ref()
                .map_or(String::new(), |f| format!("{} ", ours(f)));
            format!(
                "({} @{} {variable} {filter}{})",
                macro_.name(),
                ours(operand),
                ours(body)
            )
        }
    }
}

/// The other parser balances chains of one logical operator; flattened, they compare.
fn terms(expr: &Expr, chain: BinaryOp) -> String {
    match &expr.kind {
        ExprKind::Binary {
            op, left, right, ..
        } if *op == chain => {
            format!("{} {}", terms(left, chain), terms(right, chain))
        }
        _ => ours(expr),
    }
}

fn theirs(expr: &IdedExpr) -> String {
    let list = |items: &[IdedExpr]| items.iter().map(theirs).collect::<Vec<_>>().join(" ");
    match &expr.expr {
        CelExpr::Literal(value) => match value {
            LiteralValue::Boolean(value) => format!("{}", value.inner()),
            LiteralValue::Bytes(value) => format!("b{:?}", value.inner()),
            LiteralValue::Double(value) => format!("{:?}", value.inner()),
            LiteralValue::Int(value) => format!("{}", value.inner()),
            LiteralValue::Null => "null".into(),
            LiteralValue::String(value) => format!("{:?}", value.inner()),
            LiteralValue::UInt(value) => format!("{}u", value.inner()),
        },
        CelExpr::Ident(name) => name.clone(),
        CelExpr::Select(select) => format!("(. {} {})", theirs(&select.operand), select.field),
        CelExpr::Call(call) => match &call.target {
            Some(target) => format!(
                "({} @{} {})",
                call.func_name.replace("existsOne", "exists_one"),
                theirs(target),
                list(&call.args)
            ),
            None if matches!(call.func_name.as_str(), "_&&_" | "_||_") => {
                let args: Vec<_> = call
                    .args
                    .iter()
                    .map(|arg| their_terms(arg, &call.func_name))
                    .collect();
                format!("({} {})", call.func_name, args.join(" "))
            }
            None => format!("({} {})", call.func_name, list(&call.args)),
        },
        CelExpr::List(items) => format!("[{}]", list(&items.elements)),
        CelExpr::Map(map) => {
            map.entries
                .iter()
                .fold("{".to_owned(), |out, entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        format!("{out}{}:{} ", theirs(&entry.key), theirs(&entry.value))
                    }
                    EntryExpr::StructField(_) => out,
                })
                + "}"
        }
        CelExpr::Struct(message) => format!("{}{{}}", message.type_name),
        other => format!("{other:?}"),
    }
}

fn their_terms(expr: &IdedExpr, chain: &str) -> String {
    match &expr.expr {
        CelExpr::Call(call) if call.target.is_none() && call.func_name == chain => call
            .args
            .iter()
            .map(|arg| their_terms(arg, chain))
            .collect::<Vec<_>>()
            .join(" "),
        _ => theirs(expr),
    }
}

fn same(text: &str) -> Result<(), String> {
    let other = cel::Env::default().parser().parse(text);
    match (parse(text), other) {
        (Ok(ours_), Ok(theirs_)) => {
            let (left, right) = (ours(&ours_), theirs(&theirs_));
            if left == right {
                Ok(())
            } else {
                Err(format!("{text}\n  {left}\n  {right}"))
            }
        }
        (Err(_), Err(_)) => Ok(()),
        (Ok(_), Err(error)) => Err(format!("only we accept {text:?}: {error}")),
        // Macro arguments are checked by us, not by the parser without macros.
        (Err(error), Ok(_))
            if error[0].message.contains("`has()`")
                || error[0].message.contains("names its variable") =>
        {
            Ok(())
        }
        (Err(error), Ok(_)) => Err(format!("only we refuse {text:?}: {}", error[0].message)),
    }
}

#[test]
fn trees_equal_those_of_the_evaluator() {
    let texts = [
        "user.role == 'admin'",
        "user.role != \"a\" && !(x in ['a', 'b'])",
        "a || b && c || d",
        "a + b * c - d % 2 / 3",
        "x ? y : z ? 1 : 2",
        "a.b.c(d).e[0]['k']",
        "size(x) > 0",
        "has(user.email)",
        "xs.all(x, x > 1)",
        "xs.exists(e, e.a == 'x')",
        "xs.exists_one(e, e)",
        "xs.existsOne(e, e)",
        "xs.filter(x, x).map(y, y + 1)",
        "xs.map(x, x > 1, x * 2)",
        "-x",
        "--x",
        "!!a",
        "!!!a",
        "-5",
        "- 5",
        "1 - -5",
        "1-5",
        "-9223372036854775808",
        "0x1F",
        "-0x1f",
        "12u",
        "0xFFu",
        "1.5",
        ".5",
        "1e3",
        "1.5e-3",
        "'it\\'s'",
        "\"\\u00e9\\x41\\101\\n\"",
        "r'\\d+'",
        "'''a\n'b'''",
        "b'ab\\xff'",
        "br'\\x'",
        "[]",
        "[1, 2,]",
        "{}",
        "{'a': 1, 'b': [2],}",
        "null",
        "true && false",
        ".x.y",
        ".f(1)",
        "a.b.C{x: 1}",
        "(1)",
        "((a)).b",
        "a == b == c",
        "x in y in z",
        "a < b == c > d",
        "a // comment\n && b",
        "\"é\" == x",
        "x.matches('^a$')",
        "timestamp('2024-01-01T00:00:00Z') < now",
        "a.map(x, 1, 2, 3)",
        "all(x, y)",
    ];
    let wrong: Vec<String> = texts
        .iter()
        .filter_map(|text| {
            parse(text)
                .map_err(|e| format!("{text}: {}", e[0].message))
                .and_then(|_| same(text))
                .err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_are_worded_and_placed() {
    let cases = [
        ("user.role = 'x'", "=", "`=` is not a CEL operator"),
        ("a and b", "and", "expected an operator before `and`"),
        (
            "a == ",
            "==",
            "the expression ends where a value is expected",
        ),
        ("a == 'x", "'x", "the string opened here is not closed"),
        ("(a", "a", "the parenthesis is not closed: expected `)`"),
        ("f(a b)", "b", "expected an operator before `b`"),
        ("a)", ")", "unexpected `)`"),
        ("a & b", "&", "`&` is not a CEL operator"),
        ("$x > 1", "$", "`$` is not part of CEL"),
        ("a.in", "in", "expected a field name after `.`"),
        (
            "has(x)",
            "x",
            "`has()` takes a field, as in `has(user.email)`",
        ),
        (
            "xs.all(x.y, true)",
            "x.y",
            "the first argument of `all` names its variable",
        ),
        ("'\\q'", "\\q", "unknown escape `\\q` in a string"),
        ("a ? b", "", "expected `:` and the value for the other case"),
        ("if", "if", "`if` is a reserved word of CEL"),
        (
            "99999999999999999999",
            "99999999999999999999",
            "the number does not fit a 64-bit integer",
        ),
        ("  ", "", "the expression is empty"),
    ];
    for (text, at, message) in cases {
        let errors = parse(text).unwrap_err();
        assert_eq!(
            (&text[errors[0].range], &*errors[0].message),
            (at, message),
            "{text}"
        );
    }
    assert_eq!(parse("a # b $ c").unwrap_err().len(), 2);
}

#[test]
fn ranges_cover_what_is_written() {
    let text = "!(user.groups.exists(g, g == 'é')) && has(user.email)";
    let expr = parse(text).unwrap();
    let ExprKind::Binary { left, right, .. } = &expr.kind else {
        panic!()
    };
    assert_eq!(&text[right.range], "has(user.email)");
    let ExprKind::Unary { operand, .. } = &left.kind else {
        panic!()
    };
    assert_eq!(&text[operand.range], "user.groups.exists(g, g == 'é')");
    let ExprKind::Comprehension {
        operand,
        variable_range,
        body,
        ..
    } = &operand.kind
    else {
        panic!()
    };
    assert_eq!(&text[operand.range], "user.groups");
    assert_eq!(&text[*variable_range], "g");
    assert_eq!(&text[body.range], "g == 'é'");
    assert_eq!(operand.dotted_path().as_deref(), Some("user.groups"));
}

#[test]
fn hostile_expressions_are_refused() {
    for text in [
        "(".repeat(9_000),
        "[".repeat(9_000),
        "!".repeat(9_000) + "a",
        "1+".repeat(4_000) + "1",
        "a".to_owned() + &".b".repeat(4_000),
        "x?1:".repeat(2_000) + "1",
        "f(".repeat(3_000),
        "a".repeat(20_000),
    ] {
        assert!(parse(&text).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_evaluator_accepts_the_same_texts(words in proptest::collection::vec(proptest::sample::select(vec![
        "a", "b.c", "1", "-", "!", "'s'", "(", ")", "[", "]", "{", "}", ",", ":", "?", "&&", "||", "==", "<", "in", "+", "*", ".", "has(", "x.all(", "f(", "true", "null", "1.5", "2u", "if", " ",
    ]), 0..10)) {
        let text = words.join(" ");
        prop_assert!(same(&text).is_ok(), "{:?}", same(&text));
    }
}
