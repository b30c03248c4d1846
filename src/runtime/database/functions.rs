//! The SQL functions that tell who calls: `get_username()`, `get_user_email()`,
//! `get_user_provider()`, `get_user_external_token()`, `get_request_header(name)` and
//! `get_request_headers_json()`.
//!
//! A call writes its facts to the state of the connection it leases. DuckDB starts the evaluation of
//! a function on each of its threads with the client context of the query; its connection id leads
//! back to that state. So the answer is right on every thread, also for arguments that are not
//! constant.
//!
//! The functions are deterministic within a statement, so DuckDB folds them to constants and can
//! push filters on them down to scans and indexes. A plan with such a constant serves one call only:
//! binding one of these functions marks the connection, and a marked statement is not kept. That
//! also covers functions hidden in views and macros.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use duckdb::ffi as c;

use super::SqlError;
use super::bind::logical;
use super::ffi::Connection;
use mxcp_artifact::SqlType;

/// What SQL may know about the caller. Header names are lower-case.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) external_token: Option<String>,
    /// `None` when the transport has no headers.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// All that is known about the user, as plugin functions see it.
    pub(crate) user: Option<serde_json::Value>,
}

/// The state of one connection that functions see.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    facts: Mutex<Arc<Facts>>,
    touched: AtomicBool,
}

impl ConnectionState {
    pub(crate) fn set_facts(&self, facts: Arc<Facts>) {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether one of the functions was bound since the last time this was asked.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.swap(false, Ordering::AcqRel)
    }
}

/// The states of all connections of a database.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<HashMap<u64, Arc<ConnectionState>>>);

impl Registry {
    pub(crate) fn add(&self, connection: u64) -> Arc<ConnectionState> {
        let state = Arc::new(ConnectionState::default());
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connection, Arc::clone(&state));
        state
    }

    pub(crate) fn remove(&self, connection: u64) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&connection);
    }

    fn get(&self, connection: u64) -> Option<Arc<ConnectionState>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&connection)
            .cloned()
    }
}

#[derive(Clone, Copy, Debug)]
enum Fact {
    Username,
    Email,
    Provider,
    ExternalToken,
    Header,
    HeadersJson,
}

const FUNCTIONS: [(&str, Fact); 6] = [
    ("get_username", Fact::Username),
    ("get_user_email", Fact::Email),
    ("get_user_provider", Fact::Provider),
    ("get_user_external_token", Fact::ExternalToken),
    ("get_request_header", Fact::Header),
    ("get_request_headers_json", Fact::HeadersJson),
];

struct Extra {
    registry: Arc<Registry>,
    fact: Fact,
}

/// Registers the functions in the database of this connection.
pub(crate) fn register(
    connection: &mut Connection,
    registry: &Arc<Registry>,
) -> Result<(), SqlError> {
    for (name, fact) in FUNCTIONS {
        let text =
            logical(&SqlType::Varchar).ok_or_else(|| SqlError::Engine("out of memory".into()))?;
        let extra = Box::new(Extra {
            registry: Arc::clone(registry),
            fact,
        });
        let c_name = CString::new(name).unwrap_or_default();
        // SAFETY: the handles are live; DuckDB owns the extra data and frees it with `drop_extra`.
        let state = unsafe {
            let mut function = c::duckdb_create_scalar_function();
            c::duckdb_scalar_function_set_name(function, c_name.as_ptr());
            if matches!(fact, Fact::Header) {
                c::duckdb_scalar_function_add_parameter(function, text.0);
            }
            c::duckdb_scalar_function_set_return_type(function, text.0);
            c::duckdb_scalar_function_set_special_handling(function);
            c::duckdb_scalar_function_set_extra_info(
                function,
                Box::into_raw(extra).cast(),
                Some(drop_extra),
            );
            c::duckdb_scalar_function_set_bind(function, Some(bind));
            c::duckdb_scalar_function_set_init(function, Some(init));
            c::duckdb_scalar_function_set_function(function, Some(evaluate));
            let state = c::duckdb_register_scalar_function(connection.raw(), function);
            c::duckdb_destroy_scalar_function(&mut function);
            state
        };
        if state != c::DuckDBSuccess {
            return Err(SqlError::Engine(format!(
                "the function `{name}` cannot be registered"
            )));
        }
    }
    Ok(())
}

