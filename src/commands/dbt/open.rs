//! A dbt project opened for a command: its sources, its target and what is selected.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mxcp_artifact::RelationName;
use mxcp_artifact::dbt::DbtGraph;
use mxcp_artifact::dbt_live::{Batch, RunFacts};
use mxcp_base::render::Format;
use mxcp_base::{Diagnostic, FileSet, Severity, codes};
use mxcp_compiler::CompilerDatabase;
use mxcp_compiler::dbt::profiles::{ProfileContext, render_profile_value};
use mxcp_compiler::diagnostics::reading_diagnostics;
use mxcp_compiler::documents::{DocumentKind, document_kind};
use mxcp_compiler::inputs::{DbtInputs, DbtTarget};
use mxcp_compiler::models::{
    Disabled, Ecosystem, Heading, LiveTemplates, dbt_graph, disabled, ecosystem, heading,
    is_readable, read_ahead,
};
use mxcp_compiler::site::SITE_FILE;
use mxcp_dbt::{Helpers, Indirect, Interrupt, Moment, Options, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cli::{Args, Running, Selection};
use super::profiles::{self, Target};
use super::python::Models;
use crate::commands::config::Need;
use crate::commands::output::{self, Failure};
use crate::commands::session::{self, Session};

const PROJECT_FILE: &str = "dbt_project.yml";
/// What the compiled layer is called in the cache.
const LAYER: &str = "dbt";

/// All that commands read of a project that is not edited while they run.
#[derive(Deserialize)]
struct Layer {
    graph: DbtGraph,
    ecosystem: Ecosystem,
    disabled: Vec<Disabled>,
}

#[derive(Serialize)]
struct LayerRef<'a> {
    graph: &'a DbtGraph,
    ecosystem: &'a Ecosystem,
    disabled: &'a [Disabled],
}

pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) project: String,
    /// The compiled layer as the last run left it, if nothing has changed since.
    kept: OnceLock<Option<Layer>>,
    ahead: OnceLock<()>,
    meanwhile: Mutex<Vec<std::thread::JoinHandle<()>>>,
    ecosystem: OnceLock<Ecosystem>,
    disabled: OnceLock<Vec<Disabled>>,
    pub(super) target: Option<Target>,
    /// Where artifacts go.
    pub(super) target_dir: PathBuf,
    pub(super) started: Moment,
    pub(super) invocation: String,
    pub(super) python: Models,
    templates: OnceLock<LiveTemplates>,
    /// The graph where a flag says that every test keeps its failures.
    storing: OnceLock<DbtGraph>,
}

/// The project around the current directory, or the one asked for.
pub(super) fn find_root(args: &Args) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::new(format!("the current directory cannot be read: {e}")))?;
    if let Some(folder) = &args.project_dir {
        let root = here.join(folder);
        return if root.join(PROJECT_FILE).is_file() {
            Ok(root)
        } else {
            Err(Failure::new(format!(
                "there is no {PROJECT_FILE} in {}",
                folder.display()
            )))
        };
    }
    let found = here
        .ancestors()
        .find(|dir| dir.join(SITE_FILE).is_file() || dir.join(PROJECT_FILE).is_file());
    match found {
        Some(root) => Ok(root.to_path_buf()),
        None => session::find_root(),
    }
}

