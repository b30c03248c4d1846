"""Projects that want to do harm, or that are too much: checked and built, and nothing may happen.

    python run.py MXCP [--only WORD] [--megabytes 100] [--show]

Each case changes a copy of fixtures/shop, whose database is built, and runs `mxcp validate` and `mxcp build`.
Afterwards the database, the files of the project (but `.mxcp/` and, of `build`, `target/` and `mxcp.lock`), the files around it and
the home directory must be what they were, a listening HTTP server must not have been asked, and the program
must have ended by itself with exit code 0 or 1, within the time, within the memory, without a panic.
"""

import argparse
import hashlib
import http.server
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent / "fixtures" / "shop"
SECONDS = 60
# Of resident memory. A text of 100 MB is held a few times: as read, as a tree, as a report.
MEGABYTES = 3000

TOOL = """\
mxcp: 1
tool:
  name: hostile
  description: "Wants to do harm"
  source:
    code: |
{sql}
"""


def sql_tool(sql):
    indented = "\n".join("      " + line for line in sql.splitlines())
    return {"tools/hostile.yml": TOOL.format(sql=indented)}


def model(text):
    return {"models/hostile.sql": text}


def cases(port, outside, megabytes):
    url = f"http://127.0.0.1:{port}"
    target = f"{outside}/written"
    yield from {
        "drop": "DROP TABLE customer_revenue",
        "drop behind a query": "SELECT 1 AS a; DROP TABLE customer_revenue",
        "drop before a query": "DROP TABLE customer_revenue; SELECT 1 AS a",
        "drop in a transaction": "BEGIN; DROP TABLE customer_revenue; COMMIT; SELECT 1 AS a",
        "delete in a CTE": "WITH gone AS (DELETE FROM raw_orders RETURNING *) SELECT * FROM gone",
        "delete": "DELETE FROM raw_orders",
        "truncate": "TRUNCATE raw_orders",
        "update": "UPDATE raw_orders SET amount = 0",
        "create or replace": "CREATE OR REPLACE TABLE raw_orders AS SELECT 1 AS a",
        "copy to a file": f"COPY (SELECT 1) TO '{target}.csv'",
        "copy to the project": "COPY (SELECT 1) TO 'tools/stolen.csv'",
        "copy from a file": f"COPY raw_orders FROM '{outside}/canary'",
        "copy a database": f"COPY FROM DATABASE shop TO '{target}'",
        "export the database": f"EXPORT DATABASE '{target}'",
        "import a database": f"IMPORT DATABASE '{outside}'",
        "attach": f"ATTACH '{target}.duckdb' AS other; SELECT 1 AS a",
        "attach over HTTP": f"ATTACH '{url}/x.duckdb' AS other",
        "detach": "DETACH shop",
        "install": "INSTALL httpfs; LOAD httpfs; SELECT 1 AS a",
        "install from somewhere": f"INSTALL evil FROM '{url}'",
        "load a library": f"LOAD '{outside}/canary'",
        "read a file": "SELECT * FROM read_csv('/etc/passwd')",
        "read a text": "SELECT content FROM read_text('/etc/passwd')",
        "read a secret file": f"FROM '{outside}/canary.csv'",
        "read over HTTP": f"SELECT * FROM read_csv('{url}/data.csv')",
        "read parquet over HTTP": f"FROM '{url}/data.parquet'",
        "list files": "FROM glob('/etc/*')",
        "environment": "SELECT getenv('HOME') AS home",
        "create a secret": "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
        "settings": "SET enable_external_access = true; SET lock_configuration = false; SELECT * FROM read_text('/etc/passwd')",
        "reset settings": "RESET enable_external_access; FROM read_text('/etc/passwd')",
        "home directory": f"SET home_directory = '{outside}'",
        "temporary directory": f"SET temp_directory = '{target}'",
        "log to a file": f"SET log_query_path = '{target}.log'; SELECT 1 AS a",
        "profiling to a file": f"PRAGMA enable_profiling='json'; PRAGMA profiling_output='{target}.json'; SELECT 1 AS a",
        "explain analyze": "EXPLAIN ANALYZE DELETE FROM raw_orders",
        "prepare and execute": "PREPARE p AS DROP TABLE raw_orders; EXECUTE p",
        "call": "CALL pragma_table_info('raw_orders')",
        "checkpoint": "CHECKPOINT; VACUUM; ANALYZE",
        "query text": "FROM query('DROP TABLE raw_orders')",
        "query a file": "FROM query('FROM read_text(''/etc/passwd'')')",
        "query a table by name": "FROM query_table('/etc/passwd')",
        "macro over a file": "CREATE MACRO m() AS TABLE FROM read_text('/etc/passwd'); FROM m()",
        "sequence": "CREATE SEQUENCE s; SELECT nextval('s') AS n",
        "endless rows": "SELECT sum(i) AS s FROM range(1000000000000000) AS t(i)",
        "endless recursion": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) AS n FROM t",
        "a long constant": "SELECT length(repeat('x', 2000000000)) AS n",
        "a long list": "SELECT len(range(100000000)) AS n",
        "constants that grow": "SELECT " + "repeat(" * 12 + "'xxxxxxxxxx'" + ", 10)" * 12 + " AS n",
        "a pattern that grows": "SELECT regexp_matches(repeat('a', 40), '(a*)*b') AS m",
        "deep parentheses": "SELECT " + "(" * 10000 + "1" + ")" * 10000 + " AS n",
        "deep functions": "SELECT " + "abs(" * 10000 + "1" + ")" * 10000 + " AS n",
        "deep subqueries": "SELECT * FROM (" * 3000 + "SELECT 1 AS n" + ")" * 3000,
        "deep CASE": "SELECT " + "CASE WHEN true THEN " * 5000 + "1" + " END" * 5000 + " AS n",
        "deep NOT": "SELECT " + "NOT " * 20000 + "true AS n",
        "a long sum": "SELECT " + " + ".join(["1"] * 20000) + " AS n",
        "a long condition": "SELECT 1 AS n WHERE " + " AND ".join(["1 = 1"] * 20000),
        "a wide row": "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(10000)),
        "a long IN": "SELECT 1 AS n WHERE 1 IN (" + ", ".join(map(str, range(100000))) + ")",
        "many unions": " UNION ALL ".join(["SELECT 1 AS n"] * 5000),
        "many CTEs": "WITH " + ", ".join(f"c{i} AS (SELECT {i} AS n)" for i in range(3000)) + " SELECT * FROM c0",
        "CTEs that double": "WITH c0 AS (SELECT 1 AS n), "
        + ", ".join(f"c{i} AS (SELECT a.n FROM c{i - 1} a, c{i - 1} b)" for i in range(1, 30))
        + " SELECT n FROM c29",
        "many errors": "SELECT " + ", ".join(f"no_{i}" for i in range(3000)) + " FROM raw_orders",
        "many statements": "; ".join(["SELECT 1 AS a"] * 5000),
        "open brackets": "SELECT " + "[" * 20000,
        "open quote": "SELECT '" + "x" * 1000000,
        "open comment": "SELECT 1 /* " + "/* " * 20000,
        "dollar quotes": "SELECT $a$ " * 2000,
        "zero bytes": "SELECT '\\0' AS a, chr(0) AS b",
    }.items()


