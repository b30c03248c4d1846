//! Secrets that Python code asks for by name.

use mxcp_base::{SourceFile, codes, suggest};
use mxcp_syntax::python::Module;

use crate::Db;
use crate::documents::site;
use crate::finding::{Anchor, Finding};
use crate::inputs::Settings;

/// `get_secret("name")` of a secret that neither the site file nor the user configuration has.
pub(super) fn check(db: &dyn Db, file: SourceFile, module: &Module, findings: &mut Vec<Finding>) {
    let mut known: Vec<&str> = site(db)
        .map(|site| site.secrets.iter().map(String::as_str).collect())
        .unwrap_or_default();
    let environment = Settings::get(db).environment(db);
    known.extend(
        environment
            .secret_names
            .iter()
            .flatten()
            .map(String::as_str),
    );
    // A project that lists none may leave that to whoever runs it.
    if known.is_empty() {
        return;
    }
    for call in &module.facts.calls {
        if call.name != "mxcp.runtime.config.get_secret" {
            continue;
        }
        let start = usize::from(call.range.start());
        let Some(name) = file.text(db).get(start..).and_then(first_text) else {
            continue;
        };
        if known.contains(&name) {
            continue;
        }
        findings.push(
            Finding::new(
                codes::MX0823,
                format!("nothing provides the secret `{name}`"),
                Anchor::text(file, call.range),
            )
            .help(
                suggest::did_you_mean(name, known.iter().copied()).unwrap_or_else(|| {
                    format!(
                        "add `{name}` to `secrets:` of the site file and to the user configuration"
                    )
                }),
            ),
        );
    }
}

/// The text constant that is the only or first argument of the call that starts here.
fn first_text(call: &str) -> Option<&str> {
    let (callee, rest) = call.split_once('(')?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, after) = rest.get(1..)?.split_once(quote)?;
    let ends = after.trim_start().starts_with([')', ',']);
    (ends && !name.is_empty() && !name.contains('\\') && callee.ends_with("get_secret"))
        .then_some(name)
}
