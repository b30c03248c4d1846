//! `mxcp run KIND NAME`: runs one endpoint as a client would.

use std::io::IsTerminal as _;
use std::sync::Arc;

use mxcp_artifact::{Body, Endpoint, EndpointKind};
use mxcp_base::{Diagnostic, Severity, SourceFile};
use mxcp_compiler::documents::{endpoint_def, endpoint_files};
use mxcp_runtime::{Call, CallError, Caller, Options, Runtime, User};

use super::config::Need;
use super::output::{self, Failure};
use super::session::Session;
use super::{CLEAN, FAILED, USAGE, params, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to run
    #[arg(value_enum)]
    kind: KindArg,
    /// Its name, or the URI of a resource
    name: String,
    /// An argument, `name=value` or `name=@file.json`; may be repeated
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// The caller as a JSON object, or @file
    #[arg(short = 'u', long, value_name = "JSON|@FILE")]
    user_context: Option<String>,
    /// Request headers as a JSON object, or @file
    #[arg(long, value_name = "JSON|@FILE")]
    request_headers: Option<String>,
    /// Do not check the result against `return`
    #[arg(long)]
    skip_output_validation: bool,
    #[command(flatten)]
    common: Common,
}

/// Options of every command that opens the database.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Profile to use instead of the site file's own
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json_output: bool,
    /// Open the database for reading only
    #[arg(long, env = "MXCP_READONLY", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) readonly: bool,
    /// Show more detail of failures
    #[arg(long, env = "MXCP_DEBUG", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) debug: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum KindArg {
    Tool,
    Resource,
    Prompt,
}

impl KindArg {
    pub(crate) fn kind(self) -> EndpointKind {
        match self {
            Self::Tool => EndpointKind::Tool,
            Self::Resource => EndpointKind::Resource,
            Self::Prompt => EndpointKind::Prompt,
        }
    }
}

/// Starts the runtime for a project as it is on disk.
pub(crate) fn start(
    session: &Session,
    common: &Common,
    transport: &'static str,
    wanted: &dyn Fn(&Endpoint) -> bool,
) -> Result<Runtime, Failure> {
    output::log_to_stderr(common.debug);
    let (manifest, _) = session.partial_manifest()?;
    let need = match manifest
        .endpoints
        .iter()
        .any(|e| wanted(e) && may_use_secrets(e))
    {
        true => Need::Everything,
        false => Need::WhatIsUsed,
    };
    let options = runtime_options(session, &manifest.project.name, common, transport, need)?;
    Runtime::start(Arc::new(manifest), options).map_err(|e| Failure::new(e.to_string()))
}

/// Python may ask for any secret, and SQL needs them to reach what is outside the database.
fn may_use_secrets(endpoint: &Endpoint) -> bool {
    match &endpoint.body {
        Body::Sql(body) => body.effects.external || body.columns.is_none(),
        Body::Python(_) => true,
        Body::Prompt(_) => false,
    }
}

pub(crate) fn runtime_options(
    session: &Session,
    project: &str,
    common: &Common,
    transport: &'static str,
    need: Need,
) -> Result<Options, Failure> {
    Ok(Options {
        root: session.root.clone(),
        profile: session.profile.clone(),
        readonly: common.readonly,
        database: Some(session.database()),
        user_config: session.config.resolve(project, &session.profile, need)?,
        venv: session.venv(),
        transport,
    })
}

