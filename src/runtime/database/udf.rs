//! Plugin functions as SQL functions: rows go to Python in batches, results come back typed.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use duckdb::ffi as c;
use mxcp_artifact::SqlType;
use mxcp_python::{Cell, Udf};

use super::SqlError;
use super::bind::logical;
use super::cells::CellBuild;
use super::decode::ColumnType;
use super::ffi::{Connection, LogicalType};
use super::functions::{Facts, Registry, keep_facts};

/// Runs the function over rows of arguments, for a caller.
pub(crate) type Run =
    Arc<dyn Fn(Vec<Vec<Cell>>, &Facts) -> Result<Vec<Cell>, String> + Send + Sync>;

struct Extra {
    parameters: Vec<ColumnType>,
    returns: SqlType,
    run: Run,
    registry: Arc<Registry>,
}

/// Registers one function in the database of this connection. It sees nulls, and is called again for
/// equal arguments: what it does is its own business.
pub(crate) fn register(
    connection: &mut Connection,
    registry: &Arc<Registry>,
    udf: &Udf,
    run: Run,
) -> Result<(), SqlError> {
    let refuse = |what: String| SqlError::Engine(format!("plugin function `{}`: {what}", udf.name));
    let typed = |ty: &SqlType| -> Result<LogicalType, SqlError> {
        logical(ty).ok_or_else(|| refuse(format!("type {ty} is not supported")))
    };
    let name = CString::new(udf.name.as_str()).map_err(|e| refuse(e.to_string()))?;
    let parameters: Vec<LogicalType> =
        udf.parameters.iter().map(typed).collect::<Result<_, _>>()?;
    let returns = typed(&udf.returns)?;
    let extra = Box::new(Extra {
        parameters: parameters
            .iter()
            .map(ColumnType::of)
            .collect::<Result<_, _>>()
            .map_err(refuse)?,
        returns: udf.returns.clone(),
        run,
        registry: Arc::clone(registry),
    });
    // SAFETY: the handles are live; DuckDB owns the extra data and frees it with `drop_extra`.
    let state = unsafe {
        let mut function = c::duckdb_create_scalar_function();
        c::duckdb_scalar_function_set_name(function, name.as_ptr());
        for parameter in &parameters {
            c::duckdb_scalar_function_add_parameter(function, parameter.0);
        }
        c::duckdb_scalar_function_set_return_type(function, returns.0);
        c::duckdb_scalar_function_set_special_handling(function);
        c::duckdb_scalar_function_set_volatile(function);
        c::duckdb_scalar_function_set_extra_info(
            function,
            Box::into_raw(extra).cast(),
            Some(drop_extra),
        );
        c::duckdb_scalar_function_set_init(function, Some(init));
        c::duckdb_scalar_function_set_function(function, Some(evaluate));
        let state = c::duckdb_register_scalar_function(connection.raw(), function);
        c::duckdb_destroy_scalar_function(&mut function);
        state
    };
    if state == c::DuckDBSuccess {
        Ok(())
    } else {
        Err(refuse(
            "it cannot be registered; another function may have its name".into(),
        ))
    }
}

unsafe extern "C" fn drop_extra(data: *mut c_void) {
    // SAFETY: made by `register`.
    drop(unsafe { Box::from_raw(data.cast::<Extra>()) });
}

unsafe extern "C" fn init(info: c::duckdb_init_info) {
    // SAFETY: called by DuckDB with live handles; the extra data is ours.
    unsafe {
        let extra = c::duckdb_scalar_function_init_get_extra_info(info).cast::<Extra>();
        keep_facts(info, &(*extra).registry);
    }
}

unsafe extern "C" fn evaluate(
    info: c::duckdb_function_info,
    input: c::duckdb_data_chunk,
    output: c::duckdb_vector,
) {
    // SAFETY: called by DuckDB with live handles; extra data and state are ours.
    unsafe {
        let extra = &*c::duckdb_scalar_function_get_extra_info(info).cast::<Extra>();
        let facts = &*c::duckdb_scalar_function_get_state(info).cast::<Arc<Facts>>();
        if let Err(message) = rows(extra, facts, input, output) {
            let message = CString::new(message.replace('\0', " ")).unwrap_or_default();
            c::duckdb_scalar_function_set_error(info, message.as_ptr());
        }
    }
}

unsafe fn rows(
    extra: &Extra,
    facts: &Facts,
    input: c::duckdb_data_chunk,
    output: c::duckdb_vector,
) -> Result<(), String> {
    // SAFETY: the chunk has one flat vector per parameter, and the output as many rows as it.
    unsafe {
        let count = c::duckdb_data_chunk_get_size(input);
        let vectors: Vec<_> = (0..)
            .zip(&extra.parameters)
            .map(|(i, ty)| ty.open(c::duckdb_data_chunk_get_vector(input, i)))
            .collect();
        let arguments = (0..usize::try_from(count).unwrap_or_default())
            .map(|row| {
                vectors
                    .iter()
                    .map(|vector| vector.read(row, &CellBuild, None))
                    .collect()
            })
            .collect();
        let results = (extra.run)(arguments, facts)?;
        if results.len() as u64 != count {
            return Err("it returned another number of rows than it was given".into());
        }
        for (row, value) in (0..).zip(&results) {
            super::write::cell(output, row, value, &extra.returns)?;
        }
        Ok(())
    }
}
