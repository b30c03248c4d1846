//! `reload_duckdb`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Project;

const RELOADS: &str = r#"
import os, time
from mxcp.runtime import db, on_init, on_shutdown, reload_duckdb

starts, events = 0, []

@on_init
def start():
    global starts
    starts += 1
    db.execute("CREATE TABLE IF NOT EXISTS log(what VARCHAR)")

@on_shutdown
def stop():
    db.execute("INSERT INTO log VALUES ('stop ' || $n)", {"n": starts})

def payload():
    try:
        db.execute("SELECT 1")
    except RuntimeError as error:
        events.append(str(error))
    os.rename("data/db-dev.duckdb", "kept.duckdb")

def bad_payload():
    raise ValueError("no file")

def reload():
    reload_duckdb(payload_func=payload, description="a new file")
    time.sleep(0.3)
    return db.execute("SELECT count(*) AS n FROM log")[0]["n"]

def reload_badly():
    reload_duckdb(bad_payload)

def state():
    return [starts, events, [row["what"] for row in db.execute("SELECT what FROM log ORDER BY 1")]]
"#;

#[test]
fn python_reloads_the_database_between_calls() {
    let project = Project::with(RELOADS, |_, options| {
        options.database = Some("data/db-dev.duckdb".into());
    });
    let refused = project.call("reload").unwrap_err();
    assert!(
        refused.contains("Server reference not available in context. This function can only be called from within MXCP server endpoints."),
        "{refused}"
    );
    project.runtime.serve_reloads().unwrap();
    // The call that asks is not cut off, and one that follows at once waits for the new database.
    assert_eq!(project.call("reload"), Ok(json!(0)));
    let state = settled(&project, 2);
    assert_eq!(state, json!([2, ["the database is closed"], []]));
    assert!(project.dir.path().join("kept.duckdb").exists());
    project.call("reload_badly").unwrap();
    let state = settled(&project, 3);
    assert_eq!(state, json!([3, ["the database is closed"], ["stop 2"]]));
    assert_eq!(project.call("sql"), Ok(json!({"one": 1})));
}

fn settled(project: &Project, starts: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let state = project.call("state").unwrap();
        if state[0] == starts {
            return state;
        }
        assert!(Instant::now() < deadline, "{state}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
