//! Python endpoints on a database: rows, parameters, errors, many at once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use mxcp_artifact::Manifest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tests::{ONE_HOST_AT_A_TIME, call, manifest, options, tool};
use crate::{Options, Runtime};

mod reloading;
mod stopping;

/// The functions of `python/m.py` as tools of the same names, without declared parameters, and one SQL
/// tool.
struct Project {
    runtime: Arc<Runtime>,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Project {
    fn drop(&mut self) {
        self.runtime.shutdown();
    }
}

impl Project {
    fn new(source: &str) -> Self {
        Self::with(source, |_, _| {})
    }

    fn with(source: &str, adjust: impl FnOnce(&mut Manifest, &mut Options)) -> Self {
        let turn = ONE_HOST_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("python")).unwrap();
        std::fs::write(dir.path().join("python/m.py"), source).unwrap();
        let functions = source.lines().filter_map(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("def ")?
                .split_once('(')
                .map(|(name, _)| name)
        });
        let endpoints: Vec<Value> = functions
            .map(|name| {
                let body = json!({"python": {"file": "python/m.py", "digest": "blake3:0", "function": name}});
                tool(name, "", json!({"body": body}))
            })
            .chain([tool("sql", "SELECT 1 AS one", json!({"return": {"type": "object"}}))])
            .collect();
        let python = json!([{"path": "python/m.py", "digest": "blake3:0"}]);
        let mut manifest = Arc::unwrap_or_clone(manifest(json!(endpoints), python));
        let mut options = options(dir.path());
        adjust(&mut manifest, &mut options);
        let runtime = Arc::new(Runtime::start(Arc::new(manifest), options).unwrap());
        Self {
            runtime,
            dir,
            _turn: turn,
        }
    }

    fn call(&self, name: &str) -> Result<Value, String> {
        call(&self.runtime, name, json!({}), None)
    }
}

/// The development environment, with the packages of `.setup/python.txt`.
fn venv() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    if venv.join("pyvenv.cfg").exists() {
        return Some(venv);
    }
    eprintln!("skipped: `make setup` has not run");
    None
}

#[test]
fn rows_serve_code_written_for_data_frames() {
    let project = Project::new(
        r#"
import datetime as dt, json
from mxcp.runtime import db

def rows():
    row = db.execute("""SELECT DATE '2024-01-31' AS day, TIMESTAMP '2024-01-31 10:11:12' AS at, [3, 1] AS list,
        INTERVAL 36 HOUR AS span, 2.50::DECIMAL(5,2) AS amount, sum(7)::HUGEINT AS total, NULL::DOUBLE AS nothing""")[0]
    day, at = row["day"], row["at"]
    assert day == dt.date(2024, 1, 31) and day < dt.datetime(2024, 2, 1) and dt.date(2024, 2, 1) > day
    assert (at - day).seconds == 36672 and (dt.datetime(2024, 2, 1) - day).days == 1
    again = db.execute("SELECT typeof($d) AS d, typeof($t) AS t, typeof($l) AS l", {"d": day, "t": at, "l": row["list"]})[0]
    return {
        "row": row, "again": again, "iso": day.isoformat(), "date": day.date(), "next": day + dt.timedelta(days=1),
        "at": at.to_pydatetime().isoformat(), "list": row["list"].tolist(), "hours": row["span"].total_seconds() / 3600,
        "sum": row["amount"] + 1.5, "total": row["total"] + 1, "text": json.dumps([row["list"], row["amount"]]),
    }
"#,
    );
    assert_eq!(
        project.call("rows"),
        Ok(json!({
            "row": {"day": "2024-01-31", "at": "2024-01-31T10:11:12", "list": [3, 1], "span": "P1DT12H",
                    "amount": 2.5, "total": 7, "nothing": null},
            "again": {"d": "DATE", "t": "TIMESTAMP", "l": "INTEGER[]"},
            "iso": "2024-01-31", "date": "2024-01-31", "next": "2024-02-01", "at": "2024-01-31T10:11:12",
            "list": [3, 1], "hours": 36.0, "sum": 4.0, "total": 8, "text": "[[3, 1], 2.5]",
        }))
    );
}

