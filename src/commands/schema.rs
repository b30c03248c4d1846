//! `mxcp schema KIND`: prints the JSON Schema of a kind of file, for editors.

use mxcp_compiler::check::documents::Schema;

use super::{CLEAN, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which kind of file
    #[arg(value_enum)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Endpoint,
    Site,
    UserConfig,
    Evals,
    DbtProject,
    DbtProperties,
}

pub(crate) fn run(args: &Args) -> u8 {
    let schema = match args.kind {
        Kind::Endpoint => Schema::Endpoint,
        Kind::Site => Schema::Site,
        Kind::UserConfig => Schema::UserConfig,
        Kind::Evals => Schema::Evals,
        Kind::DbtProject => Schema::DbtProject,
        Kind::DbtProperties => Schema::DbtProperties,
    };
    output::print(schema.text());
    CLEAN
}
