//! Owning wrappers around the handles of DuckDB's C API: the only place that frees one.
//!
//! The `duckdb` crate does not give access to statement extraction, to bound values of every type or
//! to the type of nested result vectors, and all three decide whether values survive unchanged.
//! Nothing here knows endpoints, policies or JSON.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::ffi as c;

use super::SqlError;

/// An open database. It closes when the last connection to it is gone.
#[derive(Debug)]
pub(crate) struct Engine {
    raw: c::duckdb_database,
}

// SAFETY: a `duckdb_database` may be used from any thread; DuckDB locks inside.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

impl Engine {
    pub(crate) fn open(path: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let path = CString::new(path).map_err(|_| "the path contains a zero byte".to_owned())?;
        let mut config: c::duckdb_config = ptr::null_mut();
        // SAFETY: every pointer is valid for the call, and the configuration is destroyed on each path.
        unsafe {
            if c::duckdb_create_config(&mut config) != c::DuckDBSuccess {
                return Err("out of memory".into());
            }
            for (name, value) in settings {
                let (Ok(name), Ok(value)) = (CString::new(*name), CString::new(*value)) else {
                    continue;
                };
                if c::duckdb_set_config(config, name.as_ptr(), value.as_ptr()) != c::DuckDBSuccess {
                    c::duckdb_destroy_config(&mut config);
                    return Err(format!("setting `{}` is refused", name.to_string_lossy()));
                }
            }
            let mut raw: c::duckdb_database = ptr::null_mut();
            let mut message: *mut c_char = ptr::null_mut();
            let state = c::duckdb_open_ext(path.as_ptr(), &mut raw, config, &mut message);
            c::duckdb_destroy_config(&mut config);
            if state != c::DuckDBSuccess {
                let text = text_of(message);
                c::duckdb_free(message.cast());
                return Err(text);
            }
            Ok(Self { raw })
        }
    }

    pub(crate) fn connect(self: &Arc<Self>) -> Result<Connection, SqlError> {
        let mut raw: c::duckdb_connection = ptr::null_mut();
        // SAFETY: the database is open as long as `self` lives, and the connection keeps it alive.
        let (state, id) = unsafe {
            let state = c::duckdb_connect(self.raw, &mut raw);
            let mut id = 0;
            if state == c::DuckDBSuccess {
                let mut context: c::duckdb_client_context = ptr::null_mut();
                c::duckdb_connection_get_client_context(raw, &mut context);
                id = c::duckdb_client_context_get_connection_id(context);
                c::duckdb_destroy_client_context(&mut context);
            }
            (state, id)
        };
        if state != c::DuckDBSuccess {
            return Err(SqlError::Engine(
                "the database refuses another connection".into(),
            ));
        }
        Ok(Connection {
            raw,
            id,
            target: Arc::new(InterruptTarget(Mutex::new(Handle(raw)))),
            _engine: Arc::clone(self),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: owned, and closed once.
        unsafe { c::duckdb_close(&mut self.raw) }
    }
}

#[derive(Debug)]
struct Handle(c::duckdb_connection);

// SAFETY: only used to interrupt, which DuckDB allows from any thread.
unsafe impl Send for Handle {}

/// The means to stop what a connection is doing, safe to keep after the connection is gone.
#[derive(Debug)]
pub(crate) struct InterruptTarget(Mutex<Handle>);

impl InterruptTarget {
    pub(crate) fn interrupt(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !handle.0.is_null() {
            // SAFETY: the connection clears the handle, under this lock, before it disconnects.
            unsafe { c::duckdb_interrupt(handle.0) }
        }
    }
}

/// One connection. It moves between threads, but only one uses it at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    raw: c::duckdb_connection,
    id: u64,
    target: Arc<InterruptTarget>,
    _engine: Arc<Engine>,
}

// SAFETY: DuckDB connections may be used from any thread, one at a time; `&mut self` sees to that.
unsafe impl Send for Connection {}

impl Connection {
    /// The number by which functions called from SQL recognise their connection.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn raw(&self) -> c::duckdb_connection {
        self.raw
    }

    pub(crate) fn interrupt_target(&self) -> Arc<InterruptTarget> {
        Arc::clone(&self.target)
    }

