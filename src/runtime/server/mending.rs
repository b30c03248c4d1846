//! Requests whose parameters are of the wrong kind, made into ones that are refused for it, and lines that
//! are no JSON, made into messages that are.
//!
//! What reads messages takes a `cursor` that is no text for none at all, and drops a request whose `params`
//! are no object: the one would begin a list again for ever, the other would never be answered.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

/// Longer messages are taken as they are.
const MOST: usize = 1 << 20;

/// No list has given out this one.
const NO_CURSOR: &str = "";

/// The message to read instead of this one, if it is such a request.
pub(super) fn mended(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() > MOST {
        return None;
    }
    let request: Request = match serde_json::from_slice(message) {
        Ok(request) => request,
        // What reads messages says nothing about a text that is no JSON, but does about a message that is none.
        Err(error) if error.is_syntax() || error.is_eof() => {
            let blank = message.iter().all(u8::is_ascii_whitespace);
            return (!blank).then(|| b"null".to_vec());
        }
        Err(_) => return None,
    };
    let named = matches!(request.method, Some(Kind::Text)) && request.id.is_some();
    if !named || request.params.is_none_or(|params| params.fit) {
        return None;
    }
    let mut message: Value = serde_json::from_slice(message).ok()?;
    match message.get_mut("params") {
        Some(Value::Object(params)) => {
            params.insert("cursor".to_owned(), NO_CURSOR.into());
        }
        Some(params) => *params = json!({ "cursor": NO_CURSOR }),
        None => return None,
    }
    serde_json::to_vec(&message).ok()
}

#[derive(Deserialize)]
struct Request {
    method: Option<Kind>,
    id: Option<Kind>,
    params: Option<Params>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Nothing,
    Other,
}

/// Whether parameters are an object, with a text or nothing for its `cursor`.
struct Params {
    fit: bool,
}

// A number comes as a map with this key.
const NUMBER: &str = "$serde_json::private::Number";

struct KindOf;

macro_rules! scalars {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for KindOf {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    scalars!(Kind::Other);

    fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Text)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Kind::Other)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(KindOf)
    }
}

struct ParamsOf;

impl<'de> Visitor<'de> for ParamsOf {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    scalars!(Params { fit: false });

    fn visit_str<E>(self, _: &str) -> Result<Params, E> {
        Ok(Params { fit: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Params, A::Error> {
        let mut fit = true;
        while let Some(key) = entries.next_key::<String>()? {
            if key == "cursor" {
                fit &= entries.next_value::<Kind>()? != Kind::Other;
            } else {
                fit &= key != NUMBER;
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Params { fit })
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ParamsOf)
    }
}

/// The lines of a stream, each mended; what is longer than a message should be goes through as it comes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// The line was too long, and its beginning is gone already.
    through: bool,
}

impl Lines {
    /// What to read instead of `bytes`: whole lines, and the parts of long ones.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            if self.through {
                out.extend_from_slice(piece);
                self.through = !ends;
                continue;
            }
            self.line.extend_from_slice(piece);
            if ends {
                match mended(&self.line) {
                    Some(line) => {
                        out.extend(line);
                        out.push(b'\n');
                    }
                    None => out.extend_from_slice(&self.line),
                }
                self.line.clear();
            } else if self.line.len() > MOST {
                out.append(&mut self.line);
                self.through = true;
            }
        }
        out
    }

    /// What is left when the stream ends.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Value> {
        let mended = mended(text.as_bytes())?;
        Some(serde_json::from_slice(&mended).unwrap())
    }

    #[test]
    fn only_requests_with_parameters_of_the_wrong_kind_change() {
        for text in [
            r#"{"id":1,"method":"tools/list"}"#,
            r#"{"id":1,"method":"tools/list","params":null}"#,
            r#"{"id":1,"method":"tools/list","params":{"cursor":"a","n":[1.5]}}"#,
            r#"{"id":1,"method":"tools/list","params":{"cursor":null}}"#,
            r#"{"id":1,"method":"tools/call","params":{"arguments":{"cursor":5}}}"#,
            r#"{"method":"notifications/initialized","params":[]}"#,
            r#"{"id":1,"result":{}}"#,
            "[1]",
            "\r\n",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        for text in ["no JSON", "{\"id\":1", "{} {}"] {
            assert_eq!(of(text), Some(Value::Null), "{text}");
        }
        for cursor in [
            "5",
            "-1.5e3",
            "[]",
            "{}",
            "true",
            "123456789012345678901234567890",
        ] {
            let text = format!(r#"{{"id":1,"method":"m","params":{{"a":1,"cursor":{cursor}}}}}"#);
            assert_eq!(
                of(&text),
                Some(json!({"id": 1, "method": "m", "params": {"a": 1, "cursor": ""}})),
                "{text}"
            );
        }
        for params in ["5", "[1]", "\"x\"", "false"] {
            let text = format!(r#"{{"id":"a","method":"m","params":{params}}}"#);
            assert_eq!(
                of(&text),
                Some(json!({"id": "a", "method": "m", "params": {"cursor": ""}})),
                "{text}"
            );
        }
    }

    #[test]
    fn lines_arrive_in_any_pieces() {
        let wrong = r#"{"id":1,"method":"m","params":7}"#;
        let long = "x".repeat(2 * MOST);
        let input = format!("{{}}\n{wrong}\n{long}\n{{}}\nend");
        for size in [1, 7, 4096, input.len()] {
            let mut lines = Lines::default();
            let mut out = Vec::new();
            for piece in input.as_bytes().chunks(size) {
                out.extend(lines.push(piece));
            }
            out.extend(lines.rest());
            let mended = r#"{"id":1,"method":"m","params":{"cursor":""}}"#;
            assert!(out == format!("{{}}\n{mended}\n{long}\n{{}}\nend").into_bytes());
        }
    }
}
