//! One Python file by itself: what it imports, its hooks, how it awaits and calls.

use std::collections::BTreeSet;

use mxcp_base::{Severity, SourceFile, codes, paths, suggest};
use mxcp_syntax::python::{Call, Fate, Function, Import, Module, ParamKind};

use super::{database, names, secrets};
use crate::Db;
use crate::documents::{endpoint_def, endpoint_files, find_file, python_module, site_paths};
use crate::finding::{Anchor, Finding};
use crate::lower::endpoint::Language;

/// Everything to say about a file that is imported when the server runs, its grammar left out.
pub(crate) fn check_module(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let module = python_module(db, file);
    if !module.errors.is_empty() {
        return;
    }
    check_imports(db, file, module, findings);
    check_attributes(file, module, findings);
    check_hooks(file, module, findings);
    check_async(file, module, findings);
    check_calls(file, module, findings);
    check_undefined(file, module, findings);
    secrets::check(db, file, module, findings);
    database::check(db, file, module, findings);
}

fn check_imports(db: &dyn Db, file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    let mut unknown_modules = BTreeSet::new();
    for import in module.facts.imports.iter().filter(|i| !i.guarded) {
        if import.module == "mxcp" || import.module.starts_with("mxcp.") {
            check_own_import(file, import, &mut unknown_modules, findings);
        } else if let Some(name) = import.name.as_deref().filter(|n| *n != "*") {
            check_local_import(db, file, import, name, findings);
        }
    }
}

fn check_own_import(
    file: SourceFile,
    import: &Import,
    unknown: &mut BTreeSet<u32>,
    findings: &mut Vec<Finding>,
) {
    if !names::MODULES.contains(&import.module.as_str()) {
        // Parts of the server that this one does not have in Python.
        let foreign =
            import.module.starts_with("mxcp.sdk.") || import.module.starts_with("mxcp.server");
        if !unknown.insert(import.module_range.start().into()) {
            return;
        }
        let mut finding = Finding::new(
            codes::MX0507,
            format!("there is no module `{}`", import.module),
            Anchor::text(file, import.module_range),
        )
        .help(
            suggest::did_you_mean(&import.module, names::MODULES).unwrap_or_else(|| {
                "endpoints import `mxcp.runtime`, plugins `mxcp.plugins`".into()
            }),
        );
        if foreign {
            finding.severity = Some(Severity::Warning);
        }
        findings.push(finding);
        return;
    }
    let Some(name) = import.name.as_deref().filter(|n| *n != "*") else {
        return;
    };
    let Some(known) = names::of_module(&import.module) else {
        return;
    };
    if known.contains(&name) {
        return;
    }
    let anchor = Anchor::text(file, import.range);
    let finding = Finding::new(
        codes::MX0507,
        format!("`{}` has no `{name}`", import.module),
        anchor.clone(),
    );
    findings.push(match suggest::nearest(name, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => {
            let listed: Vec<String> = known.iter().map(|n| format!("`{n}`")).collect();
            finding.help(format!("it has {}", listed.join(", ")))
        }
    });
}

/// `from helpers import x` where the project has `python/helpers.py`.
fn check_local_import(
    db: &dyn Db,
    file: SourceFile,
    import: &Import,
    name: &str,
    findings: &mut Vec<Finding>,
) {
    let dots = import.module.chars().take_while(|c| *c == '.').count();
    let dotted = import.module.trim_start_matches('.').replace('.', "/");
    if dotted.is_empty() {
        return;
    }
    let find = |base: &str| {
        let stem = if base.is_empty() {
            dotted.clone()
        } else {
            format!("{base}/{dotted}")
        };
        let found = find_file(db, &format!("{stem}.py"))?;
        // A folder of that name may be the package that is meant.
        let folder = find_file(db, &format!("{stem}/__init__.py")).is_some()
            || find_file(db, &format!("{stem}/{name}.py")).is_some();
        (!folder).then_some(found)
    };
    let found = if dots > 0 {
        let mut base = parent(file.path(db)).to_owned();
        for _ in 1..dots {
            base = parent(&base).to_owned();
        }
        find(&base)
    } else {
        find(&site_paths(db).python)
    };
    let Some(found) = found.filter(|found| *found != file) else {
        return;
    };
    let module = python_module(db, found);
    if !module.errors.is_empty() || module.may_define(name) {
        return;
    }
    findings.push(
        Finding::new(
            codes::MX0516,
            format!("`{}` does not define `{name}`", found.path(db)),
            Anchor::text(file, import.range),
        )
        .help(
            suggest::did_you_mean(name, module.names.iter().map(String::as_str))
                .unwrap_or_else(|| format!("define it there, or import it from where `{name}` is")),
        ),
    );
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn check_attributes(file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    for used in module.facts.attributes.iter().filter(|u| !u.guarded) {
        let Some((owner, attribute)) = used.name.rsplit_once('.') else {
            continue;
        };
        let Some(known) = names::of_object(owner) else {
            continue;
        };
        if known.contains(&attribute) || attribute.starts_with('_') {
            continue;
        }
        let anchor = Anchor::text(file, used.range);
        let short = owner.rsplit('.').next().unwrap_or(owner);
        let finding = Finding::new(
            codes::MX0507,
            format!("`{short}` has no `{attribute}`"),
            anchor.clone(),
        );
        findings.push(match suggest::nearest(attribute, known.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")).fix(
                format!("change to `{near}`"),
                anchor,
                near,
            ),
            None => {
                let listed: Vec<String> = known.iter().map(|n| format!("`{n}`")).collect();
                finding.help(format!("it has {}", listed.join(", ")))
            }
        });
    }
}

