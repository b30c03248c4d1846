//! Macro files: cut into blocks as dbt cuts them, and compiled once for all templates of a project.
//!
//! A [`MacroSet`] is plain data to its owner: two sets are equal when their files are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::Environment;
use mxcp_syntax::jinja::{BlockKind, Template, scan};
use text_size::TextRange;

use super::environment::new_environment;
use super::problem::Problem;
use super::statics;

/// A file with macros, with its path for messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacroFile {
    pub package: String,
    pub path: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MacroKind {
    Macro,
    /// A custom generic test.
    Test,
    Materialization,
    Snapshot,
    Docs,
}

/// A block of a macro file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacroDef {
    pub kind: MacroKind,
    /// As written; the macro of test `x` is called `test_x`.
    pub name: String,
    pub name_range: Range<u32>,
    /// From the opening tag to the closing one.
    pub range: Range<u32>,
}

/// The blocks of a macro file, and what is wrong with its Jinja.
pub fn lower_macros(text: &str) -> (Vec<MacroDef>, Vec<Problem>) {
    let template = scan(text);
    let defs = blocks(&template);
    let problems = template.errors.into_iter().map(statics::jinja_problem);
    (defs, problems.collect())
}

/// What macros are called inside their own templates: a macro that calls itself must go through the
/// context like any other call, or `return` would end all its calls at once.
pub(super) const PREFIX: &str = "dbt_macro__";

/// The package of dbt's own macros.
pub(super) const DBT: &str = "dbt";

// The template of one block: one macro, a test being the macro `test_<name>`.
fn block_source(text: &str, def: &MacroDef) -> Option<String> {
    let whole = text.get(def.range.start as usize..def.range.end as usize)?;
    let name = (def.name_range.start - def.range.start) as usize;
    let head = whole.get(..name)?;
    match def.kind {
        MacroKind::Macro => Some(format!("{head}{PREFIX}{}", whole.get(name..)?)),
        MacroKind::Test => {
            let keyword = head.rfind("data_test").or_else(|| head.rfind("test"))?;
            let close = whole.rfind("{%")?;
            let tail = whole.get(close..)?;
            let tail = tail
                .replacen("enddata_test", "endmacro", 1)
                .replacen("endtest", "endmacro", 1);
            let head = whole.get(..keyword)?;
            let body = whole.get(name..close)?;
            Some(format!("{head}macro {PREFIX}test_{body}{tail}"))
        }
        MacroKind::Materialization => {
            let keyword = head.rfind("materialization")?;
            let close = whole.rfind("{%")?;
            let tail = whole
                .get(close..)?
                .replacen("endmaterialization", "endmacro", 1);
            let opening = whole.get(name..close)?;
            let end = opening.find("%}")?;
            let dash = if opening.get(..end)?.ends_with('-') {
                "-"
            } else {
                ""
            };
            let (head, body) = (whole.get(..keyword)?, opening.get(end..)?);
            let name = materialization_name(&def.name, opening.get(..end)?);
            Some(format!("{head}macro {PREFIX}{name}() {dash}{body}{tail}"))
        }
        MacroKind::Snapshot | MacroKind::Docs => None,
    }
}

// dbt's name of the macro behind `{% materialization name, adapter='…' %}`; `opening` starts at the name.
fn materialization_name(name: &str, opening: &str) -> String {
    let adapter = opening
        .split_once("adapter")
        .and_then(|(_, rest)| rest.split(['\'', '"']).nth(1))
        .unwrap_or("default");
    format!("materialization_{name}_{adapter}")
}

/// The macros a project's templates may call. Cheap to clone.
#[derive(Clone)]
pub struct MacroSet(Arc<Inner>);

struct Inner {
    root_package: String,
    dispatch: BTreeMap<String, Vec<String>>,
    files: Vec<MacroFile>,
    env: Environment<'static>,
    macros: Macros,
    /// The packages that have macros, dbt's own last.
    names: Vec<String>,
    /// Names of packages that are to be installed; `None` when the project has none.
    packages: Option<Vec<String>>,
}

/// By package and name.
type Macros = BTreeMap<String, BTreeMap<String, Entry>>;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The template's name in the environment.
    pub(super) template: String,
    pub(super) path: String,
    /// Line of the file on which the block starts, counted from 1.
    pub(super) line: usize,
    pub(super) arguments: Vec<String>,
    /// Takes any arguments: it reads `varargs` or `kwargs`.
    pub(super) variadic: bool,
    pub(super) broken: bool,
}

/// dbt's own macros, compiled once.
#[derive(Clone)]
struct Base {
    env: Environment<'static>,
    macros: Macros,
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let mut base = Base {
        env: new_environment(),
        macros: Macros::new(),
    };
    add_files(&super::global::files(), &mut base.env, &mut base.macros);
    base
});

