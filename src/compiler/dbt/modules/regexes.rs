//! `modules.re`: patterns of Python over the regular expressions here, which know no look-around and
//! no back references.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, Tuple, Value};
use minijinja::{Error, ErrorKind, State};
use regex::{Captures, Regex, RegexBuilder};

use super::Given;
use crate::dbt::pycompat::split;

fn compiled(pattern: &str, flags: i64) -> Result<Regex, Error> {
    // Python writes named groups and the end of the text its own way.
    let pattern = pattern.replace("\\Z", "\\z");
    RegexBuilder::new(&pattern)
        .case_insensitive(flags & 2 != 0)
        .multi_line(flags & 8 != 0)
        .dot_matches_new_line(flags & 16 != 0)
        .ignore_whitespace(flags & 64 != 0)
        .build()
        .map_err(|error| {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or("").trim().to_owned();
            Error::new(
                ErrorKind::InvalidOperation,
                format!("the pattern `{pattern}` is not supported: {last}"),
            )
        })
}

pub(super) fn call(function: &str, args: &Given<'_>) -> Option<Result<Value, Error>> {
    if !matches!(
        function,
        "match"
            | "fullmatch"
            | "search"
            | "findall"
            | "finditer"
            | "split"
            | "sub"
            | "subn"
            | "compile"
            | "escape"
    ) {
        return None;
    }
    let Some(pattern) = args.get(0, "pattern") else {
        return Some(Err(Error::from(ErrorKind::MissingArgument)));
    };
    if function == "escape" {
        return Some(Ok(Value::from(escaped(&pattern.to_string()))));
    }
    if let Some(known) = pattern.downcast_object_ref::<Pattern>() {
        return Some(apply(&known.0, function, &rest(args)));
    }
    let flags = args
        .named
        .iter()
        .find(|(name, _)| name == "flags")
        .map(|(_, value)| value)
        .or_else(|| {
            args.positional.get(match function {
                "compile" => 1,
                "sub" | "subn" => 4,
                "split" => 3,
                _ => 2,
            })
        })
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let pattern = match compiled(&pattern.to_string(), flags) {
        Ok(pattern) => pattern,
        Err(error) => return Some(Err(error)),
    };
    if function == "compile" {
        return Some(Ok(Value::from_object(Pattern(pattern))));
    }
    Some(apply(&pattern, function, &rest(args)))
}

fn rest(args: &Given<'_>) -> Vec<Value> {
    let mut all: Vec<Value> = args.positional.iter().skip(1).cloned().collect();
    for name in ["repl", "string"] {
        if let Some((_, value)) = args.named.iter().find(|(known, _)| known == name) {
            all.push(value.clone());
        }
    }
    all
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() && c != '_' && c.is_ascii() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

// `args` come after the pattern.
fn apply(pattern: &Regex, function: &str, args: &[Value]) -> Result<Value, Error> {
    let text = |i: usize| {
        args.get(i)
            .map(ToString::to_string)
            .ok_or_else(|| Error::from(ErrorKind::MissingArgument))
    };
    let found = |text: &str, whole: bool, start: bool| {
        pattern
            .captures(text)
            .and_then(|captures| {
                let all = captures.get(0)?;
                let fits = (!start || all.start() == 0) && (!whole || all.end() == text.len());
                fits.then(|| Value::from_object(Match::of(pattern, &captures)))
            })
            .unwrap_or(Value::from(()))
    };
    Ok(match function {
        "search" => found(&text(0)?, false, false),
        "match" => {
            let anchored = at_start(pattern, "")?;
            Match::find(&anchored, &text(0)?)
        }
        "fullmatch" => {
            let anchored = at_start(pattern, "\\z")?;
            Match::find(&anchored, &text(0)?)
        }
        "findall" => {
            let text = text(0)?;
            Value::from_iter(pattern.captures_iter(&text).map(|captures| {
                let group = |i: usize| Value::from(captures.get(i).map_or("", |m| m.as_str()));
                match captures.len() {
                    1 => group(0),
                    2 => group(1),
                    n => Value::from(Tuple::from((1..n).map(group).collect::<Vec<_>>())),
                }
            }))
        }
        "finditer" => {
            let text = text(0)?;
            Value::from_iter(
                pattern
                    .captures_iter(&text)
                    .map(|captures| Value::from_object(Match::of(pattern, &captures))),
            )
        }
        "split" => {
            let text = text(0)?;
            let limit = args.get(1).and_then(Value::as_usize).filter(|n| *n > 0);
            let mut parts = Vec::new();
            let mut at = 0;
            for captures in pattern
                .captures_iter(&text)
                .take(limit.unwrap_or(usize::MAX))
            {
                let Some(all) = captures.get(0) else { break };
                parts.push(Value::from(text.get(at..all.start()).unwrap_or("")));
                parts.extend((1..captures.len()).map(|i| match captures.get(i) {
                    Some(group) => Value::from(group.as_str()),
                    None => Value::from(()),
                }));
                at = all.end();
            }
            parts.push(Value::from(text.get(at..).unwrap_or("")));
            Value::from(parts)
        }
        "sub" | "subn" => {
            let (with, text) = (text(0)?, text(1)?);
            let limit = args.get(2).and_then(Value::as_usize).unwrap_or(0);
            let count = pattern.find_iter(&text).count();
            let done = pattern.replacen(&text, limit, |captures: &Captures<'_>| {
                expanded(&with, captures)
            });
            match function {
                "sub" => Value::from(done.into_owned()),
                _ => Value::from(Tuple::from(vec![
                    Value::from(done.into_owned()),
                    Value::from(if limit == 0 { count } else { count.min(limit) }),
                ])),
            }
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn at_start(pattern: &Regex, end: &str) -> Result<Regex, Error> {
    compiled(&format!("\\A(?:{}){end}", pattern.as_str()), 0)
}

// `\1` and `\g<name>` of a replacement.
fn expanded(with: &str, captures: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = with;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at + 1..).unwrap_or("");
        if let Some(named) = rest.strip_prefix("g<")
            && let Some((name, after)) = named.split_once('>')
        {
            let group = match name.parse::<usize>() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.push_str(group.map_or("", |m| m.as_str()));
            rest = after;
            continue;
        }
        let digits = rest
            .chars()
            .take(2)
            .take_while(char::is_ascii_digit)
            .count();
        let number = rest.get(..digits).and_then(|n| n.parse::<usize>().ok());
        match number {
            Some(number) => {
                out.push_str(captures.get(number).map_or("", |m| m.as_str()));
                rest = rest.get(digits..).unwrap_or("");
            }
            None => {
                let mut chars = rest.chars();
                match chars.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(c) => out.push(c),
                    None => out.push('\\'),
                }
                rest = chars.as_str();
            }
        }
    }
    out.push_str(rest);
    out
}

/// `re.compile(…)`.
#[derive(Debug)]
struct Pattern(Regex);

impl Object for Pattern {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "pattern").then(|| Value::from(self.0.as_str()))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        apply(&self.0, method, args)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "re.compile('{}')", self.0.as_str())
    }
}

