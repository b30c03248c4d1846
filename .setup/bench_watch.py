"""Times of `mxcp validate --watch`: from a written file to the revision that tells of it.

usage: bench_watch.py MXCP [--sizes 100,1000] [--runs 10] [--command validate]

The projects are those of bench.py. `to result` counts from the write to the line on standard output, and so
has the pause in it that waits for whoever writes to be done; `work` is what the revision says of itself.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import Bench, Failed, generate, numbers, resident

TOOL = "tools/group_000/tool_00000.yml"
HUB = "models/model_00000.sql"
EDITS = (
    ("a comment in a leaf tool", TOOL, "mxcp: 1", "# x\nmxcp: 1"),
    ("a description of a leaf tool", TOOL, "One row", "One single row"),
    ("the SQL of a leaf tool", TOOL, "WHERE id = $id", "WHERE id = $id AND true"),
    ("a mistake in a leaf tool", TOOL, "SELECT id, name", "SELECT id, nam"),
    ("a hub model, same columns", HUB, "range(1000)", "range(1001)"),
    ("a hub model, another type", HUB, "DECIMAL(10, 2)", "DECIMAL(12, 2)"),
    ("a title in the site file", "mxcp-site.yml", "project: bench\n", "project: bench\nserver: {title: Bench}\n"),
)


class Watch:
    def __init__(self, bench: Bench, root: Path, command: str):
        started = time.perf_counter()
        self.process = bench.spawn(
            root, command, "--watch", "--json", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.first = self.next()
        self.cold = (time.perf_counter() - started) * 1e3

    def next(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the watching ended")
        return json.loads(line)

    def until(self, paths: set[str]) -> list[dict]:
        """The revisions until all of these files have been told of."""
        revisions = []
        while paths:
            revision = self.next()
            revisions.append(revision)
            paths = paths - {change["path"] for change in revision["changed"]}
        return revisions


def row(name: str, times: list[float], revisions: list[list[dict]], memory: float) -> None:
    work = [sum(r["duration_ms"] for r in group) for group in revisions]
    last = revisions[-1]
    queries = max(sum(r["rechecked"]["queries"] for r in group) for group in revisions)
    bound = max(sum(r["rechecked"]["bindings"] for r in group) for group in revisions)
    endpoints = max(sum(r["rechecked"]["endpoints"] for r in group) for group in revisions)
    print(
        f"  {name:32}{statistics.median(times):>8.0f} ms{statistics.median(work):>8.1f} ms{max(work):>8.1f} ms"
        f"{queries:>9}{bound:>8}{endpoints:>11}{len(last):>10}{memory:>9.0f} MiB",
        flush=True,
    )


def measure(bench: Bench, root: Path, n: int, runs: int, command: str) -> None:
    watch = Watch(bench, root, command)
    print(f"\n{n} endpoints, `{command} --watch`: first result after {watch.cold:.0f} ms")
    print(f"  {'':32}{'to result':>11}{'work p50':>11}{'max':>11}{'queries':>9}{'bound':>8}{'endpoints':>11}{'revisions':>10}{'resident':>13}")
    row("the first look", [watch.cold], [[watch.first]], resident(watch.process.pid))
    for name, file, old, new in EDITS:
        path = root / file
        texts = [path.read_text()]
        texts.append(texts[0].replace(old, new, 1))
        if texts[0] == texts[1]:
            raise Failed(f"{file} has no {old!r}")
        times, revisions = [], []
        for i in range(2 * runs):
            time.sleep(0.15)
            began = time.perf_counter()
            path.write_text(texts[(i + 1) % 2])
            revisions.append(watch.until({file}))
            times.append((time.perf_counter() - began) * 1e3)
        row(name, times, revisions, resident(watch.process.pid))
    tools = sorted(root.glob("tools/**/*.yml"))
    for i, (old, new) in enumerate((("One row", "Any row"), ("Any row", "One row"))):
        began = time.perf_counter()
        for path in tools:
            path.write_text(path.read_text().replace(old, new))
        found = watch.until({str(path.relative_to(root)) for path in tools})
        row(f"all tools at once, {'there' if i == 0 else 'and back'}", [(time.perf_counter() - began) * 1e3], [found], resident(watch.process.pid))
    bench.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--sizes", type=numbers, default="100,1000")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--command", choices=("validate", "build"), default="validate")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mxcp-watch-") as folder:
        bench = Bench(args.mxcp.resolve(), Path(folder))
        try:
            for n in args.sizes:
                root = Path(folder) / f"p{n}"
                generate(root, n)
                bench.command(root, "dbt", "run")
                measure(bench, root, n, args.runs, args.command)
        except Failed as problem:
            print(f"bench: {problem}", file=sys.stderr)
            return 1
        finally:
            bench.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
