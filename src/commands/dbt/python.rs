//! Python models, run by the interpreter inside this process. The model's code gets a connection of
//! the environment's own `duckdb` package; the runner has closed the database for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mxcp_dbt::{PythonJob, PythonModels};
use mxcp_python::{CallContext, CallRequest, Cell, Database, HostConfig, PythonHost, Rows};
use serde_json::json;

use crate::commands::session::Session;

pub(super) struct Models {
    root: PathBuf,
    venv: Option<PathBuf>,
    /// Where the helper file is written, relative to the root.
    folder: PathBuf,
    host: Mutex<Option<PythonHost>>,
}

/// Calls the model and makes its result a table.
const HELPER: &str = include_str!("python_model.py");

impl Models {
    pub(super) fn new(session: &Session, target_dir: &std::path::Path) -> Self {
        let folder = target_dir
            .strip_prefix(&session.root)
            .unwrap_or(std::path::Path::new("target"))
            .join("run");
        Self {
            root: session.root.clone(),
            venv: session.venv(),
            folder,
            host: Mutex::new(None),
        }
    }
}

struct NoDatabase;

impl Database for NoDatabase {
    fn execute(
        &self,
        _sql: &str,
        _parameters: Vec<(String, Cell)>,
        _context: &CallContext,
    ) -> Result<Rows, String> {
        Err("a Python model reads the database through its `session`".into())
    }
}

impl PythonModels for Models {
    fn run(&self, job: &PythonJob<'_>) -> Result<(), String> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if host.is_none() {
            let config = HostConfig {
                root: self.root.clone(),
                python_path: "python".into(),
                plugin_path: "plugins".into(),
                venv: self.venv.clone(),
                workers: 1,
                ..HostConfig::default()
            };
            let started = PythonHost::start(config, Arc::new(NoDatabase))
                .map_err(|error| error.to_string())?;
            *host = Some(started);
        }
        let Some(host) = host.as_ref() else {
            return Err("the interpreter did not start".into());
        };
        let file = self.folder.join("python_model.py");
        let place = self.root.join(&file);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        std::fs::write(&place, HELPER).map_err(|error| error.to_string())?;
        let description = json!({
            "name": job.name,
            "path": job.path,
            "code": job.code,
            "database": job.database,
            "setup": job.setup,
            "target": job.target,
            "this": {
                "database": job.this.catalog,
                "schema": job.this.schema,
                "identifier": job.this.name,
                "quoted": job.this.quoted(),
            },
            "refs": job.refs.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "sources": job.sources.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "config": job.config,
            "is_incremental": job.is_incremental,
        });
        let request = CallRequest {
            file: file.display().to_string(),
            function: "run".into(),
            arguments: vec![("job".into(), Cell::Text(description.to_string()))],
            context: CallContext::default(),
        };
        let answer = host.call(request).map_err(|error| error.to_string())?;
        match answer.get("error").and_then(serde_json::Value::as_str) {
            Some(message) => Err(format!("Python model failed:\n{message}")),
            None => Ok(()),
        }
    }
}
