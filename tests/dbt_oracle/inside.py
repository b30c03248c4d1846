"""Runs in the environment of dbt: dumps the databases of a project, or lists many selections in one process.

    python inside.py tables          every relation of every database file of the current directory, as JSON
    python inside.py ls < JSON       what `dbt ls` lists for each of these selections
"""

import datetime
import hashlib
import json
import pathlib
import shlex
import sys


def moments(values: list) -> dict:
    """Times of this very run differ from those of another; what stays is their order."""
    now = datetime.datetime.now()

    def recent(value) -> bool:
        if not isinstance(value, datetime.datetime):
            return False
        return abs((value.replace(tzinfo=None) - now).total_seconds()) < 8 * 86400

    return {v: f"now {i}" for i, v in enumerate(sorted({v for v in values if recent(v)}))}


def relation(connection, name: str, kind: str) -> dict:
    columns = [(c[0], c[1]) for c in connection.execute(f"DESCRIBE {name}").fetchall()]
    rows = connection.execute(f"SELECT * FROM {name}").fetchall()
    for index, (column, _) in enumerate(columns):
        if column == "dbt_scd_id" or column.endswith("_volatile"):
            rows = [(*row[:index], f"{len({r[index] for r in rows})} values", *row[index + 1 :]) for row in rows]
            continue
        named = moments([row[index] for row in rows])
        if named:
            rows = [(*row[:index], named.get(row[index], row[index]), *row[index + 1 :]) for row in rows]
    texts = sorted(repr(row) for row in rows)
    shown = texts if len(texts) <= 40 else [f"{len(texts)} rows", hashlib.sha256("\n".join(texts).encode()).hexdigest()]
    return {"kind": kind, "columns": columns, "rows": shown}


def tables() -> None:
    import duckdb

    found = {}
    for path in sorted(pathlib.Path(".").glob("*.duckdb")):
        connection = duckdb.connect(":memory:")
        # A view may read other files of the project.
        for other in sorted(pathlib.Path(".").glob("*.duckdb")):
            connection.execute(f"ATTACH '{other}' AS \"{other.stem}\" (READ_ONLY)")
        connection.execute(f'USE "{path.stem}"')
        relations = connection.execute(
            "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_catalog = ?", [path.stem]
        ).fetchall()
        found[path.stem] = {}
        for schema, name, kind in sorted(relations):
            try:
                seen = relation(connection, f'"{path.stem}"."{schema}"."{name}"', kind)
            except Exception as error:
                seen = {"kind": kind, "columns": type(error).__name__, "rows": []}
            seen["extra"] = {
                "indexes": sorted(
                    row[0]
                    for row in connection.execute(
                        "SELECT expressions || is_unique FROM duckdb_indexes() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
                        [path.stem, schema, name],
                    ).fetchall()
                ),
                "constraints": sorted(
                    row[0]
                    for row in connection.execute(
                        "SELECT constraint_text FROM duckdb_constraints() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
                        [path.stem, schema, name],
                    ).fetchall()
                ),
                "comments": connection.execute(
                    "SELECT comment FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
                    [path.stem, schema, name],
                ).fetchall(),
            }
            found[path.stem][f"{schema}.{name}"] = seen
        connection.close()
    print(json.dumps(found, default=str))


def ls() -> None:
    from dbt.cli.main import dbtRunner

    selections = json.load(sys.stdin)
    parsed = dbtRunner().invoke(["--quiet", "parse"])
    runner = dbtRunner(manifest=parsed.result)
    found = {}
    for selection in selections:
        arguments = shlex.split(selection)
        if not arguments or not arguments[0].startswith("--"):
            arguments = ["--select", *arguments]
        done = runner.invoke(["--quiet", "ls", *arguments])
        found[selection] = sorted(done.result or []) if done.exception is None else "exit 2"
    print("\nORACLE-LS " + json.dumps(found))


if __name__ == "__main__":
    {"tables": tables, "ls": ls}[sys.argv[1]]()
