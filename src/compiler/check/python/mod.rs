//! Python endpoints: the function is looked up in the parsed file; nothing is imported.

mod annotations;
mod database;
mod module;
mod names;
mod returns;
mod secrets;

pub(super) use module::check_file;
use module::check_module;

use mxcp_artifact::EndpointKind;
use mxcp_base::{Severity, SourceFile, codes, paths, suggest};
use mxcp_syntax::python::{Function, Module, ParamKind};

use crate::Db;
use crate::documents::{parse_yaml, python_module, site_paths};
use crate::finding::{Anchor, Finding, TextOrigin};
use crate::lower::endpoint::EndpointDef;
use crate::sql::endpoint_source;

/// Which function serves an endpoint: a tool's has its name; a resource's is `main`, the file's
/// stem, or the first public function.
pub(crate) fn entry_function(def: &EndpointDef, path: &str, module: &Module) -> Option<String> {
    if def.kind == EndpointKind::Tool {
        return def.name.clone();
    }
    let defined = |name: &str| module.functions.iter().any(|f| f.name == name);
    if defined("main") {
        return Some("main".into());
    }
    let stem = paths::stem(path);
    if defined(stem) {
        return Some(stem.to_owned());
    }
    module
        .functions
        .iter()
        .find(|f| !f.name.starts_with('_'))
        .map(|f| f.name.clone())
}

pub(super) fn check_python(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) {
    if def.file.is_none() {
        if def.code.is_some() {
            findings.push(
                Finding::new(
                    codes::MX0503,
                    "Python endpoints need a source file",
                    Anchor::key(file, def.pointer("source/code")),
                )
                .help("move the code to a file and name it with `source.file`"),
            );
        }
        return;
    }
    let Some(Ok((_, TextOrigin::File(source)))) = endpoint_source(db, file) else {
        return;
    };
    check_language(db, file, def, source.path(db), findings);
    // A file of the Python folder is checked by itself.
    if !paths::is_below(source.path(db), &site_paths(db).python) {
        check_module(db, *source, findings);
    }
    let module = python_module(db, *source);
    if !module.errors.is_empty() {
        for error in &module.errors {
            findings.push(Finding::new(
                codes::MX0502,
                error.message.clone(),
                Anchor::text(*source, error.range),
            ));
        }
        return;
    }
    let Some(name) = entry_function(def, source.path(db), module) else {
        if def.kind == EndpointKind::Resource {
            findings.push(
                Finding::new(
                    codes::MX0501,
                    format!("`{}` defines no function", source.path(db)),
                    Anchor::value(file, def.pointer("source/file")),
                )
                .help("define `main`"),
            );
        }
        return;
    };
    match module.function(&name) {
        Some(function) if keeps_signature(function) => {
            check_signature(file, *source, def, function, findings);
            check_annotations(file, *source, def, module, function, findings);
            returns::check(file, *source, def, module, function, findings);
        }
        // A decorator may take other arguments than the function it wraps.
        Some(_) => {}
        // An imported or assigned name may be a function; a star import may bring it.
        None if module.may_define(&name) => {}
        None => findings.push(
            Finding::new(
                codes::MX0501,
                format!("`{}` has no function `{name}`", source.path(db)),
                Anchor::value(file, def.pointer("source/file")),
            )
            .help(not_found(module, &name)),
        ),
    }
}

fn not_found(module: &Module, name: &str) -> String {
    let class = module
        .classes
        .iter()
        .find(|c| c.methods.iter().any(|m| m.name == name));
    if let Some(class) = class {
        return format!("it is a method of `{}`; define it at top level", class.name);
    }
    suggest::did_you_mean(name, module.functions.iter().map(|f| f.name.as_str()))
        .unwrap_or_else(|| format!("define `def {name}(…)` in it"))
}

/// The file of one language under `language` of the other: what its parser says of it helps nobody.
pub(super) fn check_other_language(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    findings: &mut Vec<Finding>,
) -> bool {
    let said = parse_yaml(db, file)
        .lookup(&def.pointer("language"))
        .and_then(|node| node.as_str().map(str::to_owned));
    let source = def.file.as_deref().unwrap_or_default();
    let right = match (said.as_deref(), paths::extension(source)) {
        (Some("sql"), "py") => "python",
        (Some("python"), "sql") => "sql",
        _ => return false,
    };
    let anchor = Anchor::value(file, def.pointer("language"));
    let mut finding = Finding::new(
        codes::MX0505,
        format!("`{source}` is not a file of this language"),
        anchor.clone(),
    )
    .help(format!("write `language: {right}`, or name another file"))
    .fix(format!("say {right}"), anchor, right.to_owned());
    finding.severity = Some(Severity::Error);
    findings.push(finding);
    true
}

