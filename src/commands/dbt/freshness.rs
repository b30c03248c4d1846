//! `source freshness`.

use std::path::Path;

use mxcp_dbt::{FreshnessStatus, freshness};
use serde_json::json;

use super::artifacts::Writer;
use super::cli::{Args, FreshnessArgs};
use super::open::Opened;
use super::progress::{Log, Progress};
use super::{run_error, usage};
use crate::commands::CLEAN;
use crate::commands::output;

pub(super) fn run(args: &Args, opened: &Opened, flags: &FreshnessArgs) -> u8 {
    if let Err(code) = opened.refuse_broken(args.json_output) {
        return code;
    }
    let options = match opened.options(args, "freshness", &flags.selection) {
        Ok(options) => options,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    let mut observer = Progress::new(log.clone());
    let summary = freshness(opened.graph(), &options, opened.helpers(), &mut observer);
    observer.bar.finish_and_clear();
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => return run_error(args, &error),
    };
    for warning in &summary.warnings {
        log.line(warning);
    }
    let writer = Writer::new(args, opened);
    writer.manifest();
    let name = flags.output.as_ref().map_or_else(
        || Path::new("sources.json").to_path_buf(),
        |path| opened.root().join(path),
    );
    writer.sources(&name, summary.json(), summary.seconds);
    if args.json_output {
        output::print_ok(&json!({ "results": summary.json(), "elapsed_time": summary.seconds }));
        return summary.exit_code();
    }
    if summary.results.is_empty() {
        log.line("Nothing to do. No selected source has both `loaded_at_field` and `freshness`");
        return CLEAN;
    }
    for result in &summary.results {
        if result.status == FreshnessStatus::RuntimeError
            && let Some(message) = &result.message
        {
            log.error("");
            log.error(&format!(
                "  Runtime Error in source {} ({})\n  {}",
                result.name,
                result.path,
                message.replace('\n', "\n  ")
            ));
        }
    }
    log.line("Done.");
    summary.exit_code()
}
