//! `mxcp run KIND NAME`: runs one endpoint as a client would.

use std::io::IsTerminal as _;
use std::sync::Arc;

use mxcp_artifact::{Body, Endpoint, EndpointKind, Manifest};
use mxcp_base::{Diagnostic, Severity, SourceFile, suggest};
use mxcp_compiler::check::tests::OF_ONE_TEST;
use mxcp_compiler::diagnostics::file_diagnostics;
use mxcp_compiler::documents::{endpoint_def, endpoint_files};
use mxcp_compiler::ir::endpoint_ir;
use mxcp_runtime::{Call, CallError, Caller, InUse, Options, Runtime, User, resources};

use super::config::Need;
use super::output::{self, Detail, Failure};
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
#[derive(Clone, Debug, clap::Args)]
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

/// Starts the runtime for a project as it is on disk. `only_reads` is asked when the database is in
/// use: then a snapshot of it serves as well.
pub(crate) fn start_for(
    session: &Session,
    common: &Common,
    transport: &'static str,
    wanted: &dyn Fn(&Endpoint) -> bool,
    only_reads: impl FnOnce(&Manifest) -> bool,
) -> Result<Runtime, Failure> {
    output::log_to_stderr(common.debug);
    output::keep_stdout();
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
    let in_use = InUse {
        only_reads: session.in_use && only_reads(&manifest),
        opened: None,
        snapshot: session.snapshot.take(),
    };
    Runtime::start_beside(Arc::new(manifest), options, in_use)
        .map_err(|e| Failure::new(e.to_string()))
}

/// Whether running these endpoints is known to change nothing in the database.
pub(crate) fn only_read<'a>(endpoints: impl IntoIterator<Item = &'a Endpoint>) -> bool {
    endpoints.into_iter().all(|endpoint| match &endpoint.body {
        Body::Sql(body) => !body.effects.writes,
        Body::Prompt(_) => true,
        Body::Python(_) => false,
    })
}

// The endpoint of that name; for the address of a resource, any that it may be.
fn runs_to_read(manifest: &Manifest, kind: EndpointKind, name: &str) -> bool {
    match manifest.endpoint(kind, name) {
        Some(endpoint) => only_read([endpoint]),
        None => only_read(manifest.endpoints.iter().filter(|e| e.kind == kind)),
    }
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
    let kind = args.kind.kind();
    let file = find(&session, kind, &args.name);
    if let Some(file) = file
        && let Some(code) = refuse_broken(&session, file, kind, &args.name, json)
    {
        return code;
    }
    // An address of a resource is one of some template: each of them might be meant.
    let wanted =
        |e: &Endpoint| e.kind == kind && (e.id() == args.name || kind == EndpointKind::Resource);
    let reads = |manifest: &Manifest| runs_to_read(manifest, kind, &args.name);
    let runtime = match start_for(&session, &args.common, "cli", &wanted, reads) {
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
        ..Call::new(kind, args.name.clone(), arguments)
    };
    let outcome = runtime.call(&call);
    let failure = outcome
        .as_ref()
        .err()
        .map(|error| explain(error, &session, &runtime, args));
    runtime.shutdown();
    match (outcome, failure) {
        (Ok(outcome), _) if json => {
            output::print_ok(&outcome.value);
            CLEAN
        }
        (Ok(outcome), _) => {
            output::print(&table::render(&outcome.value));
            CLEAN
        }
        (Err(error), failure) => {
            let failure = failure.unwrap_or_else(|| Failure::new(error.to_string()));
            if !json && let Some(file) = file {
                print_errors(&session, &errors(&session, file));
            }
            output::fail(json, &failure)
        }
    }
}

fn explain(error: &CallError, session: &Session, runtime: &Runtime, args: &Args) -> Failure {
    let mut failure = Failure::new(error.to_string());
    failure.help = match error {
        CallError::NotFound { kind, id } => near(runtime, *kind, id),
        CallError::Denied { decision, .. } => decision.notes.first().cloned(),
        _ => unbuilt_model(session, &failure.message),
    };
    if args.common.debug {
        failure.detail = Some(detail(error));
    }
    failure
}

/// What `--debug` shows of a failed call.
pub(crate) fn detail(error: &CallError) -> Detail {
    let kind = error.type_name();
    let traceback = match error {
        CallError::Failed {
            traceback: Some(traceback),
            ..
        } => traceback.clone(),
        error => format!("{kind}: {error}\n"),
    };
    Detail {
        kind: kind.to_owned(),
        traceback,
    }
}

/// The endpoint that a wrong name may mean.
pub(crate) fn near(runtime: &Runtime, kind: EndpointKind, id: &str) -> Option<String> {
    let manifest = runtime.manifest();
    if let Some(other) = manifest
        .endpoints
        .iter()
        .find(|e| e.kind != kind && e.id() == id)
    {
        return Some(format!("there is a {} of that name", other.kind));
    }
    let names = manifest.endpoints.iter().filter(|e| e.kind == kind);
    suggest::did_you_mean(id, names.clone().map(mxcp_artifact::Endpoint::id)).or_else(|| {
        (names.count() > 0).then(|| "`mxcp list` shows the endpoints of the project".into())
    })
}

/// The file of an endpoint, by its name or an address.
fn find(session: &Session, kind: EndpointKind, name: &str) -> Option<SourceFile> {
    let db = &session.db;
    let fits = |id: &str| match kind {
        _ if id == name => Some(usize::MAX),
        EndpointKind::Resource => {
            resources::match_uri(id, name).map(|_| resources::specificity(id))
        }
        EndpointKind::Tool | EndpointKind::Prompt => None,
    };
    endpoint_files(db)
        .iter()
        .filter_map(|file| {
            let def = endpoint_def(db, *file).filter(|d| d.kind == kind && d.enabled)?;
            Some((fits(def.id()?)?, *file))
        })
        .max_by_key(|(fit, _)| *fit)
        .map(|(_, file)| file)
}

// An endpoint that leaves nothing to run is not in the manifest; its diagnostics say why. Whatever can
// be tried is tried: the database and Python have the last word.
fn refuse_broken(
    session: &Session,
    file: SourceFile,
    kind: EndpointKind,
    name: &str,
    json: bool,
) -> Option<u8> {
    if endpoint_ir(&session.db, file).is_some() {
        return None;
    }
    let diagnostics = errors(session, file);
    let Some(message) = output::first_message(&diagnostics) else {
        let failure = Failure::new(format!("{kind} `{name}` needs something that has errors"))
            .help("run `mxcp validate` to see them");
        return Some(output::fail(json, &failure));
    };
    if json {
        let failure = Failure::new(format!("{kind} `{name}` has errors: {message}"));
        return Some(output::fail(true, &failure));
    }
    print_errors(session, &diagnostics);
    output::eprint(&format!(
        "Error: {kind} `{name}` has errors and was not run\n"
    ));
    Some(FAILED)
}

fn print_errors(session: &Session, diagnostics: &[Diagnostic]) {
    output::eprint(&output::render_diagnostics(
        diagnostics,
        &session.sources(),
        mxcp_base::render::Format::Graphical,
        std::io::stderr().is_terminal(),
    ));
}

/// What keeps the endpoint of a file from running.
pub(crate) fn errors(session: &Session, file: SourceFile) -> Vec<Diagnostic> {
    file_diagnostics(&session.db, file)
        .iter()
        .filter(|d| d.severity == Severity::Error && !OF_ONE_TEST.contains(&d.code))
        .cloned()
        .collect()
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
