//! The Python methods that templates of existing projects call on texts, lists and objects.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value as Jinja};

use super::print;

/// The environment's callback for methods a value does not have itself.
pub(super) fn method(
    _: &mut State<'_, '_>,
    value: &Jinja,
    name: &str,
    arguments: &[Jinja],
) -> Result<Jinja, Error> {
    if let Some(text) = value.as_str() {
        return of_text(text, name, arguments);
    }
    match value.kind() {
        ValueKind::Map => of_map(value, name, arguments),
        ValueKind::Seq | ValueKind::Iterable => of_list(value, name, arguments),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::UnknownMethod, format!("no method `{name}`"))
}

fn needed<'a>(name: &str, arguments: &'a [Jinja], index: usize) -> Result<&'a Jinja, Error> {
    arguments.get(index).ok_or_else(|| {
        Error::new(
            ErrorKind::MissingArgument,
            format!("`{name}` needs an argument"),
        )
    })
}

fn of_text(text: &str, name: &str, arguments: &[Jinja]) -> Result<Jinja, Error> {
    let given = |i: usize| arguments.get(i).filter(|v| !v.is_none()).map(print);
    let required = |i: usize| needed(name, arguments, i).map(print);
    let cut = |c: char| match given(0) {
        Some(characters) => characters.contains(c),
        None => c.is_whitespace(),
    };
    // One affix or several.
    let any = |test: &dyn Fn(&str) -> bool| -> Result<Jinja, Error> {
        let affix = needed(name, arguments, 0)?;
        let found = match affix.as_str() {
            Some(affix) => test(affix),
            None => affix.try_iter()?.any(|affix| test(&print(&affix))),
        };
        Ok(found.into())
    };
    let all = |test: fn(char) -> bool| Jinja::from(!text.is_empty() && text.chars().all(test));
    let any_char = |test: fn(char) -> bool| text.chars().any(test);
    let place = |found: Option<usize>| {
        found.map(|at| text.get(..at).map_or(0, |head| head.chars().count()))
    };
    Ok(match name {
        "upper" => text.to_uppercase().into(),
        "lower" | "casefold" => text.to_lowercase().into(),
        "swapcase" => text
            .chars()
            .map(|c| match c.is_uppercase() {
                true => c.to_lowercase().to_string(),
                false => c.to_uppercase().to_string(),
            })
            .collect::<String>()
            .into(),
        "strip" => text.trim_matches(cut).into(),
        "lstrip" => text.trim_start_matches(cut).into(),
        "rstrip" => text.trim_end_matches(cut).into(),
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
        "replace" => {
            let (from, to) = (required(0)?, required(1)?);
            match arguments.get(2).and_then(Jinja::as_usize) {
                Some(count) => text.replacen(&from, &to, count).into(),
                None => text.replace(&from, &to).into(),
            }
        }
        "startswith" => any(&|affix| text.starts_with(affix))?,
        "endswith" => any(&|affix| text.ends_with(affix))?,
        "removeprefix" => text
            .strip_prefix(required(0)?.as_str())
            .unwrap_or(text)
            .into(),
        "removesuffix" => text
            .strip_suffix(required(0)?.as_str())
            .unwrap_or(text)
            .into(),
        "split" | "rsplit" => split(text, name == "rsplit", given(0), arguments),
        "splitlines" => text.lines().map(Jinja::from).collect(),
        "partition" => {
            let by = required(0)?;
            let (head, by, tail) = match text.split_once(by.as_str()) {
                Some((head, tail)) => (head, by.as_str(), tail),
                None => (text, "", ""),
            };
            [head, by, tail].into_iter().map(Jinja::from).collect()
        }
        "join" => {
            let items: Vec<String> = needed(name, arguments, 0)?
                .try_iter()?
                .map(|item| print(&item))
                .collect();
            items.join(text).into()
        }
        "format" => format(FormatStyle::StrFormat, text, arguments)?.into(),
        "count" => text.matches(required(0)?.as_str()).count().into(),
        "find" => {
            place(text.find(required(0)?.as_str())).map_or_else(|| Jinja::from(-1), Jinja::from)
        }
        "index" => match place(text.find(required(0)?.as_str())) {
            Some(at) => at.into(),
            None => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "substring not found",
                ));
            }
        },
        "isdigit" | "isnumeric" | "isdecimal" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "islower" => (any_char(char::is_lowercase) && !any_char(char::is_uppercase)).into(),
        "isupper" => (any_char(char::is_uppercase) && !any_char(char::is_lowercase)).into(),
        "zfill" | "rjust" | "ljust" | "center" => {
            let width = needed(name, arguments, 0)?.as_usize().unwrap_or(0);
            let fill = match name {
                "zfill" => "0".to_owned(),
                _ => given(1).unwrap_or_else(|| " ".into()),
            };
            let space = width.min(10_000).saturating_sub(text.chars().count());
            let left = match name {
                "ljust" => 0,
                "center" => space / 2 + (space & width & 1),
                _ => space,
            };
            format!("{}{text}{}", fill.repeat(left), fill.repeat(space - left)).into()
        }
        _ => return Err(unknown(name)),
    })
}

fn split(text: &str, from_right: bool, by: Option<String>, arguments: &[Jinja]) -> Jinja {
    let limit = arguments.get(1).and_then(Jinja::as_usize).map(|n| n + 1);
    let parts: Vec<&str> = match (by, limit) {
        (None, None) => text.split_whitespace().collect(),
        (None, Some(limit)) => text.trim().splitn(limit, char::is_whitespace).collect(),
        (Some(by), None) => text.split(by.as_str()).collect(),
        (Some(by), Some(limit)) if from_right => {
            let mut parts: Vec<_> = text.rsplitn(limit, by.as_str()).collect();
            parts.reverse();
            parts
        }
        (Some(by), Some(limit)) => text.splitn(limit, by.as_str()).collect(),
    };
    parts.into_iter().map(Jinja::from).collect()
}

fn of_map(map: &Jinja, name: &str, arguments: &[Jinja]) -> Result<Jinja, Error> {
    let pairs = || -> Result<Vec<(Jinja, Jinja)>, Error> {
        map.try_iter()?
            .map(|key| Ok((key.clone(), map.get_item(&key)?)))
            .collect()
    };
    Ok(match name {
        "keys" => pairs()?.into_iter().map(|(key, _)| key).collect(),
        "values" => pairs()?.into_iter().map(|(_, value)| value).collect(),
        "items" => pairs()?
            .into_iter()
            .map(|(key, value)| Jinja::from(vec![key, value]))
            .collect(),
        "get" => {
            let found = map.get_item(needed(name, arguments, 0)?)?;
            if found.is_undefined() {
                arguments.get(1).cloned().unwrap_or(Jinja::from(()))
            } else {
                found
            }
        }
        _ => return Err(unknown(name)),
    })
}

fn of_list(list: &Jinja, name: &str, arguments: &[Jinja]) -> Result<Jinja, Error> {
    let wanted = || needed(name, arguments, 0);
    Ok(match name {
        "count" => {
            let wanted = wanted()?;
            list.try_iter()?
                .filter(|item| item == wanted)
                .count()
                .into()
        }
        "index" => {
            let wanted = wanted()?;
            match list.try_iter()?.position(|item| item == *wanted) {
                Some(at) => at.into(),
                None => {
                    return Err(Error::new(
                        ErrorKind::InvalidOperation,
                        "the value is not in the list",
                    ));
                }
            }
        }
        _ => return Err(unknown(name)),
    })
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
