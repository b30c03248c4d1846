"""Plants mistakes in projects of `fixtures` and asks `mxcp validate` for them.

    python run.py MXCP [--project PROJECT] [--only FAMILY] [--show]

First one at a time, by family. Then several at once: groups of mistakes in files of their own, each of which
must be found in the one run. Last the edits of `valid/`, which are unusual but right: no finding is wanted.

Each family is a file, a list of edits and where the finding must stand. Those beside this one change `fixtures/shop`;
those in a folder change the project of the folder's name.

    n          what the mistake is
    f old new  replaces the one place of `old` in file `f` (`old2`/`new2`: a second one; `and`: {file: [old, new]})
    write, delete, rename
               whole files instead
    in         where the finding must be, if not in `f`; `a|b`: either
    at         text of the line it must stand on, in the changed file; `a|b`: either. Without it: the lines of `new`
    line       that line instead
    info       a note is enough

A mistake is detected when there is a new error or warning at all, and placed when one stands where it must.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent.parent / "fixtures"
# Where the cases of a project are.
PROJECTS = {"shop": HERE} | {f.name: f for f in sorted(HERE.iterdir()) if (FIXTURES / f.name / "mxcp-site.yml").is_file()}


def validate(mxcp, root):
    env = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")} | {"HOME": str(root)}
    command = [mxcp, "validate", "--format", "json"]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        return done.returncode, None, done.stdout + done.stderr
    return done.returncode, findings, done.stderr


def replace(root, file, old, new):
    path = root / file
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        sys.exit(f"{file}: {text.count(old)} times {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def plant(root, case):
    """Changes the project and returns the (file, line) pairs where the finding may stand."""
    if "f" in case:
        before = (root / case["f"]).read_text(encoding="utf-8").partition(case["old"])[0]
        replace(root, case["f"], case["old"], case["new"])
        if "old2" in case:
            replace(root, case["f"], case["old2"], case["new2"])
    for file, (old, new) in case.get("and", {}).items():
        replace(root, file, old, new)
    for file, text in case.get("write", {}).items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, encoding="utf-8", newline="")
    if "delete" in case:
        (root / case["delete"]).unlink()
    if "rename" in case:
        old, new = case["rename"]
        (root / old).rename(root / new)

    places = set()
    for file in case.get("in", case.get("f", "")).split("|"):
        path = root / file
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        if "line" in case:
            places.add((file, case["line"]))
        elif "at" in case:
            wanted = case["at"].split("|")
            places |= {(file, i) for i, line in enumerate(lines, 1) if any(text in line + "\n" for text in wanted)}
        elif file == case.get("f"):
            first = before.count("\n") + 1
            new = case["new"]
            lead = len(new) - len(new.lstrip("\n"))
            places |= {(file, first + lead + i) for i in range(new.strip("\n").count("\n") + 1)}
        else:
            places |= {(file, i) for i in range(1, len(lines) + 1)}
    if not places:
        sys.exit(f"{case['n']}: nothing says where")
    return places


def one(mxcp, project, cases):
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch) / project
        shutil.copytree(FIXTURES / project, root, ignore=shutil.ignore_patterns("*.duckdb", "target", "mxcp.lock"))
        places = [plant(root, case) for case in cases]
        code, findings, stderr = validate(mxcp, root)
    if findings is not None and not any(case.get("info") for case in cases):
        findings = [f for f in findings if f["severity"] != "info"]
    return cases, code, findings, stderr, places


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("mxcp")
    parser.add_argument("--project", action="append", choices=PROJECTS)
    parser.add_argument("--only", metavar="FAMILY", action="append")
    parser.add_argument("--show", action="store_true", help="what was found for every case")
    parser.add_argument("--valid", action="store_true", help="only what is valid")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))

    for project in options.project or PROJECTS:
        _, _, clean, stderr, _ = one(mxcp, project, [])
        if clean != []:
            sys.exit(f"the project {project} without a mistake is not clean: {clean or stderr}")
    if not options.valid:
        mistakes(mxcp, options)
    noisy = valid(mxcp, options)
    sys.exit(1 if noisy else 0)


def families(options, folder):
    for project in options.project or PROJECTS:
        for file in sorted((PROJECTS[project] / folder).glob("*.yml")):
            if not options.only or file.stem in options.only:
                yield project, file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))


def sentence(finding):
    return f"{finding['file']}:{finding.get('line')} {finding['severity']} {finding['code']} {finding['message']}"


def standing(findings, places):
    return any((f["file"], f.get("line")) in places for f in findings or ())


def mistakes(mxcp, options):
    rows, alone = [], collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for project, family, cases in families(options, "."):
            counts = collections.Counter()
            for case, code, findings, stderr, places in pool.map(lambda case: one(mxcp, project, [case]), cases):
                found = bool(findings) or (findings is None and code == 1)
                placed = standing(findings, places[0])
                counts["detected"] += found
                counts["placed"] += placed
                if placed:
                    alone[project].append(case[0])
                if not placed or options.show:
                    print(f"{'  ' if placed else '! '}{project}, {family}: {case[0]['n']}")
                    if not placed:
                        print("    wanted at " + " or ".join(f"{f}:{line}" for f, line in sorted(places[0])[:4]))
                    for said in [sentence(f) for f in findings or ()][:4] or [stderr.strip()]:
                        print(f"    {said}")
            rows.append((project, family, len(cases), counts["detected"], counts["placed"]))
        groups = [(project, group) for project, cases in alone.items() for group in together(cases)]
        complete = collections.Counter()
        for cases, code, findings, stderr, places in pool.map(lambda group: one(mxcp, *group), groups):
            lost = [case["n"] for case, place in zip(cases, places) if not standing(findings, place)]
            complete[not lost] += 1
            if lost:
                print(f"! together: {', '.join(case['n'] for case in cases)}")
                print(f"    lost: {', '.join(lost)}")
    print()
    rows.append(("all", "", *(sum(row[i] for row in rows) for i in (2, 3, 4))))
    print(f"{'project':13} {'family':10} {'cases':>6} {'detected':>9} {'on the line':>12}")
    for project, family, total, detected, placed in rows:
        share = [f"{n:6} {100 * n // total:3}%" for n in (detected, placed)]
        print(f"{project:13} {family:10} {total:6} {share[0]} {share[1]}")
    print(f"\n{len(groups)} groups of mistakes at once: {complete[True]} with every mistake found on its line")


def files_of(case):
    touched = {case.get("f"), case.get("delete"), *case.get("and", ()), *case.get("write", ()), *case.get("rename", ())}
    return touched - {None}


# Mistakes in the project's own files or in shared ones change what the others are.
SHARED = ("mxcp-site.yml", "dbt_project.yml", "models/", "macros/", "seeds/", "snapshots/", "plugins/")


def together(cases):
    """Groups of mistakes that do not touch the same endpoint; always the same ones."""
    rng = random.Random(2026)
    cases = [case for case in cases if not any(f.startswith(SHARED) for f in files_of(case))]
    groups = []
    for _ in range(40):
        group, taken = [], set()
        for case in rng.sample(cases, len(cases)):
            # A tool, its SQL and its tests are one.
            names = {pathlib.PurePath(f).stem for f in files_of(case)} | files_of(case)
            names |= {"score"} if names & {"scoring"} else set()
            if not names & taken:
                group.append(case)
                taken |= names
        groups.append(group[: rng.randint(3, 6)])
    return groups


def valid(mxcp, options):
    total = noisy = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for project, family, cases in families(options, "valid"):
            for case, code, findings, stderr, _ in pool.map(lambda case: one(mxcp, project, [{"line": 0} | case]), cases):
                total += 1
                said = [sentence(f) for f in findings or () if f["severity"] != "info"]
                if findings is None:
                    said = [stderr.strip()]
                if said:
                    noisy += 1
                    print(f"! valid, {project}, {family}: {case[0]['n']}")
                    for line in said[:4]:
                        print(f"    {line}")
    print(f"{total} unusual but valid: {total - noisy} without a finding")
    return noisy


if __name__ == "__main__":
    main()
