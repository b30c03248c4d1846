"""Clients that want to do harm: limits hold, nothing leaks, and the server stays up.

usage: run.py MXCP [--only NAME] [--sessions 1000]

A project of SQL tools is served over HTTP four times: as it is and with `--readonly`, each with and without Python and
a plugin, whose presence keeps the engine's own switch against files open. After every attack a plain call must
succeed. Every answer is searched for secrets, for paths of this machine and for the project's SQL. One line is
printed per check; the exit code is 1 when one fails.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import project

MODERN = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
# More than this, in MiB, is not bounded. The engine may have 256; beside that it holds two chunks of 2048 rows of a
# result, here of 100 kB each, and the rest is the server's.
MEMORY = 1400

ESCAPES = """\
SELECT * FROM read_text('{home}/secret.txt')
SELECT * FROM read_blob('{home}/secret.txt')
SELECT * FROM read_csv('{home}/secret.csv')
SELECT * FROM READ_CSV_AUTO('{home}/secret.csv')
SELECT * FROM "read_csv"('{home}/secret.csv')
SELECT * FROM '{home}/secret.csv'
FROM "{home}/secret.csv"
FROM x : '{home}/secret.csv'
SELECT (SELECT content FROM read_text('{home}/secret.txt'))
WITH a AS (FROM read_text('{home}/secret.txt')) SELECT * FROM a
SELECT * FROM glob('{home}/*')
SELECT * FROM glob('/etc/*')
SELECT * FROM sniff_csv('{home}/secret.csv')
SELECT * FROM read_json('{home}/secret.txt')
SELECT * FROM read_parquet('{home}/secret.csv')
SELECT * FROM query('FROM read_text(''{home}/secret.txt'')')
SELECT * FROM query_table('{home}/secret.csv')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT content FROM read_text(''{home}/secret.txt'')'))
SELECT * FROM histogram_values('{home}/secret.csv', a)
DESCRIBE '{home}/secret.csv'
SUMMARIZE '{home}/secret.csv'
PIVOT '{home}/secret.csv' ON a
EXPLAIN ANALYZE SELECT * FROM read_text('{home}/secret.txt')
CREATE TABLE stolen AS SELECT * FROM read_text('{home}/secret.txt')
INSERT INTO orders SELECT 1, content FROM read_text('{home}/secret.txt')
INSERT INTO orders SELECT 1, a FROM '{home}/secret.csv'
CREATE MACRO peek() AS TABLE SELECT * FROM read_text('{home}/secret.txt')
CREATE MACRO any_file(p) AS TABLE SELECT * FROM read_text(p)
CREATE VIEW peek AS SELECT * FROM '{home}/secret.csv'
COPY orders TO '{home}/out.csv'
COPY (SELECT 1) TO '{home}/out.csv'
COPY orders FROM '{home}/secret.csv'
EXPORT DATABASE '{home}/out'
IMPORT DATABASE '{home}/out'
ATTACH '{home}/out.db' AS other
ATTACH ':memory:' AS other
DETACH abused
USE memory
INSTALL httpfs
LOAD httpfs
LOAD '{home}/x.duckdb_extension'
FORCE INSTALL httpfs FROM 'http://127.0.0.1:1/'
UPDATE EXTENSIONS
SET enable_external_access = true
SET GLOBAL memory_limit = '1KB'
SET threads = 1
SET VARIABLE x = (SELECT content FROM read_text('{home}/secret.txt'))
RESET memory_limit
PRAGMA database_list
PRAGMA enable_profiling
PRAGMA memory_limit = '1KB'
CALL pragma_database_size()
CREATE SECRET mine (TYPE http, BEARER_TOKEN 'x')
CREATE PERSISTENT SECRET mine (TYPE http, BEARER_TOKEN 'x')
DROP SECRET web
FROM duckdb_secrets()
FROM duckdb_secrets(redact = false)
FROM which_secret('http://x', 'http')
FROM duckdb_settings()
SELECT current_setting('secret_directory')
FROM duckdb_databases()
SELECT path FROM duckdb_databases
FROM pragma_database_list
FROM duckdb_extensions()
FROM duckdb_logs
FROM duckdb_temporary_files()
SELECT getenv('ABUSE_SECRET')
SELECT * FROM read_text('http://127.0.0.1:1/x')
FROM 'http://127.0.0.1:1/x.csv'
FROM 's3://bucket/x.parquet'
SELECT 1; COPY orders TO '{home}/out.csv'
SELECT 1;;COPY/**/orders TO '{home}/out.csv'
/* a */ COPY orders TO '{home}/out.csv' -- b
PREPARE p AS COPY orders TO '{home}/out.csv'
EXECUTE p
CREATE TRIGGER t AFTER INSERT ON orders EXECUTE COPY orders TO '{home}/out.csv'
LOAD/*x*/httpfs
\u00a0COPY orders TO '{home}/out.csv'
VACUUM FULL '{home}/x'""".splitlines()

# Must work, or confining takes too much.
FINE = [
    "SELECT count(*) AS n FROM orders",
    "SELECT id, row_number() OVER (ORDER BY id) AS r, sum(id) OVER () AS s FROM orders LIMIT 3",
    "WITH a AS (SELECT id FROM main.orders WHERE name LIKE 'name 1%') SELECT max(id) AS m FROM a",
    "SELECT table_name FROM information_schema.tables",
    "SELECT name FROM sqlite_master",
    "SHOW TABLES",
    "DESCRIBE orders",
    "SUMMARIZE orders",
    "PRAGMA table_info('orders')",
    "SELECT x FROM range(3) AS t(x) UNION ALL SELECT unnest([1, 2])",
    "SELECT name AS \"a.b\", 'x.csv' AS f FROM abused.main.orders WHERE name <> '/etc/x.csv' LIMIT 1",
    "SELECT version() AS v, now() > DATE '2024-01-01' AS t, json_extract('{\"a\": 1}', '$.a') AS j",
    "EXPLAIN SELECT * FROM orders",
]


class Check:
    def __init__(self):
        self.failed = 0

    def __call__(self, ok: bool, what: str, detail: object = "") -> None:
        self.failed += not ok
        text = "" if ok else f"\n      {str(detail)[:400]}"
        print(f"  {'✓' if ok else '✗'} {what}{text}", flush=True)


class Server:
    def __init__(self, mxcp: Path, folder: Path, outside: bool, *options: str):
        self.home, self.root = folder / "home", folder / "project"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")} | {
            "HOME": str(self.home),
            "ABUSE_SECRET": "SENTINEL-ENVIRONMENT",
        }
        project.write(self.root, self.home, mxcp, self.environment, outside)
        self.log_path = folder / "log"
        self.process = subprocess.Popen(
            [mxcp, "serve", "--port", "0", *options],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=open(self.log_path, "w"),
            text=True,
        )
        for line in self.process.stdout:
            if found := re.match(r"Listening on http://([^:/]+):(\d+)", line):
                self.host, self.port = found[1], int(found[2])
                break
        else:
            sys.exit("the server did not start:\n" + self.log_path.read_text())
        self.leaks: list[str] = []
        # What is private to this run: its folder, and a piece of a tool's SQL.
        self.private = [*project.SECRETS, str(folder), "range($n)", "CAST($id"]

    def memory(self, field: str = "VmRSS") -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", text)[1]) / 1024

    def post(self, body: bytes, headers: dict | None = None, timeout: float = 30) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        plain = {"content-type": "application/json", "accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN}
        # As bytes, the client library would call it a form.
        connection.request("POST", "/mcp", body, plain | (headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, text

    def call(self, name: str, arguments: dict, timeout: float = 30, sent: str = "") -> dict:
        """The result, or the error; searched for what must not be in it, but for what was sent."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments, "_meta": META}}
        _, text = self.post(json.dumps(message).encode(), {"mcp-method": "tools/call", "mcp-name": name}, timeout)
        if text.startswith(("event:", "data:", ":", "id:", "retry:")):
            text = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")][-1]
        sent = sent or json.dumps(arguments)
        for secret in self.private:
            if secret in text and secret not in sent:
                self.leaks.append(f"{name} {sent[:100]}: {secret} in {text[:200]}")
        found = json.loads(text)
        return found.get("result") or found

    def up(self) -> bool:
        try:
            answer = self.call("get_order", {"id": 7})
        except OSError:
            return False
        return answer.get("structuredContent") == {"id": 7, "name": "name 7"}

    def stop(self) -> int | None:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


