//! `deps` and `clean`: folders of the project.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::cli::Args;
use super::open::find_root;
use super::progress::Log;
use super::usage;
use crate::commands::output::{self, Failure};
use crate::commands::{CLEAN, FAILED};

fn project(root: &Path) -> Result<Value, Failure> {
    let path = root.join("dbt_project.yml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    serde_yaml::from_str(&text)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// Deletes what `clean-targets` names, inside the project only.
pub(super) fn clean(args: &Args) -> u8 {
    let (root, project) = match find_root(args).and_then(|root| Ok((root.clone(), project(&root)?)))
    {
        Ok(found) => found,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    let targets: Vec<String> = match project.get("clean-targets").and_then(Value::as_array) {
        Some(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        None => vec![
            project
                .get("target-path")
                .and_then(Value::as_str)
                .unwrap_or("target")
                .to_owned(),
        ],
    };
    let kept = [
        "models",
        "seeds",
        "tests",
        "macros",
        "snapshots",
        "analyses",
    ];
    for target in targets {
        let inside = Path::new(&target)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || kept.contains(&target.trim_end_matches('/')) {
            let failure = Failure::new(format!(
                "`{target}` is not deleted: it is outside the project or holds its sources"
            ))
            .help("correct `clean-targets` in dbt_project.yml");
            return usage(args, &failure);
        }
        let path = root.join(&target);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else if path.exists() {
            std::fs::remove_file(&path)
        } else {
            Ok(())
        };
        if let Err(error) = removed {
            output::fail(
                args.json_output,
                &Failure::new(format!("{} cannot be deleted: {error}", path.display())),
            );
            return FAILED;
        }
        log.line(&format!("Cleaned {}", path.display()));
    }
    log.line("Finished cleaning all paths.");
    CLEAN
}

/// Links local packages into the install folder.
pub(super) fn deps(args: &Args) -> u8 {
    let found = find_root(args).and_then(|root| {
        let project = project(&root)?;
        let listed = packages(&root)?;
        Ok((root, project, listed))
    });
    let (root, project, listed) = match found {
        Ok(found) => found,
        Err(failure) => return usage(args, &failure),
    };
    let log = Log::new(args);
    if listed.is_empty() {
        log.line("Warning: No packages were found in packages.yml");
        return CLEAN;
    }
    let folder = root.join(
        project
            .get("packages-install-path")
            .and_then(Value::as_str)
            .unwrap_or("dbt_packages"),
    );
    let mut missing = Vec::new();
    for package in &listed {
        let outcome = match package.get("local").and_then(Value::as_str) {
            Some(path) => link(&root, &folder, path),
            None => installed(&folder, package),
        };
        match outcome {
            Ok(line) => log.line(&line),
            Err(message) => missing.push(message),
        }
    }
    if missing.is_empty() {
        return CLEAN;
    }
    output::fail(
        args.json_output,
        &Failure::new(missing.join("; ")).help(
            "nothing is fetched from the network: run `mxcp dbt --engine dbt-core deps`, or copy the packages into the folder",
        ),
    );
    FAILED
}

/// Of `packages.yml` and `dependencies.yml`.
fn packages(root: &Path) -> Result<Vec<Value>, Failure> {
    let mut listed = Vec::new();
    for name in ["packages.yml", "dependencies.yml"] {
        let path = root.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let file: Value = serde_yaml::from_str(&text)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let list = file.get("packages").and_then(Value::as_array);
        listed.extend(list.into_iter().flatten().cloned());
    }
    Ok(listed)
}

fn link(root: &Path, folder: &Path, path: &str) -> Result<String, String> {
    let source = root.join(path);
    let name = project(&source)
        .ok()
        .and_then(|project| project.get("name")?.as_str().map(str::to_owned))
        .ok_or_else(|| format!("there is no dbt package in `{path}`"))?;
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let place = folder.join(&name);
    let at = std::fs::canonicalize(&source).map_err(|error| error.to_string())?;
    match std::fs::symlink_metadata(&place) {
        Ok(there) if there.is_symlink() => {
            std::fs::remove_file(&place).map_err(|error| error.to_string())?;
        }
        Ok(_) => return Ok(format!("Installed {name} (a copy that is there already)")),
        Err(_) => {}
    }
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(&at, &place);
    #[cfg(not(unix))]
    let linked = copy(&at, &place);
    linked.map_err(|error| format!("`{name}` cannot be linked: {error}"))?;
    Ok(format!("Installed {name} from <local @ {path}>"))
}

#[cfg(not(unix))]
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            std::fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// A package of the hub or of git is fine when somebody has put it there.
fn installed(folder: &Path, package: &Value) -> Result<String, String> {
    let shown = ["package", "git", "tarball", "private"]
        .iter()
        .find_map(|key| package.get(key)?.as_str())
        .unwrap_or("?");
    let name = shown
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .rsplit('/')
        .next()
        .unwrap_or(shown);
    let place: PathBuf = folder.join(name.replace('-', "_"));
    let found = [place, folder.join(name)]
        .into_iter()
        .find(|place| place.join("dbt_project.yml").is_file());
    match found {
        Some(_) => Ok(format!("Installed {name} (it is there already)")),
        None => Err(format!(
            "the package `{shown}` is not in {}",
            folder.display()
        )),
    }
}
