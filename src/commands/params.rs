//! Arguments of a call on the command line: `name=value`, `name=@file`, JSON objects and files.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::output::Failure;

/// Parses `-p name=value` options. A value is text; `@file` stands for the JSON in a file.
pub(crate) fn parse(options: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut out = Map::new();
    for option in options {
        let Some((name, value)) = option.split_once('=') else {
            return Err(Failure::new(format!(
                "Invalid value for '--param': `{option}` is not in the form name=value"
            ))
            .help("write e.g. `-p name=World` or `-p names=@names.json`"));
        };
        let value = match value.strip_prefix('@') {
            Some(path) => read_json(path)?,
            None => Value::String(value.to_owned()),
        };
        out.insert(name.trim().to_owned(), value);
    }
    Ok(out)
}

/// A JSON object given inline or as `@file`.
pub(crate) fn object(
    option: &str,
    text: Option<&str>,
) -> Result<Option<Map<String, Value>>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let value = match text.strip_prefix('@') {
        Some(path) => read_json(path)?,
        None => serde_json::from_str(text).map_err(|e| {
            Failure::new(format!("Invalid value for '{option}': invalid JSON: {e}"))
                .help("give a JSON object, or @ and the name of a file that holds one")
        })?,
    };
    match value {
        Value::Object(map) => Ok(Some(map)),
        _ => Err(Failure::new(format!(
            "Invalid value for '{option}': a JSON object is needed"
        ))),
    }
}

/// Request headers by lower-case name.
pub(crate) fn headers(text: Option<&str>) -> Result<BTreeMap<String, String>, Failure> {
    Ok(object("--request-headers", text)?
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.to_ascii_lowercase(), text)
        })
        .collect())
}

fn read_json(path: &str) -> Result<Value, Failure> {
    if path.is_empty() {
        return Err(Failure::new("`@` needs the name of a file that holds JSON"));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("`{path}` cannot be read: {e}")))?;
    serde_json::from_str(&text)
        .map_err(|e| Failure::new(format!("`{path}` does not hold valid JSON: {e}")))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_text_and_later_ones_win() {
        let options = ["a=1", "a=x=y", "b="].map(str::to_owned);
        let parsed = parse(&options).expect("well-formed");
        assert_eq!(parsed["a"], "x=y");
        assert_eq!(parsed["b"], "");
        assert!(parse(&["novalue".to_owned()]).is_err());
    }
}
