"""Kills a build of 200 models at random moments and looks at what is left.

After every kill each relation must be whole and either the old or the new one, and the next build
must succeed and leave nothing behind.

usage: run.py MXCP [KILLS [SEED]]
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

MODELS = 200
ROWS = 2000


def write_project(root: Path) -> None:
    (root / "mxcp-site.yml").write_text(
        "mxcp: 1\nproject: killed\nprofile: dev\nprofiles:\n  dev:\n    duckdb: { path: killed.duckdb }\n"
    )
    (root / "dbt_project.yml").write_text(
        "name: killed\nversion: '1.0'\nprofile: killed\nvars: { round: 0 }\n"
    )
    models = root / "models"
    models.mkdir()
    for i in range(MODELS):
        kind = "view" if i % 5 == 4 else "table"
        if i < 20:
            source = f"range({ROWS}) t(i)"
        else:
            parent = i - 20 + i % 7
            # Views are read through, so that a table's rows tell which run made them.
            source = f"{{{{ ref('m{parent:03}') }}}}"
        (models / f"m{i:03}.sql").write_text(
            f"{{{{ config(materialized='{kind}') }}}}\n"
            f"select i, {{{{ var('round') }}}} as round, repeat('x', 50) || i as text from {source}\n"
        )


def build(mxcp: str, root: Path, number: int) -> subprocess.Popen:
    command = [mxcp, "dbt", "run", "--threads", "4", "--vars", f"{{round: {number}}}"]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def relations(root: Path) -> dict[str, tuple[int, int, int]]:
    """Rows and the least and greatest round of each relation."""
    connection = duckdb.connect(str(root / "killed.duckdb"))
    names = connection.execute(
        "select table_name from information_schema.tables where table_schema = 'main'"
    ).fetchall()
    found = {}
    for (name,) in sorted(names):
        found[name] = connection.execute(
            f'select count(*), min(round), max(round) from "{name}"'
        ).fetchone()
    connection.close()
    return found


def check(found: dict[str, tuple[int, int, int]], allowed: set[int], what: str) -> list[str]:
    problems = [f"{what}: {MODELS - len(found)} relations are missing"] if len(found) < MODELS else []
    for name, (rows, least, greatest) in found.items():
        if not name.startswith("m") or len(name) != 4:
            problems.append(f"{what}: `{name}` was left behind")
        elif rows != ROWS or least != greatest or least not in allowed:
            problems.append(f"{what}: `{name}` has {rows} rows of the rounds {least} to {greatest}")
    return problems


def finish(mxcp: str, root: Path, number: int) -> tuple[list[str], float]:
    started = time.monotonic()
    process = build(mxcp, root, number)
    output = process.communicate()[0].decode()
    seconds = time.monotonic() - started
    if process.returncode != 0:
        return [f"round {number} failed:\n{output[-2000:]}"], seconds
    return check(relations(root), {number}, f"round {number}"), seconds


def main() -> int:
    mxcp = os.path.abspath(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    rng = random.Random(seed)
    root = Path(tempfile.mkdtemp(prefix="dbt_kill_"))
    problems: list[str] = []
    midway = 0
    try:
        write_project(root)
        number = 1
        found, seconds = finish(mxcp, root, number)
        problems += found
        for _ in range(kills):
            if problems:
                break
            number += 1
            process = build(mxcp, root, number)
            time.sleep(rng.uniform(0.3 * seconds, seconds))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            left = relations(root)
            problems += check(left, {number - 1, number}, f"after the kill in round {number}")
            rounds = {least for _, least, _ in left.values()}
            midway += len(rounds) == 2
            number += 1
            found, seconds = finish(mxcp, root, number)
            problems += found
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for problem in problems:
        print(problem)
    print(
        f"{kills} kills (seed {seed}), {midway} of them between two models: "
        + (f"{len(problems)} problems" if problems else "every relation was old or new, every next run succeeded")
    )
    # Kills that all came too early or too late would have tested nothing.
    return 1 if problems or midway == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
