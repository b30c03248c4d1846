//! Results for people: tables of rows, pretty JSON, plain scalars.

use serde_json::{Value, json};

const MAX_ROWS: usize = 100;
const MAX_CELL: usize = 50;

/// A result as text, ending in a newline.
pub(crate) fn render(value: &Value) -> String {
    match value {
        Value::Array(rows) if rows.is_empty() => "(no rows)\n".into(),
        Value::Array(rows) if rows.iter().all(Value::is_object) => rows_table(rows),
        Value::Array(items) if !items.iter().any(|i| i.is_array() || i.is_object()) => {
            let rows: Vec<Value> = items.iter().map(|i| json!({ "Value": i })).collect();
            rows_table(&rows)
        }
        Value::String(text) => format!("{text}\n"),
        Value::Array(_) | Value::Object(_) => {
            let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
            text.push('\n');
            text
        }
        scalar => format!("{scalar}\n"),
    }
}

fn rows_table(rows: &[Value]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for row in rows.iter().take(MAX_ROWS) {
        for name in row.as_object().into_iter().flat_map(|r| r.keys()) {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .take(MAX_ROWS)
        .map(|row| {
            columns
                .iter()
                .map(|c| row.get(*c).map_or_else(String::new, cell))
                .collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, name)| {
            cells
                .iter()
                .filter_map(|row| row.get(i))
                .map(|c| c.chars().count())
                .chain([name.chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |values: Vec<&str>| {
        let padded: Vec<String> = values
            .iter()
            .zip(&widths)
            .map(|(v, w)| format!("{v:w$}"))
            .collect();
        format!("{}\n", padded.join(" │ ").trim_end())
    };
    let mut out = line(columns.clone());
    let total: usize = widths.iter().sum::<usize>() + 3 * widths.len().saturating_sub(1);
    out.push_str(&"─".repeat(total));
    out.push('\n');
    for row in &cells {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    if rows.len() > MAX_ROWS {
        out.push_str(&format!(
            "… {} more rows; use --json-output for all of them\n",
            rows.len() - MAX_ROWS
        ));
    }
    out
}

fn cell(value: &Value) -> String {
    let text = match value {
        // A cell is one line, and nothing in it steers the terminal.
        Value::String(s) => s.replace(char::is_control, " "),
        Value::Null => "NULL".into(),
        other => other.to_string(),
    };
    if text.chars().count() > MAX_CELL {
        let cut: String = text.chars().take(MAX_CELL - 1).collect();
        format!("{cut}…")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;

    #[test]
    fn every_kind_of_result_has_a_form() {
        assert_eq!(render(&json!([])), "(no rows)\n");
        assert_eq!(render(&json!("two\nlines")), "two\nlines\n");
        assert_eq!(render(&json!(null)), "null\n");
        assert_eq!(render(&json!({"a": 1})), "{\n  \"a\": 1\n}\n");
        assert_eq!(render(&json!([1, null])), "Value\n─────\n1\nNULL\n");
        assert_eq!(
            render(&json!([{"a": 1, "b": "x\u{1b}y"}, {"c": [1]}])),
            "a │ b   │ c\n─────────────\n1 │ x y │\n  │     │ [1]\n"
        );
    }
}