def files(port, outside, megabytes):
    """Whole files instead of SQL: name to (path, text or bytes) or a function of the root."""
    url = f"http://127.0.0.1:{port}"
    big = megabytes * 1_000_000
    head = "mxcp: 1\ntool:\n  name: hostile\n"
    yield "an endless loop", model("{% for i in range(100000000000) %}x{% endfor %}")
    yield "loops in loops", model("{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}")
    yield "a macro that calls itself", model("{% macro m() %}{{ m() }}{% endmacro %}SELECT {{ m() }}")
    yield "two macros that call each other", model("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}SELECT {{ a() }}")
    yield "a text that doubles", model("{% set ns = namespace(x='xxxxxxxxxx') %}{% for i in range(200) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}SELECT '{{ ns.x }}' AS a")
    yield "a text times a number", model("SELECT '{{ 'x' * 100000000000 }}' AS a")
    yield "a wide format", model("SELECT '{{ '%1000000000d' % 1 }}' AS a")
    yield "a wide indent", model("SELECT '{{ 'x' | indent(10000000000, true) }}' AS a")
    yield "a huge power", model("SELECT {{ 10 ** 1000000000 }} AS a")
    yield "endless while building a list", model("{% set l = [] %}{% for i in range(10**12) %}{% do l.append(i) %}{% endfor %}SELECT 1 AS a")
    yield "run_query that drops", model("{% do run_query('DROP TABLE raw_orders') %}SELECT 1 AS a")
    yield "a statement that drops", model("{% call statement('x') %}DROP TABLE raw_orders{% endcall %}SELECT 1 AS a")
    yield "an adapter that drops", model("{% do adapter.drop_relation(this) %}SELECT 1 AS a")
    yield "run_query over a file", model("{% set r = run_query(\"SELECT * FROM read_text('/etc/passwd')\") %}SELECT '{{ r }}' AS a")
    yield "run_query over HTTP", model(f"{{% set r = run_query(\"FROM read_csv('{url}/x.csv')\") %}}SELECT 1 AS a")
    yield "an include", model("{% include '/etc/passwd' %}SELECT 1 AS a")
    yield "an import", model("{% import '../../outside/canary' as x %}SELECT 1 AS a")
    yield "names of Python", model("SELECT '{{ ''.__class__.__mro__[1].__subclasses__() }}' AS a")
    yield "an environment variable", model("SELECT '{{ env_var('HOME') }}' AS a")
    yield "hooks that drop", {"dbt_project.yml": (PROJECT / "dbt_project.yml").read_text() + "\non-run-start: \"DROP TABLE raw_orders\"\non-run-end: [\"COPY (SELECT 1) TO 'x.csv'\"]\n"}
    yield "a model below everything", model("SELECT " + "(" * 10000 + "1" + ")" * 10000 + " AS a")
    yield "deep Jinja expressions", model("SELECT {{ " + "(" * 20000 + "1" + ")" * 20000 + " }} AS a")
    yield "deep Jinja blocks", model("{% if true %}" * 5000 + "SELECT 1 AS a" + "{% endif %}" * 5000)
    yield "deep Jinja lists", model("{% set x = " + "[" * 20000 + "]" * 20000 + " %}SELECT 1 AS a")
    yield "models in a long chain", {f"models/chain_{i}.sql": f"SELECT * FROM {{{{ ref('chain_{i - 1}') }}}}" if i else "SELECT 1 AS a" for i in range(600)}
    yield "models in a long circle", {f"models/circle_{i}.sql": f"SELECT * FROM {{{{ ref('circle_{(i + 1) % 1000}') }}}}" for i in range(1000)}
    yield "a seed of many rows", {"seeds/many.csv": "a,b\n" + "1,x\n" * (big // 40)}
    yield "a seed of one cell", {"seeds/wide.csv": "a\n\"" + "x" * (big // 10) + "\"\n"}
    yield "a seed of many columns", {"seeds/columns.csv": ",".join(f"c{i}" for i in range(20000)) + "\n"}
    yield "a seed with an open quote", {"seeds/open.csv": "a,b\n\"" + "1,x\n" * 100000}

    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]\n" for i in range(1, 12)
    )
    yield "a billion laughs", {"tools/hostile.yml": laughs + head}
    yield "laughs in metadata", {"tools/hostile.yml": head + "  source: {code: SELECT 1 AS a}\nmetadata:\n" + "".join("  " + line + "\n" for line in laughs.splitlines())}
    yield "laughs in property files", {"models/hostile.yml": "version: 2\nmodels: []\n" + laughs}
    yield "laughs in the site file", {"mxcp-site.yml": (PROJECT / "mxcp-site.yml").read_text() + laughs}
    yield "merged laughs", {"tools/hostile.yml": "m0: &m0 {a: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [" + ", ".join([f"*m{i - 1}"] * 10) + f"], k{i}: 1}}\n" for i in range(1, 12)) + head}
    yield "an alias of itself", {"tools/hostile.yml": "a: &a [*a]\n" + head}
    yield "deep brackets", {"tools/hostile.yml": head + "  source: " + "[" * 10000 + "]" * 10000}
    yield "deep open brackets", {"tools/hostile.yml": head + "  source: " + "[" * 100000}
    yield "deep mappings", {"tools/hostile.yml": head + "".join("  " * (i + 1) + f"k{i}:\n" for i in range(3000))}
    yield "deep lists", {"tools/hostile.yml": head + "  tags:\n    " + "- " * 10000 + "x\n"}
    yield "deep types", {"tools/hostile.yml": head + "  return: " + "{type: array, items: " * 2000 + "{type: string}" + "}" * 2000 + "\n  source: {code: SELECT 1 AS a}\n"}
    yield "a deep default", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: array, items: {type: array}, default: " + "[" * 400 + "]" * 400 + "}\n  source: {code: SELECT $p AS a}\n"}
    yield "many keys", {"tools/hostile.yml": head + "".join(f"  k{i}: 1\n" for i in range(50000))}
    yield "many parameters", {"tools/hostile.yml": head + "  parameters:\n" + "".join(f"    - {{name: p{i}, type: string}}\n" for i in range(3000)) + "  source: {code: SELECT 1 AS a}\n"}
    yield "a tag that runs", {"tools/hostile.yml": head + f"  source: !!python/object/apply:os.system ['touch {outside}/written']\n"}
    yield "a large text", {"tools/hostile.yml": head + "  description: |\n" + ("    " + "x" * 96 + "\n") * (big // 101) + "  source: {code: SELECT 1 AS a}\n"}
    yield "a large line", {"tools/hostile.yml": head + "  description: \"" + "x" * big + "\"\n"}
    yield "a large list", {"tools/hostile.yml": head + "  tags:\n" + "    - x\n" * (big // 80)}
    yield "a large comment", {"tools/hostile.yml": "#" * big + "\n" + head}
    yield "zeros", {"tools/hostile.yml": b"\0" * 100000}
    yield "no UTF-8", {"tools/hostile.yml": head.encode() + b"  description: \xff\xfe\xfd\n"}
    yield "UTF-16", {"tools/hostile.yml": head.encode("utf-16")}
    yield "control characters", {"tools/hostile.yml": head + "  description: \"\x1b[31mred\x07\x1b]0;title\x07\"\n"}
    yield "text that turns round", {"tools/hostile.yml": head + "  description: \"\u202e\u2066evil\u2069\"\n  source: {code: SELECT 1 AS a}\n"}

    def python_tool(text):
        return {"tools/hostile.yml": head + "  language: python\n  source: {file: ../python/hostile.py}\n", "python/hostile.py": text}

    yield "Python that writes when imported", python_tool(f"open('{outside}/written', 'w').write('x')\ndef hostile():\n    return 1\n")
    yield "Python that calls a shell", python_tool(f"import os\nos.system('touch {outside}/written')\ndef hostile(): return 1\n")
    yield "Python that never ends", python_tool("while True: pass\ndef hostile(): return 1\n")
    yield "a plugin that writes", {"plugins/text_tools.py": f"open('{outside}/written', 'w').write('x')\n" + (PROJECT / "plugins/text_tools.py").read_text()}
    yield "deep Python", python_tool("x = " + "(" * 10000 + "1" + ")" * 10000 + "\ndef hostile(): return 1\n")
    yield "deep Python operators", python_tool("x = " + "-" * 20000 + "1\ndef hostile(): return 1\n")
    yield "deep Python calls", python_tool("x = " + "f(" * 10000 + ")" * 10000 + "\ndef hostile(): return 1\n")
    yield "deep Python blocks", python_tool("".join(" " * i + "if x:\n" for i in range(2000)) + " " * 2000 + "pass\n")
    yield "deep Python types", python_tool("def hostile() -> " + "list[" * 5000 + "int" + "]" * 5000 + ": return 1\n")
    yield "large Python", python_tool("x = 1\n" * 500000 + "def hostile(): return 1\n")
    yield "zeros in Python", python_tool("def hostile():\0 return 1\n")
    yield "a model in Python that writes", {"models/evil.py": f"open('{outside}/written', 'w')\ndef model(dbt, session): return None\n"}

    def condition(cel):
        text = head + "  source: {code: SELECT 1 AS a}\n  policies:\n    input:\n      - {condition: '" + cel + "', action: deny, reason: no}\n"
        return {"tools/hostile.yml": text}

    yield "a deep condition", condition("(" * 10000 + "true" + ")" * 10000)
    yield "a long condition of a policy", condition(" || ".join(["true"] * 10000))
    yield "a condition of many nots", condition("!" * 10000 + "true")
    yield "a condition of deep lists", condition("[" * 5000 + "]" * 5000 + " == []")
    yield "a pattern in a condition", condition("\"a\".matches(\"((((a{100}){100}){100}){100})\")")
    yield "a pattern of a type", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: string, pattern: '((a{1000}){1000}){1000}', default: a}\n  source: {code: SELECT $p AS a}\n"}
    yield "a pattern that goes back", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: string, pattern: '^(a+)+$', default: " + "a" * 5000 + "b}\n  source: {code: SELECT $p AS a}\n"}
    yield "a long pattern with looks", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: string, pattern: '^(?=(a+)+b)(a+)+$', default: " + "a" * 60 + "}\n  source: {code: SELECT $p AS a}\n"}
    yield "a step of nothing", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: number, minimum: -1e308, maximum: 1e308, multipleOf: 1e-308, default: 1e308}\n  source: {code: SELECT $p AS a}\n"}
    yield "huge numbers", {"tools/hostile.yml": head + "  parameters:\n    - {name: p, type: integer, maximum: 1" + "0" * 100000 + ", default: 1" + "0" * 100000 + "}\n  source: {code: SELECT $p AS a}\n"}
    yield "a prompt of loops", {"prompts/hostile.yml": "mxcp: 1\nprompt:\n  name: hostile\n  messages:\n    - prompt: \"{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}\"\n"}
    yield "a URI of many variables", {"resources/hostile.yml": "mxcp: 1\nresource:\n  uri: \"x://" + "{a}/" * 20000 + "\"\n  source: {code: SELECT 1 AS a}\n"}

    yield "a source outside", {"tools/hostile.yml": head + f"  source: {{file: {outside}/canary}}\n"}
    yield "a source far outside", {"tools/hostile.yml": head + "  source: {file: ../../../../../../../../etc/passwd}\n"}
    yield "folders outside", {"mxcp-site.yml": (PROJECT / "mxcp-site.yml").read_text() + "paths: {tools: ../outside, data: ../outside, audit: ../outside, drift: ../outside}\n"}
    yield "a lock of garbage", {"mxcp.lock": "[" * 10000}
    yield "a large lock", {"mxcp.lock": "x: y\n" * (big // 50)}
    yield "a manifest of garbage", {"target/mxcp/manifest.json": "[" * 100000}
    yield "many files", {f"tools/many_{i}.yml": f"mxcp: 1\ntool:\n  name: many_{i}\n  source: {{code: SELECT {i} AS a}}\n" for i in range(3000)}

    def clear(root, name):
        """What a build before may have left there."""
        place = root / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif place.exists() or place.is_symlink():
            place.unlink()
        return place

    def link(name, to):
        return lambda root: clear(root, name).symlink_to(to)

    yield "a link to endless zeros", link("tools/hostile.yml", "/dev/zero")
    yield "a link to /etc", link("tools/etc", "/etc")
    yield "a link to itself", link("tools/loop", ".")
    yield "a link in a circle", link("tools/hostile.yml", "hostile.yml")
    yield "a link to a file outside", link("tools/hostile.yml", f"{outside}/canary")
    yield "a pipe", lambda root: os.mkfifo(root / "tools/hostile.yml")
    yield "a directory with the name of a file", lambda root: (root / "tools/hostile.yml").mkdir()
    yield "deep folders", lambda root: os.makedirs(root / "tools" / "/".join(["d"] * 800))
    yield "an output folder that leads out", link("target", outside)
    yield "a file that cannot be read", lambda root: ((root / "tools/hostile.yml").write_text(head), os.chmod(root / "tools/hostile.yml", 0))
    yield "a cache of garbage", {".mxcp/cache/answers": os.urandom(100000)}
    yield "a cache of another version", {".mxcp/cache/answers": "mxcp-cache 0 0.0.0 0\n" + "0" * 32 + " 0 " + "0" * 16 + " []\n"}
    yield "a large cache", {".mxcp/cache/answers": b"0" * big * 2}
    yield "a cache that is a folder", lambda root: os.makedirs(clear(root, ".mxcp") / "cache/answers/x")
    yield "a cache folder that is a file", {".mxcp": "x"}
    yield "a cache folder that cannot be written", lambda root: (os.makedirs(clear(root, ".mxcp") / "cache"), os.chmod(root / ".mxcp/cache", 0o500), os.chmod(root / ".mxcp", 0o500))
    yield "a cache folder that leads out", link(".mxcp", outside)
    yield "a cache that leads out", lambda root: (os.makedirs(clear(root, ".mxcp")), (root / ".mxcp/cache").symlink_to(outside))
    yield "answers that lead out", lambda root: (os.makedirs(clear(root, ".mxcp") / "cache"), (root / ".mxcp/cache/answers").symlink_to(outside / "canary"))
    yield "answers that are a pipe", lambda root: (os.makedirs(clear(root, ".mxcp") / "cache"), os.mkfifo(root / ".mxcp/cache/answers"))
    yield "answers without an end", lambda root: (os.makedirs(clear(root, ".mxcp") / "cache"), (root / ".mxcp/cache/answers").symlink_to("/dev/zero"))
    yield "a database of garbage", lambda root: (root / "shop.duckdb").write_bytes(os.urandom(100000))


def tree(root, leave_out=()):
    """Every file below a directory with what is in it."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] in leave_out:
            continue
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            try:
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            except PermissionError:
                found[name] = "closed"
        else:
            found[name] = "directory" if path.is_dir() else "special"
    return found


class Asked(http.server.BaseHTTPRequestHandler):
    seen = []

    def handle_one_request(self):
        self.seen.append(self.client_address)
        self.close_connection = True


def limited():
    # Address space, so that a runaway ends before the machine does.
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, root, env):
    """Exit code (None when it did not end), peak memory in MB, seconds, output."""
    with tempfile.TemporaryFile() as out:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=root, env=env, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, preexec_fn=limited)
        killer = threading.Timer(SECONDS, process.kill)
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        out.seek(0)
        text = out.read(2_000_000).decode("utf-8", "replace")
    return process.returncode, usage.ru_maxrss // 1024, seconds, text


def problems(ran, before, after):
    code, memory, seconds, text = ran
    if code not in (0, 1):
        yield f"exit code {code} after {seconds:.0f} s: {text.strip().splitlines()[-1:]}"
    if "panicked" in text:
        yield "panicked: " + text[text.index("panicked"):][:200]
    if memory > MEGABYTES:
        yield f"{memory} MB"
    if seconds > SECONDS:
        yield f"{seconds:.0f} s"
    if "\x1b" in text or "\x07" in text:
        yield "control characters reach the terminal"
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"changed: {name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("mxcp")
    parser.add_argument("--only", metavar="WORD", help="cases with this in their name")
    parser.add_argument("--megabytes", type=int, default=100, help="size of the large texts")
    parser.add_argument("--show", action="store_true", help="time and memory of every case")
    options = parser.parse_args()
    mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    total = bad = 0
    slowest, largest = (0, ""), (0, "")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        clean = scratch / "clean"
        shutil.copytree(PROJECT, clean, ignore=shutil.ignore_patterns("*.duckdb", "target", "mxcp.lock", ".mxcp"))
        home = scratch / "home"
        home.mkdir()
        env = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")} | {"HOME": str(home), "TMPDIR": str(scratch)}
        subprocess.run([mxcp, "dbt", "build"], cwd=clean, env=env, check=True, capture_output=True)
        # Every case starts from nothing.
        shutil.rmtree(clean / ".mxcp", ignore_errors=True)
        outside = scratch / "outside"
        outside.mkdir()
        (outside / "canary").write_text("SELECT 1 AS a\n")
        (outside / "canary.csv").write_text("a,b\n1,2\n")
        todo = [(name, sql_tool(sql)) for name, sql in cases(server.server_port, outside, options.megabytes)]
        todo += files(server.server_port, outside, options.megabytes)
        for name, change in todo:
            if options.only and options.only not in name:
                continue
            root = scratch / "shop"
            shutil.copytree(clean, root, symlinks=True)
            if callable(change):
                change(root)
            else:
                for path, text in change.items():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
            for command in ("validate", "build"):
                leave_out = (".mxcp",) if command == "validate" else ("target", ".mxcp", "mxcp.lock")
                state = lambda: {f"shop/{k}": v for k, v in tree(root, leave_out).items()} | {f"outside/{k}": v for k, v in tree(outside).items()} | {f"home/{k}": v for k, v in tree(home).items()}
                before = state()
                ran = run([mxcp, command], root, env)
                found = list(problems(ran, before, state()))
                if Asked.seen:
                    found.append("asked the network")
                    Asked.seen.clear()
                total += 1
                bad += bool(found)
                slowest = max(slowest, (ran[2], f"{command}, {name}"))
                largest = max(largest, (ran[1], f"{command}, {name}"))
                if found or options.show:
                    print(f"{'!' if found else ' '} {command}, {name}: exit {ran[0]}, {ran[2]:.1f} s, {ran[1]} MB", flush=True)
                    for line in found[:5]:
                        print(f"    {line}", flush=True)
            for path in outside.iterdir():
                if path.name not in ("canary", "canary.csv"):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            shutil.rmtree(root, ignore_errors=True)
            if root.exists():
                subprocess.run(["rm", "-rf", str(root)], check=True)
    print(f"{total} runs: {total - bad} harmless; slowest {slowest[0]:.1f} s ({slowest[1]}), largest {largest[0]} MB ({largest[1]})")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
