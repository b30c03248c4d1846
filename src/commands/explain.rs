//! `mxcp explain CODE`: prints the code's page.

use mxcp_base::{Code, codes, suggest};

use super::CLEAN;
use super::output::{self, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A diagnostic code such as MX0203; all codes are listed without it
    code: Option<String>,
}

pub(crate) fn run(args: &Args) -> u8 {
    let Some(text) = &args.code else {
        let mut out = String::new();
        for info in codes::REGISTRY {
            out.push_str(&format!(
                "{}  {:7}  {}\n",
                info.code,
                info.severity.as_str(),
                info.name
            ));
        }
        output::print(&out);
        return CLEAN;
    };
    match Code::parse(text) {
        Some(code) => {
            output::print(code.info().page);
            CLEAN
        }
        None => {
            let names: Vec<String> = codes::REGISTRY.iter().map(|i| i.code.to_string()).collect();
            let near =
                suggest::did_you_mean(&text.to_ascii_uppercase(), names.iter().map(String::as_str));
            output::fail(
                false,
                &Failure::new(format!("there is no diagnostic code `{text}`"))
                    .help(near.unwrap_or_else(|| "`mxcp explain` lists all codes".into())),
            )
        }
    }
}
