//! Prompts: Jinja templates over the parameters, in a sandbox. A template can neither read files nor
//! reach anything but its parameters, and it cannot run for ever.

mod filters;
mod methods;

use minijinja::{AutoEscape, Environment, Error, Value as Jinja};
use mxcp_artifact::PromptBody;
use serde_json::{Map, Value, json};

use mxcp_values::repr;

// Far more than a prompt needs; a loop over a million items ends in an error.
const FUEL: u64 = 5_000_000;

/// The messages of one prompt, compiled.
pub(crate) struct Prompt {
    environment: Environment<'static>,
    messages: Vec<Message>,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt")
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Message {
    role: Option<String>,
    kind: Option<String>,
    mime_type: Option<String>,
    template: Result<String, String>,
    uri: Option<Result<String, String>>,
}

impl Prompt {
    /// Compiles the templates. A broken one fails when the prompt is used.
    pub(crate) fn new(body: &PromptBody) -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(methods::method);
        filters::add(&mut environment);
        environment.set_formatter(|out, state, value| {
            let mut text = print(value);
            if *state.auto_escape() != AutoEscape::None && !value.is_safe() {
                text = mxcp_values::text::html(&text);
            }
            out.write_str(&text).map_err(Error::from)
        });
        let messages = body
            .messages
            .iter()
            .enumerate()
            .map(|(i, message)| {
                let mut add = |name: String, text: &String| {
                    environment
                        .add_template_owned(name.clone(), text.clone())
                        .map(|()| name)
                        .map_err(|e| describe(&e))
                };
                let name = format!("message {}", i + 1);
                let uri = message.uri.as_ref();
                Message {
                    role: message.role.clone(),
                    kind: message.kind.clone(),
                    mime_type: message.mime_type.clone(),
                    uri: uri.map(|uri| add(format!("{name}, uri"), uri)),
                    template: add(name, &message.prompt),
                }
            })
            .collect();
        Self {
            environment,
            messages,
        }
    }

    /// Renders all messages: a list of `{prompt, role, type}`, with `uri` and `mime_type` where the
    /// message has them.
    pub(crate) fn render(&self, parameters: &Map<String, Value>) -> Result<Value, String> {
        let context = object(parameters);
        self.messages
            .iter()
            .map(|message| {
                let text = |name: &Result<String, String>| {
                    self.environment
                        .get_template(name.as_ref().map_err(Clone::clone)?)
                        .and_then(|template| template.render(context.clone()))
                        .map_err(|e| describe(&e))
                };
                let prompt = text(&message.template)?;
                let mut rendered =
                    json!({ "prompt": prompt, "role": message.role, "type": message.kind });
                if let Some(uri) = &message.uri {
                    rendered["uri"] = text(uri)?.into();
                }
                if let Some(mime_type) = &message.mime_type {
                    rendered["mime_type"] = mime_type.as_str().into();
                }
                Ok(rendered)
            })
            .collect()
    }
}

/// A value as Jinja2 prints it: `True`, `None`, `['a']`.
fn print(value: &Jinja) -> String {
    if value.is_undefined() {
        return String::new();
    }
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_value(value)
            .map_or_else(|_| value.to_string(), |value| repr::text(&value)),
    }
}

// By hand: a number of `serde_json` that is written by another serializer is an object.
fn jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_i128(), number.as_f64()) {
            (Some(value), _) => Jinja::from(value),
            (None, Some(value)) => Jinja::from(value),
            (None, None) => Jinja::from(number.to_string()),
        },
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Array(items) => items.iter().map(jinja).collect(),
        Value::Object(fields) => object(fields),
    }
}

fn object(fields: &Map<String, Value>) -> Jinja {
    Jinja::from_pairs(
        fields
            .iter()
            .map(|(name, value)| (Jinja::from(name.as_str()), jinja(value))),
    )
}

fn describe(error: &Error) -> String {
    let mut text = format!("Failed to render prompt: {}", error.kind());
    if let Some(detail) = error.detail() {
        text.push_str(&format!(": {detail}"));
    }
    if let (Some(name), Some(line)) = (error.name(), error.line()) {
        text.push_str(&format!(" ({name}, line {line})"));
    }
    text
}

#[cfg(test)]
mod tests {
    use mxcp_artifact::PromptMessage;

    use super::*;

