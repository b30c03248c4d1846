"""Times of `mxcp` as whole processes, on synthetic projects of growing size.

usage: bench.py MXCP [--sizes 100,1000] [--large] [--runs 5] [--calls 1000]

A project of n endpoints is n SQL tools over a dbt layer of n/10 models. All measures of a round are
taken one after the other, and the rounds repeat, so that a slow moment of the machine hits all of them;
the table shows medians over the rounds. Nothing is kept: projects live in a temporary directory.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TIMEOUT = 900  # seconds, for one process
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}

SITE = """\
mxcp: 1
project: bench
profile: default
profiles:
  default:
    duckdb:
      path: bench.duckdb
"""
DBT_PROJECT = """\
name: bench
version: "1.0.0"
config-version: 2
profile: bench
models:
  bench:
    +materialized: table
"""
BASE_MODEL = """\
SELECT
    i AS id,
    'name ' || i AS name,
    CAST(i * 1.5 AS DECIMAL(10, 2)) AS amount,
    DATE '2024-01-01' + CAST(i AS INTEGER) AS placed
FROM range(1000) AS t(i)
"""
MODEL = """\
SELECT id, name, amount, placed, extract(year FROM placed) AS year
FROM {{{{ ref('{base}') }}}}
WHERE id % {divisor} >= 0
"""
TOOL = """\
mxcp: 1
tool:
  name: tool_{i:05}
  description: "One row of {model} by its id"
  tags: ["bench"]
  parameters:
    - name: id
      type: integer
      description: "The row's id"
      minimum: 0
  return:
    type: object
    properties:
      id: {{ type: integer }}
      name: {{ type: string }}
      amount: {{ type: number }}
      placed: {{ type: string, format: date }}
  source:
    code: |
      SELECT id, name, amount, placed
      FROM {model}
      WHERE id = $id
  policies:
    input:
      - condition: "user.role == 'blocked'"
        action: deny
        reason: "Blocked callers see nothing"
  tests:
    - name: first row
      arguments:
        - key: id
          value: 1
      result_contains:
        id: 1
