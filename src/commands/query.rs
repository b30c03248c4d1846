//! `mxcp query SQL`: runs SQL on the project's database, with the runtime's functions in place.

use mxcp_artifact::Manifest;
use mxcp_catalog::{Binder as _, DuckDbBinder};

use super::output::{self, Failure};
use super::run::{Common, start_for};
use super::session::Session;
use super::{CLEAN, USAGE, params, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SQL to run
    sql: Option<String>,
    /// Read the SQL from a file
    #[arg(long)]
    file: Option<String>,
    /// A value for `$name`; may be repeated
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    param: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> u8 {
    let json = args.common.json_output;
    let usage = sql(args).and_then(|sql| Ok((sql, params::parse(&args.param)?)));
    let (sql, parameters) = match usage {
        Ok(parsed) => parsed,
        Err(failure) => {
            output::fail(false, &failure);
            return USAGE;
        }
    };
    let runtime = match Session::open(args.common.profile.as_deref()).and_then(|session| {
        let reads = |_: &Manifest| only_reads(&sql);
        start_for(&session, &args.common, "cli-query", &|_| false, reads)
    }) {
        Ok(runtime) => runtime,
        Err(failure) => return output::fail(json, &failure),
    };
    let result = runtime.query(&sql, &parameters);
    runtime.shutdown();
    match result {
        Ok(value) if json => {
            output::print_ok(&value);
            CLEAN
        }
        Ok(value) => {
            output::print(&table::render(&value));
            CLEAN
        }
        Err(error) => output::fail(json, &Failure::new(error.to_string())),
    }
}

// Whether it is known to change nothing in the database.
fn only_reads(sql: &str) -> bool {
    let analysis = DuckDbBinder::new().analyze(sql);
    analysis.errors.is_empty() && analysis.statements.iter().all(|s| !s.effects.writes)
}

fn sql(args: &Args) -> Result<String, Failure> {
    let (sql, whence) = match (&args.sql, &args.file) {
        (Some(sql), None) => (sql.clone(), "the SQL is empty".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Failure::new(format!("`{path}` cannot be read: {e}")))?;
            (text, format!("`{path}` is empty"))
        }
        (Some(_), Some(_)) => return Err(Failure::new("give either SQL or --file, not both")),
        (None, None) => return Err(Failure::new("give the SQL to run, or --file")),
    };
    if sql.is_empty() {
        return Err(Failure::new(whence).help("give the SQL to run"));
    }
    Ok(sql)
}
