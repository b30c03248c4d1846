"""Times of `mxcp dbt` and of dbt on the same generated projects, one after the other in the same run.

usage: bench_dbt.py MXCP DBT [--sizes 100,500,2000] [--runs 3]

Whole processes, as a user starts them; the medians over the rounds and their ratio. `again` is a second run over
what the first one left behind. The largest project is built by neither: `build` is about small ones.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIMEOUT = 1800  # seconds, for one process
BUILT = 200  # models; larger projects are parsed and compiled only

SITE = "mxcp: 1\nproject: bench\nprofile: default\nprofiles:\n  default:\n    duckdb:\n      path: bench.duckdb\n"
PROFILES = "bench:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: bench.duckdb, threads: 2}\n"
PROJECT = 'name: bench\nversion: "1.0.0"\nconfig-version: 2\nprofile: bench\nmodels:\n  bench:\n    +materialized: table\n'
MACRO = "{% macro money(column) %}({{ column }} / 100)::decimal(16, 2){% endmacro %}\n"
BASE = "select i as id, 'name ' || i as name, i * 100 as cents, date '2024-01-01' + i::integer as placed\nfrom range(100) as t(i)\n"
MODEL = """\
{{{{ config(tags=['group_{group}']) }}}}
{{% set columns = ['id', 'name', 'cents', 'placed'] %}}
select
    {{% for column in columns %}}a.{{{{ column }}}}, {{% endfor %}}
    {{{{ money('a.cents') }}}} as money_{i}
from {{{{ ref('{first}') }}}} as a
join {{{{ ref('{second}') }}}} as b using (id)
where a.id >= {{{{ var('least', 0) }}}}
"""
PROPERTIES = """\
  - name: model_{i:05}
    description: "Model {i}"
    columns:
      - name: id
        data_tests: [unique, not_null]
"""


class Failed(Exception):
    """A measure that could not be taken."""


def generate(root: Path, n: int) -> None:
    (root / "models").mkdir(parents=True)
    (root / "macros").mkdir()
    (root / "mxcp-site.yml").write_text(SITE)
    (root / "profiles.yml").write_text(PROFILES)
    (root / "dbt_project.yml").write_text(PROJECT)
    (root / "macros" / "money.sql").write_text(MACRO)
    properties = "version: 2\nmodels:\n"
    for i in range(n):
        base = i - i % 10
        first = f"model_{max(base, i - 1):05}" if i % 10 else ""
        text = MODEL.format(i=i, group=i // 10, first=first, second=f"model_{base:05}") if i % 10 else BASE
        (root / "models" / f"model_{i:05}.sql").write_text(text)
        # Tests for one model in five: three nodes there.
        properties += PROPERTIES.format(i=i) if i % 5 == 0 else ""
    (root / "models" / "models.yml").write_text(properties)


def run(command: list[str], root: Path, environment: dict) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    took = time.perf_counter() - started
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}\n{(done.stdout + done.stderr)[-1500:]}")
    return took


def forget(root: Path) -> None:
    for folder in (".mxcp", "target", "logs"):
        shutil.rmtree(root / folder, ignore_errors=True)
    for file in root.glob("bench.duckdb*"):
        file.unlink()


def edit(root: Path, round_: int) -> str:
    path = root / "models" / "model_00001.sql"
    path.write_text(re.sub(r"where .*", f"where a.id >= {round_ + 1}", path.read_text()))
    return "model_00001"


def compiled(root: Path) -> str:
    return (root / "target" / "compiled" / "bench" / "models" / "model_00001.sql").read_text()


def measure(tools: dict, n: int, work: Path, runs: int) -> list:
    """Rows of a name and the times of each tool."""
    roots = {}
    for tool in tools:
        roots[tool] = work / f"{tool}-{n}"
        generate(roots[tool], n)
    times: dict[str, dict[str, list]] = {}

    def take(name: str, tool: str, *arguments: str) -> None:
        command, environment = tools[tool]
        took = run([*command, *arguments], roots[tool], environment)
        times.setdefault(name, {}).setdefault(tool, []).append(took)

    for round_ in range(runs):
        # Tool after tool within a measure, so that a slow moment of the machine hits both.
        for tool in tools:
            forget(roots[tool])
        for name, *arguments in (
            ("parse, from nothing", "parse"),
            ("parse, again", "parse"),
            ("compile", "compile"),
            ("ls", "ls", "--quiet"),
            *([("build, from nothing", "build"), ("build, again", "build")] if n <= BUILT else []),
        ):
            for tool in tools:
                take(name, tool, *arguments)
        for tool in tools:
            model = edit(roots[tool], round_)
            take("an edit to its compiled SQL", tool, "compile", "--select", model)
            if f">= {round_ + 1}" not in compiled(roots[tool]):
                raise Failed(f"{tool}: target/compiled does not show the edit")
    for root in roots.values():
        shutil.rmtree(root)
    return [(name, {tool: statistics.median(t) for tool, t in of.items()}) for name, of in times.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("dbt", type=Path)
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[100, 500, 2000])
    parser.add_argument("--runs", type=int, default=3, help="rounds behind each median")
    args = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MXCP_", "DBT_"))}
    environment |= {"NO_COLOR": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    print(f"median of {args.runs}; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start")
    if "release" not in args.mxcp.resolve().parts:
        print("dev profile; mxcp itself is optimised only with OPTIMISED=1")
    with tempfile.TemporaryDirectory(prefix="mxcp-bench-dbt-") as folder:
        environment["HOME"] = folder
        tools = {
            "dbt": ([str(args.dbt.absolute())], environment),
            "mxcp": ([str(args.mxcp.resolve()), "dbt"], environment),
        }
        try:
            for n in args.sizes:
                print(f"\n{n} models{'dbt':>35}{'mxcp':>12}{'ratio':>10}", flush=True)
                for name, took in measure(tools, n, Path(folder), args.runs):
                    ratio = took["dbt"] / took["mxcp"]
                    print(f"  {name:34}{took['dbt']:>9.2f} s{took['mxcp']:>9.3f} s{ratio:>9.1f}x", flush=True)
        except Failed as problem:
            print(f"bench-dbt: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
