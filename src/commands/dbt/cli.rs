//! The command line of `mxcp dbt`: dbt's commands and flags.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Sub,
    /// Profile of the project, or of profiles.yml
    #[arg(long, global = true)]
    pub(super) profile: Option<String>,
    /// Target of the profile in profiles.yml
    #[arg(short = 't', long, global = true)]
    pub(super) target: Option<String>,
    /// Folder of dbt_project.yml
    #[arg(long, global = true, env = "DBT_PROJECT_DIR")]
    pub(super) project_dir: Option<PathBuf>,
    /// Folder of profiles.yml
    #[arg(long, global = true, env = "DBT_PROFILES_DIR")]
    pub(super) profiles_dir: Option<PathBuf>,
    /// Variables as a YAML mapping, over those of the project
    #[arg(long, global = true, value_name = "YAML")]
    pub(super) vars: Option<String>,
    /// Folder for what is written, in the place of `target`
    #[arg(long, global = true, env = "DBT_TARGET_PATH")]
    pub(super) target_path: Option<PathBuf>,
    /// `mxcp`, or `dbt-core` to hand the command over to an installed dbt, with the profile's
    /// secrets in its environment
    #[arg(long, global = true, default_value = "mxcp", value_parser = ["mxcp", "dbt-core"])]
    pub(super) engine: String,
    /// Print the results as JSON
    #[arg(long, global = true)]
    pub(super) json_output: bool,
    /// Print errors only
    #[arg(short = 'q', long, global = true)]
    pub(super) quiet: bool,
    #[arg(long = "no-quiet", global = true, hide = true)]
    no_quiet: bool,
    /// `text` or `json`, one object per line
    #[arg(long, global = true, default_value = "text", value_parser = ["text", "json", "debug", "default"])]
    pub(super) log_format: String,
    /// Write no artifacts
    #[arg(long = "no-write-json", global = true)]
    pub(super) no_write_json: bool,
    #[arg(long = "write-json", global = true, hide = true)]
    write_json: bool,
    /// Stop at the first failure
    #[arg(short = 'x', long, global = true)]
    pub(super) fail_fast: bool,
    #[arg(long = "no-fail-fast", global = true, hide = true)]
    no_fail_fast: bool,
    /// Take warnings of tests for failures
    #[arg(long, global = true, env = "DBT_WARN_ERROR")]
    pub(super) warn_error: bool,
    /// How many nodes may run at once
    #[arg(long, global = true)]
    pub(super) threads: Option<usize>,
    #[command(flatten)]
    ignored: Ignored,
}