impl Opened {
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let root = find_root(args)?;
        let has_site = root.join(SITE_FILE).is_file();
        let site_profile = args.profile.as_deref().filter(|_| has_site);
        let mut session = Session::open_at(root.clone(), site_profile)?;
        let Some(found) = heading(&session.db) else {
            return Err(Failure::new(
                "this project has no dbt models, seeds or tests",
            )
            .help("add dbt_project.yml and models/, or remove `dbt: {enabled: false}` from mxcp-site.yml"));
        };
        let vars = yaml_mapping("--vars", args.vars.as_deref().unwrap_or("{}"))?;
        let target = target(args, &root, has_site, &found, &vars)?;
        session.dbt = DbtInputs {
            env: named_variables(&session),
            vars,
            target: target.as_ref().map(|target| DbtTarget {
                name: target.name.clone(),
                schema: target.schema.clone(),
                database: target.database.clone(),
                threads: u32::try_from(target.threads.unwrap_or(1)).unwrap_or(1),
            }),
        };
        session.dbt_database = target.as_ref().map(|target| target.path.clone());
        session.load_catalog();
        let target_dir = match &args.target_path {
            Some(path) => root.join(path),
            None => root.join(&found.target_path),
        };
        let python = Models::new(&session, &target_dir);
        Ok(Self {
            session,
            project: found.project,
            kept: OnceLock::new(),
            ahead: OnceLock::new(),
            meanwhile: Mutex::default(),
            ecosystem: OnceLock::new(),
            disabled: OnceLock::new(),
            target,
            target_dir,
            started: Moment::now(),
            invocation: invocation_id(),
            python,
            templates: OnceLock::new(),
            storing: OnceLock::new(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.session.root
    }

    fn kept(&self) -> Option<&Layer> {
        let kept = self.kept.get_or_init(|| self.session.recall_whole(LAYER));
        kept.as_ref()
    }

    pub(super) fn ecosystem(&self) -> &Ecosystem {
        match self.kept() {
            Some(layer) => &layer.ecosystem,
            None => self.ecosystem.get_or_init(|| ecosystem(&self.session.db)),
        }
    }

    /// The nodes that the project switches off.
    pub(super) fn disabled(&self) -> &[Disabled] {
        match self.kept() {
            Some(layer) => &layer.disabled,
            None => self.disabled.get_or_init(|| disabled(&self.session.db)),
        }
    }

    fn read_ahead(&self) -> &CompilerDatabase {
        self.ahead.get_or_init(|| read_ahead(&self.session.db));
        &self.session.db
    }

    /// Does something beside the command, which does not end before it.
    pub(super) fn meanwhile(&self, work: impl FnOnce() + Send + 'static) {
        let handle = std::thread::spawn(work);
        let mut others = self
            .meanwhile
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        others.push(handle);
    }

    /// Keeps what was found out for the next run. The process is about to end: taking the graph apart
    /// would take longer than what is left of it.
    pub(super) fn leave(self) {
        if let Some(None) = self.kept.get() {
            let layer = LayerRef {
                graph: dbt_graph(&self.session.db),
                ecosystem: self.ecosystem(),
                disabled: self.disabled(),
            };
            self.session.keep_whole(LAYER, &layer);
        }
        let Self {
            session,
            meanwhile,
            python,
            templates,
            storing,
            kept,
            ecosystem,
            ..
        } = self;
        let meanwhile = meanwhile.into_inner();
        for work in meanwhile.unwrap_or_else(PoisonError::into_inner) {
            let _ = work.join();
        }
        drop(python);
        std::mem::forget((templates, storing, kept, ecosystem));
        session.leave();
    }

    pub(super) fn graph(&self) -> &DbtGraph {
        match (self.storing.get(), self.kept()) {
            (Some(storing), _) => storing,
            (None, Some(layer)) => &layer.graph,
            (None, None) => dbt_graph(self.read_ahead()),
        }
    }

    pub(super) fn helpers(&self) -> Helpers<'_> {
        Helpers {
            templates: Some(
                self.templates
                    .get_or_init(|| LiveTemplates::new(&self.session.db)),
            ),
            python: Some(&self.python),
        }
    }

    /// What dbt finds while it reads the project stops every command. What it finds when a node runs
    /// concerns that node alone, and the engine, which knows the live database best, has the last
    /// word on it.
    pub(super) fn refuse_broken(&self, json: bool) -> Result<(), u8> {
        let errors: Vec<_> = self
            .read()
            .into_iter()
            .filter(|d| d.severity == Severity::Error && self.stops_all(d))
            .collect();
        let Some(message) = output::first_message(&errors) else {
            return Ok(());
        };
        if json {
            output::fail(true, &Failure::new(message));
        } else {
            self.print(&errors);
            output::eprint("Error: the dbt project has errors; nothing was run\n");
        }
        Err(crate::commands::USAGE)
    }

    /// What is found without asking the engine.
    fn read(&self) -> Vec<Diagnostic> {
        self.session
            .remembered("what dbt reads", || reading_diagnostics(self.read_ahead()))
    }

    fn stops_all(&self, diagnostic: &Diagnostic) -> bool {
        if diagnostic.code == codes::MX0101 {
            let file = self.session.db.file(&diagnostic.primary.file);
            return file.is_some_and(|file| {
                matches!(
                    document_kind(&self.session.db, file),
                    DocumentKind::DbtProject | DocumentKind::DbtProperties
                )
            });
        }
        diagnostic.code.to_string().starts_with("MX04") && !self.is_of_a_node(diagnostic)
    }

    /// What dbt finds out when the node runs, or does not mind.
    fn is_of_a_node(&self, diagnostic: &Diagnostic) -> bool {
        if of_a_node(diagnostic) {
            return true;
        }
        let of_rendering = [
            codes::MX0401,
            codes::MX0402,
            codes::MX0409,
            codes::MX0412,
            codes::MX0413,
        ];
        of_rendering.contains(&diagnostic.code)
            && self
                .session
                .db
                .file(&diagnostic.primary.file)
                .is_some_and(|file| is_readable(&self.session.db, file))
    }

    /// What is wrong with single nodes, for those in `files`.
    pub(super) fn tell_broken(&self, files: &BTreeSet<&str>) {
        if files.is_empty() {
            return;
        }
        let errors: Vec<_> = self
            .session
            .diagnostics()
            .into_iter()
            .filter(|d| d.severity == Severity::Error && self.is_of_a_node(d))
            .filter(|d| files.contains(d.primary.file.as_str()))
            .collect();
        if !errors.is_empty() {
            self.print(&errors);
        }
    }

    /// What dbt builds and this does not: models left out silently would look built.
    pub(super) fn tell_passed_over(&self) {
        let passed_over: Vec<_> = self
            .read()
            .into_iter()
            .filter(|d| {
                d.severity == Severity::Info
                    && [
                        codes::MX0401,
                        codes::MX0409,
                        codes::MX0412,
                        codes::MX0413,
                        codes::MX0420,
                    ]
                    .contains(&d.code)
            })
            .collect();
        if !passed_over.is_empty() {
            self.print(&passed_over);
        }
    }

    fn print(&self, diagnostics: &[mxcp_base::Diagnostic]) {
        use std::io::IsTerminal as _;
        output::eprint(&output::render_diagnostics(
            diagnostics,
            &self.session.sources(),
            Format::Graphical,
            std::io::stderr().is_terminal(),
        ));
    }

    /// The options of a command that has no more flags than the selection.
    pub(super) fn options(
        &self,
        args: &Args,
        which: &str,
        selection: &Selection,
    ) -> Result<Options, Failure> {
        Ok(Options {
            selection: self.selection(selection)?,
            ..self.bare(args, which)?
        })
    }

    /// The options of a command that selects nothing.
    pub(super) fn bare(&self, args: &Args, which: &str) -> Result<Options, Failure> {
        Ok(Options {
            root: self.session.root.clone(),
            database: self.session.database(),
            setup: self.setup(),
            fail_fast: args.fail_fast,
            warn_error: args.warn_error,
            threads: args
                .threads
                .or(self.target.as_ref().and_then(|target| target.threads))
                .unwrap_or(2)
                .max(1),
            facts: RunFacts {
                which: which.to_owned(),
                invocation_id: self.invocation.clone(),
                started_at: self.started.stamp(),
                ..RunFacts::default()
            },
            interrupt: Arc::new(Interrupt::default()),
            ..Options::default()
        })
    }

    pub(super) fn running(
        &self,
        args: &Args,
        which: &str,
        running: &Running,
    ) -> Result<Options, Failure> {
        if running.store_failures {
            self.storing
                .get_or_init(|| super::graph_json::storing(self));
        }
        let mut options = self.options(args, which, &running.selection)?;
        let moment = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Moment::parse(text).map(Some).ok_or_else(|| {
                Failure::new(format!(
                    "`{flag}` is no date or time: `{text}`; write e.g. `2024-01-31`"
                ))
            }),
        };
        options.event_time_start = moment("--event-time-start", &running.event_time_start)?;
        options.event_time_end = moment("--event-time-end", &running.event_time_end)?;
        options.facts.full_refresh = running.full_refresh;
        options.empty = running.empty;
        options.facts.empty = running.empty;
        if let Some(text) = &running.sample {
            options.facts.sample = Some(sample(text, self.started)?);
        }
        if running.selection.defer {
            options.facts.deferred = self.deferred(&running.selection, &options)?;
            options.facts.favor_state = running.selection.favor_state;
        }
        options.store_failures = running.store_failures;
        options.facts.store_failures = running.store_failures;
        Ok(options)
    }

