//! Plugins: the SQL functions they add, read from their annotations without importing them.

use mxcp_artifact::SqlType;
use mxcp_base::{SourceFile, paths};
use mxcp_catalog::FunctionStub;

use crate::Db;
use crate::documents::{find_file, python_module, site, site_paths};
use crate::surface::read_plugins;

/// Functions named `<method>_<plugin>`, of every `@udf` method of `MXCPPlugin`.
#[salsa::tracked(returns(ref))]
pub fn plugin_functions(db: &dyn Db) -> Vec<FunctionStub> {
    read_plugins(db).functions.clone()
}

/// Plugins that may have more functions than could be read: installed ones, and those whose class
/// inherits methods or has types that cannot be said.
#[salsa::tracked(returns(ref))]
pub fn unread_plugins(db: &dyn Db) -> Vec<String> {
    read_plugins(db).unread.clone()
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plugins {
    functions: Vec<FunctionStub>,
    unread: Vec<String>,
}

#[salsa::tracked(returns(ref))]
pub(crate) fn collect_plugins(db: &dyn Db) -> Plugins {
    let Some(site) = site(db) else {
        return Plugins::default();
    };
    let mut functions = Vec::new();
    let mut unread = Vec::new();
    for plugin in &site.plugins {
        let file = plugin_file(db, &plugin.module);
        // A module from the environment is unknown here: its functions are opaque to typing.
        let Some(file) = file else {
            unread.push(plugin.name.clone());
            continue;
        };
        let module = python_module(db, file);
        let Some(class) = module.classes.iter().find(|c| c.name == "MXCPPlugin") else {
            unread.push(plugin.name.clone());
            continue;
        };
        let mut complete = class.bases.iter().all(|base| base == "MXCPBasePlugin");
        for method in &class.methods {
            if !method
                .decorators
                .iter()
                .any(|d| d == "udf" || d.ends_with(".udf"))
            {
                continue;
            }
            let Some(returns) = method.returns.as_deref().and_then(annotated_type) else {
                complete = false;
                continue;
            };
            let parameters: Option<Vec<SqlType>> = method
                .params
                .iter()
                .skip(1)
                .map(|p| annotated_type(p.annotation.as_deref()?))
                .collect();
            match parameters {
                Some(parameters) => functions.push(FunctionStub {
                    name: format!("{}_{}", method.name, plugin.name),
                    parameters,
                    returns,
                }),
                None => complete = false,
            }
        }
        if !complete {
            unread.push(plugin.name.clone());
        }
    }
    Plugins { functions, unread }
}

/// The file of a plugin's module in the folder of the plugins.
pub(crate) fn plugin_file(db: &dyn Db, module: &str) -> Option<SourceFile> {
    let stem = format!("{}/{}", site_paths(db).plugins, module.replace('.', "/"));
    [format!("{stem}.py"), format!("{stem}/__init__.py")]
        .iter()
        .find_map(|path| find_file(db, &paths::resolve("", path)?))
}

/// The SQL type of a Python annotation, as plugins are registered at run time.
pub(crate) fn annotated_type(text: &str) -> Option<SqlType> {
    let text = text.trim().trim_matches(['"', '\'']);
    let optional = text
        .split('|')
        .map(str::trim)
        .filter(|part| *part != "None")
        .collect::<Vec<_>>();
    if let ([only], true) = (optional.as_slice(), text.contains('|')) {
        return annotated_type(only);
    }
    if let Some((outer, inner)) = text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        let outer = outer.rsplit('.').next().unwrap_or(outer).trim();
        return match outer {
            "Optional" => annotated_type(inner),
            "list" | "List" => Some(SqlType::list(annotated_type(inner)?)),
            "dict" | "Dict" => {
                let (key, value) = inner.split_once(',')?;
                Some(SqlType::Map(
                    Box::new(annotated_type(key)?),
                    Box::new(annotated_type(value)?),
                ))
            }
            _ => None,
        };
    }
    Some(match text.rsplit('.').next().unwrap_or(text) {
        "str" => SqlType::Varchar,
        "int" => SqlType::BigInt,
        "float" => SqlType::Double,
        "bool" => SqlType::Boolean,
        "Decimal" => SqlType::Decimal(18, 3),
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "datetime" => SqlType::Timestamp,
        "timedelta" => SqlType::Interval,
        "bytes" => SqlType::Blob,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::annotated_type;

    #[test]
    fn annotations_are_typed_as_at_run_time() {
        let ty = |text| annotated_type(text).map(|t| t.to_string());
        assert_eq!(ty("str").as_deref(), Some("VARCHAR"));
        assert_eq!(ty("Optional[int]").as_deref(), Some("BIGINT"));
        assert_eq!(ty("int | None").as_deref(), Some("BIGINT"));
        assert_eq!(ty("list[datetime.date]").as_deref(), Some("DATE[]"));
        assert_eq!(
            ty("dict[str, float]").as_deref(),
            Some("MAP(VARCHAR, DOUBLE)")
        );
        assert_eq!(ty("Any"), None);
    }
}
