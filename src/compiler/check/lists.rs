//! The lists of the site file: what stands there twice, and extensions that do not exist.

use mxcp_base::{SourceFile, codes, suggest};

use crate::Db;
use crate::documents::parse_yaml;
use crate::finding::{Anchor, Finding};
use crate::sql::CORE_EXTENSIONS;

/// Extensions that DuckDB offers beside those whose functions it knows by name.
const WITHOUT_KNOWN_FUNCTIONS: [&str; 2] = ["ui", "unity_catalog"];

/// The extensions that DuckDB offers itself; all others come from a repository that is named.
fn offered() -> impl Iterator<Item = &'static str> {
    CORE_EXTENSIONS.into_iter().chain(WITHOUT_KNOWN_FUNCTIONS)
}

// What is listed twice, and extensions whose name is a slip.
pub(super) fn check_lists(db: &dyn Db, file: SourceFile, findings: &mut Vec<Finding>) {
    let yaml = parse_yaml(db, file);
    for list in ["secrets", "extensions", "plugin"] {
        let mut seen: Vec<&str> = Vec::new();
        let items = yaml.lookup(list).into_iter().flat_map(|node| node.items());
        for (i, item) in items.enumerate() {
            let (name, pointer) = match item.get("name") {
                Some(name) => (name.as_str(), format!("{list}/{i}/name")),
                None => (item.as_str(), format!("{list}/{i}")),
            };
            let Some(name) = name else {
                continue;
            };
            let anchor = Anchor::value(file, pointer);
            if seen.contains(&name) {
                findings.push(
                    Finding::new(
                        codes::MX0822,
                        format!("`{list}` has `{name}` twice"),
                        anchor.clone(),
                    )
                    .help("remove one of them"),
                );
            }
            seen.push(name);
            let known = offered().any(|e| e.eq_ignore_ascii_case(name));
            if list == "extensions"
                && !known
                && item.get("repo").is_none()
                && let Some(near) = suggest::nearest(name, offered())
            {
                findings.push(
                    Finding::new(
                        codes::MX0824,
                        format!("DuckDB itself has no extension `{name}`"),
                        anchor.clone(),
                    )
                    .help(format!(
                        "did you mean `{near}`? One of another repository needs `repo: community`"
                    ))
                    .fix(format!("change to `{near}`"), anchor, near),
                );
            }
        }
    }
}
