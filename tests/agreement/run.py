"""Compares what `mxcp` says of SELECT statements with what DuckDB's own binder says of them.

    python run.py MXCP [--show] [--only SET] [--extra FILE.sql]

Every statement becomes the source of a tool. mxcp must report an error exactly when `DESCRIBE` fails in the same
engine, and otherwise have the same column names and types in its manifest. The sets:

    functions   calls of every function of `duckdb_functions()`, overload by overload, and calls that do not fit
    dialect     the features of the dialect, one statement each (dialect.sql)
    tpch, tpcds queries over the two benchmark schemas (tpch.sql, tpcds.sql)
    parameters  statements with parameters, bound to values of the declared types (parameters.sql)
    broken      the statements of the files with one token changed

`open` counts the statements whose columns mxcp says it cannot know. That is an answer only when the statement reads
files or the network, when a part of the engine is not installed, or when the data decides about the columns.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
SITE = "mxcp: 1\nproject: agreement\nprofile: dev\nprofiles:\n  dev:\n    duckdb:\n      path: agreement.duckdb\n"
OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "1"}

# Errors that depend on the machine and not on the statement.
OUTSIDE = re.compile(
    r"^(IO|HTTP|Permission|Missing Extension|Invalid Configuration) Error|exists in the .* extension"
    r"|No files found|Secret|(Sequence|Type) with name|extension|does not support time travel"
)
SAMPLES = {"string": "VARCHAR", "integer": "INTEGER", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "date-time": "TIMESTAMP"}
VALUES = {
    "string": "'day'", "integer": "1", "number": "CAST(0.5 AS DOUBLE)", "boolean": "true", "date": "DATE '2000-01-01'",
    "date-time": "TIMESTAMP '2000-01-01 00:00:00'", "array": "['a']",
}


def read(name):
    """Statements of a file: each ends with `;` at the end of a line."""
    text = (HERE / name if isinstance(name, str) else name).read_text(encoding="utf-8")
    parts = re.split(r";[ \t]*$", text, flags=re.M)
    return [s for s in (re.sub(r"^(--[^\n]*\n|\s)+", "", p).strip() for p in parts) if s]


# -- functions -------------------------------------------------------------------------------------

ARGUMENTS = {
    "ANY": "int", "T": "int", "K": "varchar", "V": "int", "LIST": "int_array", "ANY[]": "int_array", "T[]": "int_array",
    "STRUCT": "struct", "MAP": "map", "MAP(K, V)": "map", "DECIMAL": "dec_9_4", "INTEGER": "int", "BIGINT": "bigint",
    "HUGEINT": "hugeint", "UHUGEINT": "uhugeint", "TINYINT": "tinyint", "SMALLINT": "smallint", "UTINYINT": "utinyint",
    "USMALLINT": "usmallint", "UINTEGER": "uint", "UBIGINT": "ubigint", "BIGNUM": "bignum", "DOUBLE": "double", "FLOAT": "float",
    "VARCHAR": "varchar", "BOOLEAN": "bool", "DATE": "date", "TIME": "time", "TIMESTAMP": "timestamp", "TIMESTAMP_S": "timestamp_s",
    "TIMESTAMP_MS": "timestamp_ms", "TIMESTAMP_NS": "timestamp_ns", "TIMESTAMP WITH TIME ZONE": "timestamp_tz",
    "TIME WITH TIME ZONE": "time_tz", "INTERVAL": "interval", "BLOB": "blob", "BIT": "bit", "UUID": "uuid", "JSON": "j",
    "VARCHAR[]": "varchar_array", "DOUBLE[]": "double_array", "BIGINT[]": "[bigint]", "INTEGER[]": "int_array",
    "BOOLEAN[]": "[bool]", "ENUM": "small_enum", "UNION": "union", "ARRAY": "fixed_int_array", "FLOAT[ANY]": "CAST([1, 2, 3] AS FLOAT[3])",
    "DOUBLE[ANY]": "CAST([1, 2, 3] AS DOUBLE[3])", "LAMBDA": "lambda x: x", "TIME_NS": "time_ns",
}
CONSTANTS = {
    "VARCHAR": "'day'", "INTEGER": "1", "BIGINT": "CAST(1 AS BIGINT)", "DOUBLE": "CAST(0.5 AS DOUBLE)", "BOOLEAN": "true",
    "DATE": "DATE '2000-01-01'", "TIMESTAMP": "TIMESTAMP '2000-01-01'", "INTERVAL": "INTERVAL 1 DAY", "ANY": "1", "T": "1",
    "ANY[]": "[1, 2]", "T[]": "[1, 2]", "LIST": "[1]", "STRUCT": "{'a': 1}", "DOUBLE[]": "[0.25, 0.5]", "JSON": "'{}'::JSON",
    "VARCHAR[]": "['a']", "LAMBDA": "lambda x: x", "MAP": "MAP {'a': 1}", "MAP(K, V)": "MAP {'a': 1}",
}
MISFITS = ["struct", "interval", "[[1]]", "blob", "'text'"]


def functions(db):
    rows = db.execute(
        "SELECT DISTINCT function_name, function_type, parameter_types, varargs FROM duckdb_functions() "
        "WHERE internal AND function_type IN ('scalar', 'aggregate', 'window', 'macro', 'table_macro', 'table') ORDER BY ALL"
    ).fetchall()
    seen = set()
    for name, kind, types, varargs in rows:
        plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name)
        types = list(types or [])

        def call(arguments, name=name, plain=plain, kind=kind):
            if not plain:
                return None if len(arguments) != 2 else f"SELECT {arguments[0]} {name} {arguments[1]} FROM types"
            if "table" in kind:
                return f"SELECT * FROM {name}({', '.join(arguments)})"
            over = " OVER (ORDER BY int)" if kind == "window" else ""
            return f"SELECT {name}({', '.join(arguments)}){over} AS x FROM types"

        columns = [ARGUMENTS.get(str(t), "int") for t in types]
        constants = [CONSTANTS.get(str(t), ARGUMENTS.get(str(t), "1")) for t in types]
        if "table" in kind:
            columns = constants
        tries = [columns]
        if varargs:
            tries.append([*columns, ARGUMENTS.get(str(varargs), "int")])
        if name not in seen:
            seen.add(name)
            turn = len(seen)
            misfit = MISFITS[turn % len(MISFITS)]
            tries += [constants, [*columns, "int", "int", "int", "int"], columns[:-1] if columns else ["int"], [misfit, *columns[1:]]]
            if len(columns) > 1:
                tries.append([*columns[:-1], misfit])
            if turn % 4 == 0:
                tries.append(["nope", *columns[1:]])
            if plain and turn % 8 == 0:
                yield f"SELECT {name}x(int) FROM types"
            if plain and kind == "aggregate":
                yield f"SELECT bool, {name}({', '.join(columns)}) FILTER (bool) OVER (PARTITION BY bool ORDER BY date) AS w FROM types"
                yield f"SELECT bool, {name}(DISTINCT {', '.join(columns)} ORDER BY int) FROM types GROUP BY ALL"
        for arguments in tries:
            sql = call(arguments)
            if sql and sql not in seen:
                seen.add(sql)
                yield sql


# -- broken variants ---------------------------------------------------------------------------------

TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\$\w+|[A-Za-z_]\w*|\d+(?:\.\d+)?|<=|>=|<>|!=|->>?|::|\|\||[^\s\w]")


def broken(statements, chance):
    for sql in statements:
        tokens = [m for m in TOKEN.finditer(sql)]
        words = [m for m in tokens if re.match(r"[a-z_]\w*$", m.group())]
        made = []

        def put(m, text):
            made.append(sql[: m.start()] + text + sql[m.end():])

        if words:
            put(chance.choice(words), "nope_" + str(chance.randrange(9)))
            m = chance.choice(words)
            put(m, m.group() + "x")
        m = chance.choice(tokens)
        put(m, "")
        m = chance.choice(tokens)
        put(m, m.group() + " " + m.group())
        numbers = [m for m in tokens if re.match(r"\d", m.group())]
        if numbers:
            put(chance.choice(numbers), chance.choice(["'soon'", "{'a': 1}", "[1, 2]", "DATE '2020-01-01'", "NULL"]))
        strings = [m for m in tokens if m.group().startswith("'")]
        if strings:
            put(chance.choice(strings), chance.choice(["5", "'zzz'", "true", "INTERVAL 1 DAY"]))
        # A lone name is a statement of its own to `DESCRIBE`.
        yield from (s for s in made if s.strip() != sql and "$$" not in s and " " in s.strip())


# -- the two sides -----------------------------------------------------------------------------------

def quote(value):
    return json.dumps(value)


def parameters_of(sql):
    """`$name__type` names and types a parameter."""
    found = {}
    for name in re.findall(r"\$([a-z]\w*)", sql):
        base, _, kind = name.partition("__")
        found[name] = (kind or "string").replace("_", "-")
    return found


def tool(number, sql):
    lines = ["mxcp: 1", "tool:", f"  name: t{number}", '  description: "x"']
    declared = parameters_of(sql)
    if declared:
        lines.append("  parameters:")
    for name, kind in declared.items():
        lines += [f"    - name: {name}", '      description: "x"']
        if kind in ("date", "date-time"):
            lines += ["      type: string", f"      format: {kind}"]
        elif kind == "array":
            lines += ["      type: array", "      items: {type: string}"]
        else:
            lines.append(f"      type: {kind}")
    lines += ["  return: {type: array}", "  source:", f"    code: {quote(sql)}"]
    return "\n".join(lines) + "\n"


def oracle(db, sql):
    """Columns, or the text of the error."""
    declared = parameters_of(sql)
    try:
        if not declared:
            rows = db.execute("DESCRIBE " + sql).fetchall()
        else:
            db.execute("PREPARE agreement AS DESCRIBE " + sql)
            values = ", ".join(f"{name} := {VALUES[kind]}" for name, kind in declared.items())
            rows = db.execute(f"EXECUTE agreement({values})").fetchall()
        return [(r[0], r[1]) for r in rows], None
    except duckdb.Error as error:
        text = f"{type(error).__name__}: {error}"
        return None, str(error) if " Error: " in str(error) else text
    except Exception as error:  # the client cannot fetch some values
        return None, f"{type(error).__name__}: {error}"


def run(mxcp, root, command, *more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")} | {"HOME": str(root)}
    return subprocess.run([mxcp, command, *more], cwd=root, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def ask_mxcp(mxcp, root, statements):
    """Per statement: its errors, whether it is open, its columns."""
    for i, sql in enumerate(statements):
        (root / "tools" / f"t{i}.yml").write_text(tool(i, sql), encoding="utf-8")
    done = run(mxcp, root, "validate", "--format", "json", "--severity", "info")
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    errors, opened = collections.defaultdict(list), {}
    for finding in findings:
        number = re.search(r"t(\d+)\.yml$", finding["file"])
        if not number:
            sys.exit(f"a finding elsewhere: {finding}")
        number = int(number.group(1))
        if finding["severity"] == "error":
            errors[number].append(f"{finding['code']} {finding['message']}")
        elif finding["code"] == "MX0210":
            opened[number] = finding["message"]
    for number in errors:
        (root / "tools" / f"t{number}.yml").unlink()
    done = run(mxcp, root, "build")
    manifest = root / "target" / "mxcp" / "manifest.json"
    if not manifest.is_file():
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    columns = {}
    for endpoint in json.loads(manifest.read_text(encoding="utf-8"))["endpoints"]:
        body = endpoint["body"]
        listed = body.get("columns", body.get("sql", {}).get("columns") if isinstance(body.get("sql"), dict) else None)
        if listed is not None:
            columns[int(endpoint["name"][1:])] = [(c["name"], c.get("type", c.get("ty"))) for c in listed]
    return errors, opened, columns


def shape(columns):
    # Quotes around the names of fields mean nothing; `DESCRIBE` may spell an alias as the column of that name.
    return [(name.lower(), re.sub(r"\s+", " ", str(ty)).replace('"', "").upper()) for name, ty in columns]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("mxcp")
    parser.add_argument("--show", action="store_true", help="every disagreement, not only the first 40")
    parser.add_argument("--only", action="append", metavar="SET")
    parser.add_argument("--extra", action="append", type=pathlib.Path, default=[], metavar="FILE")
    options = parser.parse_args()
    mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))
    began = time.monotonic()

    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        (root / "tools").mkdir()
        (root / "mxcp-site.yml").write_text(SITE, encoding="utf-8")
        path = root / "agreement.duckdb"
        with duckdb.connect(str(path), config=OFFLINE) as db:
            for statement in read("schema.sql"):
                db.execute(statement)
        db = duckdb.connect(str(path), read_only=True, config=OFFLINE)
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_external_access = false")

        files = {name: read(f"{name}.sql") for name in ("dialect", "tpch", "tpcds", "parameters")}
        chance = random.Random(20)
        sets = {"functions": list(functions(db)), **files}
        for extra in options.extra:
            sets[extra.stem] = read(extra)
        sets["broken"] = list(broken([s for name in sets if name != "functions" for s in sets[name]], chance))
        if options.only:
            sets = {name: statements for name, statements in sets.items() if name in options.only}
        statements = [(name, sql) for name, listed in sets.items() for sql in dict.fromkeys(listed)]
        errors, opened, columns = ask_mxcp(mxcp, root, [sql for _, sql in statements])

        table = collections.defaultdict(collections.Counter)
        wrong = []
        for i, (name, sql) in enumerate(statements):
            count = table[name]
            wanted, error = oracle(db, sql)
            if error and ("FatalException" in error or "InternalException" in error or "INTERNAL Error" in error):
                db.close()
                db = duckdb.connect(str(path), read_only=True, config=OFFLINE)
                db.execute("SET TimeZone = 'UTC'")
                db.execute("SET enable_external_access = false")
                count["crash"] += 1
                continue
            count["statements"] += 1
            count["valid" if error is None else "invalid"] += 1
            if i in errors:
                if error is None:
                    wrong.append((name, "false error", sql, errors[i][0]))
                    count["wrong"] += 1
            elif i in opened:
                count["open"] += 1
                if error is not None and not OUTSIDE.search(error):
                    wrong.append((name, "open, but DuckDB refuses", sql, opened[i] + " / " + error))
                    count["wrong"] += 1
            elif error is not None:
                if OUTSIDE.search(error):
                    count["open"] += 1
                wrong.append((name, "missed error", sql, error))
                count["wrong"] += 1
            elif shape(columns.get(i, ())) != shape(wanted):
                wrong.append((name, "other columns", sql, f"{columns.get(i)} instead of {wanted}"))
                count["wrong"] += 1
        db.close()

    for name, what, sql, why in wrong if options.show else wrong[:40]:
        print(f"{name}: {what}\n    {' '.join(sql.split())[:400]}\n    {' '.join(why.split())[:400]}")
    print(f"\n{'set':12} {'statements':>10} {'valid':>7} {'invalid':>8} {'open':>6} {'disagree':>9}")
    total = collections.Counter()
    for name in sets:
        total.update(table[name])
    for name, c in [*((n, table[n]) for n in sets), ("all", total)]:
        print(f"{name:12} {c['statements']:10} {c['valid']:7} {c['invalid']:8} {c['open']:6} {c['wrong']:9}")
    print(f"{time.monotonic() - began:.0f} s; {total['crash']} statements left out that break the engine itself")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
