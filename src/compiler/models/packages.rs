//! The packages that a dbt project wants installed. Their files are not read, so what they hold is not known.

use super::index::dbt_project;
use crate::Db;
use crate::documents::{find_file, parse_yaml};

/// Their names, as far as the project's files tell; `None` without any.
#[salsa::tracked(returns(ref))]
pub(crate) fn packages(db: &dyn Db) -> Option<Vec<String>> {
    dbt_project(db)?;
    let mut names: Option<Vec<String>> = None;
    for path in ["packages.yml", "dependencies.yml"] {
        let Some(file) = find_file(db, path) else {
            continue;
        };
        let yaml = parse_yaml(db, file);
        for list in ["packages", "projects"] {
            for entry in yaml.lookup(list).into_iter().flat_map(|l| l.items()) {
                let names = names.get_or_insert_default();
                let source = ["name", "package", "git", "local", "tarball"]
                    .iter()
                    .find_map(|key| entry.get(key)?.as_str());
                names.extend(source.map(project_name));
            }
        }
    }
    names
}

/// `dbt-labs/dbt_utils`, `https://example.org/dbt-utils.git` and `../dbt_utils` most likely hold the project `dbt_utils`.
fn project_name(source: &str) -> String {
    let last = source.trim_end_matches('/').rsplit(['/', ':']).next();
    let name = last.unwrap_or(source).trim_end_matches(".git");
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::project_name;

    #[test]
    fn the_last_part_of_a_place_is_the_name() {
        for source in [
            "dbt-labs/dbt_utils",
            "https://example.org/x/dbt-utils.git",
            "git@example.org:dbt-utils.git",
            "../dbt_utils/",
            "dbt_utils",
        ] {
            assert_eq!(project_name(source), "dbt_utils", "{source}");
        }
    }
}