/// The hook a decorator makes, when that is imported from `mxcp`.
fn hook(module: &Module, decorator: &str) -> Option<&'static str> {
    let name = decorator.split('(').next().unwrap_or(decorator).trim();
    let last = name.rsplit('.').next().unwrap_or(name);
    let hook = ["on_init", "on_shutdown"]
        .into_iter()
        .find(|h| *h == last)?;
    module
        .facts
        .imports
        .iter()
        .any(|i| {
            matches!(
                i.module.as_str(),
                "mxcp.runtime" | "mxcp.plugins" | "mxcp.plugins.base"
            ) && i.name.as_deref().is_none_or(|n| n == hook)
                || i.module == "mxcp"
        })
        .then_some(hook)
}

fn check_hooks(file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    let methods = module.classes.iter().flat_map(|c| &c.methods);
    for function in module.functions.iter().chain(methods) {
        let Some((decorator, hook)) = function
            .decorators
            .iter()
            .find_map(|d| Some((d, hook(module, d)?)))
        else {
            continue;
        };
        let at = |range| Anchor::text(file, range);
        if decorator.contains('(') {
            findings.push(
                Finding::new(
                    codes::MX0510,
                    format!("`@{hook}` takes no arguments, so the file cannot be imported"),
                    at(function.name_range),
                )
                .help(format!("write `@{hook}` without parentheses")),
            );
            continue;
        }
        for param in needed(function) {
            findings.push(
                Finding::new(
                    codes::MX0510,
                    format!(
                        "nobody gives the hook `{}` its argument `{}`",
                        function.name, param.name
                    ),
                    at(param.range),
                )
                .help("remove it: hooks are called without arguments"),
            );
        }
        if function.is_async {
            let mut finding = Finding::new(
                codes::MX0510,
                format!(
                    "the hook `{}` is async, which not every server waits for",
                    function.name
                ),
                at(function.name_range),
            )
            .help("write `def`, and `asyncio.run(…)` around what has to be awaited");
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
    }
}

fn needed(function: &Function) -> impl Iterator<Item = &mxcp_syntax::python::Param> {
    function.params.iter().filter(|p| {
        !p.has_default
            && matches!(
                p.kind,
                ParamKind::PositionalOnly | ParamKind::Positional | ParamKind::KeywordOnly
            )
    })
}

/// The function of this file that a plain name means, when nothing else can be meant.
fn own_function<'a>(module: &'a Module, name: &str) -> Option<&'a Function> {
    if module.facts.rebound.contains(name) || module.star_import || module.makes_names {
        return None;
    }
    let mut found = module.functions.iter().filter(|f| f.name == name);
    let function = found.next()?;
    (found.next().is_none() && function.decorators.is_empty()).then_some(function)
}

/// What is never awaitable, whatever it is given.
fn is_plain(module: &Module, name: &str) -> bool {
    if names::PLAIN_CALLS.contains(&name) {
        return true;
    }
    own_function(module, name).is_some_and(|function| {
        !function.is_async
            && function.returns.as_deref().is_some_and(|text| {
                let head = text.split('[').next().unwrap_or(text).trim();
                matches!(
                    head,
                    "str"
                        | "int"
                        | "float"
                        | "bool"
                        | "dict"
                        | "list"
                        | "None"
                        | "bytes"
                        | "tuple"
                        | "set"
                )
            })
    })
}