/// Flags of dbt that change nothing here; accepted so that existing command lines work.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
struct Ignored {
    #[arg(short = 'd', long, global = true, hide = true)]
    debug: bool,
    #[arg(long = "no-debug", global = true, hide = true)]
    no_debug: bool,
    #[arg(long, global = true, hide = true)]
    use_colors: bool,
    #[arg(long, global = true, hide = true)]
    no_use_colors: bool,
    #[arg(long, global = true, hide = true)]
    no_use_colors_file: bool,
    #[arg(long, global = true, hide = true)]
    partial_parse: bool,
    #[arg(long, global = true, hide = true)]
    no_partial_parse: bool,
    #[arg(long, global = true, hide = true)]
    version_check: bool,
    #[arg(long, global = true, hide = true)]
    no_version_check: bool,
    #[arg(long, global = true, hide = true)]
    no_print: bool,
    #[arg(long, global = true, hide = true)]
    no_populate_cache: bool,
    #[arg(long, global = true, hide = true)]
    cache_selected_only: bool,
    #[arg(long, global = true, hide = true)]
    no_static_parser: bool,
    #[arg(long, global = true, hide = true)]
    no_introspect: bool,
    #[arg(long, global = true, hide = true)]
    no_send_anonymous_usage_stats: bool,
    #[arg(long, global = true, hide = true)]
    show_all_deprecations: bool,
    #[arg(long, global = true, hide = true)]
    warn_error_options: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_level: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_level_file: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_format_file: Option<String>,
    #[arg(long, global = true, hide = true)]
    log_path: Option<PathBuf>,
    #[arg(long, global = true, hide = true)]
    printer_width: Option<u32>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Sub {
    /// Load the seeds
    Seed(Running),
    /// Materialise the models
    Run(Running),
    /// Record what changed since the last snapshot
    Snapshot(Running),
    /// Run the data tests and unit tests
    Test(Running),
    /// Seeds, models, snapshots and tests in dependency order
    Build(Running),
    /// Run again what failed or was skipped the last time
    Retry(Running),
    /// List what is selected
    #[command(visible_alias = "list")]
    Ls(Listing),
    /// Tell how old the rows of the sources are
    Source(Source),
    /// Read the project and write target/manifest.json
    Parse(Running),
    /// Write the SQL of the selected nodes below target/compiled
    Compile(Compiling),
    /// Print rows of a node or of inline SQL
    Show(Showing),
    /// Call a macro
    RunOperation(Operation),
    /// Write target/catalog.json
    Docs(Docs),
    /// Check the project, the profile and the database
    Debug(Debug),
    /// Link local packages into dbt_packages; nothing is fetched from the network
    ///
    /// Packages of the hub or of git are not fetched: install them with `mxcp dbt --engine dbt-core
    /// deps`, or copy them into dbt_packages. Packages that are there already are used as they are.
    Deps,
    /// Delete the folders that `clean-targets` names
    Clean,
}

#[derive(Debug, clap::Args)]
pub(super) struct Source {
    #[command(subcommand)]
    pub(super) command: SourceCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SourceCommand {
    /// Tell how old the rows of the sources are, and write target/sources.json
    #[command(alias = "snapshot-freshness")]
    Freshness(FreshnessArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct Docs {
    #[command(subcommand)]
    pub(super) command: DocsCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum DocsCommand {
    /// Write target/catalog.json and target/manifest.json
    Generate(Generating),
}

#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Nodes to include: names, `+name`, `name+`, `tag:x`, `path:models/x`, …
    #[arg(short = 's', long = "select", num_args = 1..)]
    pub(super) select: Vec<String>,
    /// The same, for models only where all kinds are listed
    #[arg(short = 'm', long = "models", visible_alias = "model", num_args = 1.., conflicts_with = "select")]
    pub(super) models: Vec<String>,
    /// Nodes to leave out
    #[arg(long, num_args = 1..)]
    pub(super) exclude: Vec<String>,
    /// A selector of selectors.yml
    #[arg(long, conflicts_with_all = ["select", "models", "exclude"])]
    pub(super) selector: Option<String>,
    /// Kinds of nodes to keep
    #[arg(long = "resource-type", visible_alias = "resource-types", num_args = 1.., env = "DBT_RESOURCE_TYPES", value_delimiter = ' ')]
    pub(super) resource_type: Vec<String>,
    /// Kinds of nodes to leave out
    #[arg(long = "exclude-resource-type", visible_alias = "exclude-resource-types", num_args = 1.., value_delimiter = ' ')]
    pub(super) exclude_resource_type: Vec<String>,
    /// Which tests come along: those of any selected node, of no other, …
    #[arg(long, env = "DBT_INDIRECT_SELECTION", default_value = "eager", value_parser = ["eager", "cautious", "buildable", "empty"])]
    pub(super) indirect_selection: String,
    /// Folder with the artifacts of an earlier run
    #[arg(long, env = "DBT_STATE")]
    pub(super) state: Option<PathBuf>,
    /// Read parents that are neither selected nor built from where the state has them
    #[arg(long, env = "DBT_DEFER")]
    pub(super) defer: bool,
    #[arg(long = "no-defer", hide = true)]
    no_defer: bool,
    #[arg(long, hide = true)]
    pub(super) defer_state: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(super) favor_state: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Running {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Rebuild incremental models from nothing
    #[arg(short = 'f', long, env = "DBT_FULL_REFRESH")]
    pub(super) full_refresh: bool,
    /// Build relations without rows
    #[arg(long, env = "DBT_EMPTY")]
    pub(super) empty: bool,
    #[arg(long = "no-empty", hide = true)]
    no_empty: bool,
    /// Read what has an event time for this period only, e.g. `3 days` or `{start: 2024-01-01, end: 2024-02-01}`
    #[arg(long, env = "DBT_SAMPLE")]
    pub(super) sample: Option<String>,
    /// Keep the failing rows of tests
    #[arg(long, env = "DBT_STORE_FAILURES")]
    pub(super) store_failures: bool,
    /// First moment of microbatch models
    #[arg(long)]
    pub(super) event_time_start: Option<String>,
    /// Last moment of microbatch models
    #[arg(long)]
    pub(super) event_time_end: Option<String>,
    #[arg(long, hide = true)]
    show: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Listing {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// How to print what is selected
    #[arg(long, default_value = "selector", value_parser = ["json", "name", "path", "selector"])]
    pub(super) output: String,
    /// Keys to print as JSON
    #[arg(long, num_args = 1.., value_delimiter = ' ')]
    pub(super) output_keys: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct FreshnessArgs {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// File to write, in the place of target/sources.json
    #[arg(short = 'o', long)]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Compiling {
    #[command(flatten)]
    pub(super) running: Running,
    /// SQL with Jinja to compile, in the place of nodes
    #[arg(long)]
    pub(super) inline: Option<String>,
    /// How to print the SQL
    #[arg(long, default_value = "text", value_parser = ["json", "text"])]
    pub(super) output: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Showing {
    #[command(flatten)]
    pub(super) running: Running,
    /// SQL with Jinja to run, in the place of a node
    #[arg(long)]
    pub(super) inline: Option<String>,
    /// SQL without Jinja to run
    #[arg(long)]
    pub(super) inline_direct: Option<String>,
    /// Number of rows; -1 for all
    #[arg(long, default_value_t = 5, allow_hyphen_values = true)]
    pub(super) limit: i64,
    /// How to print the rows
    #[arg(long, default_value = "text", value_parser = ["json", "text"])]
    pub(super) output: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Operation {
    /// The macro, with or without its package
    pub(super) name: String,
    /// Arguments as a YAML mapping
    #[arg(long, value_name = "YAML", default_value = "{}")]
    pub(super) args: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Generating {
    #[command(flatten)]
    pub(super) running: Running,
    /// Leave target/catalog.json without tables
    #[arg(long)]
    pub(super) empty_catalog: bool,
    #[arg(long, hide = true)]
    no_compile: bool,
    #[arg(long, hide = true)]
    r#static: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Debug {
    #[arg(long, hide = true)]
    connection: bool,
    #[arg(long, hide = true)]
    config_dir: bool,
}