def text_of(answer: dict) -> str:
    return json.dumps(answer.get("content", answer))


def refused(answer: dict) -> bool:
    return bool(answer.get("isError")) or "error" in answer


def free_sql(server: Server, check: Check, readonly: bool) -> None:
    passed = []
    for line in ESCAPES:
        sql = line.format(home=server.home)
        answer = server.call("execute_sql_query", {"sql": sql}, sent=sql)
        if not refused(answer):
            passed.append(f"{line}: {text_of(answer)[:150]}")
    check(not passed, f"{len(ESCAPES)} ways out of the database are closed to free SQL", passed)
    check(not list(server.home.glob("out*")), "no file was written", list(server.home.glob("out*")))
    broken = [f"{sql}: {text_of(found)}" for sql in FINE if refused(found := server.call("execute_sql_query", {"sql": sql}))]
    check(not broken, f"{len(FINE)} queries inside the database work", broken)
    change = server.call("execute_sql_query", {"sql": "CREATE TABLE notes(a INTEGER); INSERT INTO notes VALUES (1); SELECT * FROM notes"})
    if readonly:
        check(refused(change), "free SQL changes nothing under --readonly", change)
    else:
        check(not refused(change), "free SQL may change the database", change)
    cut = server.call("execute_sql_query", {"sql": "SELECT * FROM range(100000)"})
    check(len(cut["structuredContent"]["result"]) == 1000 and "cut" in text_of(cut), "a long result of free SQL is cut and says so", cut)
    check(server.up(), "the server is up")