"""


class Failed(Exception):
    """A measure that could not be taken."""


def generate(root: Path, n: int) -> int:
    """Writes a project of n tools; returns the number of its models."""
    models = max(1, n // 10)
    (root / "models").mkdir(parents=True)
    (root / "mxcp-site.yml").write_text(SITE)
    (root / "dbt_project.yml").write_text(DBT_PROJECT)
    for i in range(models):
        # Every tenth model is a base, the others read the last one.
        base = i - i % 10
        text = BASE_MODEL if i == base else MODEL.format(base=f"model_{base:05}", divisor=i + 1)
        (root / "models" / f"model_{i:05}.sql").write_text(text)
    for i in range(n):
        folder = root / "tools" / f"group_{i // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"tool_{i:05}.yml").write_text(TOOL.format(i=i, model=f"model_{i % models:05}"))
    return models


class Bench:
    def __init__(self, mxcp: Path, work: Path):
        self.mxcp = mxcp
        self.work = work
        self.process: subprocess.Popen | None = None
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
        self.environment.pop("VIRTUAL_ENV", None)
        self.environment |= {"HOME": str(work), "NO_COLOR": "1"}

    def spawn(self, root: Path, *args: str, **pipes) -> subprocess.Popen:
        self.process = subprocess.Popen(
            [str(self.mxcp), *args], cwd=root, env=self.environment, start_new_session=True, **pipes
        )
        return self.process

    def stop(self) -> None:
        """Ends what is running, if anything is."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def command(self, root: Path, *args: str) -> dict[str, float]:
        """Runs a command to its end: wall and CPU milliseconds, peak memory in MiB."""
        with tempfile.TemporaryFile(dir=self.work) as errors:
            started = time.perf_counter()
            process = self.spawn(
                root, *args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
            )
            watchdog = threading.Timer(TIMEOUT, process.kill)
            watchdog.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            finally:
                watchdog.cancel()
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                errors.seek(0)
                text = errors.read().decode(errors="replace").strip()
                raise Failed(f"mxcp {' '.join(args)} ended with {process.returncode}\n{text}")
        peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return {"wall": wall * 1e3, "cpu": (usage.ru_utime + usage.ru_stime) * 1e3, "peak": peak}

    def serve(self, root: Path, calls: int) -> dict[str, float]:
        """Start to `initialize` answered, then calls of one tool, then the memory that remains."""
        started = time.perf_counter()
        process = self.spawn(
            root, "serve", "--transport", "stdio",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        try:
            self.send(process, {"id": 0, "method": "initialize", "params": INITIALIZE})
            self.answer(process, 0)
            start = time.perf_counter() - started
            self.send(process, {"method": "notifications/initialized"})
            times = []
            for i in range(1, calls + 1):
                arguments = {"name": "tool_00000", "arguments": {"id": i % 1000}}
                began = time.perf_counter()
                self.send(process, {"id": i, "method": "tools/call", "params": arguments})
                result = self.answer(process, i)
                times.append((time.perf_counter() - began) * 1e3)
                if result.get("structuredContent", {}).get("id") != i % 1000:
                    raise Failed(f"tools/call gave a wrong result: {json.dumps(result)[:300]}")
            memory = resident(process.pid)
            process.stdin.close()
            process.wait()
        finally:
            watchdog.cancel()
            self.stop()
        times.sort()
        return {
            "start": start * 1e3,
            "p50": times[len(times) // 2],
            "p99": times[min(len(times) - 1, len(times) * 99 // 100)],
            "resident": memory,
        }

    @staticmethod
    def send(process: subprocess.Popen, message: dict) -> None:
        try:
            process.stdin.write(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise Failed("the server went away") from None

    @staticmethod
    def answer(process: subprocess.Popen, number: int) -> dict:
        for line in process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                if "result" not in message:
                    raise Failed(f"the server answered with an error: {line.decode().strip()[:300]}")
                return message["result"]
        raise Failed("the server ended before it answered")


def resident(pid: int) -> float:
    """Resident memory in MiB; not a number where /proc does not exist."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return float("nan")


def forget(root: Path) -> None:
    """What earlier runs left behind and a later one could profit from."""
    for folder in (".mxcp", "target"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "mxcp.lock").unlink(missing_ok=True)


def edit(root: Path) -> None:
    """One tool changes, so no answer for the whole project is known any more."""
    path = root / "tools" / "group_000" / "tool_00000.yml"
    path.write_text(path.read_text().replace("WHERE id = $id", "WHERE id = $id AND true"))


def measure(bench: Bench, root: Path, runs: int, calls: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(runs):
        forget(root)
        for name, args in (
            ("validate", ["validate"]),
            ("validate again", ["validate"]),
            ("validate after an edit", ["validate"]),
            ("build", ["build"]),
            ("list", ["list"]),
        ):
            if name == "validate after an edit":
                edit(root)
            found.setdefault(name, []).append(bench.command(root, *args))
        found.setdefault("serve", []).append(bench.serve(root, calls))
    return {
        name: {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }


def show(n: int, models: int, once: dict[str, float], medians: dict, calls: int) -> None:
    print(f"\n{n} endpoints, {models} models")
    print(f"  {'':34}{'wall':>12}{'CPU':>12}{'CPU/endpoint':>15}{'peak memory':>14}")

    def row(name: str, m: dict[str, float]) -> None:
        each = m["cpu"] / n
        print(f"  {name:34}{m['wall']:>9.0f} ms{m['cpu']:>9.0f} ms{each:>12.2f} ms{m['peak']:>10.0f} MiB")

    row("dbt run, once, from nothing", once)
    row("validate, nothing kept", medians["validate"])
    row("validate, cached", medians["validate again"])
    row("validate, cached but for one tool", medians["validate after an edit"])
    row("build", medians["build"])
    row("list", medians["list"])
    serve = medians["serve"]
    print(f"  {'serve: start to initialize':34}{serve['start']:>9.0f} ms")
    print(f"  {'tools/call p50 of ' + str(calls):34}{serve['p50']:>9.2f} ms")
    print(f"  {'tools/call p99 of ' + str(calls):34}{serve['p99']:>9.2f} ms")
    print(f"  {'resident memory after the calls':34}{serve['resident']:>9.0f} MiB", flush=True)


def show_edits(edits: Path, root: Path, repeats: int) -> None:
    """One process keeps the project, as an editor does, and changes one file at a time."""
    done = subprocess.run([str(edits), str(root), str(repeats)], capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        raise Failed(f"the edits ended with {done.returncode}\n{done.stderr.strip()}")
    print(f"  {'edit to all diagnostics':34}{'p50':>12}{'p99':>12}{'queries':>15}")
    for name, m in json.loads(done.stdout).items():
        print(f"  {name:34}{m['p50']:>9.1f} ms{m['p99']:>9.1f} ms{m['queries']:>15}", flush=True)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--sizes", type=numbers, default="100,1000", help="endpoints per project")
    parser.add_argument("--large", action="store_true", help="10000 endpoints as well")
    parser.add_argument("--runs", type=int, default=5, help="rounds behind each median")
    parser.add_argument("--edits", type=Path, help="the program `tests/edits.rs`, for times of single edits")
    parser.add_argument("--calls", type=int, default=1000, help="tools/call per round")
    args = parser.parse_args()
    sizes = args.sizes + [10_000] * args.large
    if min(*sizes, args.runs, args.calls, 1) < 1:
        parser.error("sizes, runs and calls must be 1 or more")
    mxcp = args.mxcp.resolve()
    if not os.access(mxcp, os.X_OK):
        parser.error(f"{args.mxcp} is not a program; run `make build` first")

    if "release" in mxcp.parts:
        profile = "release profile"
    else:
        profile = "dev profile; mxcp itself is optimised only with OPTIMISED=1"
    load = os.getloadavg()[0]
    print(f"median of {args.runs}; {os.cpu_count()} cores, load average {load:.1f} at the start")
    print(profile, flush=True)

    # A plain kill must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="mxcp-bench-") as folder:
        bench = Bench(mxcp, Path(folder))
        try:
            for n in sizes:
                root = Path(folder) / f"p{n}"
                models = generate(root, n)
                once = bench.command(root, "dbt", "run")
                show(n, models, once, measure(bench, root, args.runs, args.calls), args.calls)
                if args.edits:
                    show_edits(args.edits.resolve(), root, 4 * args.runs)
                shutil.rmtree(root)
        except Failed as problem:
            print(f"bench: {problem}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nbench: interrupted", file=sys.stderr)
            return 130
        finally:
            bench.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
