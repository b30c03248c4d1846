//! `mxcp serve`: serves the manifest, building it first when it is missing or stale.

mod reload;
mod source;

use std::sync::Arc;
use std::time::Duration;

use mxcp_base::suggest;
use mxcp_compiler::documents::site;
use mxcp_runtime::server::{HttpOptions, Listening, serve_http, serve_stdio_on};
use mxcp_runtime::{InUse, Runtime, memory};

use super::config::{HttpConfig, Need};
use super::output::{self, Failure};
use super::run::{Common, runtime_options};
use super::session::{Session, find_root};
use super::{CLEAN, FAILED};
use source::{Ahead, build_now, usable};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How clients connect; `streamable-http` unless the user configuration says otherwise
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// The address to listen on, for HTTP [default: localhost]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The port to listen on, for HTTP; 0 takes a free one [default: 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Keep no session between HTTP requests
    #[arg(long)]
    stateless: bool,
    /// A further name that HTTP clients may call the server by, `*` for any; may be repeated
    #[arg(long, value_name = "NAME")]
    allowed_host: Vec<String>,
    /// An origin of web pages that may talk to the server, e.g. `https://app.example.com`; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allowed_origin: Vec<String>,
    /// Build and serve again whenever a source changes; a broken edit keeps what is served
    #[arg(long)]
    watch: bool,
    /// Refuse to start unless the manifest and mxcp.lock match the sources
    #[arg(long)]
    locked: bool,
    /// Offer the built-in SQL tools, whatever the site file says
    #[arg(long, value_name = "BOOL")]
    sql_tools: Option<bool>,
    /// Serve the endpoints that are free of errors and leave the others out
    #[arg(long)]
    ignore_errors: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Transport {
    Stdio,
    StreamableHttp,
    Sse,
}

pub(crate) fn run(args: &Args) -> u8 {
    let json = args.common.json_output;
    memory::share_arenas();
    let root = match find_root() {
        Ok(root) => root,
        Err(failure) => return output::fail(json, &failure),
    };
    // Beside the sources, which must be read to know whether any of this counts.
    let (at, with) = (root.clone(), args.clone());
    let ahead = std::thread::spawn(move || Ahead::read(&at, &with));
    let mut session = match Session::open_at(root, args.common.profile.as_deref()) {
        Ok(session) => session,
        Err(failure) => return output::fail(json, &failure),
    };
    if let Err(failure) = check_profile(&session) {
        return output::fail(json, &failure);
    }
    let configured = match session.config.http() {
        Ok(configured) => configured,
        Err(failure) => return output::fail(json, &failure),
    };
    let transport = match args.transport(&configured) {
        Ok(transport) => transport,
        Err(failure) => return output::fail(json, &failure),
    };
    let Ok(ahead) = ahead.join() else {
        return output::fail(json, &Failure::new("reading the manifest failed"));
    };
    let mut opened = ahead.opened;
    let manifest = match usable(&session, args, ahead.stored) {
        Ok(Some(manifest)) => Ok(manifest),
        Ok(None) => {
            // Building looks at the database in its own way.
            opened = None;
            build_now(&mut session, args)
        }
        Err(code) => Err(code),
    };
    let mut manifest = match manifest {
        Ok(manifest) => manifest,
        Err(code) => return code,
    };
    args.adjust(&mut manifest);
    let name = match transport {
        Transport::Stdio => "stdio",
        Transport::StreamableHttp => "streamable-http",
        Transport::Sse => "sse",
    };
    let options = runtime_options(
        &session,
        &manifest.project.name,
        &args.common,
        name,
        Need::Everything,
    );
    let options = match options {
        Ok(options) => options,
        Err(failure) => return output::fail(json, &failure),
    };
    let profile = session.profile.clone();
    // The compiler's memory is not needed any more, for the server knows the manifest only; but nobody has
    // to wait for that.
    let settled = std::thread::Builder::new().name("mxcp-settle".to_owned());
    let _ = settled.spawn(|| {
        std::thread::sleep(Duration::from_millis(300));
        drop(session);
        std::thread::sleep(Duration::from_millis(700));
        memory::give_back();
    });
    let start = || {
        output::log_to_stderr(args.common.debug);
        let in_use = InUse {
            opened,
            ..InUse::default()
        };
        Runtime::start_beside(Arc::new(manifest), options, in_use)
            .map(Arc::new)
            .map_err(|error| Failure::new(error.to_string()))
    };
    let served = match transport {
        Transport::Stdio => stdio(args, start),
        Transport::StreamableHttp | Transport::Sse => {
            let events = transport == Transport::Sse;
            http(args, &configured, &profile, events, start)
        }
    };
    match served {
        Ok(()) => CLEAN,
        Err(failure) => {
            if json {
                return output::fail(json, &failure);
            }
            output::fail(json, &failure);
            FAILED
        }
    }
}

