//! The Python side of a runtime: started only when the manifest has Python, with the plugins of the
//! active profile and their functions registered in the database.

use std::sync::{Arc, Weak};

use mxcp_artifact::{Digest, Manifest};
use mxcp_python::{CallContext, Cell, Database, HostConfig, PluginConfig, PythonHost, Rows};
use serde_json::Value;

use crate::access::Access;
use crate::call::Caller;
use crate::database::functions::Facts;
use crate::database::udf;
use crate::options::{Options, StartError};

// The host holds its database for ever; the database must still close when the runtime shuts down.
struct Door(Weak<Access>);

impl Database for Door {
    fn execute(
        &self,
        sql: &str,
        parameters: Vec<(String, Cell)>,
        context: &CallContext,
    ) -> Result<Rows, String> {
        match self.0.upgrade() {
            Some(access) => access.execute(sql, parameters, context),
            None => Err("the database is closed".into()),
        }
    }
}

/// Starts Python if the manifest needs it. Hooks have run when this returns.
pub(crate) fn start(
    manifest: &Manifest,
    options: &Options,
    access: &Arc<Access>,
) -> Result<Option<Arc<PythonHost>>, StartError> {
    let project = &manifest.project;
    if manifest.python.is_empty() && project.plugins.is_empty() {
        return Ok(None);
    }
    let plugins = project
        .plugins
        .iter()
        .map(|plugin| {
            let config = match &plugin.config {
                Some(name) => options
                    .user_config
                    .plugin_config
                    .get(name)
                    .cloned()
                    .ok_or_else(|| {
                        StartError::Plugin(format!(
                            "plugin `{}` uses the configuration `{name}`, which profile `{}` of the user configuration does not have; add it under `plugin.config`",
                            plugin.name, options.profile
                        ))
                    })?,
                None => Default::default(),
            };
            Ok(PluginConfig {
                name: plugin.name.clone(),
                module: plugin.module.clone(),
                config,
            })
        })
        .collect::<Result<_, StartError>>()?;
    warn_about_changes(manifest, options);
    let config = HostConfig {
        root: options.root.clone(),
        python_path: project.python_path.clone(),
        plugin_path: project.plugin_path.clone(),
        venv: options.venv.clone(),
        preload: manifest
            .python
            .iter()
            .map(|file| file.path.clone())
            .collect(),
        site: project.site.clone(),
        user_config: options.user_config.raw.clone(),
        secrets: options
            .user_config
            .secrets
            .iter()
            .map(|s| (s.name.clone(), Value::Object(s.parameters.clone())))
            .collect(),
        plugins,
        workers: 0,
    };
    let host = PythonHost::start(config, Arc::new(Door(Arc::downgrade(access))))
        .map_err(|e| StartError::Python(e.to_string()))?;
    let host = Arc::new(host);
    if let Err(error) = register_functions(&host, access) {
        host.shutdown();
        return Err(error);
    }
    if let Err(error) = host.init() {
        tracing::error!("a Python file or `on_init` hook failed: {error}");
    }
    Ok(Some(host))
}

fn warn_about_changes(manifest: &Manifest, options: &Options) {
    for file in &manifest.python {
        // A file that cannot be read is reported by Python, with the import that needs it.
        let changed = std::fs::read(options.root.join(&file.path))
            .is_ok_and(|bytes| Digest::of(bytes) != file.digest);
        if changed {
            tracing::warn!(
                file = file.path,
                "the Python file is not the one that was built; run `mxcp build`"
            );
        }
    }
}

fn register_functions(host: &Arc<PythonHost>, access: &Access) -> Result<(), StartError> {
    let udfs = host.udfs();
    if udfs.is_empty() {
        return Ok(());
    }
    let refused = |e: crate::database::SqlError| StartError::Plugin(e.to_string());
    let mut lease = access
        .pool()
        .lease(Arc::new(Facts::default()))
        .map_err(refused)?;
    for (index, function) in udfs.iter().enumerate() {
        let host = Arc::clone(host);
        let run: udf::Run = Arc::new(move |rows| {
            host.call_udf(index, rows)
                .map_err(|error| error.to_string())
        });
        udf::register(&mut lease.connection, function, run).map_err(refused)?;
    }
    Ok(())
}

/// What Python code learns about its caller.
pub(crate) fn context(caller: &Caller, transport: &str) -> CallContext {
    let log = caller
        .messages
        .clone()
        .map(|messages| Arc::new(move |level, text: &str| messages.log(level, text)) as Arc<_>);
    let progress = caller.messages.clone().map(|messages| {
        Arc::new(move |progress, total, text: Option<&str>| {
            messages.progress(progress, total, text);
        }) as Arc<_>
    });
    CallContext {
        user: caller.user.as_ref().map(|user| user.to_python_value()),
        headers: caller.headers.clone(),
        transport: if caller.transport.is_empty() {
            transport.to_owned()
        } else {
            caller.transport.clone()
        },
        log,
        progress,
    }
}
