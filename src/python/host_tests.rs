//! Whole hosts on small projects. The working directory and the interpreter belong to the process, so
//! one host runs at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use mxcp_artifact::SqlType;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    CallContext, CallRequest, Cell, Database, HostConfig, PluginConfig, PythonError, PythonHost,
    Rows,
};

mod calls;
mod modules;
mod plugins;
mod process;
mod values;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Answers every query with its own parameters, or with `rows`.
#[derive(Default)]
struct Echo {
    rows: Option<Rows>,
    queries: Mutex<Vec<String>>,
}

impl Database for Echo {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        _: &CallContext,
    ) -> Result<Rows, String> {
        self.queries.lock().expect("no panic").push(sql.to_owned());
        if sql.contains("missing") {
            return Err("Catalog Error: Table with name missing does not exist!".to_owned());
        }
        assert!(!sql.contains("panic"), "asked for");
        Ok(self.rows.clone().unwrap_or_else(|| {
            let (columns, row) = parameters.into_iter().unzip();
            Rows {
                columns,
                rows: vec![row],
            }
        }))
    }
}

struct Project {
    directory: TempDir,
    host: PythonHost,
    database: Arc<Echo>,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Project {
    fn drop(&mut self) {
        self.host.shutdown();
    }
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, Echo::default(), |_| {}).expect("it starts")
    }

    fn with(
        files: &[(&str, &str)],
        database: Echo,
        adjust: impl FnOnce(&mut HostConfig),
    ) -> Result<Self, PythonError> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
        let directory = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(path, text).expect("written");
        }
        let mut config = HostConfig {
            root: directory.path().to_owned(),
            python_path: "python".to_owned(),
            plugin_path: "plugins".to_owned(),
            workers: 2,
            ..HostConfig::default()
        };
        adjust(&mut config);
        let database = Arc::new(database);
        let host = PythonHost::start(config, Arc::clone(&database) as Arc<dyn Database>)?;
        Ok(Self {
            directory,
            host,
            database,
            _turn: turn,
        })
    }

    fn call(
        &self,
        file: &str,
        function: &str,
        arguments: &[(&str, Cell)],
    ) -> Result<Value, PythonError> {
        self.call_in(file, function, arguments, CallContext::default())
    }

    fn call_in(
        &self,
        file: &str,
        function: &str,
        arguments: &[(&str, Cell)],
        context: CallContext,
    ) -> Result<Value, PythonError> {
        self.host.call(CallRequest {
            file: file.to_owned(),
            function: function.to_owned(),
            arguments: arguments
                .iter()
                .map(|(name, cell)| ((*name).to_owned(), cell.clone()))
                .collect(),
            context,
        })
    }
}

fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}