/// A slip in a profile's name must not serve an empty database.
fn check_profile(session: &Session) -> Result<(), Failure> {
    let Some(site) = site(&session.db) else {
        return Ok(());
    };
    let wanted = &session.profile;
    let of_user = session.config.profiles(&site.project).unwrap_or_default();
    if site.profiles.is_empty()
        || *wanted == site.profile
        || site.profiles.contains_key(wanted)
        || of_user.contains(wanted)
    {
        return Ok(());
    }
    let names = site.profiles.keys().chain(&of_user).map(String::as_str);
    let help = suggest::did_you_mean(wanted, names);
    Err(Failure::new(format!("no profile `{wanted}` is declared"))
        .help(help.unwrap_or_else(|| "declare it under `profiles:` of mxcp-site.yml".to_owned())))
}

impl Args {
    fn transport(&self, configured: &HttpConfig) -> Result<Transport, Failure> {
        match (self.transport, configured.provider.as_deref()) {
            (Some(transport), _) => Ok(transport),
            (None, Some("stdio")) => Ok(Transport::Stdio),
            (None, Some("sse")) => Ok(Transport::Sse),
            (None, None | Some("streamable-http")) => Ok(Transport::StreamableHttp),
            (None, Some(other)) => Err(Failure::new(format!(
                "`transport.provider` of the user configuration is `{other}`"
            ))
            .help("it is `streamable-http`, `sse` or `stdio`")),
        }
    }

    /// What the command line says about the manifest.
    fn adjust(&self, manifest: &mut mxcp_artifact::Manifest) {
        if let Some(enabled) = self.sql_tools {
            manifest.project.sql_tools.enabled = enabled;
        }
    }
}

fn stdio(
    args: &Args,
    start: impl FnOnce() -> Result<Arc<Runtime>, Failure>,
) -> Result<(), Failure> {
    // From here on nothing else may read standard input or write to standard output, not even an
    // `on_init` hook.
    let (input, protocol) = mxcp_python::take_stdin()
        .and_then(|input| Ok((input, mxcp_python::take_stdout()?)))
        .map_err(|e| Failure::new(format!("standard input or output is unusable: {e}")))?;
    let runtime = start()?;
    let watching = reload::start(args, &runtime);
    let served = serve_stdio_on(Arc::clone(&runtime), input, protocol);
    drop(watching);
    runtime.shutdown();
    served.map_err(|error| Failure::new(format!("the server stopped: {error}")))
}

fn http(
    args: &Args,
    configured: &HttpConfig,
    profile: &str,
    events: bool,
    start: impl FnOnce() -> Result<Arc<Runtime>, Failure>,
) -> Result<(), Failure> {
    let host = args.host.as_deref().unwrap_or(&configured.host);
    let port = args.port.unwrap_or(configured.port);
    let listening = Listening::on(host, port).map_err(|error| {
        let failure = Failure::new(format!("{host}:{port} cannot be listened on: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.help("stop what uses the port, or choose another one with --port")
            }
            _ => failure,
        }
    })?;
    let address = listening
        .address()
        .map_err(|error| Failure::new(format!("the address is unknown: {error}")))?;
    let stateless = args.stateless || configured.stateless;
    let options = HttpOptions {
        stateless,
        events,
        allowed_hosts: args.allowed_host.clone(),
        allowed_origins: args.allowed_origin.clone(),
    };
    let runtime = start()?;
    let watching = reload::start(args, &runtime);
    let manifest = runtime.manifest();
    let served = serve_http(Arc::clone(&runtime), listening, &options, || {
        let count = |kind| manifest.endpoints.iter().filter(|e| e.kind == kind).count();
        output::print(&format!(
            "{project}, profile {profile}: {tools} tools, {resources} resources, {prompts} prompts{mode}\nListening on http://{address}/{path} (Ctrl-C stops)\n",
            project = manifest.project.name,
            tools = count(mxcp_artifact::EndpointKind::Tool),
            resources = count(mxcp_artifact::EndpointKind::Resource),
            prompts = count(mxcp_artifact::EndpointKind::Prompt),
            path = if events { "sse" } else { "mcp" },
            mode = if stateless { ", stateless" } else { "" },
        ));
    });
    drop(watching);
    runtime.shutdown();
    served.map_err(|error| Failure::new(format!("the server stopped: {error}")))
}
