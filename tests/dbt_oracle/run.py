"""The projects of fixtures/dbt through dbt and through `mxcp dbt`: what both make of them must be the same.

    python run.py MXCP DBT_PYTHON [--only WORD] [--fresh] [--show N] [--group] [--twice] [--keep FOLDER]

Each project says in `oracle.yml` what is run, one command after the other, and what is selected. After each command
the exit code, the artifacts and every relation of every database file are compared: nodes and what is disabled, what
they depend on, their names and configuration, compiled SQL (whitespace aside), verdicts, columns, types, rows.
A difference is explained when deliberate.yml names it. What dbt did is kept in `.dbt/seen`, by the digest of the
project; --fresh asks again.
"""

import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import yaml

from observe import Tool, compare, observe

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROJECTS = ROOT / "fixtures" / "dbt"
KINDS = ("commands", "nodes", "sql", "relations", "rows", "verdicts", "selections")


def digest(project: pathlib.Path) -> str:
    # Raised when `observe.py` looks at more than before.
    sums = hashlib.sha256(b"1")
    for path in [*sorted(project.rglob("*")), HERE / "inside.py"]:
        if path.is_file():
            sums.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sums.hexdigest()[:24]


def theirs(project: pathlib.Path, tool: Tool, work: pathlib.Path, fresh: bool) -> list:
    kept = ROOT / ".dbt" / "seen" / f"{project.name}-{digest(project)}.json"
    if kept.exists() and not fresh:
        return json.loads(kept.read_text())
    seen = observe(project, tool, work)
    for old in kept.parent.glob(f"{project.name}-*.json"):
        old.unlink()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(seen))
    # What was read back is what is compared.
    return json.loads(kept.read_text())


def one(project: pathlib.Path, options, deliberate: list) -> tuple:
    with tempfile.TemporaryDirectory(prefix="mxcp-dbt-") as folder:
        work = pathlib.Path(options.keep or folder).resolve()
        dbt = Tool("dbt", [str(pathlib.Path(options.python).parent / "dbt")], options.python)
        mxcp = Tool("mxcp", dbt.command if options.twice else [options.mxcp, "dbt"], options.python)
        expected = theirs(project, dbt, work, options.fresh)
        found = json.loads(json.dumps(observe(project, mxcp, work)))
    counts = {kind: [0, 0] for kind in KINDS}
    explained, different = [], []
    for kind, what, same, text in compare(expected, found):
        counts[kind][0] += 1
        counts[kind][1] += same
        if not same:
            reason = next(
                (
                    d["why"]
                    for d in deliberate
                    if fnmatch.fnmatchcase(project.name, d["project"]) and fnmatch.fnmatchcase(what, d["what"])
                ),
                None,
            )
            (explained if reason else different).append((kind, what, text, reason))
    return project.name, counts, explained, different


def grouped(lists: list) -> list:
    """The sorts of differences, the most frequent first: count, projects, one example."""
    sorts: dict = {}
    for name, _, different in lists:
        for kind, what, text, _ in different:
            # The command, and which node or relation it is about, do not make another sort.
            sort = re.sub(r"^\[[^]]*\] ", "", what)
            sort = re.sub(r"\b(model|test|seed|source|snapshot|unit_test|exposure|operation|analysis|group)\.\S+", r"\1", sort)
            sort = re.sub(r"^(\w+)\.\S+ (kind|columns|extra|rows)$", r"relation \2", sort)
            sort = "select" if sort.startswith("select ") else sort
            sorts.setdefault((kind, sort), []).append((name, what, text))
    return sorted(sorts.items(), key=lambda item: -len(item[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp")
    parser.add_argument("python", help="the Python of a virtual environment with dbt-duckdb")
    parser.add_argument("--only", metavar="WORD", help="projects with this in their name")
    parser.add_argument("--fresh", action="store_true", help="ask dbt again, whatever it said before")
    parser.add_argument("--show", type=int, default=30, metavar="N", help="differences to print per project")
    parser.add_argument("--group", action="store_true", help="one example of each sort of difference, and how many there are")
    parser.add_argument("--twice", action="store_true", help="dbt in the place of mxcp: what differs then is chance")
    parser.add_argument("--keep", metavar="FOLDER", help="where the copies of the projects stay")
    options = parser.parse_args()
    options.mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))
    options.python = os.path.abspath(shutil.which(options.python) or parser.error(f"no executable `{options.python}`"))
    deliberate = yaml.safe_load((HERE / "deliberate.yml").read_text()) or []
    projects = sorted(p.parent for p in PROJECTS.glob("*/oracle.yml") if not options.only or options.only in p.parent.name)

    print(f"{'':16}" + "".join(f"{kind:>12}" for kind in KINDS) + f"{'equal':>10}{'explained':>11}{'different':>11}")
    bad = 0
    totals = [0, 0, 0, 0]
    lists = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, counts, explained, different in pool.map(lambda p: one(p, options, deliberate), projects):
            compared = sum(c for c, _ in counts.values())
            equal = sum(e for _, e in counts.values())
            cells = "".join(f"{f'{e}/{c}' if c else '-':>12}" for c, e in counts.values())
            print(f"{name:16}{cells}{f'{equal}/{compared}':>10}{len(explained):>11}{len(different):>11}", flush=True)
            for i, n in enumerate((compared, equal, len(explained), len(different))):
                totals[i] += n
            lists.append((name, explained, different))
            bad += len(different)
    if options.group:
        for (kind, sort), found in grouped(lists):
            names = sorted({name for name, _, _ in found})
            print(f"\n{len(found)} x {kind}: {sort}   ({', '.join(names)})")
            for name, what, text in found[:: max(1, len(found) // 3)][:3]:
                print(f"  {name}: {what}\n" + "\n".join("      " + line[:700] for line in text.splitlines()[:14]))
        lists = []
    for name, explained, different in lists:
        for kind, what, text, reason in explained:
            print(f"\n{name}: {what}\n    {reason}")
        for kind, what, text, _ in different[: options.show]:
            print(f"\n{name}: DIFFERENT {what}\n" + "\n".join("    " + line for line in text.splitlines()))
        if len(different) > options.show:
            print(f"\n{name}: and {len(different) - options.show} more")
    print(f"\n{totals[0]} compared, {totals[1]} equal, {totals[2]} explained, {totals[3]} different")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
