//! Prompts: Jinja templates over the parameters, in a sandbox. A template can neither read files nor
//! reach anything but its parameters, and it cannot run for ever.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value as Jinja};
use mxcp_artifact::PromptBody;
use serde_json::{Map, Value, json};

use crate::repr;

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
    template: Result<String, String>,
}

impl Prompt {
    /// Compiles the templates. A broken one fails when the prompt is used.
    pub(crate) fn new(body: &PromptBody) -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(method);
        // Values print as in Jinja2: `True`, `None`, `['a']`.
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() {
                return Ok(());
            }
            let text = match value.as_str() {
                Some(text) => text.to_owned(),
                None => serde_json::to_value(value)
                    .map_or_else(|_| value.to_string(), |value| repr::text(&value)),
            };
            out.write_str(&text).map_err(Error::from)
        });
        let messages = body
            .messages
            .iter()
            .enumerate()
            .map(|(i, message)| {
                let name = format!("message {}", i + 1);
                let template = environment
                    .add_template_owned(name.clone(), message.prompt.clone())
                    .map(|()| name)
                    .map_err(|e| describe(&e));
                Message {
                    role: message.role.clone(),
                    kind: message.kind.clone(),
                    template,
                }
            })
            .collect();
        Self {
            environment,
            messages,
        }
    }

    /// Renders all messages: a list of `{prompt, role, type}`.
    pub(crate) fn render(&self, parameters: &Map<String, Value>) -> Result<Value, String> {
        let context = object(parameters);
        self.messages
            .iter()
            .map(|message| {
                let name = message.template.as_ref().map_err(Clone::clone)?;
                let text = self
                    .environment
                    .get_template(name)
                    .and_then(|template| template.render(context.clone()))
                    .map_err(|e| describe(&e))?;
                Ok(json!({ "prompt": text, "role": message.role, "type": message.kind }))
            })
            .collect()
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

/// The Python methods that templates of existing projects call on texts, lists and objects.
fn method(
    _: &mut State<'_, '_>,
    value: &Jinja,
    name: &str,
    arguments: &[Jinja],
) -> Result<Jinja, Error> {
    let unknown = || Error::new(ErrorKind::UnknownMethod, format!("no method `{name}`"));
    let argument = |i: usize| arguments.get(i).map(ToString::to_string);
    if let Some(text) = value.as_str() {
        let required = |i: usize| {
            argument(i).ok_or_else(|| {
                Error::new(
                    ErrorKind::MissingArgument,
                    format!("`{name}` needs an argument"),
                )
            })
        };
        return Ok(match name {
            "upper" => text.to_uppercase().into(),
            "lower" => text.to_lowercase().into(),
            "strip" => text.trim().into(),
            "lstrip" => text.trim_start().into(),
            "rstrip" => text.trim_end().into(),
            "capitalize" => {
                let mut chars = text.chars();
                let first: String = chars
                    .next()
                    .into_iter()
                    .flat_map(char::to_uppercase)
                    .collect();
                format!("{first}{}", chars.as_str().to_lowercase()).into()
            }
            "title" => title(text).into(),
            "replace" => text.replace(&required(0)?, &required(1)?).into(),
            "startswith" => text.starts_with(&required(0)?).into(),
            "endswith" => text.ends_with(&required(0)?).into(),
            "split" => match argument(0) {
                Some(separator) => text.split(&separator).map(Jinja::from).collect(),
                None => text.split_whitespace().map(Jinja::from).collect(),
            },
            "join" => {
                let items = arguments.first().ok_or_else(unknown)?.try_iter()?;
                let items: Vec<String> = items.map(|item| item.to_string()).collect();
                items.join(text).into()
            }
            _ => return Err(unknown()),
        });
    }
    if value.kind() == ValueKind::Map {
        let pairs = || -> Result<Vec<(Jinja, Jinja)>, Error> {
            value
                .try_iter()?
                .map(|key| Ok((key.clone(), value.get_item(&key)?)))
                .collect()
        };
        return Ok(match name {
            "keys" => pairs()?.into_iter().map(|(key, _)| key).collect(),
            "values" => pairs()?.into_iter().map(|(_, value)| value).collect(),
            "items" => pairs()?
                .into_iter()
                .map(|(key, value)| Jinja::from(vec![key, value]))
                .collect(),
            "get" => {
                let key = arguments.first().ok_or_else(unknown)?;
                let found = value.get_item(key)?;
                if found.is_undefined() {
                    arguments.get(1).cloned().unwrap_or(Jinja::from(()))
                } else {
                    found
                }
            }
            _ => return Err(unknown()),
        });
    }
    Err(unknown())
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let out: Vec<char> = if start {
                c.to_uppercase().collect()
            } else {
                c.to_lowercase().collect()
            };
            start = !c.is_alphabetic();
            out
        })
        .collect()
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
