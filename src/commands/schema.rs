//! `mxcp schema`: the JSON Schemas of the files that people write and of the output that programs read.

use std::path::{Path, PathBuf};

use mxcp_base::system::write_atomically;
use mxcp_compiler::check::documents::Schema;
use serde_json::Value;

use super::output::{self, Failure};
use super::{CLEAN, FAILED};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which kind; the list of them is printed without it
    #[arg(value_enum, conflicts_with = "all")]
    kind: Option<Kind>,
    /// Write all of them into a folder, as KIND.schema.json
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Site,
    UserConfig,
    Endpoint,
    Tool,
    Resource,
    Prompt,
    Evals,
    DbtProject,
    DbtProperties,
    Diagnostics,
    Watch,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Site,
        Self::UserConfig,
        Self::Endpoint,
        Self::Tool,
        Self::Resource,
        Self::Prompt,
        Self::Evals,
        Self::DbtProject,
        Self::DbtProperties,
        Self::Diagnostics,
        Self::Watch,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::UserConfig => "user-config",
            Self::Endpoint => "endpoint",
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
            Self::Evals => "evals",
            Self::DbtProject => "dbt-project",
            Self::DbtProperties => "dbt-properties",
            Self::Diagnostics => "diagnostics",
            Self::Watch => "watch",
        }
    }

    fn files(self) -> &'static str {
        match self {
            Self::Site => "mxcp-site.yml",
            Self::UserConfig => "~/.mxcp/config.yml, or the file that MXCP_CONFIG names",
            Self::Endpoint => "a tool, a resource or a prompt",
            Self::Tool => "tools/**/*.yml",
            Self::Resource => "resources/**/*.yml",
            Self::Prompt => "prompts/**/*.yml",
            Self::Evals => "evals/**/*.yml",
            Self::DbtProject => "dbt_project.yml",
            Self::DbtProperties => "models/**/*.yml, and those of seeds, snapshots and macros",
            Self::Diagnostics => "the output of `--format json`",
            Self::Watch => "a line of `--watch --json`",
        }
    }

    fn text(self) -> String {
        let schema = match self {
            Self::Site => Schema::Site,
            Self::UserConfig => Schema::UserConfig,
            Self::Endpoint => Schema::Endpoint,
            Self::Tool | Self::Resource | Self::Prompt => return self.of_endpoint(),
            Self::Evals => Schema::Evals,
            Self::DbtProject => Schema::DbtProject,
            Self::DbtProperties => Schema::DbtProperties,
            Self::Diagnostics => {
                return include_str!("../../grammar/schema/diagnostics.schema.json").to_owned();
            }
            Self::Watch => {
                return include_str!("../../grammar/schema/watch.schema.json").to_owned();
            }
        };
        schema.text().to_owned()
    }

    /// The schema of endpoints where only one kind of them is allowed.
    fn of_endpoint(self) -> String {
        let mut schema: Value = serde_json::from_str(Schema::Endpoint.text()).unwrap_or_default();
        let name = self.name();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|key, _| {
                key == name || !["tool", "resource", "prompt"].contains(&key.as_str())
            });
            if let Some(kind) = properties.get(name).cloned() {
                schema["description"] = kind["description"].clone();
            }
        }
        schema["$id"] = format!("{name}.schema.json").into();
        schema["title"] = format!("MXCP {name}").into();
        schema["required"] = vec![name].into();
        if let Some(schema) = schema.as_object_mut() {
            // What they say is said by `required` now.
            schema.shift_remove("if");
            schema.shift_remove("then");
            schema["properties"][name]["type"] = "object".into();
        }
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        text
    }
}

pub(crate) fn run(args: &Args) -> u8 {
    match (args.kind, &args.all) {
        (Some(kind), _) => output::print(&kind.text()),
        (None, Some(dir)) => {
            if let Err(failure) = write_all(dir) {
                output::fail(false, &failure);
                return FAILED;
            }
        }
        (None, None) => {
            for kind in Kind::ALL {
                output::print(&format!("{:15} {}\n", kind.name(), kind.files()));
            }
        }
    }
    CLEAN
}

fn write_all(dir: &Path) -> Result<(), Failure> {
    for kind in Kind::ALL {
        let path = dir.join(format!("{}.schema.json", kind.name()));
        write_atomically(&path, kind.text().as_bytes())
            .map_err(|e| Failure::new(format!("{} cannot be written: {e}", path.display())))?;
        output::print(&format!("{}\n", path.display()));
    }
    Ok(())
}
