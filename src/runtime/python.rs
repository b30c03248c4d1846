//! The Python side of a runtime: started only when the manifest has Python, with the plugins of the
//! active profile and their functions registered in the database.

use std::sync::Arc;
use std::time::Duration;

use mxcp_artifact::{Digest, Manifest};
use mxcp_python::{
    AskSink, CallContext, CallRequest, Ending, HostConfig, PluginConfig, PythonHost,
};
use serde_json::{Map, Value, json};

use crate::access::{Access, Door, baggage};
use crate::call::{CallError, Caller, Cancel};
use crate::database::functions::Facts;
use crate::database::udf;
use crate::options::{Options, StartError};
use crate::reload::Reloads;

/// Starts Python if the manifest needs it. Hooks have run when this returns.
pub(crate) fn start(
    manifest: &Manifest,
    options: &Options,
    access: &Arc<Access>,
    reloads: &Arc<Reloads>,
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
        site: site_config(manifest, options),
        user_config: user_config(&project.name, options),
        secrets: options
            .user_config
            .secrets
            .iter()
            .map(|s| (s.name.clone(), Value::Object(s.parameters.clone())))
            .collect(),
        plugins,
        workers: 0,
    };
    let host = PythonHost::start(config, Arc::new(Door::new(access, reloads)))
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

// Code reads the path of the database from here, also where the file leaves it to the default.
fn site_config(manifest: &Manifest, options: &Options) -> Value {
    let project = &manifest.project;
    let mut site = project.site.clone();
    let settings = project.profile_settings(&options.profile);
    let database = options
        .database
        .clone()
        .unwrap_or_else(|| settings.database.into());
    let path = options.root.join(database).display().to_string();
    let place = ["profiles", &options.profile, "duckdb"];
    if let Some(duckdb) = entry(&mut site, &place) {
        duckdb.entry("path").or_insert(path.into());
    }
    site
}

// The entries of the project and its profile are always there, as code relies on.
fn user_config(project: &str, options: &Options) -> Value {
    let mut config = options.user_config.raw.clone();
    let place = ["projects", project, "profiles", &options.profile];
    if let Some(profile) = entry(&mut config, &place) {
        profile.entry("secrets").or_insert_with(|| json!([]));
        profile
            .entry("plugin")
            .or_insert_with(|| json!({"config": {}}));
    }
    if let Some(config) = config.as_object_mut() {
        config.entry("mxcp").or_insert(1.into());
    }
    config
}

/// The object at a place, made where nothing is; `None` where something else is.
fn entry<'a>(root: &'a mut Value, place: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut value = root;
    if value.is_null() {
        *value = json!({});
    }
    for key in place {
        value = value.as_object_mut()?.entry(*key).or_insert(Value::Null);
        if value.is_null() {
            *value = json!({});
        }
    }
    value.as_object_mut()
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

/// Makes the functions of the plugins known to the open database.
pub(crate) fn register_functions(
    host: &Arc<PythonHost>,
    access: &Access,
) -> Result<(), StartError> {
    let udfs = host.udfs();
    if udfs.is_empty() {
        return Ok(());
    }
    let refused = |e: crate::database::SqlError| StartError::Plugin(e.to_string());
    let pool = access.pool();
    let mut lease = pool.lease(Arc::new(Facts::default())).map_err(refused)?;
    let registry = Arc::clone(lease.registry());
    let limit = Duration::from_millis(access.limits().timeout_ms);
    for (index, function) in udfs.iter().enumerate() {
        let host = Arc::clone(host);
        let run: udf::Run = Arc::new(move |rows, facts| {
            let context = CallContext {
                user: facts.user.clone(),
                headers: facts.headers.clone().unwrap_or_default(),
                ..CallContext::default()
            };
            host.call_udf(index, rows, context, Some(limit))
                .map_err(|error| error.to_string())
        });
        udf::register(&mut lease.connection, &registry, function, run).map_err(refused)?;
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
    let ask = caller
        .messages
        .clone()
        .map(|messages| Arc::new(move |questions| messages.ask(questions)) as AskSink);
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
        ask,
        baggage: None,
    }
}

/// Calls a function until it ends, its time is over or the call is cancelled. The SQL it runs ends
/// with it.
pub(crate) fn call(
    host: &PythonHost,
    mut request: CallRequest,
    limit_ms: u64,
    cancel: &Cancel,
) -> Result<Value, CallError> {
    let sql = Cancel::default();
    request.context.baggage = Some(baggage(&sql));
    let pending = host.begin(request);
    let (stopper, of_call) = (pending.stopper(), sql.clone());
    cancel.on_cancel(move || {
        of_call.cancel();
        stopper.stop();
    });
    let ending = match pending.wait(Some(Duration::from_millis(limit_ms))) {
        Ok(value) => return Ok(value),
        Err(ending) => ending,
    };
    match ending {
        Ending::Raised(error) => Err(CallError::Failed {
            message: error.to_string(),
            traceback: (!error.traceback.is_empty()).then(|| error.traceback.clone()),
        }),
        Ending::Stopped => Err(CallError::Cancelled),
        Ending::TimedOut => {
            sql.cancel();
            Err(CallError::failed(format!(
                "the call was stopped after {} seconds; make it faster or raise `limits.timeout_ms`",
                (limit_ms as f64) / 1000.0
            )))
        }
    }
}
