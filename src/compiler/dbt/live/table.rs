//! Results of queries as templates see them: rows and columns by number and by name.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, Value};
use minijinja::{Error, ErrorKind, State};
use mxcp_artifact::dbt_live::Table;
use serde_json::Value as Json;

use super::super::modules::datetime;
use super::super::values::to_value;

/// The result of a query.
#[derive(Clone, Debug)]
pub(in crate::dbt) struct Rows {
    names: Arc<Vec<String>>,
    types: Arc<Vec<String>>,
    rows: Arc<Vec<Vec<Value>>>,
}

impl Rows {
    pub(in crate::dbt) fn of(table: &Table) -> Self {
        let types: Vec<String> = table.columns.iter().map(|c| c.data_type.clone()).collect();
        let rows = table
            .rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(&types)
                    .map(|(value, ty)| typed(value, ty))
                    .collect()
            })
            .collect();
        Self {
            names: Arc::new(table.columns.iter().map(|c| c.name.clone()).collect()),
            types: Arc::new(types),
            rows: Arc::new(rows),
        }
    }

    pub(in crate::dbt) fn empty() -> Self {
        Self::of(&Table::default())
    }

    pub(in crate::dbt) fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    fn row(&self, index: usize) -> Option<Value> {
        let values = self.rows.get(index)?.clone();
        Some(Value::from_object(Named {
            names: Arc::clone(&self.names),
            values,
        }))
    }

    fn column(&self, index: usize) -> Option<Value> {
        let name = self.names.get(index)?.clone();
        let ty = self.types.get(index).cloned().unwrap_or_default();
        let values = self
            .rows
            .iter()
            .map(|row| row.get(index).cloned().unwrap_or_default())
            .collect();
        Some(Value::from_object(Series { name, ty, values }))
    }

    fn all_rows(&self) -> Vec<Value> {
        (0..self.rows.len()).filter_map(|i| self.row(i)).collect()
    }

    // The table with the columns at these places only.
    fn taking(&self, places: &[usize]) -> Self {
        let pick = |list: &[String]| {
            places
                .iter()
                .filter_map(|i| list.get(*i).cloned())
                .collect()
        };
        let rows = self
            .rows
            .iter()
            .map(|row| places.iter().filter_map(|i| row.get(*i).cloned()).collect())
            .collect();
        Self {
            names: Arc::new(pick(&self.names)),
            types: Arc::new(pick(&self.types)),
            rows: Arc::new(rows),
        }
    }

    fn with_rows(&self, rows: Vec<Vec<Value>>) -> Self {
        Self {
            names: Arc::clone(&self.names),
            types: Arc::clone(&self.types),
            rows: Arc::new(rows),
        }
    }

    fn printed(&self) -> String {
        let mut out = format!("| {} |", self.names.join(" | "));
        for row in self.rows.iter() {
            let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
            out.push_str(&format!("\n| {} |", cells.join(" | ")));
        }
        out
    }
}

// Texts of types that JSON lacks, as the objects that Python has for them.
fn typed(value: &Json, ty: &str) -> Value {
    match value {
        Json::String(text) => {
            datetime::of_engine(text, ty).unwrap_or_else(|| Value::from(text.as_str()))
        }
        other => to_value(other),
    }
}

