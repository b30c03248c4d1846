"""Plants one mistake at a time in fixtures/shop and asks `mxcp validate` for it.

    python run.py MXCP [--only FAMILY] [--show]

Each family is a file beside this one: a list of edits and where the finding must stand.

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
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent / "fixtures" / "shop"


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
        (root / file).write_text(text, encoding="utf-8")
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
            places |= {(file, i) for i, line in enumerate(lines, 1) if any(text in line for text in wanted)}
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


def one(mxcp, case):
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch) / "shop"
        shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("*.duckdb", "target", "mxcp.lock"))
        places = plant(root, case) if case else set()
        code, findings, stderr = validate(mxcp, root)
    if findings is None:
        return case, code, None, stderr, places
    if not (case or {}).get("info"):
        findings = [f for f in findings if f["severity"] != "info"]
    return case, code, findings, stderr, places


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("mxcp")
    parser.add_argument("--only", metavar="FAMILY", action="append")
    parser.add_argument("--show", action="store_true", help="what was found for every case")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))

    _, clean, stderr, = validate_clean(mxcp)
    if clean != []:
        sys.exit(f"the project without a mistake is not clean: {clean or stderr}")
    rows, missed = [], []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for file in sorted(HERE.glob("*.yml")):
            if options.only and file.stem not in options.only:
                continue
            cases = yaml.safe_load(file.read_text(encoding="utf-8"))
            counts = collections.Counter()
            for case, code, findings, stderr, places in pool.map(lambda case: one(mxcp, case), cases):
                found = bool(findings) or (findings is None and code == 1)
                placed = any((f["file"], f.get("line")) in places for f in findings or ())
                counts["detected"] += found
                counts["placed"] += placed
                if not placed or options.show:
                    said = [f"{f['file']}:{f.get('line')} {f['severity']} {f['code']} {f['message']}" for f in findings or ()]
                    missed.append((placed, file.stem, case["n"], sorted(places), said or [stderr.strip()]))
            rows.append((file.stem, len(cases), counts["detected"], counts["placed"]))
    for placed, family, name, places, said in missed:
        print(f"{'  ' if placed else '! '}{family}: {name}")
        if not placed:
            print("    wanted at " + " or ".join(f"{f}:{line}" for f, line in places[:4]))
        for line in said[:4]:
            print(f"    {line}")
    print()
    rows.append(("all", *(sum(row[i] for row in rows) for i in (1, 2, 3))))
    print(f"{'family':10} {'cases':>6} {'detected':>9} {'on the line':>12}")
    for name, total, detected, placed in rows:
        print(f"{name:10} {total:6} {detected:6} {100 * detected // total:3}% {placed:6} {100 * placed // total:3}%")


def validate_clean(mxcp):
    _, code, findings, stderr, _ = one(mxcp, None)
    return code, findings, stderr


if __name__ == "__main__":
    main()