#[derive(Debug)]
struct Match {
    groups: Vec<Option<(usize, String)>>,
    names: Vec<Option<String>>,
}

impl Match {
    fn of(pattern: &Regex, captures: &Captures<'_>) -> Self {
        Self {
            groups: captures
                .iter()
                .map(|group| group.map(|m| (m.start(), m.as_str().to_owned())))
                .collect(),
            names: pattern
                .capture_names()
                .map(|name| name.map(str::to_owned))
                .collect(),
        }
    }

    fn find(pattern: &Regex, text: &str) -> Value {
        match pattern.captures(text) {
            Some(captures) => Value::from_object(Self::of(pattern, &captures)),
            None => Value::from(()),
        }
    }

    fn place(&self, key: Option<&Value>) -> usize {
        match key {
            None => 0,
            Some(key) => match key.as_str() {
                Some(name) => self
                    .names
                    .iter()
                    .position(|known| known.as_deref() == Some(name))
                    .unwrap_or(usize::MAX),
                None => key.as_usize().unwrap_or(usize::MAX),
            },
        }
    }

    fn group(&self, place: usize) -> Value {
        match self.groups.get(place) {
            Some(Some((_, text))) => Value::from(text.as_str()),
            _ => Value::from(()),
        }
    }
}

impl Object for Match {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let place = self.place(Some(key));
        (place < self.groups.len()).then(|| self.group(place))
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let (args, _) = split(args);
        let span = || match self.groups.get(self.place(args.first())) {
            Some(Some((start, text))) => (*start as i64, (start + text.len()) as i64),
            _ => (-1, -1),
        };
        Ok(match method {
            "group" if args.len() > 1 => Value::from(Tuple::from(
                args.iter()
                    .map(|key| self.group(self.place(Some(key))))
                    .collect::<Vec<_>>(),
            )),
            "group" => self.group(self.place(args.first())),
            "groups" => Value::from(Tuple::from(
                (1..self.groups.len())
                    .map(|i| self.group(i))
                    .collect::<Vec<_>>(),
            )),
            "groupdict" => Value::from_pairs(
                self.names
                    .iter()
                    .enumerate()
                    .filter_map(|(i, name)| Some((name.as_deref()?, self.group(i)))),
            ),
            "start" => Value::from(span().0),
            "end" => Value::from(span().1),
            "span" => Value::from(Tuple::from(vec![
                Value::from(span().0),
                Value::from(span().1),
            ])),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}
