//! What an endpoint returns, as JSON. Every value has a form: what JSON does not know is simplified
//! by `modules/host.py`, in the end to its `str()`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value};

use crate::convert::MAX_DEPTH;
use crate::interpreter;

pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    json(value, 0)
}

fn json(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(
            "the result is nested too deeply or contains itself",
        ));
    }
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = value.cast::<PyString>() {
        // A lone surrogate cannot be written as UTF-8.
        return Ok(Value::String(text.to_string_lossy().into_owned()));
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if let Ok(value) = value.cast::<PyInt>() {
        return Ok(integer(value));
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        // NaN and the infinities have no JSON number.
        return Ok(Number::from_f64(value.value()).map_or(Value::Null, Value::Number));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        let mut object = Map::with_capacity(dict.len());
        for (key, value) in dict {
            object.insert(name(&key)?, json(&value, depth + 1)?);
        }
        return Ok(Value::Object(object));
    }
    if let Ok(items) = value.cast::<PyList>() {
        return array(items.iter(), depth);
    }
    if let Ok(items) = value.cast::<PyTuple>() {
        return array(items.iter(), depth);
    }
    let plain = interpreter::host_module(value.py())?.call_method1("plain", (value,))?;
    json(&plain, depth + 1)
}

fn array<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, depth: usize) -> PyResult<Value> {
    items
        .map(|item| json(&item, depth + 1))
        .collect::<PyResult<_>>()
        .map(Value::Array)
}

// Beyond 64 bits a JSON number would lose digits in most readers, so the digits become text.
fn integer(value: &Bound<'_, PyInt>) -> Value {
    if let Ok(value) = value.extract::<i64>() {
        Value::from(value)
    } else if let Ok(value) = value.extract::<u64>() {
        Value::from(value)
    } else {
        Value::String(value.to_string())
    }
}

// The keys that `json.dumps` would write; any other key by its `str()`.
fn name(key: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = key.cast::<PyString>() {
        return Ok(text.to_string_lossy().into_owned());
    }
    if key.is_none() {
        return Ok("null".to_owned());
    }
    if let Ok(value) = key.cast::<PyBool>() {
        return Ok(value.is_true().to_string());
    }
    Ok(key.str()?.to_string_lossy().into_owned())
}
