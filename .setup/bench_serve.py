"""Calls of one tool, served by mxcp and by others: calls per second, times, memory, and how long a start takes.

usage: bench_serve.py MXCP LOAD [--reference MXCP] [--toolbox TOOLBOX] [--seconds 3] [--rounds 3] [--sizes 1,100,1000]

The tool reads one row of a table of a thousand by its id. LOAD is the program of `tests/load.rs`: it makes the load, and its
bare axum handler around the same prepared statement is the measure for the others. `--reference` is the Python product,
`--toolbox` is MCP Toolbox, which has no DuckDB and reads the same rows from SQLite. One server runs at a time; the
rounds repeat, so that a slow moment of the machine hits all of them, and the tables show medians over the rounds.
Everything shares the processors with the load. Nothing is kept: the projects live in a temporary directory.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CONNECTIONS = [1, 8, 64]
MODERN = "2026-07-28"
SESSION = "2025-06-18"
TOOL_NAME = "tool_00000"
EXPECTED = "name 5"
# A start that takes longer is not waited for.
PATIENCE = 120

SITE = """\
mxcp: 1
project: bench
profile: default
profiles:
  default:
    duckdb:
      path: bench.duckdb
"""
TOOL = """\
mxcp: 1
tool:
  name: {name}
  description: "One order by its id"
  parameters:
    - name: id
      type: integer
      description: "The order's id"
  return:
    type: object
    properties:
      id: {{ type: integer }}
      name: {{ type: string }}
      amount: {{ type: number }}
  source:
    code: |
      SELECT id, name, amount FROM orders WHERE id = $id
