//! The modules of Python that templates may use: `datetime`, `pytz`, `re` and `itertools`.

pub(super) mod datetime;
mod itertools;
mod regexes;

use minijinja::Error;
use minijinja::value::Value;

/// Positional and keyword arguments of a call.
pub(super) struct Given<'a> {
    pub(super) positional: &'a [Value],
    pub(super) named: &'a [(String, Value)],
}

impl Given<'_> {
    pub(super) fn get(&self, index: usize, name: &str) -> Option<&Value> {
        self.positional.get(index).or_else(|| {
            self.named
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value)
        })
    }

    fn text(&self, index: usize, name: &str) -> Option<String> {
        self.get(index, name)
            .filter(|value| !value.is_none() && !value.is_undefined())
            .map(ToString::to_string)
    }
}

/// Whether a function asks the clock.
pub(super) fn reads_clock(path: &str) -> bool {
    matches!(
        path,
        "modules.datetime.datetime.now"
            | "modules.datetime.datetime.utcnow"
            | "modules.datetime.datetime.today"
            | "modules.datetime.date.today"
    )
}

/// A member of a module that is a value rather than a function.
pub(super) fn value(path: &str) -> Option<Value> {
    match path.split_once('.')?.1 {
        "datetime.timezone.utc" | "pytz.utc" | "pytz.UTC" => Some(datetime::utc()),
        "datetime.datetime.min" => datetime::of_engine("0001-01-01 00:00:00", "TIMESTAMP"),
        "datetime.datetime.max" => datetime::of_engine("9999-12-31 23:59:59.999999", "TIMESTAMP"),
        "re.IGNORECASE" | "re.I" => Some(Value::from(2)),
        "re.MULTILINE" | "re.M" => Some(Value::from(8)),
        "re.DOTALL" | "re.S" => Some(Value::from(16)),
        "re.VERBOSE" | "re.X" => Some(Value::from(64)),
        _ => None,
    }
}

/// Calls `modules.<module>.<function>`; `None` when there is no such function here.
pub(super) fn call(path: &str, args: &Given<'_>) -> Option<Result<Value, Error>> {
    let (module, function) = path.strip_prefix("modules.")?.split_once('.')?;
    match module {
        "datetime" => datetime::call(function, args),
        "pytz" => datetime::zones(function, args),
        "re" => regexes::call(function, args),
        "itertools" => itertools::call(function, args),
        _ => None,
    }
}
