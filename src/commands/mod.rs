//! The command line: one file per subcommand, each thin. What a command does lives in the crates
//! below; here are arguments, output and exit codes.
//!
//! Exit codes: 0 done and clean, 1 errors found or the command failed, 2 bad usage.

mod build;
mod cache;
mod config;
mod dbt;
mod explain;
mod fix;
mod init;
mod list;
mod lsp;
mod output;
mod params;
mod query;
mod run;
mod schema;
mod serve;
mod session;
mod table;
mod test;
mod validate;
mod watching;

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Parser, Subcommand};

/// The command ran and found nothing wrong.
pub(crate) const CLEAN: u8 = 0;
/// Errors were found, or the command failed.
pub(crate) const FAILED: u8 = 1;
/// The command line makes no sense.
pub(crate) const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "mxcp",
    version,
    about = "The compiler for MCP servers",
    long_about = "Checks an MXCP project as source code, builds it into a locked manifest, and serves the manifest over MCP.",
    after_help = "Run `mxcp init --bootstrap` to start a project, `mxcp validate` to check one.",
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a project in a folder
    Init(init::Args),
    /// Check the project, or one file of it
    Validate(validate::Args),
    /// Check the project and write target/mxcp/manifest.json and mxcp.lock
    Build(build::Args),
    /// List the endpoints of the project
    List(list::Args),
    /// Run one tool, resource or prompt
    Run(run::Args),
    /// Run an SQL query on the project's database
    Query(query::Args),
    /// Run the tests of the endpoints
    Test(test::Args),
    /// Serve the project over MCP
    Serve(serve::Args),
    /// Build the dbt layer: seeds, models and data tests
    Dbt(Box<dbt::Args>),
    /// Write profiles.yml for an installed dbt
    DbtConfig(dbt::ConfigArgs),
    /// Explain a diagnostic code
    Explain(explain::Args),
    /// Serve editors: diagnostics, completion, navigation
    Lsp(lsp::Args),
    /// Print the JSON Schema of a kind of file
    Schema(schema::Args),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Commands of the Python product that have no counterpart here yet.
const PLANNED: [&str; 6] = [
    "lint",
    "evals",
    "drift-snapshot",
    "drift-check",
    "log",
    "log-cleanup",
];

fn unknown(args: &[OsString]) -> u8 {
    let name = args
        .first()
        .map(|a| a.to_string_lossy().into_owned())
        .unwrap_or_default();
    if PLANNED.contains(&name.as_str()) {
        return output::fail(
            args.iter().any(|a| a == "--json-output"),
            &output::Failure::new(format!("`mxcp {name}` is not available in this version"))
                .help("`mxcp --help` lists what is"),
        );
    }
    let command = <Cli as clap::CommandFactory>::command();
    let known: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let near = mxcp_base::suggest::did_you_mean(&name, known.iter().copied());
    output::fail(
        false,
        &output::Failure::new(format!("there is no command `{name}`"))
            .help(near.unwrap_or_else(|| "`mxcp --help` lists the commands".into())),
    );
    USAGE
}

/// Runs the command line and returns its exit code.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = dbt::wants_dbt_core(&args) {
        return code;
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { CLEAN };
            let _ = error.print();
            return code;
        }
    };
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Build(args) => build::run(&args),
        Command::List(args) => list::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Dbt(args) => dbt::run(&args),
        Command::DbtConfig(args) => dbt::configure(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lsp(args) => lsp::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Other(args) => unknown(&args),
    }
}

/// Leaves the process without running static destructors: DuckDB's abort once an embedded Python
/// has loaded user code.
pub(crate) fn exit(code: u8) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    mxcp_python::exit_process(i32::from(code))
}