    /// Where the earlier run that `--defer` means has its relations.
    fn deferred(
        &self,
        selection: &Selection,
        options: &Options,
    ) -> Result<BTreeMap<String, RelationName>, Failure> {
        let read = match &selection.defer_state {
            Some(folder) => {
                State::read(&self.session.root.join(folder))
                    .map_err(|error| Failure::new(error.to_string()))?
                    .manifest
            }
            None => options.selection.state.manifest.clone(),
        };
        let Some(manifest) = read else {
            return Err(
                Failure::new("`--defer` needs the `manifest.json` of another run")
                    .help("name its folder with `--state`"),
            );
        };
        let own = super::graph_json::database(self);
        let nodes = manifest["nodes"].as_object();
        let relations = nodes.into_iter().flatten().filter_map(|(id, node)| {
            let text = |key: &str| node[key].as_str().map(str::to_owned);
            let kind = node["resource_type"].as_str()?;
            if !matches!(kind, "model" | "seed" | "snapshot") || node["relation_name"].is_null() {
                return None;
            }
            let relation = RelationName {
                catalog: text("database").filter(|name| *name != own),
                schema: text("schema")?,
                name: text("alias")?,
            };
            Some((id.clone(), relation))
        });
        Ok(relations.collect())
    }

    fn selection(&self, selection: &Selection) -> Result<mxcp_dbt::Selection, Failure> {
        let state = match &selection.state {
            None => State::default(),
            Some(folder) => {
                let mut state = State::read(&self.session.root.join(folder))
                    .map_err(|error| Failure::new(error.to_string()))?;
                state.current_manifest = Some(super::graph_json::manifest(self));
                state.current_sources = State::read(&self.target_dir)
                    .map_err(|error| Failure::new(error.to_string()))?
                    .sources;
                state
            }
        };
        let words = if selection.models.is_empty() {
            &selection.select
        } else {
            &selection.models
        };
        Ok(mxcp_dbt::Selection {
            select: words.clone(),
            exclude: selection.exclude.clone(),
            selector: selection.selector.clone(),
            resource_types: selection.resource_type.clone(),
            exclude_resource_types: selection.exclude_resource_type.clone(),
            indirect: Indirect::from_name(&selection.indirect_selection).unwrap_or_default(),
            state,
        })
    }