"""
ORDERS = "CREATE TABLE orders AS SELECT i AS id, 'name ' || i AS name, i * CAST(1.5 AS DOUBLE) AS amount FROM range(1000) AS t(i)"


class Bench:
    def __init__(self, mxcp: Path, folder: Path):
        self.mxcp, self.folder = mxcp, folder
        home = folder / "home"
        (home / ".mxcp").mkdir(parents=True)
        # The Python product writes this file, with comments and more, when there is none.
        (home / ".mxcp/config.yml").write_text("mxcp: 1\nprojects:\n  bench:\n    profiles:\n      default: {}\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MXCP_", "VIRTUAL_ENV"))}
        self.environment = kept | {"HOME": str(home), "MXCP_DISABLE_ANALYTICS": "true"}

    def project(self, size: int, name: str) -> Path:
        root = self.folder / f"{name}-{size}"
        (root / "tools").mkdir(parents=True)
        (root / "mxcp-site.yml").write_text(SITE)
        for i in range(size):
            tool = f"tool_{i:05}"
            (root / "tools" / f"{tool}.yml").write_text(TOOL.format(name=tool))
        self.run(self.mxcp, "query", ORDERS, cwd=root)
        return root

    def built(self, size: int) -> Path:
        root = self.project(size, "mxcp")
        self.run(self.mxcp, "build", cwd=root)
        return root

    def toolbox_config(self, size: int) -> Path:
        database = self.folder / "orders.sqlite"
        if not database.exists():
            with sqlite3.connect(database) as connection:
                connection.execute("CREATE TABLE orders (id INTEGER, name TEXT, amount REAL)")
                rows = [(i, f"name {i}", i * 1.5) for i in range(1000)]
                connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        tools = {
            f"tool_{i:05}": {
                "kind": "sqlite-sql",
                "source": "db",
                "description": "One order by its id",
                "parameters": [{"name": "id", "type": "integer", "description": "The order's id"}],
                "statement": "SELECT id, name, amount FROM orders WHERE id = $1",
            }
            for i in range(size)
        }
        path = self.folder / f"toolbox-{size}.yaml"
        path.write_text(json.dumps({"sources": {"db": {"kind": "sqlite", "database": str(database)}}, "tools": tools}))
        return path

    def run(self, *command, cwd: Path) -> None:
        ran = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}:\n{ran.stdout}{ran.stderr}")


def memory(pid: int) -> tuple[float, float]:
    """Resident MiB, and the part of it that is not mapped from files."""
    text = Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"{field}:\s+(\d+)", text)[1]) / 1024 for field in ("VmRSS", "RssAnon"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Subject:
    """Something that answers the call, over HTTP or over standard input and output."""

    def __init__(self, name: str, command: list, cwd: Path, url: str | None = None, protocol: str | None = None):
        self.name, self.command, self.cwd, self.url, self.protocol = name, command, cwd, url, protocol
        self.idle, self.loaded = [], []
        self.results = {count: [] for count in CONNECTIONS}
        self.failures = 0
        self.example = None

    def measure(self, bench: Bench, load: Path, seconds: float) -> None:
        if self.url is None:
            self.measure_stdio(bench, load, seconds)
        else:
            self.measure_http(bench, load, seconds)

    def record(self, count: int, out: str) -> None:
        found = json.loads(out)
        self.results[count].append(found)
        self.failures += found["failures"]
        self.example = self.example or found["example"]

    def measure_stdio(self, bench: Bench, load: Path, seconds: float) -> None:
        for count in CONNECTIONS:
            command = [load, "stdio", str(count), str(seconds), EXPECTED, TOOL_NAME, *map(str, self.command)]
            process = subprocess.Popen(command, cwd=self.cwd, env=bench.environment, stdout=subprocess.PIPE, text=True)
            while process.poll() is None:
                time.sleep(0.1)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                try:
                    held = memory(int(children.read_text().split()[0]))
                except (OSError, IndexError, TypeError):
                    pass
            self.loaded.append(held)
            self.record(count, process.stdout.read())

    def measure_http(self, bench: Bench, load: Path, seconds: float) -> None:
        port = free_port()
        url = self.url.format(port=port)
        command = [str(part).format(port=port) for part in self.command]
        log = open(bench.folder / "log", "w+")
        server = subprocess.Popen(command, cwd=self.cwd, env=bench.environment, stdout=log, stderr=log, start_new_session=True)
        try:
            url = self.wait(server, log, url)
            headers, body = self.message(url)
            self.idle.append(memory(server.pid))
            for count in CONNECTIONS:
                run = [load, "http", url, body, json.dumps(headers), str(count), str(seconds), EXPECTED]
                self.record(count, subprocess.run(run, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout)
            self.loaded.append(memory(server.pid))
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=15)
            except subprocess.TimeoutExpired:
                server.kill()

    def wait(self, server: subprocess.Popen, log, url: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            text = Path(log.name).read_text()
            if "{" not in url and server.poll() is None:
                host, port = re.match(r"http://([^:/]+):(\d+)", url).groups()
                try:
                    socket.create_connection((host, int(port)), timeout=1).close()
                    return url
                except OSError:
                    pass
            # A banner may come before the socket; only who chooses its port itself is asked for it.
            if "{" in url and (found := re.search(r"Listening on (http://\S+)", text)):
                return found[1]
            if server.poll() is not None:
                break
            time.sleep(0.02)
        sys.exit(f"{self.name} did not start:\n{Path(log.name).read_text()}")

    def message(self, url: str) -> tuple[dict, str]:
        if self.protocol is None:
            return {}, json.dumps({"id": 5})
        params = {"name": TOOL_NAME, "arguments": {"id": 5}}
        headers = {"mcp-protocol-version": self.protocol}
        if self.protocol == MODERN:
            prefix = "io.modelcontextprotocol/"
            params["_meta"] = {prefix + "protocolVersion": MODERN, prefix + "clientCapabilities": {}}
            headers |= {"mcp-method": "tools/call", "mcp-name": TOOL_NAME}
        else:
            hello = {"protocolVersion": self.protocol, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
            session = post(url, {}, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
            if session:
                headers["mcp-session-id"] = session
            post(url, headers, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        # The program counts on from this number.
        return headers, json.dumps({"jsonrpc": "2.0", "id": 1000000000, "method": "tools/call", "params": params})


def post(url: str, headers: dict, message: dict) -> str | None:
    """The session that the answer names."""
    accept = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(message).encode(), accept | headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
        return answer.headers.get("mcp-session-id")


def start(bench: Bench, command: list, cwd: Path) -> float | None:
    """Milliseconds until `initialize` is answered."""
    hello = {"protocolVersion": SESSION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n"
    began = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=cwd, env=bench.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    process.stdin.write(message)
    process.stdin.flush()
    # Not waited for beyond patience: a timer ends the process, and the line stays empty.
    ended = subprocess.Popen(["sh", "-c", f"sleep {PATIENCE}; kill -9 {process.pid} 2>/dev/null"], start_new_session=True)
    try:
        line = process.stdout.readline()
        took = (time.perf_counter() - began) * 1000
        process.stdin.close()
        if '"result"' not in line:
            process.kill()
            return None
        process.wait(timeout=60)
        return took
    finally:
        os.killpg(ended.pid, signal.SIGKILL)
        ended.wait()
        process.wait()


def subjects(bench: Bench, load: Path, reference: Path | None, toolbox: Path | None) -> list[Subject]:
    ours = bench.built(1)
    handler = bench.project(1, "axum") / "bench.duckdb"
    url = "http://127.0.0.1:{port}/mcp"
    serve = [bench.mxcp, "serve", "--port", "{port}"]
    found = [
        Subject("bare axum handler", [load, "axum", handler], bench.folder, "http://127.0.0.1:{{port}}/call"),
        Subject("mxcp, HTTP, 2026-07-28", serve, ours, url, MODERN),
        Subject("mxcp, HTTP, with a session", serve, ours, url, SESSION),
        Subject("mxcp, stdio", [bench.mxcp, "serve", "--transport", "stdio"], ours),
    ]
    if reference:
        theirs = bench.project(1, "reference")
        found += [
            Subject("Python product, HTTP", [reference, "serve", "--port", "{port}"], theirs, "http://localhost:{port}/mcp", SESSION),
            Subject("Python product, stdio", [reference, "serve", "--transport", "stdio"], theirs),
        ]
    if toolbox:
        config = bench.toolbox_config(1)
        quiet = [toolbox, "--config", config, "--disable-version-check", "--log-level", "ERROR"]
        found += [
            Subject("MCP Toolbox, HTTP (SQLite)", [*quiet, "--port", "{port}"], bench.folder, url, SESSION),
            Subject("MCP Toolbox, stdio (SQLite)", [*quiet, "--stdio"], bench.folder),
        ]
    return found


def starts(bench: Bench, sizes: list[int], rounds: int, reference: Path | None, toolbox: Path | None) -> dict[str, dict[int, str]]:
    table: dict[str, dict[int, str]] = {}

    def record(name: str, size: int, command: list, cwd: Path, runs: int) -> None:
        # The first start pays for what it finds on disk for the first time; it is not counted where there are more.
        times = [start(bench, command, cwd) for _ in range(runs + (runs > 1))]
        times = times[1:] if runs > 1 else times
        text = f"> {PATIENCE} s" if None in times else f"{statistics.median(times):.0f} ms"
        table.setdefault(name, {})[size] = text

    slow = False
    for size in sizes:
        root = bench.built(size) if size != 1 else bench.folder / "mxcp-1"
        record("mxcp", size, [bench.mxcp, "serve", "--transport", "stdio"], root, rounds + 2)
        if reference:
            # Its start is quadratic in the number of endpoints: what is too slow once is not tried larger.
            if slow:
                table["Python product"][size] = f"> {PATIENCE} s"
            else:
                theirs = bench.project(size, "reference") if size != 1 else bench.folder / "reference-1"
                record("Python product", size, [reference, "serve", "--transport", "stdio"], theirs, 1)
                slow = table["Python product"][size].startswith(">")
        if toolbox:
            command = [toolbox, "--config", bench.toolbox_config(size), "--disable-version-check", "--log-level", "ERROR", "--stdio"]
            record("MCP Toolbox", size, command, bench.folder, rounds + 2)
    return table


def median(found: list[dict], key: str) -> float:
    return statistics.median(one[key] for one in found if one[key] is not None) if any(one[key] is not None for one in found) else float("nan")


def report(found: list[Subject], table: dict[str, dict[int, str]], sizes: list[int]) -> None:
    print(f"\n{'calls per second':30}" + "".join(f"{count:>9}" for count in CONNECTIONS) + f"{'  p50/p99 µs at':>16}" + "".join(f"{count:>16}" for count in CONNECTIONS))
    for subject in found:
        rates = "".join(f"{median(subject.results[count], 'per_second'):>9.0f}" for count in CONNECTIONS)
        times = "".join(f"{median(subject.results[count], 'p50'):>8.0f}/{median(subject.results[count], 'p99'):<7.0f}" for count in CONNECTIONS)
        print(f"{subject.name:30}{rates}{'':16}{times}")
        if subject.failures:
            print(f"  {subject.failures} calls failed, e.g. {subject.example[:300]}")
    print("\nresident MiB                       idle  loaded  of it not mapped from files")
    for subject in found:
        idle = f"{statistics.median(m[0] for m in subject.idle):.0f}" if subject.idle else "-"
        loaded = [statistics.median(m[i] for m in subject.loaded) for i in (0, 1)]
        print(f"{subject.name:34}{idle:>5}{loaded[0]:>8.0f}{loaded[1]:>8.0f}")
    print(f"\n{'start, endpoints':30}" + "".join(f"{size:>12}" for size in sizes))
    for name, times in table.items():
        print(f"{name:30}" + "".join(f"{times.get(size, '-'):>12}" for size in sizes))
    by_name = {subject.name: subject for subject in found}
    bare, ours = by_name["bare axum handler"], by_name["mxcp, HTTP, 2026-07-28"]
    print()
    for count in CONNECTIONS:
        ratio = statistics.median(
            one["per_second"] / other["per_second"] for one, other in zip(ours.results[count], bare.results[count], strict=True)
        )
        print(f"HTTP against the bare handler at {count:>2} connections: {ratio:.0%} (target: 70 %)")
    print(f"one call on stdio, p50: {median(by_name['mxcp, stdio'].results[1], 'p50') / 1000:.2f} ms (target: 1 ms)")
    print(f"resident memory under load: {statistics.median(m[0] for m in ours.loaded):.0f} MiB (target: 60 MB)")
    print(f"start at {sizes[-1]} endpoints: {table['mxcp'][sizes[-1]]} (target at 1000: 80 ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description="calls of one tool, served by mxcp and by others")
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("load", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--toolbox", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="1,100,1000")
    parser.add_argument("--only", default="", help="only what has this in its name, and the bare handler")
    arguments = parser.parse_args()
    mxcp, load = arguments.mxcp.resolve(), arguments.load.resolve()
    # A virtual environment's programs are links that must be called by their own names.
    reference = arguments.reference and arguments.reference.absolute()
    toolbox = arguments.toolbox and arguments.toolbox.resolve()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="bench-serve-"))
    try:
        bench = Bench(mxcp, folder)
        found = subjects(bench, load, reference, toolbox)
        for turn in range(arguments.rounds):
            for subject in found:
                if arguments.only in subject.name or subject.name.startswith(("bare", "mxcp")):
                    print(f"round {turn + 1}: {subject.name}", file=sys.stderr, flush=True)
                    subject.measure(bench, load, arguments.seconds)
        found = [subject for subject in found if subject.results[1]]
        print("measuring starts", file=sys.stderr, flush=True)
        table = starts(bench, sizes, arguments.rounds, reference, toolbox)
        report(found, table, sizes)
        if not reference:
            print("the Python product is not installed here")
        if not toolbox:
            print("MCP Toolbox is not installed here; npm would fetch it")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