def arguments(server: Server, check: Check) -> None:
    wild = ["'; DROP TABLE orders; --", "$id", "%s%n", "\x00", "\ud7ff\U0010ffff", "../../etc/passwd", "{{ 7 * 7 }}", "x" * 100_000, "\\" * 1000, "(((" * 300]
    wrong = []
    for text in wild:
        answer = server.call("echo", {"text": text})
        if answer.get("structuredContent") != {"text": text} and not refused(answer):
            wrong.append((text[:40], text_of(answer)[:100]))
    check(not wrong, f"{len(wild)} wild texts come back unchanged or are refused", wrong)
    check(refused(server.call("find", {"pattern": "(" * 50_000})), "a pattern of 50 000 parentheses is refused")
    check(server.call("find", {"pattern": "x" * 100_000}).get("isError") is False, "a pattern of 100 000 characters works")
    deep = {"a": 1}
    for _ in range(100):
        deep = {"a": deep}
    server.call("size", {"data": deep})
    for bad in ({"id": 10**400}, {"id": "9" * 100_000}, {"id": None}, {"id": [1] * 10_000}, {"id": 1, "x" * 100_000: 1}, {}):
        answer = server.call("get_order", bad)
        check(refused(answer) and len(text_of(answer)) < 2000, f"get_order({str(bad)[:30]}) is refused in few words", text_of(answer))
    answer = server.call("broken", {"id": "1"})
    check(refused(answer) and "secret_table" not in text_of(answer), "a failing query tells nothing of the project", answer)
    answer = server.call("broken", {"id": "abc"})
    check(refused(answer), "a value that cannot be converted is refused", answer)
    check(server.up(), "the server is up")


