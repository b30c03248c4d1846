//! Calls, hooks, modules and failures.

use super::*;

#[test]
fn a_call_reaches_the_database_and_hooks_have_run() {
    let project = Project::with(
        &[
            (
                "python/churn.py",
                r#"
from mxcp.runtime import db, on_init
model = None

@on_init
def load():
    global model
    assert open("models/churn.txt").read() == "0.5"
    model = db.execute("SELECT 1", {"weight": 0.5})[0]["weight"]

def predict(customer_id: str) -> dict:
    row = db.execute("SELECT $customer_id", {"customer_id": customer_id})[0]
    return {"customer_id": row["customer_id"], "p": model, "seen": [r for r in (1, 2)]}

async def slowly(n):
    import asyncio
    await asyncio.sleep(0.001)
    return db.execute("SELECT $n", {"n": n})
"#,
            ),
            ("models/churn.txt", "0.5"),
        ],
        Echo::default(),
        |config| config.preload = vec!["python/churn.py".to_owned()],
    )
    .expect("it starts");
    project.host.init().expect("hooks run");
    let result = project.call("python/churn.py", "predict", &[("customer_id", text("c1"))]);
    assert_eq!(
        result,
        Ok(json!({"customer_id": "c1", "p": 0.5, "seen": [1, 2]}))
    );
    let result = project.call("python/churn.py", "slowly", &[("n", Cell::Int(3))]);
    assert_eq!(result, Ok(json!([{"n": 3}])));
    assert_eq!(
        *project.database.queries.lock().expect("no panic"),
        ["SELECT 1", "SELECT $customer_id", "SELECT $n"]
    );
    assert!(
        !project.directory.path().join("python/__pycache__").exists(),
        "no bytecode in the project"
    );
}

#[test]
fn failures_are_errors_with_the_users_frames() {
    let project = Project::new(&[
        (
            "python/m.py",
            r#"
import sys
from helpers.deep import inner
from mxcp.runtime import db

def outer():
    return inner({})

def leave():
    sys.exit(3)

async def leave_later():
    sys.exit(4)

def endless():
    return endless()

def no_table():
    return db.execute("SELECT * FROM missing")

def bad_parameter():
    return db.execute("SELECT $x", {"x": object()})

def broken_database():
    return db.execute("panic")

def fine():
    return "fine"
"#,
        ),
        (
            "python/helpers/deep.py",
            "def inner(d):\n    return d['boom']\n",
        ),
        ("python/syntax.py", "def f(:\n"),
        ("python/missing.py", "import no_such_module\n"),
    ]);
    let fail = |function: &str| {
        project
            .call("python/m.py", function, &[])
            .expect_err("it fails")
    };
    let error = fail("outer");
    assert_eq!(
        (error.type_name.as_str(), error.message.as_str()),
        ("KeyError", "'boom'")
    );
    assert_eq!(
        error
            .traceback
            .lines()
            .filter(|l| l.starts_with("  File"))
            .collect::<Vec<_>>(),
        [
            "  File \"python/m.py\", line 7, in outer",
            "  File \"python/helpers/deep.py\", line 2, in inner",
        ]
    );
    assert!(
        error.traceback.contains("return d['boom']"),
        "{}",
        error.traceback
    );
    assert_eq!(
        fail("leave").message,
        "the code called `sys.exit` with status 3"
    );
    assert_eq!(fail("leave_later").type_name, "SystemExit");
    assert_eq!(fail("endless").type_name, "RecursionError");
    assert_eq!(
        fail("no_table").message,
        "Catalog Error: Table with name missing does not exist!"
    );
    assert_eq!(
        fail("bad_parameter").message,
        "parameter `x`: a value of type `object` has no SQL type"
    );
    assert_eq!(fail("no_table").type_name, "CatalogException");
    assert_eq!(fail("broken_database").type_name, "DatabaseError");
    assert_eq!(
        fail("absent").message,
        "Function 'absent' not found in python/m.py"
    );
    let load = |file: &str| project.call(file, "f", &[]).expect_err("it fails");
    assert_eq!(load("python/syntax.py").type_name, "SyntaxError");
    assert!(
        load("python/syntax.py")
            .traceback
            .contains("\"python/syntax.py\", line 1")
    );
    assert_eq!(load("python/missing.py").type_name, "ModuleNotFoundError");
    assert_eq!(
        load("python/none.py").message,
        "no such file: `python/none.py`"
    );
    assert_eq!(project.call("python/m.py", "fine", &[]), Ok(json!("fine")));
}

#[test]
fn a_failing_hook_is_reported_and_the_rest_goes_on() {
    let project = Project::with(
        &[
            (
                "python/bad.py",
                "from mxcp.runtime import on_init\n@on_init\ndef setup():\n    raise ValueError('no model')\n",
            ),
            (
                "python/good.py",
                "from mxcp.runtime import on_init\nready = False\n@on_init\nasync def setup():\n    global ready\n    ready = True\ndef f():\n    return ready\n",
            ),
        ],
        Echo::default(),
        |config| config.preload = vec!["python/bad.py".to_owned(), "python/good.py".to_owned()],
    )
    .expect("it starts");
    let error = project.host.init().expect_err("a hook fails");
    assert_eq!(error.message, "no model");
    assert!(
        error
            .traceback
            .contains("File \"python/bad.py\", line 4, in setup")
    );
    assert_eq!(project.call("python/good.py", "f", &[]), Ok(json!(true)));
}