    /// Statements for the newly opened database: of the target, or of the profile of the project.
    fn setup(&self) -> Vec<String> {
        if let Some(target) = &self.target {
            return target.setup.clone();
        }
        let Some(site) = mxcp_compiler::documents::site(&self.session.db) else {
            return Vec::new();
        };
        let mut statements: Vec<String> = site
            .extensions
            .iter()
            .filter(|extension| !["json", "parquet", "icu"].contains(&extension.name.as_str()))
            .map(|extension| format!("load {}", extension.name))
            .collect();
        let secrets = self
            .session
            .config
            .resolve(&site.project, &self.session.profile, Need::WhatIsUsed)
            .map(|config| config.secrets)
            .unwrap_or_default();
        for secret in secrets {
            // Others are of Python code and plugins.
            if ["s3", "gcs", "r2", "azure", "http", "postgres", "mysql"]
                .contains(&secret.kind.to_lowercase().as_str())
            {
                statements.push(profiles::create_secret(
                    &secret.name,
                    &secret.kind,
                    &secret.parameters,
                ));
            }
        }
        statements
    }
}

/// The variables of the environment that YAML files name. Secrets are for profiles alone.
fn named_variables(session: &Session) -> BTreeMap<String, String> {
    let files = FileSet::get(&session.db).files(&session.db);
    let texts = files
        .iter()
        .filter(|(path, _)| path.ends_with(".yml") || path.ends_with(".yaml"))
        .map(|(_, file)| file.text(&session.db));
    let names = texts.flat_map(|text| {
        text.split("env_var(").skip(1).filter_map(|call| {
            let call = call.trim_start();
            let quote = call.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            call.get(1..)?.split(quote).next()
        })
    });
    names
        .filter(|name| !name.starts_with("DBT_ENV_SECRET"))
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// The period of `--sample`.
fn sample(text: &str, now: Moment) -> Result<Batch, Failure> {
    let wrong = || {
        Failure::new(format!("`--sample` is no period: `{text}`"))
            .help("write e.g. `3 days`, or `{start: 2024-01-01, end: 2024-02-01}`")
    };
    let window = if text.trim_start().starts_with('{') {
        let map = yaml_mapping("--sample", text)?;
        let moment = |key: &str| {
            let text = map.get(key).and_then(Value::as_str);
            text.and_then(Moment::parse).ok_or_else(wrong)
        };
        (moment("start")?, moment("end")?)
    } else {
        let mut words = text.split_whitespace();
        let (Some(count), Some(unit), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let count: i64 = count.parse().map_err(|_| wrong())?;
        let start = now.before(count, unit.to_lowercase().trim_end_matches('s'));
        (start.ok_or_else(wrong)?, now)
    };
    Ok(Batch {
        start: window.0.rfc3339(),
        end: window.1.rfc3339(),
    })
}

/// What dbt finds out when the node runs: the database refuses it, or its contract does.
fn of_a_node(diagnostic: &Diagnostic) -> bool {
    let code = diagnostic.code;
    [
        codes::MX0404,
        codes::MX0405,
        codes::MX0407,
        codes::MX0417,
        codes::MX0418,
        codes::MX0419,
        codes::MX0420,
        codes::MX0421,
        codes::MX0422,
        codes::MX0424,
    ]
    .contains(&code)
}

fn target(
    args: &Args,
    root: &Path,
    has_site: bool,
    heading: &Heading,
    vars: &Map<String, Value>,
) -> Result<Option<Target>, Failure> {
    let context = ProfileContext {
        environment: Arc::new(|name| std::env::var(name).ok()),
        vars: vars.clone(),
    };
    let folder = args
        .profiles_dir
        .as_ref()
        .map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
    let asked = args.profile.as_deref().filter(|_| !has_site);
    let profile = match asked.or(heading.profile.as_deref()) {
        Some(written) => {
            let rendered = render_profile_value(&Value::from(written), &context)
                .map_err(|what| Failure::new(format!("{PROJECT_FILE}: `profile`: {what}")))?;
            match rendered {
                Value::String(name) => name,
                other => other.to_string(),
            }
        }
        None => heading.project.clone(),
    };
    let find = |folder: Option<&Path>| {
        profiles::find(root, folder, &profile, args.target.as_deref(), &context)
    };
    let found = find(folder.as_deref());
    match found {
        // The project has a database of its own; a stray file beside it decides nothing.
        Err(_) if has_site && folder.is_none() && args.target.is_none() => Ok(None),
        Ok(None) if !has_site => {
            let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".dbt"));
            match home.filter(|home| home.join("profiles.yml").is_file()) {
                Some(home) => find(Some(&home)),
                None => Err(
                    Failure::new("there is no profiles.yml and no mxcp-site.yml").help(
                        "write one into the project, or name its folder with `--profiles-dir`",
                    ),
                ),
            }
        }
        found => found,
    }
}

pub(super) fn yaml_mapping(flag: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    let wrong = |why: String| {
        Failure::new(format!("`{flag}` must be a YAML mapping: {why}"))
            .help(format!("write e.g. {flag} '{{day: 2024-01-31}}'"))
    };
    match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => Err(wrong(format!("it is `{other}`"))),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// A random UUID.
fn invocation_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the time still tells runs apart.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        bytes = now.as_nanos().to_be_bytes();
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