fn add_files(files: &[MacroFile], env: &mut Environment<'static>, macros: &mut Macros) {
    for file in files {
        for def in blocks(&scan(&file.text)) {
            let Some(source) = block_source(&file.text, &def) else {
                continue;
            };
            let name = match def.kind {
                MacroKind::Test => format!("test_{}", def.name),
                MacroKind::Materialization => {
                    let opening = file.text.get(def.name_range.start as usize..);
                    let opening = opening.and_then(|o| Some(o.split_once("%}")?.0));
                    materialization_name(&def.name, opening.unwrap_or(""))
                }
                _ => def.name.clone(),
            };
            let of_package = macros.entry(file.package.clone()).or_default();
            if of_package.contains_key(&name) {
                continue;
            }
            let template = format!("{}.{name}", file.package);
            let arguments = scan(&source)
                .macros
                .into_iter()
                .next()
                .map(|found| found.params.into_iter().map(|param| param.name).collect())
                .unwrap_or_default();
            let variadic = source.contains("varargs") || source.contains("kwargs");
            let source = match super::rewrite::rewrite(&source) {
                Some(rewritten) => rewritten.text,
                None => source,
            };
            let broken = env.add_template_owned(template.clone(), source).is_err();
            let line = line_of(&file.text, def.range.start as usize);
            of_package.insert(
                name,
                Entry {
                    template,
                    path: file.path.clone(),
                    line,
                    arguments,
                    variadic,
                    broken,
                },
            );
        }
    }
}

impl MacroSet {
    /// Compiles `files`. Where a package declares a macro twice the first wins; a block that does not
    /// parse is kept as broken ([`lower_macros`] says why).
    pub fn new(
        root_package: &str,
        dispatch: &[super::project::Dispatch],
        files: Vec<MacroFile>,
    ) -> Self {
        Self::with_packages(root_package, dispatch, files, None)
    }

    /// The same of a project with packages, whose macros are not read.
    pub fn with_packages(
        root_package: &str,
        dispatch: &[super::project::Dispatch],
        files: Vec<MacroFile>,
        packages: Option<Vec<String>>,
    ) -> Self {
        let Base {
            mut env,
            mut macros,
        } = BASE.clone();
        add_files(&files, &mut env, &mut macros);
        let dispatch = dispatch
            .iter()
            .map(|d| (d.namespace.clone(), d.search_order.clone()))
            .collect();
        let mut names: Vec<String> = macros.keys().cloned().collect();
        names.sort_by_key(|name| (name == DBT, name != root_package, name.clone()));
        Self(Arc::new(Inner {
            root_package: root_package.to_owned(),
            dispatch,
            files,
            env,
            macros,
            names,
            packages,
        }))
    }

    /// A project without macros.
    pub fn empty(root_package: &str) -> Self {
        Self::new(root_package, &[], Vec::new())
    }

    pub fn contains(&self, package: &str, name: &str) -> bool {
        self.get(package, name).is_some()
    }

    /// Whether a bare name means a macro in a template of `package`.
    pub fn callable(&self, package: &str, name: &str) -> bool {
        self.visible(package, name).is_some()
    }

    /// The packages that have macros, dbt's own last.
    pub fn package_names(&self) -> &[String] {
        &self.0.names
    }

    pub(super) fn packages(&self) -> Option<&[String]> {
        self.0.packages.as_deref()
    }

    /// The package that `name` is most likely a misspelling of.
    pub(super) fn misspelt_package(&self, name: &str) -> Option<&str> {
        let packages = self.packages()?;
        if packages.iter().any(|package| package == name) {
            return None;
        }
        packages
            .iter()
            .map(String::as_str)
            .find(|package| strsim::damerau_levenshtein(package, name) <= 2)
    }

    /// Whether this is a package whose macros are not known.
    pub(super) fn is_unread_package(&self, name: &str) -> bool {
        self.packages().is_some_and(|p| p.iter().any(|p| p == name)) && !self.has_package(name)
    }

    pub fn root_name(&self) -> &str {
        &self.0.root_package
    }

    pub(super) fn root_package(&self) -> &str {
        &self.0.root_package
    }

