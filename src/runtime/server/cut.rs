//! What a client is told when a result was cut: beside the text, for a model, and in `_meta`, for a
//! program. The structured content stays what the tool promises, with fewer items.

use mxcp_artifact::Endpoint;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde_json::{Map, Value, json};

use crate::Cut;

/// Where `_meta` says it.
const KEY: &str = "mxcp/truncated";

/// A result's end, and how to ask for less.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    cut: Cut,
    advice: String,
}

impl Notice {
    /// For a tool of the project: the parameters that the call left open are what narrows it.
    pub(super) fn of_tool(cut: Cut, endpoint: &Endpoint, given: &Map<String, Value>) -> Self {
        let open: Vec<String> = endpoint
            .parameters
            .iter()
            .filter(|p| given.get(&p.name).is_none_or(Value::is_null))
            .map(|p| format!("`{}`", p.name))
            .collect();
        let advice = match (open.as_slice(), endpoint.parameters.as_slice()) {
            ([], []) => "this tool takes no parameters, so the rest cannot be had".to_owned(),
            ([], _) => "to see the rest, call again with arguments that match less".to_owned(),
            (open, _) => format!("to see the rest, call again with {}", open.join(" or ")),
        };
        Self { cut, advice }
    }

    pub(super) fn of_sql(cut: Cut) -> Self {
        let advice = "add a WHERE or a LIMIT with OFFSET, select fewer columns, or aggregate";
        Self {
            cut,
            advice: advice.to_owned(),
        }
    }

    /// Says it; `rows` is how many are left.
    pub(super) fn put(self, result: &mut CallToolResult, rows: usize) {
        let (reason, limit, words) = match self.cut {
            Cut::Rows(limit) => ("rows", limit, format!("{limit} rows")),
            Cut::Bytes(limit) => ("bytes", limit, format!("{limit} bytes")),
        };
        let text = format!(
            "The result was cut: these are the first {rows} rows, and there are more (limit: {words}). {}.",
            upper_first(&self.advice)
        );
        let mut meta = Map::new();
        meta.insert(
            KEY.into(),
            json!({ "reason": reason, "limit": limit, "rows": rows, "advice": self.advice }),
        );
        result.content.push(ContentBlock::text(text));
        result.meta = Some(MetaObject(meta));
    }
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