    /// Splits a text into statements without running any.
    pub(crate) fn extract(&mut self, sql: &str) -> Result<Extracted, SqlError> {
        let sql = CString::new(sql)
            .map_err(|_| SqlError::Engine("the SQL contains a zero byte".into()))?;
        let mut raw: c::duckdb_extracted_statements = ptr::null_mut();
        // SAFETY: the connection is live; `Extracted` destroys the handle.
        unsafe {
            let count = c::duckdb_extract_statements(self.raw, sql.as_ptr(), &mut raw);
            let extracted = Extracted { raw, count };
            if count == 0 {
                let text = text_of(c::duckdb_extract_statements_error(raw));
                return Err(if text.is_empty() {
                    SqlError::Engine("there is no statement in the SQL".into())
                } else {
                    SqlError::Engine(text)
                });
            }
            Ok(extracted)
        }
    }

    pub(crate) fn prepare(
        &mut self,
        extracted: &Extracted,
        index: u64,
    ) -> Result<Prepared, SqlError> {
        let mut raw: c::duckdb_prepared_statement = ptr::null_mut();
        // SAFETY: both handles are live; `Prepared` destroys the new one, also after a failure.
        unsafe {
            let state =
                c::duckdb_prepare_extracted_statement(self.raw, extracted.raw, index, &mut raw);
            let mut prepared = Prepared {
                raw,
                names: Vec::new(),
            };
            if state != c::DuckDBSuccess {
                return Err(SqlError::Engine(text_of(c::duckdb_prepare_error(raw))));
            }
            for index in 1..=c::duckdb_nparams(raw) {
                let name = c::duckdb_parameter_name(raw, index);
                prepared.names.push(text_of(name));
                c::duckdb_free(name.cast_mut().cast());
            }
            Ok(prepared)
        }
    }

    /// Runs statements that take no parameters and whose rows nobody needs.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        let extracted = self.extract(sql)?;
        for index in 0..extracted.count {
            let prepared = self.prepare(&extracted, index)?;
            prepared.execute(false)?;
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut handle = self.target.0.lock().unwrap_or_else(PoisonError::into_inner);
        handle.0 = ptr::null_mut();
        // SAFETY: owned, disconnected once, and nobody can interrupt it any more.
        unsafe { c::duckdb_disconnect(&mut self.raw) }
    }
}

/// The statements of one text, parsed and not run.
#[derive(Debug)]
pub(crate) struct Extracted {
    raw: c::duckdb_extracted_statements,
    pub(crate) count: u64,
}

impl Drop for Extracted {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { c::duckdb_destroy_extracted(&mut self.raw) }
    }
}

/// A prepared statement. It must not outlive its connection, which is why connections own theirs.
#[derive(Debug)]
pub(crate) struct Prepared {
    raw: c::duckdb_prepared_statement,
    /// Parameter names in binding order; positional ones are numbers.
    pub(crate) names: Vec<String>,
}

// SAFETY: used only together with its connection, by one thread at a time.
unsafe impl Send for Prepared {}

impl Prepared {
    pub(crate) fn statement_type(&self) -> c::duckdb_statement_type {
        // SAFETY: the statement is live.
        unsafe { c::duckdb_prepared_statement_type(self.raw) }
    }

    /// Whether it changes data and gives rows of its own, not only their number.
    pub(crate) fn changes_and_returns(&self) -> bool {
        let changes = matches!(
            self.statement_type(),
            c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
                | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
                | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
                | c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO
        );
        if !changes {
            return false;
        }
        // SAFETY: the statement is live; a name that is given is ours to free.
        unsafe {
            c::duckdb_prepared_statement_column_count(self.raw) != 1
                || take_text(c::duckdb_prepared_statement_column_name(self.raw, 0).cast_mut())
                    != "Count"
        }
    }

    /// Binds the parameter at a position that starts at zero.
    pub(crate) fn bind(&self, position: usize, value: &BoundValue) -> Result<(), SqlError> {
        // SAFETY: the statement and the value are live; DuckDB copies the value.
        let state = unsafe { c::duckdb_bind_value(self.raw, position as u64 + 1, value.0) };
        if state == c::DuckDBSuccess {
            Ok(())
        } else {
            // SAFETY: the statement is live.
            Err(SqlError::Engine(unsafe {
                text_of(c::duckdb_prepare_error(self.raw))
            }))
        }
    }

    /// Runs it. A streamed result computes its rows while they are fetched.
    pub(crate) fn execute(&self, stream: bool) -> Result<QueryResult, SqlError> {
        // SAFETY: the statement is live and the result is destroyed by its wrapper.
        unsafe {
            let mut raw: c::duckdb_result = std::mem::zeroed();
            let state = if stream {
                c::duckdb_execute_prepared_streaming(self.raw, &mut raw)
            } else {
                c::duckdb_execute_prepared(self.raw, &mut raw)
            };
            let mut result = QueryResult { raw };
            if state != c::DuckDBSuccess {
                return Err(match result.error() {
                    SqlError::Engine(text) => SqlError::Engine(self.name_own_type(text)),
                    other => other,
                });
            }
            Ok(result)
        }
    }