    pub(super) fn env(&self) -> &Environment<'static> {
        &self.0.env
    }

    pub(super) fn get(&self, package: &str, name: &str) -> Option<&Entry> {
        self.0.macros.get(package)?.get(name)
    }

    pub(super) fn has_package(&self, package: &str) -> bool {
        self.0.macros.contains_key(package)
    }

    /// Macro names of a package, for suggestions.
    pub(super) fn names(&self, package: &str) -> Vec<&str> {
        let of_package = self.0.macros.get(package).into_iter();
        of_package
            .flat_map(|macros| macros.keys().map(String::as_str))
            .collect()
    }

    /// Unique ids of the macros that a macro of a package names, as far as its text tells.
    pub(crate) fn calls_of(&self, package: &str, text: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut add = |id: String| {
            if !found.contains(&id) {
                found.push(id);
            }
        };
        for call in mxcp_syntax::jinja::scan(text).calls {
            let named = match call.name.as_str() {
                "adapter.dispatch" => call.str_arg(0).map(str::to_owned),
                name => Some(name.to_owned()),
            };
            let Some(name) = named else { continue };
            if call.name == "adapter.dispatch"
                && let Some((package, name)) = self.dispatched(package, &name, call.str_arg(1))
            {
                add(format!("macro.{package}.{name}"));
                continue;
            }
            let own = name.strip_prefix("dbt.").unwrap_or(&name);
            match name.split_once('.') {
                Some((owner, name)) if self.contains(owner, name) => {
                    add(super::global::macro_id(owner, name));
                }
                None if self.visible(package, &name).is_some() => {
                    let owner = self.visible(package, &name).unwrap_or(DBT);
                    add(super::global::macro_id(owner, &name));
                }
                _ if super::builtin::is_known(own) => add(format!("macro.dbt.{own}")),
                _ => {}
            }
        }
        found
    }

    /// The package whose macro a bare `name` means in a template of `package`.
    pub(super) fn visible(&self, package: &str, name: &str) -> Option<&str> {
        // The project's macros come before dbt's own, which are every package's last resort.
        let own = (package != DBT).then_some(package);
        [own, Some(self.root_package()), Some(DBT)]
            .into_iter()
            .flatten()
            .find(|of| self.contains(of, name))
            .map(|of| self.key_package(of))
    }

    // The stored spelling outlives the argument.
    fn key_package(&self, package: &str) -> &str {
        self.0
            .macros
            .get_key_value(package)
            .map_or("", |(found, _)| found.as_str())
    }

    /// What `adapter.dispatch(name, namespace)` finds, as package and macro name.
    pub(super) fn dispatched(
        &self,
        current: &str,
        name: &str,
        namespace: Option<&str>,
    ) -> Option<(String, String)> {
        let order = namespace.and_then(|namespace| match self.0.dispatch.get(namespace) {
            Some(order) => Some(order.clone()),
            None if namespace == DBT => None,
            None => Some(vec![self.root_package().to_owned(), namespace.to_owned()]),
        });
        let candidates = ["duckdb__", "default__"].map(|prefix| format!("{prefix}{name}"));
        let Some(order) = order else {
            // Whatever the calling macro sees.
            return candidates.into_iter().find_map(|candidate| {
                let package = self.visible(current, &candidate)?;
                Some((package.to_owned(), candidate))
            });
        };
        for package in order {
            for candidate in &candidates {
                if self.contains(&package, candidate) {
                    return Some((package, candidate.clone()));
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for MacroSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MacroSet")
            .field("root_package", &self.0.root_package)
            .field("macros", &self.0.macros.keys())
            .finish_non_exhaustive()
    }
}

impl PartialEq for MacroSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.root_package == other.0.root_package
                && self.0.dispatch == other.0.dispatch
                && self.0.files == other.0.files)
    }
}

impl Eq for MacroSet {}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

fn blocks(template: &Template) -> Vec<MacroDef> {
    template
        .blocks
        .iter()
        .filter_map(|block| {
            let kind = match block.kind {
                BlockKind::Macro => MacroKind::Macro,
                BlockKind::Test => MacroKind::Test,
                BlockKind::Materialization => MacroKind::Materialization,
                BlockKind::Snapshot => MacroKind::Snapshot,
                BlockKind::Docs => MacroKind::Docs,
                BlockKind::Raw => return None,
            };
            let bytes = |range: TextRange| u32::from(range.start())..u32::from(range.end());
            Some(MacroDef {
                kind,
                name: block.name.clone(),
                name_range: bytes(block.name_range),
                range: bytes(block.range),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::problem::At;
    use super::*;

    #[test]
    fn blocks_are_found_and_placed() {
        let text = "{# {% macro no() %} #}\n{% macro a(x, y=\"%}\") -%}{{ x }}{%- endmacro %}\n{% raw %}{% macro no() %}{% endraw %}\n{%- test b(model) %}select 1{% endtest -%}\n{% materialization c, default %}{% endmaterialization %}";
        let (defs, problems) = lower_macros(text);
        assert_eq!(problems, []);
        let seen: Vec<_> = defs
            .iter()
            .map(|d| {
                let name = &text[d.name_range.start as usize..d.name_range.end as usize];
                (d.kind, name, d.name == name)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (MacroKind::Macro, "a", true),
                (MacroKind::Test, "b", true),
                (MacroKind::Materialization, "c", true),
            ]
        );
    }

    #[test]
    fn broken_blocks_say_where() {
        let text = "{% macro ok() %}{% endmacro %}\n{% test bad(model) %}select {{ 1 + }}{% endtest %}\n{% macro open() %}";
        let (defs, problems) = lower_macros(text);
        assert!(defs.iter().any(|def| def.name == "bad"));
        let at: Vec<_> = problems
            .iter()
            .map(|p| match p.at {
                At::Range(range) => &text[range],
                _ => "",
            })
            .collect();
        assert!(at.contains(&"{% macro open() %}"), "{at:?}");
    }
}