    fn render(template: &str, parameters: Value) -> Result<String, String> {
        let prompt = Prompt::new(&PromptBody {
            messages: vec![PromptMessage {
                role: Some("user".into()),
                kind: None,
                uri: None,
                mime_type: None,
                prompt: template.into(),
            }],
        });
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        prompt.render(&parameters).map(|messages| {
            messages[0]["prompt"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
    }

    #[test]
    fn templates_see_typed_parameters_and_nothing_else() {
        let parameters = json!({"name": "<Ann>", "n": 2, "o": {"b": 1, "a": 2}, "nothing": null});
        assert_eq!(
            render(
                "{{ name.upper() }} {{ n + 1 }}{{ missing }} {{ nothing }} {% for k, v in o.items() %}{{ k }}={{ v }};{% endfor %}",
                parameters.clone()
            ),
            Ok("<ANN> 3 None b=1;a=2;".into())
        );
        assert!(render("{{ ''.__class__ }}x", parameters.clone()).is_ok_and(|t| t == "x"));
        assert!(render("{% include 'mxcp-site.yml' %}", parameters.clone()).is_err());
        assert!(
            render(
                "{% for i in range(9999) %}{% for j in range(9999) %}.{% endfor %}{% endfor %}",
                parameters
            )
            .is_err()
        );
    }

    // What Jinja2 3.1 printed for the same templates.
    #[test]
    fn filters_write_what_jinja_writes() {
        let parameters =
            json!({"s": "<a href=\"x\">it's & more</a>", "l": [{"n": 1}, {"n": 2.5}], "e": "é"});
        for (template, expected) in [
            (
                "{{ s | escape }}",
                "&lt;a href=&#34;x&#34;&gt;it&#39;s &amp; more&lt;/a&gt;",
            ),
            ("{{ 'a/b' | e | e }}", "a/b"),
            ("{{ '<' | e | forceescape }}", "&amp;lt;"),
            (
                "{% autoescape true %}{{ '<' }}{{ '<' | safe }}{% endautoescape %}",
                "&lt;<",
            ),
            ("{{ l | tojson }}", "[{\"n\": 1}, {\"n\": 2.5}]"),
            (
                "{{ {'b': e, 'a': '<'} | tojson }}",
                "{\"a\": \"\\u003c\", \"b\": \"\\u00e9\"}",
            ),
            (
                "{{ {'a': [1]} | tojson(indent=2) }}",
                "{\n  \"a\": [\n    1\n  ]\n}",
            ),
            ("{{ 'one two three four' | truncate(9) }}", "one..."),
            (
                "{{ 'one two three four' | truncate(9, true, '>') }}",
                "one two >",
            ),
            ("{{ 'it is a-b c_d' | wordcount }}", "5"),
            ("[{{ 'abc' | center(8) }}]", "[  abc   ]"),
            ("[{{ 'abcd' | center(7) }}]", "[  abcd ]"),
            ("{{ 'aa bbbb cc d' | wordwrap(5) }}", "aa\nbbbb\ncc d"),
            (
                "{{ 1 | filesizeformat }} {{ 999 | filesizeformat }} {{ 123456 | filesizeformat }} {{ 1048576 | filesizeformat(binary=true) }}",
                "1 Byte 999 Bytes 123.5 kB 1.0 MiB",
            ),
            ("{{ s | striptags }}", "it's & more"),
            (
                "{{ 'a b/é?' | urlencode }} {{ {'q': 'a b', 'r': 1} | urlencode }}",
                "a%20b/%C3%A9%3F q=a+b&r=1",
            ),
            (
                "{{ 'a,b'.split(',') }} {{ 'x'.zfill(3) }} {{ '{} {}'.format('a', 1) }} {{ 'abc'.find('c') }}",
                "['a', 'b'] 00x a 1 2",
            ),
        ] {
            assert_eq!(
                render(template, parameters.clone()).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
    }

    #[test]
    fn numbers_print_as_they_are() {
        let parameters = json!({"n": 4, "rate": 2.0, "row": {"l": [1, 0.5]}, "text": "3"});
        assert_eq!(
            render(
                "{{ n }} {{ n / 8 }} {{ rate }} {{ row.l[1] + 1 }} {{ row }} {{ text }}",
                parameters
            ),
            Ok("4 0.5 2.0 1.5 {'l': [1, 0.5]} 3".into())
        );
    }

    #[test]
    fn a_broken_template_says_where() {
        assert_eq!(
            render("a\n{{ x", json!({})),
            Err("Failed to render prompt: syntax error: unexpected end of input, expected end of variable block (message 1, line 2)".into())
        );
    }
}
