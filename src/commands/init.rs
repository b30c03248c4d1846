//! `mxcp init`: creates a project.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use mxcp_base::system::write_atomically;
use mxcp_compiler::site::SITE_FILE;
use serde_json::json;

use super::CLEAN;
use super::output::{self, Failure};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to create the project
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Project name; the folder's name without it
    #[arg(long)]
    project: Option<String>,
    /// Name of the default profile
    #[arg(long, env = "MXCP_PROFILE", default_value = "default")]
    profile: String,
    /// Add a first tool, with a test
    #[arg(long)]
    bootstrap: bool,
    /// Accepted for compatibility
    #[arg(long)]
    debug: bool,
}

#[derive(serde::Serialize)]
struct SiteFile<'a> {
    mxcp: u32,
    project: &'a str,
    profile: &'a str,
}

const DIRECTORIES: [&str; 10] = [
    "tools",
    "resources",
    "prompts",
    "evals",
    "python",
    "plugins",
    "sql",
    "drift",
    "audit",
    "data",
];

const HELLO_SQL: &str = "SELECT 'Hello, ' || $name || '!' AS greeting\n";

const HELLO_TOOL: &str = "\
mxcp: 1
tool:
  name: hello_world
  description: Greets a person by name
  tags: [example]
  annotations:
    readOnlyHint: true
  parameters:
    - name: name
      type: string
      description: The name to greet
      examples: [World, Ada, Grace]
  return:
    type: string
    description: The greeting
  source:
    file: ../sql/hello-world.sql
  tests:
    - name: greets
      description: The greeting holds the name
      arguments:
        - key: name
          value: World
      result: Hello, World!
";

/// What the commands write and nobody wants in the history.
const IGNORED: &str = "\
/target/
/.mxcp/
/data/*.duckdb*
/audit/
__pycache__/
";

pub(crate) fn run(args: &Args) -> u8 {
    match init(args) {
        Ok(text) => {
            output::print(&text);
            CLEAN
        }
        Err(failure) => output::fail(false, &failure),
    }
}

fn init(args: &Args) -> Result<String, Failure> {
    let folder = std::path::absolute(&args.folder)
        .map_err(|e| Failure::new(format!("{}: {e}", args.folder.display())))?;
    // Normalised, so that `.` and `a/..` have a name.
    let folder: PathBuf = folder.components().collect();
    for dir in folder.ancestors() {
        if dir.join(SITE_FILE).exists() {
            return Err(
                Failure::new("Cannot create a MXCP repository inside another one")
                    .help(format!("{} is a project already", dir.display())),
            );
        }
    }
    let project = match &args.project {
        Some(name) => name.clone(),
        None => folder
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or("project")
            .to_owned(),
    };
    let io = |path: &Path, e: std::io::Error| {
        Failure::new(format!("{} cannot be created: {e}", path.display()))
    };
    for name in DIRECTORIES {
        let dir = folder.join(name);
        std::fs::create_dir_all(&dir).map_err(|e| io(&dir, e))?;
    }
    let mut files = Vec::new();
    if args.bootstrap {
        files.push(("sql/hello-world.sql", HELLO_SQL.to_owned()));
        files.push(("tools/hello-world.yml", HELLO_TOOL.to_owned()));
    }
    let site = serde_yaml::to_string(&SiteFile {
        mxcp: 1,
        project: &project,
        profile: &args.profile,
    })
    .map_err(|e| Failure::new(format!("{SITE_FILE} cannot be written: {e}")))?;
    files.push((".gitignore", IGNORED.to_owned()));
    // Last: a folder with a site file is a project.
    files.push((SITE_FILE, site));
    let mut out = format!(
        "✓ Created the project `{project}` in {}\n",
        folder.display()
    );
    for (name, text) in files {
        let path = folder.join(name);
        if path.exists() {
            out.push_str(&format!("  kept      {name}\n"));
            continue;
        }
        write_atomically(&path, text.as_bytes()).map_err(|e| io(&path, e))?;
        out.push_str(&format!("  created   {name}\n"));
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        out.push_str(&offer_client_config(&folder, &project)?);
    }
    out.push_str(&next_steps(args));
    Ok(out)
}

fn offer_client_config(folder: &Path, project: &str) -> Result<String, Failure> {
    output::print("Would you like to generate a Claude Desktop configuration file? [y/N]: ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if !answer.trim().to_ascii_lowercase().starts_with('y') {
        return Ok(String::new());
    }
    let config = json!({
        "mcpServers": {
            project: {
                "command": "mxcp",
                "args": ["serve", "--transport", "stdio"],
                "cwd": folder,
            }
        }
    });
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    let path = folder.join("server_config.json");
    write_atomically(&path, format!("{text}\n").as_bytes())
        .map_err(|e| Failure::new(format!("{} cannot be created: {e}", path.display())))?;
    Ok("  created   server_config.json\n".into())
}

fn next_steps(args: &Args) -> String {
    let mut out = String::from("\nNext steps:\n");
    if args.folder != Path::new(".") {
        out.push_str(&format!("  cd {}\n", args.folder.display()));
    }
    if args.bootstrap {
        out.push_str("  mxcp test\n  mxcp run tool hello_world -p name=World\n");
    } else {
        out.push_str("  add a tool under tools/, then run `mxcp validate`\n");
    }
    out.push_str("  mxcp serve --transport stdio\n");
    out
}