def cost(server: Server, check: Check) -> None:
    began = time.monotonic()
    answer = server.call("slow", {"n": 100_000})
    took = time.monotonic() - began
    check(refused(answer) and took < 6, f"a cross join of 10^15 rows ends after its 3 s ({took:.1f} s)", answer)
    threads = [threading.Thread(target=server.call, args=("slow", {"n": 100_000}, 60)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(server.up(), "30 cross joins at once, and the server is up")
    answer = server.call("huge", {"n": 10_000})
    items = (answer.get("structuredContent") or {}).get("result", [])
    check(0 < len(items) <= 10 and "mxcp/truncated" in answer.get("_meta", {}), "a result of 1 GB is cut and says so", text_of(answer)[-300:])
    check(refused(server.call("one_huge", {"n": 100_000_000})), "a row that is too large is refused")
    check(refused(server.call("one_huge", {"n": 10**12})), "a row of 1 TB is refused")
    server.call("memory", {"n": 100_000})
    server.call("execute_sql_query", {"sql": "SELECT list(range) AS l, list(-range) AS m FROM range(1000000000)"})
    server.call("execute_sql_query", {"sql": "SELECT a.range FROM range(100000000) a ORDER BY hash(a.range), a.range LIMIT 5"})
    peak = server.memory("VmHWM")
    check(peak < MEMORY, f"memory stayed bounded: at most {peak:.0f} MiB")
    answer = server.call("list_orders", {})
    meta = answer.get("_meta", {}).get("mxcp/truncated", {})
    check(meta.get("rows") == 1000 and "first" in meta.get("advice", ""), "a list that is cut says how to go on", meta)
    nested = "SELECT " + "(" * 5000 + "1" + ")" * 5000
    server.call("execute_sql_query", {"sql": nested})
    server.call("execute_sql_query", {"sql": "SELECT " + "+".join(["1"] * 50_000)})
    server.call("execute_sql_query", {"sql": "SELECT 1 WHERE 1 IN (" + ",".join(map(str, range(100_000))) + ")"})
    server.call("execute_sql_query", {"sql": ";" * 100_000})
    check(server.up(), "the server is up")


def python(server: Server, check: Check) -> None:
    check(server.call("run_sql", {"id": 7}).get("isError") is False, "Python may use the database")
    answer = server.call("open_file", {"path": "x"})
    check(refused(answer) and "nowhere" not in text_of(answer), "a file that Python misses is not named", answer)
    began = time.monotonic()
    answer = server.call("endless", {"n": 1})
    check(refused(answer) and time.monotonic() - began < 8, "endless Python ends after its 3 s", answer)
    check(server.up(), "the server is up")


def raw(server: Server, data: bytes, wait: float = 5) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=wait) as stream:
        try:
            stream.sendall(data)
            return stream.recv(65536)
        except OSError:
            return b""


def protocol(server: Server, check: Check) -> None:
    good = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    body = json.dumps(good).encode()
    listing = {"mcp-method": "tools/list"}
    for host in ("evil.example", "127.0.0.1.evil.example", "[::1", "localhost@evil.example", ""):
        check(server.post(body, listing | {"host": host})[0] in (400, 403), f"Host {host!r} is refused")
    for origin in ("http://evil.example", "null", "file://", "http://localhost.evil.example"):
        check(server.post(body, listing | {"origin": origin})[0] == 403, f"Origin {origin!r} is refused")
    check(server.post(body, listing)[0] == 200, "a plain request works")
    status, _ = server.post(b"[" * 1_000_000)
    check(status == 400, f"JSON of depth 1 000 000 is refused ({status})")
    status, _ = server.post(b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}")
    check(status == 400, f"deep parameters are refused ({status})")
    status, text = server.post(body.replace(b"tools/list", b"tools/\xff\xfe"))
    check(status == 400, f"bad UTF-8 is refused ({status})", text)
    for junk in (b"null", b"1", b"[]", b'"x"', b"{}", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"1.0","id":1,"method":"ping"}', b"", b"\x00" * 100):
        status, _ = server.post(junk)
        check(400 <= status < 500, f"{junk[:30]!r} is refused ({status})")
    status, _ = server.post(b" " * (5 << 20))
    check(status == 413, f"a body of 5 MiB is refused ({status})")
    head = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n"
    answer = raw(server, head + b"x: " + b"a" * 1_000_000 + b"\r\n\r\n")
    check(answer == b"" or answer.split(b" ")[1][:1] == b"4", "a header of 1 MB is refused", answer[:100])
    answer = raw(server, head + b"".join(b"x%d: a\r\n" % i for i in range(5000)) + b"\r\n")
    check(answer == b"" or answer.split(b" ")[1][:1] == b"4", "5 000 headers are refused", answer[:100])
    answer = raw(server, head + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n")
    check(answer.count(b"HTTP/1.1 2") == 0, "a smuggled request is not answered", answer[:200])
    raw(server, b"\x16\x03\x01\x02\x00\x01" * 100)
    raw(server, b"GET / HTTP/9.9\r\n\r\n")
    check(server.up(), "the server is up")


def slow_clients(server: Server, check: Check) -> None:
    streams = []
    for i in range(300):
        stream = socket.create_connection((server.host, server.port), timeout=5)
        stream.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n" if i % 2 else b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
        streams.append(stream)
    began = time.monotonic()
    check(server.up() and time.monotonic() - began < 2, "300 clients that send nothing more keep nobody waiting")
    time.sleep(17)
    closed = 0
    for stream in streams[1::2]:
        stream.settimeout(0.5)
        try:
            closed += stream.recv(1000) == b"" or True
        except TimeoutError:
            pass
        except OSError:
            closed += 1
    check(closed == 150, f"heads that do not end are closed after 15 s ({closed} of 150)")
    for stream in streams:
        stream.close()


def sessions(server: Server, check: Check, count: int) -> None:
    before = server.memory()
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "abuse", "version": "1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
    headers = {"mcp-protocol-version": "2025-11-25"}
    statuses = [server.post(body, headers)[0] for _ in range(count + 5)]
    opened = statuses.count(200)
    check(opened == 1000 if count >= 1000 else opened == count + 5, f"{opened} idle sessions are open, and no more")
    if count >= 1000:
        check(statuses[-1] == 503, f"one more is refused for now ({statuses[-1]})")
    grown = server.memory() - before
    check(grown < 150, f"they take {grown:.0f} MiB")
    check(server.up(), "the server is up, for clients without a session")


def stdio(mxcp: Path, server: Server, check: Check) -> None:
    """The same over standard input and output, for what only that transport knows."""
    process = subprocess.Popen(
        [mxcp, "serve", "--transport", "stdio", "--readonly"], cwd=server.root, env=server.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    good = {"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": {"name": "get_order", "arguments": {"id": 7}, "_meta": META}}
    lines = [b"\xff\xfe\xfd", b"[" * 100_000, b"{" * 10, b"", b"null", b"x" * 1_000_000, b'{"jsonrpc":"2.0","id":1,"method":"' + b"a" * 100_000 + b'"}']
    out, log = process.communicate(b"\n".join([*lines, json.dumps(good).encode()]) + b"\n", timeout=60)
    answers = [json.loads(line) for line in out.splitlines()]
    last = [answer for answer in answers if answer.get("id") == "last"]
    check(bool(last) and last[0]["result"]["structuredContent"]["id"] == 7, "stdio: rubbish is survived, and the call after it is answered", out[-300:] + log[-300:])
    check(process.returncode == 0, "stdio: the end of input ends the server with 0", process.returncode)


def run(mxcp: Path, name: str, outside: bool, readonly: bool, count: int) -> int:
    print(f"\n{name}")
    check = Check()
    folder = Path(tempfile.mkdtemp(prefix="abuse-"))
    server = Server(mxcp, folder, outside, *(["--readonly"] if readonly else []))
    server.up()
    free_sql(server, check, readonly)
    arguments(server, check)
    if outside:
        python(server, check)
    cost(server, check)
    if readonly or not outside:
        protocol(server, check)
    if readonly and not outside:
        slow_clients(server, check)
        sessions(server, check, count)
        stdio(mxcp, server, check)
    check(server.up(), "the server is up at the end")
    check(not server.leaks, "no answer told a secret, a path or SQL", server.leaks)
    code = server.stop()
    check(code == 0, f"SIGTERM ends it with {code}")
    log = server.log_path.read_text()
    told = [secret for secret in project.SECRETS[:2] if secret in log]
    check(not told and "panicked" not in log, "the log has no secret of the configuration and no panic", told or log[-500:])
    if check.failed:
        print(f"  kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return check.failed


def main() -> int:
    parser = argparse.ArgumentParser(description="clients that want to do harm")
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--sessions", type=int, default=1000)
    arguments = parser.parse_args()
    failed = 0
    for name, outside, readonly in [
        ("SQL tools", False, False),
        ("SQL tools, --readonly", False, True),
        ("with Python and a plugin", True, False),
        ("with Python and a plugin, --readonly", True, True),
    ]:
        if arguments.only in name:
            failed += run(arguments.mxcp.resolve(), name, outside, readonly, arguments.sessions)
    print(f"\n{failed} checks failed" if failed else "\nall checks passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