pub(crate) fn run(args: &Args) -> u8 {
    let json = args.common.json_output;
    let usage = params::parse(&args.param).and_then(|arguments| {
        let user = params::object("--user-context", args.user_context.as_deref())?;
        let headers = params::headers(args.request_headers.as_deref())?;
        Ok((arguments, user, headers))
    });
    let (arguments, user, headers) = match usage {
        Ok(parsed) => parsed,
        Err(failure) => {
            output::fail(false, &failure);
            return USAGE;
        }
    };
    let session = match Session::open(args.common.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(json, &failure),
    };
    if let Some(code) = refuse_broken(&session, args.kind.kind(), &args.name, json) {
        return code;
    }
    let kind = args.kind.kind();
    // An address of a resource is one of some template: each of them might be meant.
    let wanted =
        |e: &Endpoint| e.kind == kind && (e.id() == args.name || kind == EndpointKind::Resource);
    let runtime = match start(&session, &args.common, "cli", &wanted) {
        Ok(runtime) => runtime,
        Err(failure) => return output::fail(json, &failure),
    };
    if !json {
        announce(args);
    }
    let call = Call {
        caller: Caller {
            user: user.as_ref().map(User::from_cli_context),
            headers,
            ..Caller::default()
        },
        skip_output_validation: args.skip_output_validation,
        lenient_strings: true,
        ..Call::new(args.kind.kind(), args.name.clone(), arguments)
    };
    let outcome = runtime.call(&call);
    runtime.shutdown();
    match outcome {
        Ok(outcome) if json => {
            output::print_ok(&outcome.value);
            CLEAN
        }
        Ok(outcome) => {
            output::print(&table::render(&outcome.value));
            CLEAN
        }
        Err(error) => {
            let mut failure = Failure::new(error.to_string());
            if let CallError::Failed {
                traceback: Some(traceback),
                ..
            } = &error
                && args.common.debug
            {
                failure.help = Some(traceback.clone());
            }
            if failure.help.is_none() {
                failure.help = unbuilt_model(&session, &failure.message);
            }
            if !json {
                explain_failure(&session, args);
            }
            output::fail(json, &failure)
        }
    }
}

/// The file of an endpoint, and what is wrong with it.
fn errors_of(
    session: &Session,
    kind: EndpointKind,
    name: &str,
) -> Option<(SourceFile, Vec<Diagnostic>)> {
    let db = &session.db;
    let file = endpoint_files(db).iter().copied().find(|file| {
        endpoint_def(db, *file).is_some_and(|d| d.enabled && d.kind == kind && d.id() == Some(name))
    })?;
    let errors: Vec<_> = mxcp_compiler::diagnostics::file_diagnostics(db, file)
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .cloned()
        .collect();
    Some((file, errors))
}

// An endpoint that leaves nothing to run is not in the manifest; its diagnostics say why. Whatever
// can be tried is tried: the database and Python have the last word.
fn refuse_broken(session: &Session, kind: EndpointKind, name: &str, json: bool) -> Option<u8> {
    let (file, diagnostics) = errors_of(session, kind, name)?;
    if mxcp_compiler::ir::endpoint_ir(&session.db, file).is_some() {
        return None;
    }
    let message = output::first_message(&diagnostics)?;
    if json {
        let failure = Failure::new(format!("{kind} `{name}` has errors: {message}"));
        return Some(output::fail(true, &failure));
    }
    output::eprint(&output::render_diagnostics(
        &diagnostics,
        &session.sources(),
        mxcp_base::render::Format::Graphical,
        std::io::stderr().is_terminal(),
    ));
    output::eprint(&format!(
        "Error: {kind} `{name}` has errors and was not run\n"
    ));
    Some(FAILED)
}

// What checking had to say about an endpoint that failed, with its places.
fn explain_failure(session: &Session, args: &Args) {
    if let Some((_, errors)) = errors_of(session, args.kind.kind(), &args.name) {
        output::eprint(&output::render_diagnostics(
            &errors,
            &session.sources(),
            mxcp_base::render::Format::Graphical,
            std::io::stderr().is_terminal(),
        ));
    }
}

/// The database is asked first, so a model that was never built is just a missing table to it.
pub(crate) fn unbuilt_model(session: &Session, message: &str) -> Option<String> {
    if !message.contains("does not exist") {
        return None;
    }
    mxcp_compiler::models::relation_names(&session.db)
        .iter()
        .find(|name| message.contains(&format!("name {name} ")))
        .map(|name| format!("`{name}` is made by the dbt layer; run `mxcp dbt build`"))
}

fn announce(args: &Args) {
    // Beside the result, not in it: a pipe gets the result alone.
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut text = format!("Running {} {}\n", args.kind.kind(), args.name);
    for option in &args.param {
        let cut: String = option.chars().take(60).collect();
        text.push_str(&format!("  {cut}\n"));
    }
    output::eprint(&text);
}
