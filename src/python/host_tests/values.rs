//! Values on their way into Python and out of it.

use super::*;

#[test]
fn cells_survive_the_way_through_python() {
    let project = Project::new(&[(
        "python/echo.py",
        r#"
from mxcp.runtime import db
def types(**values):
    return {k: type(v).__name__ for k, v in values.items()}
def back(**values):
    db.execute("", values)
"#,
    )]);
    let cells = [
        ("null", Cell::Null),
        ("flag", Cell::Bool(true)),
        ("huge", Cell::Int(i128::MIN)),
        ("float", Cell::Float(1.5)),
        ("text", text("h\u{e9}")),
        ("blob", Cell::Bytes(vec![0, 255])),
        ("date", Cell::Date { days: -719_162 }),
        (
            "time",
            Cell::Time {
                micros: 3_661_000_001,
            },
        ),
        (
            "naive",
            Cell::Timestamp {
                micros: -1,
                tz: None,
            },
        ),
        (
            "utc",
            Cell::Timestamp {
                micros: 1_700_000_000_123_456,
                tz: Some(0),
            },
        ),
        (
            "zoned",
            Cell::Timestamp {
                micros: 1_700_000_000_000_000,
                tz: Some(-12_600),
            },
        ),
        (
            "span",
            Cell::Interval {
                months: 0,
                days: -2,
                micros: 5,
            },
        ),
        (
            "id",
            Cell::Uuid("23fcd5f9-d7a3-4bf8-853a-7b5e521e6e6d".to_owned()),
        ),
        ("list", Cell::List(vec![Cell::Int(1), Cell::Null])),
        ("record", Cell::Struct(vec![("a".to_owned(), Cell::Int(1))])),
        ("map", Cell::Map(vec![(Cell::Int(1), text("x"))])),
    ];
    struct Compare(Vec<(String, Cell)>);
    impl Database for Compare {
        fn execute(
            &self,
            _: &str,
            p: Vec<(String, Cell)>,
            _: &CallContext,
        ) -> Result<Rows, String> {
            assert_eq!(p, self.0);
            Ok(Rows::default())
        }
    }
    let expected = cells
        .iter()
        .map(|(n, c)| ((*n).to_owned(), c.clone()))
        .collect();
    let config = HostConfig {
        root: project.directory.path().to_owned(),
        python_path: "python".to_owned(),
        ..HostConfig::default()
    };
    let host = PythonHost::start(config, Arc::new(Compare(expected))).expect("it starts");
    let request = |function: &str| CallRequest {
        file: "python/echo.py".to_owned(),
        function: function.to_owned(),
        arguments: cells
            .iter()
            .map(|(n, c)| ((*n).to_owned(), c.clone()))
            .collect(),
        context: CallContext::default(),
    };
    assert_eq!(host.call(request("back")), Ok(Value::Null));
    let types = host.call(request("types")).expect("types");
    assert_eq!(
        types,
        json!({"null": "NoneType", "flag": "bool", "huge": "int", "float": "float", "text": "str",
            "blob": "bytes", "date": "date", "time": "time", "naive": "datetime", "utc": "datetime",
            "zoned": "datetime", "span": "timedelta", "id": "UUID", "list": "list",
            "record": "dict", "map": "dict"})
    );
    host.shutdown();
}

#[test]
fn rows_are_dicts_with_distinct_names_and_numbers() {
    let rows = Rows {
        columns: ["id", "id", "amount", "far"].map(str::to_owned).to_vec(),
        rows: vec![vec![
            Cell::Int(1),
            Cell::Int(2),
            Cell::Decimal("12.50".to_owned()),
            Cell::Date { days: i32::MAX },
        ]],
    };
    let database = Echo {
        rows: Some(rows),
        ..Echo::default()
    };
    let source = "from mxcp.runtime import db\ndef rows():\n    return db.execute('q')\n";
    let project = Project::with(&[("python/m.py", source)], database, |_| {}).expect("it starts");
    assert_eq!(
        project.call("python/m.py", "rows", &[]),
        Ok(json!([{"id": 1, "id_1": 2, "amount": 12.5, "far": "infinity"}]))
    );
}

#[test]
fn every_result_becomes_json() {
    let project = Project::new(&[(
        "python/m.py",
        r#"
import dataclasses, datetime as dt, decimal, enum, uuid
D = decimal.Decimal

@dataclasses.dataclass
class Point:
    x: int
    at: dt.date

class Model:
    def model_dump(self, mode):
        return {"mode": mode}

class Colour(enum.Enum):
    RED = "red"

def plain():
    return {
        1: None, None: True, "nan": float("nan"), "big": 2**64 - 1, "bigger": 2**64,
        "exact": D("19.99"), "inexact": D("0.12345678901234567890"), "whole": D("1E+2"),
        "when": dt.datetime(2024, 1, 2, 3, tzinfo=dt.timezone.utc), "day": dt.date(2024, 1, 2),
        "span": dt.timedelta(days=1, seconds=90), "point": Point(1, dt.date(2024, 1, 2)),
        "set": {"b", "a"}, "red": Colour.RED, "bytes": b"ab", "lone": "\ud800",
        "id": uuid.UUID(int=0), "rows": (i for i in range(2)), "other": object, "model": Model(),
    }

def circular():
    me = []
    me.append(me)
    return me
"#,
    )]);
    assert_eq!(
        project.call("python/m.py", "plain", &[]),
        Ok(json!({
            "1": null, "null": true, "nan": null, "big": u64::MAX, "bigger": "18446744073709551616",
            "exact": 19.99, "inexact": "0.12345678901234567890", "whole": 100,
            "when": "2024-01-02T03:00:00+00:00", "day": "2024-01-02",
            "span": "P1DT1M30S", "point": {"x": 1, "at": "2024-01-02"},
            "set": ["a", "b"], "red": "red", "bytes": "YWI=", "lone": "\u{fffd}\u{fffd}\u{fffd}",
            "id": "00000000-0000-0000-0000-000000000000", "rows": [0, 1], "other": "<class 'object'>",
            "model": {"mode": "json"},
        }))
    );
    let error = project
        .call("python/m.py", "circular", &[])
        .expect_err("endless");
    assert_eq!(error.type_name, "ValueError");
}