#[test]
fn a_file_is_itself_whatever_its_name() {
    let project = Project::new(&[
        (
            "python/json.py",
            "def f():\n    import json\n    return [__name__[:14], json.dumps(1)]\n",
        ),
        (
            "python/pkg/part.py",
            "from .other import value\ndef f():\n    return [__name__, value]\n",
        ),
        ("python/pkg/other.py", "value = 7\n"),
        (
            "tools/local.py",
            "def f():\n    import pkg.part\n    return [__name__[:20], pkg.part.value]\n",
        ),
    ]);
    assert_eq!(
        project.call("python/json.py", "f", &[]),
        Ok(json!(["_mxcp_endpoint", "1"]))
    );
    assert_eq!(
        project.call("python/pkg/part.py", "f", &[]),
        Ok(json!(["pkg.part", 7]))
    );
    assert_eq!(
        project.call("tools/local.py", "f", &[]),
        Ok(json!(["_mxcp_endpoint_local", 7]))
    );
}

#[test]
fn the_runtime_module_knows_the_project_and_the_caller() {
    let project = Project::with(
        &[(
            "python/m.py",
            r#"
import threading
from mxcp.runtime import config, db, mcp, plugins, reload_duckdb
from mxcp.sdk.auth.context import get_user_context

def look():
    user = get_user_context()
    return [config.get_secret("api"), config.get_secret("none"), config.get_setting("a.b"),
            config.get_setting("a.x", 5), plugins.list(), user.username, user.raw_profile["role"]]

async def tell():
    await mcp.info("hello", step=1)
    await mcp.progress(1, total=2, message="half")
    mcp.warning("no await")

def outside():
    seen = []
    def run():
        try:
            db.execute("SELECT 1")
        except RuntimeError as error:
            seen.append(str(error))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen

def reload():
    reload_duckdb()

def unknown():
    import mxcp.sdk.evals
"#,
        )],
        Echo::default(),
        |config| {
            config.site = json!({"a": {"b": 1}});
            config.secrets = vec![("api".to_owned(), json!({"key": "k"}))];
        },
    )
    .expect("it starts");
    let said = Arc::new(Mutex::new(Vec::new()));
    let (log, progress) = (Arc::clone(&said), Arc::clone(&said));
    let context = CallContext {
        user: Some(json!({"username": "ada", "role": "admin"})),
        log: Some(Arc::new(move |level, message| {
            log.lock()
                .expect("no panic")
                .push(format!("{level:?} {message}"));
        })),
        progress: Some(Arc::new(move |done, total, message| {
            progress
                .lock()
                .expect("no panic")
                .push(format!("{done} {total:?} {message:?}"));
        })),
        ..CallContext::default()
    };
    assert_eq!(
        project.call_in("python/m.py", "look", &[], context.clone()),
        Ok(json!([{"key": "k"}, null, 1, 5, [], "ada", "admin"]))
    );
    project
        .call_in("python/m.py", "tell", &[], context)
        .expect("it tells");
    assert_eq!(
        *said.lock().expect("no panic"),
        [
            "Info hello (step=1)",
            "1 Some(2.0) Some(\"half\")",
            "Warning no await"
        ]
    );
    let outside = project
        .call("python/m.py", "outside", &[])
        .expect("it returns");
    assert!(
        outside[0].as_str().is_some_and(|m| m.starts_with(
            "No execution context available - function not called from MXCP executor"
        )),
        "{outside}"
    );
    assert_eq!(
        project
            .call("python/m.py", "reload", &[])
            .expect_err("fails")
            .type_name,
        "RuntimeError"
    );
    let unknown = project
        .call("python/m.py", "unknown", &[])
        .expect_err("fails");
    assert!(unknown.message.contains("`mxcp.sdk.evals`"), "{unknown}");
}

#[test]
fn waiting_coroutines_do_not_occupy_the_workers() {
    let project = Project::new(&[(
        "python/m.py",
        r#"
import asyncio
arrived = 0
async def meet(number):
    global arrived
    arrived += 1
    while arrived < 4:
        await asyncio.sleep(0.001)
    return number
"#,
    )]);
    let mut pending = Vec::new();
    for number in 0..4 {
        let request = CallRequest {
            file: "python/m.py".to_owned(),
            function: "meet".to_owned(),
            arguments: vec![("number".to_owned(), Cell::Int(number))],
            context: CallContext::default(),
        };
        pending.push(project.host.begin(request));
    }
    let limit = std::time::Duration::from_secs(30);
    let mut met: Vec<i64> = pending
        .into_iter()
        .filter_map(|call| call.wait(Some(limit)).ok()?.as_i64())
        .collect();
    met.sort_unstable();
    assert_eq!(met, [0, 1, 2, 3]);
}

#[test]
fn a_new_host_sees_edited_code_and_a_closed_one_refuses() {
    let project = Project::new(&[
        (
            "python/m.py",
            "from helper import value\ndef f():\n    return value\n",
        ),
        ("python/helper.py", "value = 1\n"),
    ]);
    assert_eq!(project.call("python/m.py", "f", &[]), Ok(json!(1)));
    project.host.shutdown();
    let refused = project.call("python/m.py", "f", &[]).expect_err("closed");
    assert_eq!(refused.type_name, "HostError");
    let root = project.directory.path();
    std::fs::write(root.join("python/helper.py"), "value = 2\n").expect("written");
    let config = HostConfig {
        root: root.to_owned(),
        python_path: "python".to_owned(),
        ..HostConfig::default()
    };
    let host = PythonHost::start(config, Arc::new(Echo::default())).expect("it starts");
    let request = CallRequest {
        file: "python/m.py".to_owned(),
        function: "f".to_owned(),
        arguments: Vec::new(),
        context: CallContext::default(),
    };
    assert_eq!(host.call(request), Ok(json!(2)));
    host.shutdown();
}