    // DuckDB runs a prepared statement as `EXECUTE` and says so where it refuses it; authors know the
    // statement they wrote.
    fn name_own_type(&self, text: String) -> String {
        match type_name(self.statement_type()) {
            Some(name) => text.replacen(
                "Cannot execute statement of type \"EXECUTE\"",
                &format!("Cannot execute statement of type \"{name}\""),
                1,
            ),
            None => text,
        }
    }
}

// The names in DuckDB's own messages, of the statements that write.
fn type_name(ty: c::duckdb_statement_type) -> Option<&'static str> {
    Some(match ty {
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT => "INSERT",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE => "UPDATE",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE => "DELETE",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO => "MERGE_INTO",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE => "CREATE",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ALTER => "ALTER",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DROP => "DROP",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY => "COPY",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT => "SELECT",
        c::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CALL => "CALL",
        _ => return None,
    })
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { c::duckdb_destroy_prepare(&mut self.raw) }
    }
}

/// The result of one statement.
#[derive(Debug)]
pub(crate) struct QueryResult {
    raw: c::duckdb_result,
}

impl QueryResult {
    fn error(&mut self) -> SqlError {
        // SAFETY: the result is live.
        unsafe {
            let text = text_of(c::duckdb_result_error(&mut self.raw));
            let kind = c::duckdb_result_error_type(&mut self.raw);
            if kind == c::duckdb_error_type_DUCKDB_ERROR_INTERRUPT {
                SqlError::Interrupted
            } else {
                SqlError::Engine(text)
            }
        }
    }

    pub(crate) fn return_type(&self) -> c::duckdb_result_type {
        // SAFETY: the result is live.
        unsafe { c::duckdb_result_return_type(self.raw) }
    }

    pub(crate) fn columns(&mut self) -> Vec<(String, LogicalType)> {
        // SAFETY: the result is live and the index below its column count.
        unsafe {
            (0..c::duckdb_column_count(&mut self.raw))
                .map(|i| {
                    let name = text_of(c::duckdb_column_name(&mut self.raw, i));
                    let ty = c::duckdb_column_logical_type(&mut self.raw, i);
                    (name, LogicalType(ty))
                })
                .collect()
        }
    }

    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, SqlError> {
        // SAFETY: the result is live; the chunk is destroyed by its wrapper.
        unsafe {
            let raw = c::duckdb_fetch_chunk(self.raw);
            if raw.is_null() {
                let message = c::duckdb_result_error(&mut self.raw);
                return if message.is_null() {
                    Ok(None)
                } else {
                    Err(self.error())
                };
            }
            let chunk = Chunk(raw);
            Ok((chunk.len() > 0).then_some(chunk))
        }
    }
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { c::duckdb_destroy_result(&mut self.raw) }
    }
}

/// Up to a few thousand rows of a result, column by column.
#[derive(Debug)]
pub(crate) struct Chunk(c::duckdb_data_chunk);

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        // SAFETY: the chunk is live.
        let size = unsafe { c::duckdb_data_chunk_get_size(self.0) };
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    pub(crate) fn vector(&self, column: usize) -> c::duckdb_vector {
        // SAFETY: the chunk is live and callers ask for columns of its result only.
        unsafe { c::duckdb_data_chunk_get_vector(self.0, column as u64) }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { c::duckdb_destroy_data_chunk(&mut self.0) }
    }
}

/// An owned logical type.
#[derive(Debug)]
pub(crate) struct LogicalType(pub(super) c::duckdb_logical_type);

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: owned; a null handle is ignored.
        unsafe { c::duckdb_destroy_logical_type(&mut self.0) }
    }
}

/// An owned value to bind.
#[derive(Debug)]
pub(crate) struct BoundValue(pub(super) c::duckdb_value);

impl Drop for BoundValue {
    fn drop(&mut self) {
        // SAFETY: owned; a null handle is ignored.
        unsafe { c::duckdb_destroy_value(&mut self.0) }
    }
}

/// Copies a C text that DuckDB keeps; a null pointer is the empty text.
///
/// # Safety
/// `text` is null or a zero-terminated text that lives during the call.
pub(crate) unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        String::new()
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }
}

/// Copies and frees a C text that DuckDB handed over.
///
/// # Safety
/// `text` is null or was allocated by DuckDB for the caller.
pub(crate) unsafe fn take_text(text: *mut c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe {
        let copy = text_of(text);
        c::duckdb_free(text.cast());
        copy
    }
}
