//! Project-relative paths: always `/`, never `.` or `..`.

/// Joins a reference as written in a file onto the directory of that file. An absolute reference
/// starts at the project root. `None` when it leaves the project.
pub fn resolve(from_file: &str, reference: &str) -> Option<String> {
    let reference = reference.replace('\\', "/");
    let mut parts: Vec<&str> = if reference.starts_with('/') {
        Vec::new()
    } else {
        let mut dir: Vec<&str> = from_file.split('/').collect();
        dir.pop();
        dir
    };
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

/// A directory name from a configuration file in the form that paths are compared in.
pub fn directory(text: &str) -> String {
    resolve("", &format!("/{text}")).unwrap_or_default()
}

/// Whether `path` lies below `dir`; everything lies below the root, which is empty.
pub fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.starts_with('/'))
}

pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The file name without its last extension.
pub fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rfind('.') {
        Some(0) | None => name,
        Some(dot) => name.get(..dot).unwrap_or(name),
    }
}

pub fn extension(path: &str) -> &str {
    let name = file_name(path);
    match name.rfind('.') {
        Some(0) | None => "",
        Some(dot) => name.get(dot + 1..).unwrap_or(""),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_below, resolve};

    #[test]
    fn references_stay_inside() {
        assert_eq!(
            resolve("tools/a/b.yml", "../../sql/x.sql").as_deref(),
            Some("sql/x.sql")
        );
        assert_eq!(
            resolve("tools/b.yml", "/sql/x.sql").as_deref(),
            Some("sql/x.sql")
        );
        assert_eq!(resolve("tools/b.yml", "../../x.sql"), None);
        assert!(is_below("tools/x.yml", "tools"));
        assert!(!is_below("toolsx/x.yml", "tools"));
    }
}
