//! What project code imports: the `mxcp` package from memory, packages, other files of the project.

use pyo3::Python;

use super::*;

/// A virtual environment with these modules installed.
fn with_installed(modules: &[(&str, &str)], files: &[(&str, &str)]) -> Project {
    crate::interpreter::ensure().expect("it starts");
    let version = Python::attach(|py| {
        let version = py.version_info();
        format!("{}.{}", version.major, version.minor)
    });
    let mut all: Vec<(String, String)> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    all.push((
        ".venv/pyvenv.cfg".to_owned(),
        format!("version = {version}.0\n"),
    ));
    for (path, text) in modules {
        all.push((
            format!(".venv/lib/python{version}/site-packages/{path}"),
            (*text).to_owned(),
        ));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    Project::with(&all, Echo::default(), |config| {
        config.venv = Some(".venv".into());
        config.plugins = vec![PluginConfig {
            name: "p".to_owned(),
            module: "mxcp_plugin_shared".to_owned(),
            config: BTreeMap::new(),
        }];
    })
    .expect("it starts")
}

#[test]
fn the_package_is_ours_even_when_another_one_is_installed() {
    const OTHER: &str = "raise ImportError('the other one')";
    let project = with_installed(
        &[
            ("mxcp/runtime/__init__.py", OTHER),
            ("mxcp/plugins/__init__.py", OTHER),
            ("mxcp/sdk/__init__.py", OTHER),
            (
                "mxcp_plugin_shared/__init__.py",
                "from mxcp.plugins import MXCPBasePlugin, udf\nclass MXCPPlugin(MXCPBasePlugin):\n    @udf\n    def one(self) -> int:\n        return 1\n",
            ),
        ],
        &[(
            "python/m.py",
            r#"
from mxcp.runtime import config, db, mcp, on_init, on_shutdown, plugins, reload_duckdb
from mxcp.plugins.base import MXCPBasePlugin
import mxcp.runtime, mxcp.plugins

def f():
    return [mxcp.runtime.db is db, isinstance(plugins.get("p"), MXCPBasePlugin), plugins.get("p").one()]

def g():
    import not_installed.part

def h():
    from mxcp.sdk.auth import AuthService
"#,
        )],
    );
    assert_eq!(
        project.call("python/m.py", "f", &[]),
        Ok(json!([true, true, 1]))
    );
    assert_eq!(project.host.udfs()[0].name, "one_p");
    let missing = project.call("python/m.py", "g", &[]).expect_err("missing");
    assert_eq!(
        missing.message,
        "No module named 'not_installed'; if it is a package, install it: `.venv/bin/pip install not_installed`"
    );
    let absent = project.call("python/m.py", "h", &[]).expect_err("absent");
    assert!(
        absent
            .message
            .contains("cannot import name 'AuthService' from 'mxcp.sdk.auth'"),
        "{absent}"
    );
}

#[test]
fn code_finds_its_caller_under_every_name() {
    let project = Project::new(&[(
        "python/m.py",
        r#"
from mxcp.auth.context import get_user_context as old
from mxcp.sdk.audit import add_execution_event, begin_execution_event, get_execution_events
from mxcp.sdk.auth import UserContext, get_user_context, reset_user_context, set_user_context
from mxcp.sdk.executor.context import get_execution_context
from mxcp.sdk.telemetry import record_counter, time_histogram, traced_operation

def f():
    context = get_execution_context()
    played = set_user_context(UserContext(provider="p", user_id="u", username="bob"))
    names = [get_user_context().username, old().username]
    reset_user_context(played)
    event = add_execution_event(span=begin_execution_event(), target="t", details={"n": 1})
    with traced_operation("work") as span:
        span.set_attribute("k", "v")
        record_counter("n")
    with context.get("duckdb_runtime").get_connection() as connection:
        rows = connection.execute_query_to_dict("q", {"n": 1})
    return [names, old().username, context.username, context.get("request_headers"), context.get("none", 5),
            event.status, len(get_execution_events()), rows, time_histogram("t")(lambda: 1)()]
"#,
    )]);
    let context = CallContext {
        user: Some(json!({"username": "ada"})),
        headers: BTreeMap::from([("x-id".to_owned(), "7".to_owned())]),
        ..CallContext::default()
    };
    assert_eq!(
        project.call_in("python/m.py", "f", &[], context),
        Ok(json!([
            ["bob", "bob"],
            "ada",
            "ada",
            {"x-id": "7"},
            5,
            "success",
            1,
            [{"n": 1}],
            1
        ]))
    );
}

#[test]
fn errors_without_a_message_or_with_a_bad_one_are_described() {
    let project = Project::new(&[(
        "python/m.py",
        r#"
class Silent(Exception):
    def __str__(self):
        raise SystemExit("no")

def silent():
    raise Silent

def empty():
    raise ValueError

def memory():
    return bytearray(1 << 62)

def interrupted():
    raise KeyboardInterrupt

def fine():
    return "fine"
"#,
    )]);
    let shown = |function: &str| {
        project
            .call("python/m.py", function, &[])
            .expect_err("it fails")
            .to_string()
    };
    assert_eq!(
        shown("silent"),
        "Silent: an error without a printable message (Silent)"
    );
    assert_eq!(shown("empty"), "ValueError");
    assert_eq!(shown("memory"), "MemoryError");
    assert_eq!(shown("interrupted"), "KeyboardInterrupt");
    assert_eq!(project.call("python/m.py", "fine", &[]), Ok(json!("fine")));
}