/// A `.py` file runs as Python, but people and other servers go by `language`.
fn check_language(
    db: &dyn Db,
    file: SourceFile,
    def: &EndpointDef,
    path: &str,
    findings: &mut Vec<Finding>,
) {
    let tree = parse_yaml(db, file);
    if paths::extension(path) != "py" {
        return;
    }
    if tree.lookup(&def.pointer("language")).is_some() {
        return;
    }
    let mut finding = Finding::new(
        codes::MX0505,
        "`language: python` is missing",
        Anchor::value(file, def.pointer("source/file")),
    )
    .help(format!("write `language: python` in the {}", def.kind));
    let key = tree.key_range(&def.pointer("source"));
    let line = key.and_then(|key| {
        let before = tree.text().get(..usize::from(key.start()))?;
        before.rsplit('\n').next()
    });
    // Only where the key stands alone after blanks is it known how to indent another one.
    if let Some(indent) = line.filter(|line| line.chars().all(|c| c == ' ')) {
        finding = finding.fix(
            "say the language",
            Anchor::key(file, def.pointer("source")),
            format!("language: python\n{indent}source"),
        );
    }
    findings.push(finding);
}

fn check_annotations(
    file: SourceFile,
    source: SourceFile,
    def: &EndpointDef,
    module: &Module,
    function: &Function,
    findings: &mut Vec<Finding>,
) {
    for param in &function.params {
        let declared = def.parameters.iter().find(|p| p.name == param.name);
        let (Some(text), Some(declared)) = (&param.annotation, declared) else {
            continue;
        };
        let Some(ty) = &declared.ty else {
            continue;
        };
        // `*args: str` says what each of them is.
        if matches!(param.kind, ParamKind::VarArgs | ParamKind::VarKeywords) {
            continue;
        }
        let annotation = annotations::read(text, module);
        if let Some(problem) = annotations::argument_problem(&annotation, ty) {
            findings.push(
                Finding::new(
                    codes::MX0506,
                    format!("the annotation of `{}` {problem}", param.name),
                    Anchor::text(source, param.whole),
                )
                .label(
                    Anchor::value(
                        file,
                        def.pointer(&format!("parameters/{}/type", declared.index)),
                    ),
                    "declared here",
                )
                .help("correct the annotation, or the declared type"),
            );
        }
    }
}

/// Whether a call reaches the function as it is written.
fn keeps_signature(function: &Function) -> bool {
    function.decorators.iter().all(|decorator| {
        let name = decorator.split('(').next().unwrap_or(decorator).trim();
        matches!(
            name.rsplit('.').next().unwrap_or(name),
            "on_init" | "on_shutdown" | "lru_cache" | "cache" | "wraps" | "udf" | "override"
        )
    })
}

fn check_signature(
    file: SourceFile,
    source: SourceFile,
    def: &EndpointDef,
    function: &Function,
    findings: &mut Vec<Finding>,
) {
    let takes_any = function
        .params
        .iter()
        .any(|p| p.kind == ParamKind::VarKeywords);
    for parameter in &def.parameters {
        let accepted = takes_any
            || function.params.iter().any(|p| {
                p.name == parameter.name
                    && matches!(p.kind, ParamKind::Positional | ParamKind::KeywordOnly)
            });
        if !accepted {
            let names = function.params.iter().map(|p| p.name.as_str());
            findings.push(
                Finding::new(
                    codes::MX0504,
                    format!(
                        "function `{}` takes no argument `{}`",
                        function.name, parameter.name
                    ),
                    Anchor::value(
                        file,
                        def.pointer(&format!("parameters/{}/name", parameter.index)),
                    ),
                )
                .label(Anchor::text(source, function.name_range), "defined here")
                .help_if(suggest::did_you_mean(&parameter.name, names)),
            );
        }
    }
    for param in &function.params {
        let needed = !param.has_default
            && matches!(
                param.kind,
                ParamKind::Positional | ParamKind::KeywordOnly | ParamKind::PositionalOnly
            );
        if needed && !def.parameters.iter().any(|p| p.name == param.name) {
            let mut finding = Finding::new(
                codes::MX0504,
                format!(
                    "function `{}` needs `{}`, which is not a declared parameter",
                    function.name, param.name
                ),
                Anchor::text(source, param.range),
            )
            .help(format!(
                "declare `{}` under `parameters:`, or give it a default",
                param.name
            ));
            // Existing projects leave parameters out where only other code calls the function.
            if def.parameters.is_empty() {
                finding.severity = Some(Severity::Warning);
            }
            findings.push(finding);
        }
    }
}
