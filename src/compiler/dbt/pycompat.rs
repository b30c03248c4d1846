//! Methods of Python's texts, lists and mappings, for templates written for Python's Jinja.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// The start of the message that says a value cannot change in place.
pub(super) const FIXED: &str = "this value cannot be changed in place";

/// Positional and keyword arguments.
pub(super) fn split(args: &[Value]) -> (Vec<Value>, Vec<(String, Value)>) {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => {
            let named = last
                .try_iter()
                .map(|keys| {
                    keys.map(|key| {
                        let value = last.get_item(&key).unwrap_or(Value::UNDEFINED);
                        (key.to_string(), value)
                    })
                    .collect()
                })
                .unwrap_or_default();
            (rest.to_vec(), named)
        }
        _ => (args.to_vec(), Vec::new()),
    }
}

/// The environment's callback for methods a value does not have itself.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let _ = state;
    if let Some(text) = value.as_str() {
        return text_method(text, name, args);
    }
    match value.kind() {
        ValueKind::Map => map_method(value, name, args),
        ValueKind::Seq | ValueKind::Iterable => seq_method(value, name, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn arg(args: &[Value], index: usize) -> Option<&Value> {
    args.get(index).filter(|value| !value.is_none())
}

fn text_arg(args: &[Value], index: usize) -> Option<String> {
    arg(args, index).map(ToString::to_string)
}

fn missing(name: &str) -> Error {
    Error::new(
        ErrorKind::MissingArgument,
        format!("`{name}` needs one more argument"),
    )
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let chars = |n: usize| -> String {
        text_arg(args, n).unwrap_or_else(|| " \t\n\r\u{b}\u{c}".to_owned())
    };
    let needed = |n: usize| text_arg(args, n).ok_or_else(|| missing(name));
    // One affix or a tuple of them.
    let any = |test: &dyn Fn(&str) -> bool| -> Result<Value, Error> {
        let affix = arg(args, 0).ok_or_else(|| missing(name))?;
        let found = match affix.as_str() {
            Some(affix) => test(affix),
            None => affix.try_iter()?.any(|affix| test(&affix.to_string())),
        };
        Ok(Value::from(found))
    };
    let all = |test: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(test));
    Ok(match name {
        "upper" => Value::from(text.to_uppercase()),
        "lower" | "casefold" => Value::from(text.to_lowercase()),
        "strip" => Value::from(text.trim_matches(|c| chars(0).contains(c))),
        "lstrip" => Value::from(text.trim_start_matches(|c| chars(0).contains(c))),
        "rstrip" => Value::from(text.trim_end_matches(|c| chars(0).contains(c))),
        "startswith" => any(&|affix| text.starts_with(affix))?,
        "endswith" => any(&|affix| text.ends_with(affix))?,
        "replace" => {
            let (from, to) = (needed(0)?, needed(1)?);
            match args.get(2).and_then(Value::as_usize) {
                Some(count) => Value::from(text.replacen(&from, &to, count)),
                None => Value::from(text.replace(&from, &to)),
            }
        }
        "split" | "rsplit" => split_text(text, name == "rsplit", args),
        "splitlines" => Value::from_iter(text.lines().map(Value::from)),
        "join" => {
            let items = arg(args, 0).ok_or_else(|| missing(name))?;
            let items: Vec<String> = items.try_iter()?.map(|item| item.to_string()).collect();
            Value::from(items.join(text))
        }
        "format" => Value::from(format(FormatStyle::StrFormat, text, args)?),
        "partition" => {
            let by = needed(0)?;
            let parts = match text.split_once(by.as_str()) {
                Some((head, tail)) => [head, by.as_str(), tail].map(Value::from),
                None => [text, "", ""].map(Value::from),
            };
            Value::from(Tuple::from(parts))
        }
        "title" => Value::from(title(text)),
        "capitalize" => {
            let mut rest = text.chars();
            let first: String = rest
                .next()
                .map(|c| c.to_uppercase().collect())
                .unwrap_or_default();
            Value::from(first + &rest.as_str().to_lowercase())
        }
        "count" => Value::from(text.matches(needed(0)?.as_str()).count()),
        "find" | "index" => match text.find(needed(0)?.as_str()) {
            Some(at) => Value::from(text.get(..at).map_or(0, |head| head.chars().count())),
            None if name == "find" => Value::from(-1),
            None => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "substring not found",
                ));
            }
        },
        "isdigit" | "isnumeric" | "isdecimal" => all(|c| c.is_numeric()),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "islower" => Value::from(
            text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        ),
        "isupper" => Value::from(
            text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        ),
        "removeprefix" => Value::from(text.strip_prefix(needed(0)?.as_str()).unwrap_or(text)),
        "removesuffix" => Value::from(text.strip_suffix(needed(0)?.as_str()).unwrap_or(text)),
        "zfill" | "rjust" | "ljust" => {
            let width = args
                .first()
                .and_then(Value::as_usize)
                .ok_or_else(|| missing(name))?;
            let fill = match name {
                "zfill" => "0".to_owned(),
                _ => text_arg(args, 1).unwrap_or_else(|| " ".to_owned()),
            };
            let pad = fill.repeat(width.min(10_000).saturating_sub(text.chars().count()));
            match name {
                "ljust" => Value::from(format!("{text}{pad}")),
                _ => Value::from(format!("{pad}{text}")),
            }
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn split_text(text: &str, from_right: bool, args: &[Value]) -> Value {
    let (args, named) = split(args);
    let by_name = |wanted: &str| {
        named
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, v)| v)
    };
    let separator = arg(&args, 0).or_else(|| by_name("sep").filter(|v| !v.is_none()));
    let limit = args
        .get(1)
        .or_else(|| by_name("maxsplit"))
        .and_then(Value::as_usize)
        .map(|limit| limit + 1);
    let parts: Vec<&str> = match (separator.map(ToString::to_string), limit) {
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
    Value::from_object(MutableList::new(
        parts.into_iter().map(Value::from).collect(),
    ))
}

fn title(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .flat_map(|c| {
            let start = !inside && c.is_alphabetic();
            inside = c.is_alphabetic();
            let out: Vec<char> = if start {
                c.to_uppercase().collect()
            } else {
                c.to_lowercase().collect()
            };
            out
        })
        .collect()
}

fn map_method(map: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match name {
        "get" => {
            let key = args.first().ok_or_else(|| missing(name))?;
            let found = map.get_item(key).unwrap_or(Value::UNDEFINED);
            if found.is_undefined() {
                args.get(1).cloned().unwrap_or_else(|| Value::from(()))
            } else {
                found
            }
        }
        "keys" => Value::from_iter(map.try_iter()?),
        "values" => {
            let values: Result<Vec<_>, _> = map.try_iter()?.map(|key| map.get_item(&key)).collect();
            Value::from(values?)
        }
        "items" => {
            let mut items = Vec::new();
            for key in map.try_iter()? {
                let value = map.get_item(&key)?;
                items.push(Value::from(Tuple::from(vec![key, value])));
            }
            Value::from(items)
        }
        "copy" => {
            let mut pairs = Vec::new();
            for key in map.try_iter()? {
                pairs.push((key.clone(), map.get_item(&key)?));
            }
            Value::from_object(MutableMap::new(pairs))
        }
        "update" | "pop" | "setdefault" | "clear" => return Err(fixed(name)),
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn seq_method(seq: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let needed = || args.first().ok_or_else(|| missing(name));
    Ok(match name {
        "count" => {
            let wanted = needed()?;
            Value::from(seq.try_iter()?.filter(|item| item == wanted).count())
        }
        "index" => {
            let wanted = needed()?;
            match seq.try_iter()?.position(|item| item == *wanted) {
                Some(at) => Value::from(at),
                None => {
                    return Err(Error::new(
                        ErrorKind::InvalidOperation,
                        "value is not in the list",
                    ));
                }
            }
        }
        "copy" => Value::from_object(MutableList::new(seq.try_iter()?.collect())),
        "append" | "extend" | "insert" | "remove" | "pop" | "clear" | "sort" | "reverse" => {
            return Err(fixed(name));
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn fixed(name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("{FIXED} with `{name}`: only lists and mappings written as literals can be"),
    )
}

/// A list that `append` and its like change.
#[derive(Debug)]
pub(super) struct MutableList(Mutex<Vec<Value>>);

impl MutableList {
    pub(super) fn new(items: Vec<Value>) -> Self {
        Self(Mutex::new(items))
    }
}

// Values are trees: a list that held itself could not be printed or compared.
fn refuse_cycle(value: &Value, whole: *const ()) -> Result<(), Error> {
    fn reaches(value: &Value, whole: *const (), budget: &mut usize) -> bool {
        if *budget == 0 {
            return true;
        }
        *budget -= 1;
        let list = value.downcast_object_ref::<MutableList>();
        let map = value.downcast_object_ref::<MutableMap>();
        let found = |at: *const ()| std::ptr::eq(at, whole);
        if list.is_some_and(|list| found(std::ptr::from_ref(list).cast()))
            || map.is_some_and(|map| found(std::ptr::from_ref(map).cast()))
        {
            return true;
        }
        if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
            return false;
        }
        let is_map = value.kind() == ValueKind::Map;
        let Ok(mut items) = value.try_iter() else {
            return false;
        };
        items.any(|item| match is_map {
            true => value
                .get_item(&item)
                .is_ok_and(|item| reaches(&item, whole, budget)),
            false => reaches(&item, whole, budget),
        })
    }
    if reaches(value, whole, &mut 100_000) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "a list or mapping cannot be put into itself",
        ));
    }
    Ok(())
}

// The place of a Python index, which may count from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + len as i64 } else { index };
    usize::try_from(index).ok()
}

impl Object for MutableList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        items.get(place(key.as_i64()?, items.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Enumerator::Values(items.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        // Arguments may be this very list, so they are read before it is locked.
        let first = args.first().cloned();
        let needed = || first.clone().ok_or_else(|| missing(method));
        let more: Vec<Value> = match method {
            "extend" => needed()?.try_iter()?.collect(),
            _ => Vec::new(),
        };
        let whole = std::ptr::from_ref::<Self>(self).cast();
        let added = match method {
            "append" | "insert" => args,
            _ => more.as_slice(),
        };
        for value in added {
            refuse_cycle(value, whole)?;
        }
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match method {
            "append" => items.push(needed()?),
            "extend" => items.extend(more),
            "insert" => {
                let at = needed()?
                    .as_i64()
                    .and_then(|i| place(i, items.len()))
                    .unwrap_or(0);
                let at = at.min(items.len());
                items.insert(at, args.get(1).cloned().ok_or_else(|| missing(method))?);
            }
            "remove" => {
                let wanted = needed()?;
                match items.iter().position(|item| *item == wanted) {
                    Some(at) => drop(items.remove(at)),
                    None => {
                        return Err(Error::new(
                            ErrorKind::InvalidOperation,
                            "value is not in the list",
                        ));
                    }
                }
            }
            "pop" => {
                let index = first.as_ref().and_then(Value::as_i64).unwrap_or(-1);
                return match place(index, items.len()).filter(|at| *at < items.len()) {
                    Some(at) => Ok(items.remove(at)),
                    None => Err(Error::new(
                        ErrorKind::InvalidOperation,
                        "`pop` of an empty list",
                    )),
                };
            }
            "clear" => items.clear(),
            "reverse" => items.reverse(),
            "sort" => items.sort(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

/// A mapping that `update` and its like change. Keys keep the order in which they came.
#[derive(Debug)]
pub(super) struct MutableMap(Mutex<Vec<(Value, Value)>>);

impl MutableMap {
    pub(super) fn new(pairs: Vec<(Value, Value)>) -> Self {
        Self(Mutex::new(pairs))
    }
}

fn put(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match pairs.iter_mut().find(|(known, _)| *known == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

impl Object for MutableMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pairs
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Enumerator::Values(pairs.iter().map(|(key, _)| key.clone()).collect())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (args, named) = split(args);
        let mut new = Vec::new();
        if method == "update" {
            if let Some(other) = args.first() {
                for key in other.try_iter()? {
                    new.push((key.clone(), other.get_item(&key)?));
                }
            }
            new.extend(
                named
                    .into_iter()
                    .map(|(key, value)| (Value::from(key), value)),
            );
        }
        let whole = std::ptr::from_ref::<Self>(self).cast();
        let default = args.get(1).filter(|_| method == "setdefault");
        for value in new.iter().map(|(_, value)| value).chain(default) {
            refuse_cycle(value, whole)?;
        }
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = || args.first().cloned().ok_or_else(|| missing(method));
        let default = args.get(1).cloned();
        match method {
            "update" => new
                .into_iter()
                .for_each(|(key, value)| put(&mut pairs, key, value)),
            "setdefault" => {
                let key = key()?;
                if let Some((_, known)) = pairs.iter().find(|(known, _)| *known == key) {
                    return Ok(known.clone());
                }
                let value = default.unwrap_or_else(|| Value::from(()));
                pairs.push((key, value.clone()));
                return Ok(value);
            }
            "pop" => {
                let key = key()?;
                return match pairs.iter().position(|(known, _)| *known == key) {
                    Some(at) => Ok(pairs.remove(at).1),
                    None => default.ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidOperation,
                            format!("there is no key {key:?}"),
                        )
                    }),
                };
            }
            "clear" => pairs.clear(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        }
        Ok(Value::from(()))
    }
}

/// `"…" % values`.
pub(super) fn percent(template: &str, values: &Value) -> Result<Value, Error> {
    let args: Vec<Value> = if values.is_tuple() {
        values.try_iter()?.collect()
    } else {
        vec![values.clone()]
    };
    format(FormatStyle::Printf, template, &args).map(Value::from)
}