unsafe extern "C" fn drop_extra(data: *mut c_void) {
    // SAFETY: made by `register`.
    drop(unsafe { Box::from_raw(data.cast::<Extra>()) });
}

unsafe extern "C" fn drop_facts(data: *mut c_void) {
    // SAFETY: made by `keep_facts`.
    drop(unsafe { Box::from_raw(data.cast::<Arc<Facts>>()) });
}

unsafe fn connection_id(mut context: c::duckdb_client_context) -> u64 {
    // SAFETY: the context was handed over by DuckDB and is destroyed here.
    unsafe {
        let id = c::duckdb_client_context_get_connection_id(context);
        c::duckdb_destroy_client_context(&mut context);
        id
    }
}

unsafe extern "C" fn bind(info: c::duckdb_bind_info) {
    // SAFETY: called by DuckDB with live handles; the extra data is ours.
    unsafe {
        let extra = c::duckdb_scalar_function_bind_get_extra_info(info).cast::<Extra>();
        let mut context = std::ptr::null_mut();
        c::duckdb_scalar_function_get_client_context(info, &mut context);
        if let Some(state) = (*extra).registry.get(connection_id(context)) {
            state.touched.store(true, Ordering::Release);
        }
    }
}

unsafe extern "C" fn init(info: c::duckdb_init_info) {
    // SAFETY: called by DuckDB with live handles; the extra data is ours.
    unsafe {
        let extra = c::duckdb_scalar_function_init_get_extra_info(info).cast::<Extra>();
        keep_facts(info, &(*extra).registry);
    }
}

/// Gives a function about to run the facts of its caller as state: an `Arc<Facts>`.
///
/// # Safety
/// Only for the initialisation of a scalar function, with the live handle that DuckDB passed.
pub(super) unsafe fn keep_facts(info: c::duckdb_init_info, registry: &Registry) {
    // SAFETY: the handle is live; DuckDB frees the state with `drop_facts`.
    unsafe {
        let mut context = std::ptr::null_mut();
        c::duckdb_scalar_function_init_get_client_context(info, &mut context);
        let facts = registry
            .get(connection_id(context))
            .map(|state| state.facts())
            .unwrap_or_default();
        c::duckdb_scalar_function_init_set_state(
            info,
            Box::into_raw(Box::new(facts)).cast(),
            Some(drop_facts),
        );
    }
}

unsafe extern "C" fn evaluate(
    info: c::duckdb_function_info,
    input: c::duckdb_data_chunk,
    output: c::duckdb_vector,
) {
    // SAFETY: called by DuckDB with live handles; extra data and state are ours, and the vectors
    // have as many rows as the chunk.
    unsafe {
        let extra = &*c::duckdb_scalar_function_get_extra_info(info).cast::<Extra>();
        let facts = &*c::duckdb_scalar_function_get_state(info).cast::<Arc<Facts>>();
        let rows = c::duckdb_data_chunk_get_size(input);
        let constant = match extra.fact {
            Fact::Username => facts.username.clone(),
            Fact::Email => facts.email.clone(),
            Fact::Provider => facts.provider.clone(),
            Fact::ExternalToken => facts.external_token.clone(),
            Fact::HeadersJson => facts
                .headers
                .as_ref()
                .map(|headers| serde_json::json!(headers).to_string()),
            Fact::Header => None,
        };
        let names =
            matches!(extra.fact, Fact::Header).then(|| c::duckdb_data_chunk_get_vector(input, 0));
        for row in 0..rows {
            let header = names.and_then(|names| {
                let name = super::write::read_text(names, row)?;
                facts.headers.as_ref()?.get(&name.to_lowercase()).cloned()
            });
            match header.as_ref().or(constant.as_ref()) {
                Some(text) => super::write::text(output, row, text.as_bytes()),
                None => super::write::null(output, row),
            }
        }
    }
}
