//! Time limits and cancellation.

use std::time::{Duration, Instant};

use mxcp_artifact::manifest::Limits;
use mxcp_artifact::{EndpointKind, Manifest};
use serde_json::{Map, json};

use super::Project;
use crate::tests::{call, tool};
use crate::{Call, CallError, Options};

fn limit(milliseconds: u64) -> impl FnOnce(&mut Manifest, &mut Options) {
    move |manifest, _| {
        manifest.project.limits = Limits {
            timeout_ms: milliseconds,
            ..Limits::default()
        };
    }
}

const STUCK: &str = r#"
import asyncio, threading, time
from mxcp.runtime import db

held = threading.Event()
ended = []

def spin():
    try:
        while True:
            pass
    finally:
        ended.append("spin")

def stubborn():
    while not held.is_set():
        try:
            time.sleep(0.01)
        except Exception:
            pass

def sleep():
    held.wait(20)

async def spin_later():
    while True:
        pass

async def wait_later():
    try:
        await asyncio.sleep(20)
    finally:
        ended.append("wait")

def query():
    try:
        db.execute("SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b")
    finally:
        ended.append("query")

def seen():
    return sorted(ended)

def release():
    held.set()

async def fine():
    await asyncio.sleep(0)
    return "fine"
"#;

#[test]
fn a_call_that_takes_too_long_is_stopped_and_the_others_go_on() {
    let project = Project::with(STUCK, limit(400));
    let stuck = [
        "wait_later",
        "spin",
        "stubborn",
        "sleep",
        "query",
        "spin_later",
    ];
    std::thread::scope(|scope| {
        let calls: Vec<_> = stuck
            .iter()
            .map(|name| {
                let call = scope.spawn(|| project.call(name));
                // The first one has to begin before the last one blocks the event loop.
                std::thread::sleep(Duration::from_millis(20));
                (name, call)
            })
            .collect();
        for _ in 0..5 {
            assert_eq!(project.call("sql"), Ok(json!({"one": 1})));
        }
        for (name, call) in calls {
            let error = call.join().unwrap().unwrap_err();
            assert!(error.contains("0.4 seconds"), "{name}: {error}");
        }
    });
    // What could be stopped has ended, and nothing that follows is hit.
    let deadline = Instant::now() + Duration::from_secs(20);
    while project.call("seen") != Ok(json!(["query", "spin", "wait"])) {
        assert!(Instant::now() < deadline, "{:?}", project.call("seen"));
        std::thread::sleep(Duration::from_millis(50));
    }
    for _ in 0..20 {
        assert_eq!(project.call("sql"), Ok(json!({"one": 1})));
        assert_eq!(project.call("fine"), Ok(json!("fine")));
    }
    project.call("release").unwrap();
}

#[test]
fn a_cancelled_call_ends_with_its_sql() {
    let project = Project::new(STUCK);
    for name in ["spin", "wait_later", "query", "sleep"] {
        let call = Call::new(EndpointKind::Tool, name, Map::new());
        let cancel = call.cancel.clone();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| project.runtime.call(&call));
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
            assert_eq!(waiting.join().unwrap().unwrap_err(), CallError::Cancelled);
        });
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while project.call("seen") != Ok(json!(["query", "spin", "wait"])) {
        assert!(Instant::now() < deadline, "{:?}", project.call("seen"));
        std::thread::sleep(Duration::from_millis(50));
    }
    project.call("release").unwrap();
}

#[test]
fn a_plugin_function_knows_the_user_and_is_stopped() {
    let project = Project::with("def nothing():\n    pass\n", |manifest, options| {
        std::fs::create_dir_all(options.root.join("plugins")).unwrap();
        std::fs::write(
            options.root.join("plugins/who.py"),
            "from mxcp.plugins import MXCPBasePlugin, udf\n\
             class MXCPPlugin(MXCPBasePlugin):\n\
             \x20   @udf\n\
             \x20   def name(self, n: int) -> str:\n\
             \x20       return f'{self.get_username()} {self.is_authenticated()} {n}'\n\
             \x20   @udf\n\
             \x20   def spin(self, n: int) -> str:\n\
             \x20       while True: pass\n",
        )
        .unwrap();
        manifest.project.plugins =
            serde_json::from_value(json!([{"name": "w", "module": "who"}])).unwrap();
        manifest.project.limits.timeout_ms = 2000;
        let sql = |name: &str, sql: &str| {
            let value = tool(name, sql, json!({"return": {"type": "object"}}));
            serde_json::from_value(value).unwrap()
        };
        manifest.endpoints.push(sql(
            "who",
            "SELECT min(name_w(i)) AS low, count(DISTINCT name_w(i)) AS n FROM range(1500) t(i)",
        ));
        manifest
            .endpoints
            .push(sql("forever", "SELECT spin_w(1) AS never"));
    });
    let user = Some(json!({"username": "ann"}));
    assert_eq!(
        call(&project.runtime, "who", json!({}), user),
        Ok(json!({"low": "ann True 0", "n": 1500}))
    );
    assert_eq!(
        project.call("who"),
        Ok(json!({"low": "None False 0", "n": 1500}))
    );
    let error = project.call("forever").unwrap_err();
    assert!(error.contains("2 seconds"), "{error}");
    assert_eq!(project.call("sql"), Ok(json!({"one": 1})));
}
