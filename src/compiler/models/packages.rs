//! The packages that a dbt project wants installed, and those that are there.

use mxcp_base::{FileSet, paths};

use super::index::{PROJECT_FILE, dbt_project};
use crate::Db;
use crate::dbt::{ProjectDef, lower_project};
use crate::documents::{find_file, parse_yaml};
pub(crate) use crate::surface::{installed, packages};

/// A package whose files are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its folder, with a slash at the end.
    pub dir: String,
    /// Paths are relative to the folder.
    pub def: ProjectDef,
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_installed(db: &dyn Db) -> Vec<Package> {
    let Some(project) = dbt_project(db) else {
        return Vec::new();
    };
    let mut dirs = Vec::new();
    let install = format!("{}/", paths::directory(&project.def.packages_install_path));
    for path in FileSet::get(db).files(db).keys() {
        let dir = path.strip_suffix(PROJECT_FILE).unwrap_or("");
        let inner = dir.strip_prefix(install.as_str()).unwrap_or("");
        // One folder deep: what packages bring along for their own tests is not installed.
        if inner.len() > 1 && inner.matches('/').count() == 1 {
            dirs.push(dir.to_owned());
        }
    }
    for (source, kind) in wanted(db).iter().flatten() {
        if kind == "local"
            && let Some(dir) = paths::resolve(PROJECT_FILE, source)
        {
            dirs.push(format!("{}/", dir.trim_end_matches('/')));
        }
    }
    let mut found: Vec<Package> = Vec::new();
    for dir in dirs {
        let Some(file) = find_file(db, &format!("{dir}{PROJECT_FILE}")) else {
            continue;
        };
        let (def, _) = lower_project(parse_yaml(db, file));
        let known = found.iter().any(|package| package.def.name == def.name);
        if !def.name.is_empty() && !known && def.name != project.def.name {
            found.push(Package { dir, def });
        }
    }
    found
}

/// The package that a file belongs to; `None` for the project itself.
pub(crate) fn package_of<'db>(db: &'db dyn Db, path: &str) -> Option<&'db Package> {
    installed(db)
        .iter()
        .find(|package| path.starts_with(package.dir.as_str()))
}

/// The project definition that a file belongs to, and the file's path in it.
pub(crate) fn project_of<'a>(db: &'a dyn Db, path: &'a str) -> Option<(&'a ProjectDef, &'a str)> {
    match package_of(db, path) {
        Some(package) => Some((&package.def, path.strip_prefix(package.dir.as_str())?)),
        None => Some((&dbt_project(db)?.def, path)),
    }
}

/// The package that a file belongs to, and the file's path in it.
pub fn in_package<'a>(db: &'a dyn Db, path: &'a str) -> (&'a str, &'a str) {
    project_of(db, path).map_or(("", path), |(def, path)| (def.name.as_str(), path))
}

/// The name of the package that a file belongs to.
pub(crate) fn package_name<'a>(db: &'a dyn Db, path: &'a str) -> &'a str {
    project_of(db, path).map_or("", |(def, _)| def.name.as_str())
}

/// Where packages are to come from, with the kind of place; `None` without any.
#[salsa::tracked(returns(ref))]
fn wanted(db: &dyn Db) -> Option<Vec<(String, String)>> {
    dbt_project(db)?;
    let mut found: Option<Vec<(String, String)>> = None;
    for path in ["packages.yml", "dependencies.yml"] {
        let Some(file) = find_file(db, path) else {
            continue;
        };
        let yaml = parse_yaml(db, file);
        for list in ["packages", "projects"] {
            for entry in yaml.lookup(list).into_iter().flat_map(|l| l.items()) {
                let found = found.get_or_insert_default();
                let source = ["name", "package", "git", "local", "tarball"]
                    .iter()
                    .find_map(|key| {
                        Some((entry.get(key)?.as_str()?.to_owned(), (*key).to_owned()))
                    });
                found.extend(source);
            }
        }
    }
    found
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_packages(db: &dyn Db) -> Option<Vec<String>> {
    let wanted = wanted(db).as_ref()?;
    let here = installed(db);
    let names: Vec<String> = wanted
        .iter()
        .map(|(source, _)| (source, project_name(source)))
        .filter(|(source, name)| {
            !here.iter().any(|package| {
                package.def.name == *name
                    || package.dir.trim_end_matches('/').rsplit('/').next() == Some(name)
                    || paths::resolve(PROJECT_FILE, source).is_some_and(|dir| {
                        package.dir.trim_end_matches('/') == dir.trim_end_matches('/')
                    })
            })
        })
        .map(|(_, name)| name)
        .collect();
    (!names.is_empty()).then_some(names)
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
