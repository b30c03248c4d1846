"""Times of single edits in an open editor: from `didChange` to the diagnostics of the file, over stdio.

usage: bench_edit.py MXCP [--sizes 100,1000] [--large] [--repeats 20] [--edits EDITS]

Projects are those of bench.py. Each edit is made and taken back in turn; p50 and p99 are of all of them. With
EDITS, the program of `tests/edits.rs`, the number of queries that ran again stands beside each time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "tests/lsp_soak")]
from bench import generate
from client import Client

TOOL = "tools/group_000/tool_00000.yml"
HUB = "models/model_00000.sql"
# As in tests/edits.rs.
EDITS = [
    ("a description of a leaf tool", TOOL, "One row", "One single row"),
    ("the SQL of a leaf tool", TOOL, "WHERE id = $id", "WHERE id = $id AND true"),
    ("a mistake in a leaf tool", TOOL, "SELECT id, name", "SELECT id, nam"),
    ("a hub model, same columns", HUB, "range(1000)", "range(1001)"),
    ("a hub model, another type", HUB, "DECIMAL(10, 2)", "DECIMAL(12, 2)"),
    ("a title in the site file", "mxcp-site.yml", "project: bench\n", "project: bench\nserver: {title: Bench}\n"),
]


def percentiles(times: list[float]) -> tuple[float, float]:
    times = sorted(times)
    return times[len(times) // 2], times[min(len(times) * 99 // 100, len(times) - 1)]


def initialize(mxcp: Path, root: Path) -> tuple[float, float]:
    """Milliseconds from starting the process to its answer, and from asking a running one."""
    cold, warm = [], []
    for _ in range(5):
        started = time.perf_counter()
        client = Client(mxcp, root, subprocess.DEVNULL)
        cold.append((time.perf_counter() - started) * 1e3)
        client.leave()
        client = Client(mxcp, root, subprocess.DEVNULL, pause=0.5)
        warm.append(client.introduced * 1e3)
        client.leave()
    return sorted(cold)[2], sorted(warm)[2]


def measure(mxcp: Path, n: int, repeats: int, program: Path | None) -> None:
    with tempfile.TemporaryDirectory() as work:
        root = Path(work).resolve()
        generate(root, n)
        queries = {}
        if program:
            run = subprocess.run([str(program), str(root), "1"], capture_output=True, text=True, check=True)
            queries = {name: edit["queries"] for name, edit in json.loads(run.stdout).items()}
        print(f"\n{n} endpoints")
        cold, warm = initialize(mxcp, root)
        print(f"  `initialize` answered: {warm:.1f} ms, with the start of the process {cold:.1f} ms")
        client = Client(mxcp, root, subprocess.DEVNULL)
        started = time.perf_counter()
        client.open(TOOL, (root / TOOL).read_text())
        client.settled(TOOL)
        print(f"  open to first diagnostics: {(time.perf_counter() - started) * 1e3:.0f} ms, {client.resident():.0f} MiB")
        for path in (HUB, "mxcp-site.yml"):
            client.open(path, (root / path).read_text())
            client.settled(path)
        print(f"  {'edit':34} {'p50':>8} {'p99':>8}  queries")
        for name, path, old, new in EDITS:
            text = (root / path).read_text()
            changed = text.replace(old, new, 1)
            assert text != changed, path
            times = []
            for i in range(repeats * 2):
                started = time.perf_counter()
                client.change(path, changed if i % 2 == 0 else text)
                client.settled(path)
                times.append((time.perf_counter() - started) * 1e3)
            p50, p99 = percentiles(times)
            print(f"  {name:34} {p50:6.1f}ms {p99:6.1f}ms  {queries.get(name, '')}", flush=True)
        print(f"  memory afterwards: {client.resident():.0f} MiB")
        client.leave()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--sizes", type=lambda t: [int(n) for n in t.split(",")], default=[100, 1000])
    parser.add_argument("--large", action="store_true", help="10000 endpoints as well")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--edits", type=Path)
    args = parser.parse_args()
    for n in args.sizes + ([10000] if args.large else []):
        measure(args.mxcp.resolve(), n, args.repeats, args.edits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
