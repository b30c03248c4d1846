//! Plugins: their module, their class, and the methods they offer to SQL.

use mxcp_base::{Severity, SourceFile, codes, paths, suggest};
use mxcp_syntax::python::{Class, Module, ParamKind};

use crate::Db;
use crate::documents::{DocumentKind, document_kind, find_file, parse_yaml, python_module, site};
use crate::finding::{Anchor, Finding};
use crate::plugins::{annotated_type, plugin_file};

const CLASS: &str = "MXCPPlugin";
const BASE: &str = "MXCPBasePlugin";

pub(super) fn check_plugins(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let Some(site) = site(db) else {
        return;
    };
    // One entry may stand without a list.
    let is_list = parse_yaml(db, file).lookup("plugin/0").is_some();
    for (i, plugin) in site.plugins.iter().enumerate() {
        let place = if is_list {
            format!("plugin/{i}/module")
        } else {
            "plugin/module".to_owned()
        };
        let anchor = Anchor::value(file, place);
        match plugin_file(db, &plugin.module) {
            Some(source) => check_class(db, anchor, source, findings),
            None => missing(db, anchor, &plugin.module, findings),
        }
    }
}

fn missing(db: &dyn Db, anchor: Anchor, module: &str, findings: &mut Vec<Finding>) {
    let Some(site) = site(db) else {
        return;
    };
    let dir = &site.paths.plugins;
    // Code in other folders can be imported too.
    let stem = module.replace('.', "/");
    let elsewhere = [site.paths.python.as_str(), ""].iter().any(|base| {
        ["", "/__init__"].iter().any(|end| {
            paths::resolve("", format!("{base}/{stem}{end}.py").trim_start_matches('/'))
                .and_then(|path| find_file(db, &path))
                .is_some()
        })
    });
    // Packages have parts; what the project writes for itself hardly ever does.
    if elsewhere || module.contains('.') {
        return;
    }
    let known: Vec<String> = mxcp_base::FileSet::get(db)
        .files(db)
        .iter()
        .filter(|(path, file)| {
            paths::is_below(path, dir) && document_kind(db, **file) == DocumentKind::Python
        })
        .filter_map(|(path, _)| {
            let inner = path.strip_prefix(dir.as_str())?.trim_start_matches('/');
            let inner = inner.strip_suffix(".py")?;
            let inner = inner.strip_suffix("/__init__").unwrap_or(inner);
            Some(inner.replace('/', "."))
        })
        .collect();
    findings.push(
        Finding::new(
            codes::MX0511,
            format!("no file of the project is the module `{module}`"),
            anchor,
        )
        .help(
            suggest::did_you_mean(module, known.iter().map(String::as_str)).unwrap_or_else(|| {
                format!("write it as `{dir}/{stem}.py`, unless it is an installed package")
            }),
        ),
    );
}

fn check_class(db: &dyn Db, anchor: Anchor, source: SourceFile, findings: &mut Vec<Finding>) {
    let module = python_module(db, source);
    if !module.errors.is_empty() {
        return;
    }
    let Some(class) = module.classes.iter().rev().find(|c| c.name == CLASS) else {
        if module.may_define(CLASS) {
            return;
        }
        let other = module
            .classes
            .iter()
            .find(|c| c.bases.iter().any(|b| b == BASE));
        let message = format!("`{}` has no class `{CLASS}`", source.path(db));
        findings.push(match other {
            Some(other) => Finding::new(
                codes::MX0512,
                message,
                Anchor::text(source, other.name_range),
            )
            .label(anchor, "this plugin needs it")
            .help(format!("rename the class to `{CLASS}`")),
            None => Finding::new(codes::MX0512, message, anchor)
                .help(format!("define `class {CLASS}({BASE})` there")),
        });
        return;
    };
    check_construction(source, class, findings);
    check_methods(source, module, class, findings);
}

fn check_construction(source: SourceFile, class: &Class, findings: &mut Vec<Finding>) {
    let init = class.methods.iter().rev().find(|m| m.name == "__init__");
    let problem = match init {
        Some(init) => {
            let takes = init.params.iter().any(|p| p.kind == ParamKind::VarArgs)
                || init
                    .params
                    .iter()
                    .filter(|p| matches!(p.kind, ParamKind::Positional | ParamKind::PositionalOnly))
                    .count()
                    >= 2;
            (!takes && init.decorators.is_empty()).then(|| {
                (
                    init.name_range,
                    "`__init__` takes no configuration".to_owned(),
                    "write `def __init__(self, config):` and call `super().__init__(config)`",
                )
            })
        }
        None => (class.bases.is_empty() && class.decorators.is_empty()).then(|| {
            (
                class.name_range,
                format!("`{CLASS}` cannot be made from a configuration: it has no base class"),
                "write `class MXCPPlugin(MXCPBasePlugin):`",
            )
        }),
    };
    if let Some((range, message, help)) = problem {
        findings.push(Finding::new(codes::MX0512, message, Anchor::text(source, range)).help(help));
    }
}

fn check_methods(source: SourceFile, module: &Module, class: &Class, findings: &mut Vec<Finding>) {
    for method in &class.methods {
        let is_udf = method
            .decorators
            .iter()
            .any(|d| d == "udf" || d.ends_with(".udf"));
        if !is_udf || method.decorators.len() > 1 {
            continue;
        }
        let mut report = |range, message: String, help: &str, severity: Option<Severity>| {
            let mut finding =
                Finding::new(codes::MX0513, message, Anchor::text(source, range)).help(help);
            finding.severity = severity;
            findings.push(finding);
        };
        if method.is_async {
            report(
                method.name_range,
                format!("`{}` is async, and SQL cannot wait for it", method.name),
                "write `def`",
                None,
            );
        }
        if let Some(first) = method.params.first().filter(|p| p.annotation.is_some()) {
            report(
                first.whole,
                format!("`{}` does not take `self`", method.name),
                "write `self` as its first parameter",
                None,
            );
            continue;
        }
        for param in method.params.iter().skip(1) {
            match &param.annotation {
                None => report(
                    param.range,
                    format!(
                        "parameter `{}` of `{}` has no type annotation",
                        param.name, method.name
                    ),
                    "annotate it, e.g. `: str`",
                    None,
                ),
                Some(text) if is_impossible(module, text) => report(
                    param.whole,
                    format!("`{text}` is no type that SQL has"),
                    "annotate it with `str`, `int`, `float`, `bool`, `date`, `list[str]`, …",
                    None,
                ),
                Some(_) => {}
            }
        }
        match (&method.returns, method.returns_range) {
            (Some(text), Some(range)) if is_impossible(module, text) => report(
                range,
                format!("`{text}` is no type that SQL has"),
                "annotate it with `str`, `int`, `float`, `bool`, `date`, `list[str]`, …",
                None,
            ),
            (None, _) => report(
                method.name_range,
                format!(
                    "`{}` has no return annotation, so SQL does not get it",
                    method.name
                ),
                "annotate the result, e.g. `-> str`",
                Some(Severity::Warning),
            ),
            _ => {}
        }
    }
}

/// Whether an annotation certainly has no SQL type. A class of the user's is a STRUCT.
fn is_impossible(module: &Module, text: &str) -> bool {
    let text = text.trim();
    annotated_type(text).is_none()
        && !module.classes.iter().any(|c| c.name == text)
        && matches!(
            text,
            "Any"
                | "typing.Any"
                | "object"
                | "list"
                | "dict"
                | "set"
                | "tuple"
                | "None"
                | "complex"
                | "List"
                | "Dict"
        )
}
