//! `mxcp dbt`: builds the dbt layer in its database, with dbt's commands, flags, lines, exit codes
//! and artifacts.

mod artifacts;
mod ask;
mod cli;
mod config_files;
mod core;
mod deps;
mod freshness;
mod graph_json;
mod list;
mod nodes;
mod open;
mod profiles;
mod progress;
mod python;
mod sha256;
mod show;

pub(crate) use cli::Args;
pub(crate) use config_files::{Args as ConfigArgs, run as configure};
pub(crate) use core::wanted as wants_dbt_core;

use cli::Sub;
use open::{Opened, find_root};

use super::output::{self, Failure};
use super::{CLEAN, FAILED, USAGE};

pub(crate) fn run(args: &Args) -> u8 {
    match &args.command {
        Sub::Clean => deps::clean(args),
        Sub::Deps => deps::deps(args),
        command => {
            // Without a project every command answers alike.
            if args.project_dir.is_none()
                && let Err(failure) = find_root(args)
            {
                return output::fail(args.json_output, &failure);
            }
            let opened = match Opened::new(args) {
                Ok(opened) => opened,
                Err(failure) => return usage(args, &failure),
            };
            let code = match command {
                Sub::Seed(s) => nodes::run(args, &opened, mxcp_dbt::Command::Seed, s),
                Sub::Run(s) => nodes::run(args, &opened, mxcp_dbt::Command::Run, s),
                Sub::Snapshot(s) => nodes::run(args, &opened, mxcp_dbt::Command::Snapshot, s),
                Sub::Test(s) => nodes::run(args, &opened, mxcp_dbt::Command::Test, s),
                Sub::Build(s) => nodes::run(args, &opened, mxcp_dbt::Command::Build, s),
                Sub::Retry(s) => nodes::retry(args, &opened, s),
                Sub::Ls(s) => list::run(args, &opened, s),
                Sub::Source(source) => {
                    let cli::SourceCommand::Freshness(s) = &source.command;
                    freshness::run(args, &opened, s)
                }
                Sub::Parse(s) => ask::parse(args, &opened, s),
                Sub::Compile(s) => ask::compile(args, &opened, s),
                Sub::Show(s) => show::show(args, &opened, s),
                Sub::RunOperation(s) => ask::operation(args, &opened, s),
                Sub::Docs(docs) => {
                    let cli::DocsCommand::Generate(s) = &docs.command;
                    ask::docs(args, &opened, s)
                }
                Sub::Debug(_) => ask::debug(args, &opened),
                Sub::Clean | Sub::Deps => CLEAN,
            };
            opened.leave();
            code
        }
    }
}

/// Reports what keeps a command from starting: dbt exits with 2 then.
fn usage(args: &Args, failure: &Failure) -> u8 {
    output::fail(args.json_output, failure);
    USAGE
}

fn run_error(args: &Args, error: &mxcp_dbt::RunError) -> u8 {
    let failure = Failure::new(error.to_string());
    match error {
        mxcp_dbt::RunError::Selector { .. } | mxcp_dbt::RunError::Cycle { .. } => {
            usage(args, &failure)
        }
        mxcp_dbt::RunError::Locked { .. } => {
            output::fail(
                args.json_output,
                &failure.help(
                    "a server keeps its database open while it runs: stop it, or build another file and let the server reload it",
                ),
            );
            FAILED
        }
        _ => {
            output::fail(args.json_output, &failure);
            FAILED
        }
    }
}