fn check_async(file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    for awaited in &module.facts.awaits {
        if is_plain(module, &awaited.name) {
            let short = awaited
                .name
                .strip_prefix("mxcp.runtime.")
                .unwrap_or(&awaited.name);
            findings.push(
                Finding::new(
                    codes::MX0508,
                    format!("the result of `{short}` cannot be awaited"),
                    Anchor::text(file, awaited.range),
                )
                .help("remove `await`"),
            );
        }
    }
    for call in &module.facts.calls {
        if call.in_async && call.name == "asyncio.run" {
            findings.push(
                Finding::new(
                    codes::MX0508,
                    "`asyncio.run` cannot be called in an async function",
                    Anchor::text(file, call.range),
                )
                .help("write `await` instead"),
            );
            continue;
        }
        let of_others = call.in_async && names::COROUTINES.contains(&call.name.as_str());
        let is_coroutine = of_others
            || own_function(module, &call.name)
                .is_some_and(|f| f.is_async && !is_generator(module, f));
        if !is_coroutine || call.fate == Fate::Other {
            continue;
        }
        let name = call
            .name
            .strip_prefix("mxcp.runtime.")
            .unwrap_or(&call.name);
        let message = match call.fate {
            Fate::Dropped => format!("`{name}` is async and never awaited, so it does not run"),
            _ => format!("`{name}` is async: without `await` this is no result"),
        };
        let mut finding = Finding::new(codes::MX0508, message, Anchor::text(file, call.range))
            .help(format!("write `await {name}(…)`"));
        // Nothing depends on its result.
        if of_others {
            finding.severity = Some(Severity::Warning);
        }
        findings.push(finding);
    }
}

fn is_generator(module: &Module, function: &Function) -> bool {
    module
        .facts
        .bodies
        .get(&u32::from(function.name_range.start()))
        .is_none_or(|body| body.is_generator)
}

fn check_calls(file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    for call in module.facts.calls.iter().filter(|c| !c.has_splat) {
        if let Some(function) = own_function(module, &call.name) {
            check_call(file, call, function, findings);
        }
    }
}

fn check_call(file: SourceFile, call: &Call, function: &Function, findings: &mut Vec<Finding>) {
    let mut report = |message: String, help: &str| {
        findings.push(
            Finding::new(codes::MX0518, message, Anchor::text(file, call.range))
                .label(Anchor::text(file, function.name_range), "defined here")
                .help(help),
        );
    };
    let has = |kind: ParamKind| function.params.iter().any(|p| p.kind == kind);
    let placed: Vec<_> = function
        .params
        .iter()
        .filter(|p| matches!(p.kind, ParamKind::PositionalOnly | ParamKind::Positional))
        .collect();
    if call.positional > placed.len() && !has(ParamKind::VarArgs) {
        report(
            format!(
                "`{}` takes {} arguments by position, not {}",
                function.name,
                placed.len(),
                call.positional
            ),
            "remove what is too much",
        );
        return;
    }
    for keyword in &call.keywords {
        let accepted = function.params.iter().any(|p| {
            p.name == *keyword && matches!(p.kind, ParamKind::Positional | ParamKind::KeywordOnly)
        });
        if !accepted && !has(ParamKind::VarKeywords) {
            report(
                format!("`{}` takes no argument `{keyword}`", function.name),
                "correct the name, or remove it",
            );
            return;
        }
    }
    let given = |name: &str| {
        call.keywords.iter().any(|k| k == name)
            || placed.iter().take(call.positional).any(|p| p.name == name)
    };
    if let Some(missing) = needed(function).find(|p| !given(&p.name)) {
        report(
            format!("this call of `{}` lacks `{}`", function.name, missing.name),
            "give it a value",
        );
    }
}

fn check_undefined(file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    if module.star_import || module.makes_names {
        return;
    }
    for used in &module.facts.undefined {
        findings.push(
            Finding::new(
                codes::MX0515,
                format!("nothing defines `{}`", used.name),
                Anchor::text(file, used.range),
            )
            .help(
                suggest::did_you_mean(&used.name, module.facts.bound.iter().map(String::as_str))
                    .unwrap_or_else(|| "define or import it".into()),
            ),
        );
    }
}

/// A Python file found by its place: those that a running server imports.
pub(crate) fn check_file(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let dirs = site_paths(db);
    let path = file.path(db);
    if !paths::is_below(path, &dirs.python) && !paths::is_below(path, &dirs.plugins) {
        return;
    }
    let module = python_module(db, file);
    // What an endpoint names is an error there.
    if !module.errors.is_empty() && !is_source(db, path) {
        for error in &module.errors {
            let mut finding = Finding::new(
                codes::MX0502,
                error.message.clone(),
                Anchor::text(file, error.range),
            )
            .help_if(error.help.clone());
            finding.severity = Some(Severity::Warning);
            findings.push(finding);
        }
    }
    check_module(db, file, findings);
}

fn is_source(db: &dyn Db, path: &str) -> bool {
    endpoint_files(db).iter().any(|endpoint| {
        endpoint_def(db, *endpoint)
            .filter(|def| def.enabled && def.language == Language::Python)
            .and_then(|def| def.file.as_deref())
            .and_then(|reference| paths::resolve(endpoint.path(db), reference))
            .is_some_and(|source| source == path)
    })
}