impl Object for Rows {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_usize() {
            return self.row(index);
        }
        Some(match key.as_str()? {
            "rows" => Value::from_object(Listed {
                names: None,
                items: self.all_rows(),
            }),
            "columns" => Value::from_object(Listed {
                names: Some(Arc::clone(&self.names)),
                items: (0..self.names.len())
                    .filter_map(|i| self.column(i))
                    .collect(),
            }),
            "column_names" => Value::from_iter(self.names.iter().map(|n| Value::from(n.as_str()))),
            "column_types" => Value::from_iter(self.types.iter().map(|t| Value::from(t.as_str()))),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.all_rows())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let place = |value: &Value| match value.as_str() {
            Some(name) => self.names.iter().position(|known| known == name),
            None => value.as_usize(),
        };
        let places = |value: &Value| -> Result<Vec<usize>, Error> {
            if value.as_str().is_some() {
                return Ok(place(value).into_iter().collect());
            }
            Ok(value.try_iter()?.filter_map(|item| place(&item)).collect())
        };
        let first = args.first().cloned().unwrap_or_default();
        Ok(match method {
            "print_table" | "print_csv" | "print_json" => Value::from(self.printed()),
            "select" => Value::from_object(self.taking(&places(&first)?)),
            "exclude" => {
                let left_out = places(&first)?;
                let kept: Vec<usize> = (0..self.names.len())
                    .filter(|i| !left_out.contains(i))
                    .collect();
                Value::from_object(self.taking(&kept))
            }
            "limit" => {
                let count = first.as_usize().unwrap_or(self.rows.len());
                let rows = self.rows.iter().take(count).cloned().collect();
                Value::from_object(self.with_rows(rows))
            }
            "distinct" => {
                let mut rows: Vec<Vec<Value>> = Vec::new();
                for row in self.rows.iter() {
                    if !rows.contains(row) {
                        rows.push(row.clone());
                    }
                }
                Value::from_object(self.with_rows(rows))
            }
            "order_by" => {
                let by = places(&first)?;
                let mut rows = Vec::clone(&self.rows);
                rows.sort_by_key(|row| {
                    by.iter()
                        .filter_map(|i| row.get(*i).cloned())
                        .collect::<Vec<_>>()
                });
                Value::from_object(self.with_rows(rows))
            }
            "rename" => {
                let mut names = Vec::clone(&self.names);
                let given = match args.last() {
                    Some(last) if last.is_kwargs() => last.get_attr("column_names")?,
                    _ => first,
                };
                for (i, name) in names.iter_mut().enumerate() {
                    let new = match given.kind() {
                        minijinja::value::ValueKind::Map => {
                            given.get_item(&Value::from(name.as_str()))
                        }
                        _ => given.get_item(&Value::from(i)),
                    };
                    if let Ok(new) = new
                        && !new.is_undefined()
                    {
                        *name = new.to_string();
                    }
                }
                Value::from_object(Self {
                    names: Arc::new(names),
                    types: Arc::clone(&self.types),
                    rows: Arc::clone(&self.rows),
                })
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed())
    }
}

/// A list whose items also have names.
#[derive(Debug)]
struct Listed {
    names: Option<Arc<Vec<String>>>,
    items: Vec<Value>,
}

impl Listed {
    fn find(&self, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_i64() {
            let index = if index < 0 {
                index + self.items.len() as i64
            } else {
                index
            };
            return self.items.get(usize::try_from(index).ok()?).cloned();
        }
        let name = key.as_str()?;
        let at = self
            .names
            .as_ref()?
            .iter()
            .position(|known| known == name)?;
        self.items.get(at).cloned()
    }
}

impl Object for Listed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let names = || {
            self.names
                .iter()
                .flat_map(|n| n.iter())
                .map(|n| Value::from(n.as_str()))
        };
        Ok(match method {
            "values" => Value::from(Tuple::from(self.items.clone())),
            "keys" => Value::from_iter(names()),
            "get" => {
                let found = args.first().and_then(|key| self.find(key));
                found.unwrap_or_else(|| args.get(1).cloned().unwrap_or(Value::from(())))
            }
            "items" => Value::from_iter(
                names()
                    .zip(&self.items)
                    .map(|(name, item)| Value::from(Tuple::from(vec![name, item.clone()]))),
            ),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }
}

/// A row: values by number and by the name of the column.
#[derive(Debug)]
struct Named {
    names: Arc<Vec<String>>,
    values: Vec<Value>,
}

impl Named {
    fn find(&self, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_i64() {
            let index = if index < 0 {
                index + self.values.len() as i64
            } else {
                index
            };
            return self.values.get(usize::try_from(index).ok()?).cloned();
        }
        let name = key.as_str()?;
        let at = self
            .names
            .iter()
            .position(|known| known == name)
            .or_else(|| self.names.iter().position(|n| n.eq_ignore_ascii_case(name)))?;
        self.values.get(at).cloned()
    }
}

impl Object for Named {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.find(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let names = || self.names.iter().map(|name| Value::from(name.as_str()));
        Ok(match method {
            "values" => Value::from(Tuple::from(self.values.clone())),
            "keys" => Value::from_iter(names()),
            "items" => Value::from_iter(
                names()
                    .zip(&self.values)
                    .map(|(name, value)| Value::from(Tuple::from(vec![name, value.clone()]))),
            ),
            "dict" => Value::from_pairs(names().zip(self.values.iter().cloned())),
            "get" => {
                let found = args.first().and_then(|key| self.find(key));
                found.unwrap_or_else(|| args.get(1).cloned().unwrap_or(Value::from(())))
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        write!(f, "<agate.Row: ({})>", shown.join(", "))
    }
}

/// A column of a result with its values.
#[derive(Debug)]
struct Series {
    name: String,
    ty: String,
    values: Vec<Value>,
}

impl Object for Series {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(index) = key.as_usize() {
            return self.values.get(index).cloned();
        }
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "data_type" => Value::from(self.ty.as_str()),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        _: &[Value],
    ) -> Result<Value, Error> {
        let present = || self.values.iter().filter(|value| !value.is_none()).cloned();
        Ok(match method {
            "values" => Value::from(Tuple::from(self.values.clone())),
            "values_distinct" => {
                let mut seen: Vec<Value> = Vec::new();
                for value in &self.values {
                    if !seen.contains(value) {
                        seen.push(value.clone());
                    }
                }
                Value::from(Tuple::from(seen))
            }
            "values_without_nulls" => Value::from(Tuple::from(present().collect::<Vec<_>>())),
            "values_sorted" => {
                let mut values = self.values.clone();
                values.sort();
                Value::from(Tuple::from(values))
            }
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }
}
