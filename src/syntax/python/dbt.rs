//! What a Python model says to dbt: its calls of `dbt.ref`, `dbt.source`, `dbt.config` and
//! `dbt.config.get`, with the arguments that are literals.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, Mod, Number};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use serde_json::{Map, Value as Json};
use text_size::TextRange;

use crate::limits;

/// A call of `dbt.<name>(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DbtCall {
    /// Without `dbt.`, e.g. `config.get`.
    pub name: String,
    /// `None` for an argument that is not a literal.
    pub args: Vec<Option<Json>>,
    pub kwargs: Vec<(String, Option<Json>)>,
    /// Of the arguments.
    pub range: TextRange,
}

/// The calls in source order.
#[must_use]
pub fn dbt_calls(text: &str) -> Vec<DbtCall> {
    let mut calls = Calls(Vec::new());
    if text.len() > super::MAX_BYTES || limits::too_deep(text, limits::PYTHON).is_some() {
        return calls.0;
    }
    let parsed = parse_unchecked(text, ParseOptions::from(Mode::Module));
    if let Mod::Module(ast) = parsed.syntax() {
        calls.visit_body(&ast.body);
    }
    calls.0
}

struct Calls(Vec<DbtCall>);

impl<'a> Visitor<'a> for Calls {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Call(call) = expr
            && let Some(name) = dotted(&call.func)
            && let Some(name) = name.strip_prefix("dbt.")
        {
            self.0.push(DbtCall {
                name: name.to_owned(),
                args: call.arguments.args.iter().map(literal).collect(),
                kwargs: call
                    .arguments
                    .keywords
                    .iter()
                    .filter_map(|keyword| {
                        let name = keyword.arg.as_ref()?.as_str().to_owned();
                        Some((name, literal(&keyword.value)))
                    })
                    .collect(),
                range: super::range(call.arguments.range),
            });
        }
        visitor::walk_expr(self, expr);
    }
}

fn dotted(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str().to_owned()),
        Expr::Attribute(attribute) => Some(format!(
            "{}.{}",
            dotted(&attribute.value)?,
            attribute.attr.as_str()
        )),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<Json> {
    Some(match expr {
        Expr::StringLiteral(text) => Json::String(text.value.to_str().to_owned()),
        Expr::BooleanLiteral(literal) => Json::Bool(literal.value),
        Expr::NoneLiteral(_) => Json::Null,
        Expr::NumberLiteral(number) => match &number.value {
            Number::Int(int) => Json::from(int.as_i64()?),
            Number::Float(float) => Json::from(*float),
            Number::Complex { .. } => return None,
        },
        Expr::List(list) => Json::Array(list.elts.iter().map(literal).collect::<Option<_>>()?),
        Expr::Tuple(list) => Json::Array(list.elts.iter().map(literal).collect::<Option<_>>()?),
        Expr::Dict(dict) => {
            let mut map = Map::new();
            for item in &dict.items {
                let Json::String(key) = literal(item.key.as_ref()?)? else {
                    return None;
                };
                map.insert(key, literal(&item.value)?);
            }
            Json::Object(map)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_found_with_their_literals() {
        let calls = dbt_calls(
            "def model(dbt, session):\n    dbt.config(materialized='table', tags=['a'], x=f())\n    a = dbt.ref('orders', v=2).df()\n    return session.sql(dbt.source('raw', 't').sql_query())\n",
        );
        let seen: Vec<_> = calls
            .iter()
            .map(|c| (c.name.as_str(), c.args.clone()))
            .collect();
        assert_eq!(
            seen,
            [
                ("config", vec![]),
                ("ref", vec![Some(json!("orders"))]),
                ("source", vec![Some(json!("raw")), Some(json!("t"))]),
            ]
        );
        assert_eq!(calls[0].kwargs[1], ("tags".to_owned(), Some(json!(["a"]))));
        assert_eq!(calls[0].kwargs[2].1, None);
    }
}
