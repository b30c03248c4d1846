"""A run that is killed leaves every relation as it was or as it shall be, never half.

    python killed.py MXCP [--times 20] [--models 200]

Builds a project of many models, then starts a run with other values and kills it (SIGKILL) after a random while, again
and again. After each kill every relation must be there, whole, and of one edition: the last one or the one before. A
complete run at the end must leave nothing behind that is no model.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import duckdb

ROWS = 3000
PROJECT = 'name: killed\nversion: "1.0.0"\nconfig-version: 2\nprofile: killed\nvars:\n  edition: {edition}\n'
SITE = "mxcp: 1\nproject: killed\nprofile: default\nprofiles:\n  default:\n    duckdb:\n      path: killed.duckdb\n"
PROFILES = "killed:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: killed.duckdb, threads: 2}\n"
BASE = "select i as id, {{{{ var('edition') }}}} as edition, repeat('x', 50) as filler from range({rows}) t(i)"
KINDS = (
    "{{ config(materialized='table') }}",
    "{{ config(materialized='incremental', unique_key='id') }}",
    "{{ config(materialized='table') }}",
    "{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }}",
    "{{ config(materialized='view') }}",
)


def generate(root: pathlib.Path, models: int) -> None:
    (root / "models").mkdir(parents=True)
    (root / "mxcp-site.yml").write_text(SITE)
    (root / "profiles.yml").write_text(PROFILES)
    for i in range(models):
        # Each reads nothing or its neighbour; what it says of the edition is its own.
        text = BASE.format(rows=ROWS) if i % 4 else f"select id, {{{{ var('edition') }}}} as edition, filler from {{{{ ref('m{i + 1}') }}}}"
        (root / "models" / f"m{i}.sql").write_text(f"{KINDS[i % len(KINDS)]}\n{text}\n")
    (root / "models" / f"m{models}.sql").write_text(BASE.format(rows=ROWS))


def edition(root: pathlib.Path, number: int) -> None:
    (root / "dbt_project.yml").write_text(PROJECT.format(edition=number))


def look(root: pathlib.Path, models: int, possible: dict) -> list:
    """What is wrong; `possible` holds the edition of each relation and is brought up to date."""
    wrong = []
    with duckdb.connect(str(root / "killed.duckdb")) as connection:
        for i in range(models + 1):
            name = f"m{i}"
            try:
                count, low, high = connection.execute(f'SELECT count(*), min(edition), max(edition) FROM main."{name}"').fetchone()
            except duckdb.Error as error:
                wrong.append(f"{name}: {str(error).splitlines()[0]}")
                continue
            if count != ROWS or low != high:
                wrong.append(f"{name}: {count} rows, editions {low} to {high}")
            elif low not in possible[name]:
                wrong.append(f"{name}: edition {low}, expected {sorted(possible[name])}")
            else:
                possible[name] = {low}
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mxcp")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    options = parser.parse_args()
    mxcp = os.path.abspath(shutil.which(options.mxcp) or parser.error(f"no executable `{options.mxcp}`"))
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="mxcp-killed-") as folder:
        root = pathlib.Path(folder) / "killed"
        generate(root, options.models)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MXCP_", "DBT_"))} | {"HOME": folder}
        command = [mxcp, "dbt", "run"]
        edition(root, 0)
        started = time.monotonic()
        subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)
        whole = time.monotonic() - started
        possible = {f"m{i}": {0} for i in range(options.models + 1)}
        bad = caught = 0
        for number in range(1, options.times + 1):
            edition(root, number)
            process = subprocess.Popen(
                command, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            after = moments.uniform(0.1, 1.0) * whole
            time.sleep(after)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                caught += 1
            process.wait()
            for editions in possible.values():
                editions.add(number)
            wrong = look(root, options.models, possible)
            new = sum(editions == {number} for editions in possible.values())
            bad += bool(wrong)
            print(f"{number:3}: killed after {after:.1f} s, {new} of {len(possible)} relations are new" + (", WRONG" if wrong else ""), flush=True)
            for line in wrong[:5]:
                print(f"     {line}")
        edition(root, 1000)
        subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)
        for editions in possible.values():
            editions.add(1000)
        wrong = look(root, options.models, possible)
        with duckdb.connect(str(root / "killed.duckdb")) as connection:
            left = [r[0] for r in connection.execute("SELECT table_schema || '.' || table_name FROM information_schema.tables").fetchall()]
        wrong += [f"left behind: {name}" for name in left if name.removeprefix("main.") not in possible]
        if any(editions != {1000} for editions in possible.values()):
            wrong.append("a complete run did not bring everything up to date")
        bad += bool(wrong)
        for line in wrong[:10]:
            print(line)
    print(f"{options.times} runs, {caught} killed: {options.times + 1 - bad} of {options.times + 1} looks found everything whole")
    return 1 if bad or not caught else 0


if __name__ == "__main__":
    sys.exit(main())