#[test]
fn parameters_are_named_or_in_order_and_exact() {
    let project = Project::new(
        r#"
from mxcp.runtime import db

def bound():
    def fails(*arguments):
        try:
            return db.execute(*arguments)
        except RuntimeError as error:
            return f"{type(error).__name__}: {error}"
    return [
        db.execute("SELECT ? + ? AS n", [1, 2]), db.execute("SELECT $2 || $1 AS t", ("a", "b")),
        db.execute("SELECT $x AS x", {"x": None}),
        fails("SELECT $a + $b", {"a": 1}), fails("SELECT $a", {"a": 1, "b": 2}), fails("SELECT ?", [1, 2]),
        fails("SELECT 1", 5), fails("SELEC 1"), fails("SELECT * FROM nope"),
    ]
"#,
    );
    let Ok(Value::Array(seen)) = project.call("bound") else {
        panic!("{:?}", project.call("bound"));
    };
    assert_eq!(
        seen[..3],
        [
            json!([{"n": 3}]),
            json!([{"t": "ba"}]),
            json!([{"x": null}])
        ]
    );
    let begins = [
        "InvalidInputException: Invalid Input Error: Values were not provided for the following parameters: b",
        "InvalidInputException: Invalid Input Error: Parameter argument/count mismatch, identifiers of the excess parameters: b",
        "InvalidInputException: Invalid Input Error: Parameter argument/count mismatch, identifiers of the excess parameters: 2",
        "InvalidInputException: Invalid Input Error: Prepared parameters can only be passed as a list or a dictionary",
        "ParserException: Parser Error: syntax error at or near \"SELEC\"",
        "CatalogException: Catalog Error: Table with name nope does not exist!",
    ];
    for (text, begin) in seen[3..].iter().zip(begins) {
        assert!(
            text.as_str().is_some_and(|t| t.starts_with(begin)),
            "{text} does not begin with {begin}"
        );
    }
}

#[test]
fn errors_are_caught_by_the_names_of_duckdb() {
    let Some(venv) = venv() else { return };
    let project = Project::with(
        r#"
import duckdb
from mxcp.runtime import db

def caught():
    seen = []
    for sql, expected in [("SELECT * FROM nope", duckdb.CatalogException), ("SELECT CAST('a' AS INT)", duckdb.ConversionException),
                          ("SELEC", duckdb.ParserException), ("SELECT x", duckdb.BinderException), ("SELECT x", duckdb.Error)]:
        try:
            db.execute(sql)
        except expected as error:
            seen.append(isinstance(error, RuntimeError) and type(error).__name__)
    own = duckdb.connect().execute("SELECT 41 + 1").fetchone()[0]
    frame = duckdb.connect().execute("SELECT 1 AS a").df()
    return seen + [own, frame, db.execute("SELECT 43 AS n")[0]["n"]]
"#,
        |_, options| options.venv = Some(venv),
    );
    assert_eq!(
        project.call("caught"),
        Ok(json!([
            "CatalogException",
            "ConversionException",
            "ParserException",
            "BinderException",
            "BinderException",
            42,
            [{"a": 1}],
            43
        ]))
    );
}

#[test]
fn asyncio_keeps_the_call() {
    let project = Project::new(
        r#"
import asyncio, threading
from mxcp.runtime import db

def one(n):
    return db.execute("SELECT $n AS n", {"n": n})[0]["n"]

async def spread():
    async def task(n):
        await asyncio.sleep(0)
        return one(n)
    gathered = await asyncio.gather(task(1), task(2), asyncio.to_thread(one, 3))
    return gathered + [await asyncio.create_task(task(4))]

def nested():
    async def inner():
        return await asyncio.to_thread(one, 5)
    return asyncio.run(inner())

def outside():
    seen = []
    def run():
        try:
            one(1)
        except RuntimeError as error:
            seen.append(str(error).split(";")[0])
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen
"#,
    );
    assert_eq!(project.call("spread"), Ok(json!([1, 2, 3, 4])));
    assert_eq!(project.call("nested"), Ok(json!(5)));
    assert_eq!(
        project.call("outside"),
        Ok(json!([
            "No execution context available - function not called from MXCP executor"
        ]))
    );
}

#[test]
fn a_hundred_calls_at_once() {
    let project = Project::new(
        r#"
import asyncio
from mxcp.runtime import db

def sums():
    return db.execute("SELECT sum(range)::BIGINT AS n FROM range(1000)")[0]["n"]

async def sums_later():
    await asyncio.sleep(0.01)
    return await asyncio.to_thread(sums)
"#,
    );
    let expected = [json!({"one": 1}), json!(499_500), json!(499_500)];
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..100)
            .map(|n| {
                let name = ["sql", "sums", "sums_later"][n % 3];
                (n, scope.spawn(|| project.call(name)))
            })
            .collect();
        for (n, call) in calls {
            assert_eq!(call.join().unwrap().as_ref(), Ok(&expected[n % 3]));
        }
    });
}
