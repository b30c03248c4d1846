"""Runs the official conformance suite of the protocol against `fixtures/conformance`, served over HTTP.

usage: run.py MXCP TOOLS [--only SCENARIO]

TOOLS is a folder for the suite and its Node; they are installed there with npm when they are missing. Both
requirement sets are run, 2025-11-25 and 2026-07-28; the table shows the required scenarios, and one that fails makes
the exit code 1. Then the inspector lists the tools of every fixture in its strict mode, which finds schemas that not
every client understands.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SETS = ["2025-11-25", "2026-07-28"]


def install(tools: Path) -> Path:
    """The Node binary of the suite."""
    node = tools / "node_modules/node/bin/node"
    wanted = (Path(__file__).parent / "package.json").read_text()
    stamp = tools / "installed.json"
    if node.exists() and stamp.exists() and stamp.read_text() == wanted:
        return node
    if shutil.which("npm") is None:
        sys.exit("npm is needed to install the suite: install the package `npm` of your system")
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "package.json").write_text(wanted)
    print("installing the conformance suite ...", flush=True)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=tools, check=True)
    if not node.exists():
        # Newer versions of npm run no script unless they are told to.
        subprocess.run(["npm", "rebuild", "node", "--silent"], cwd=tools, check=True)
    stamp.write_text(wanted)
    return node


class Served:
    """A copy of a fixture behind a port of its own."""

    def __init__(self, mxcp: Path, fixture: Path):
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self.project = self.folder / fixture.name
        shutil.copytree(fixture, self.project, ignore=shutil.ignore_patterns("target", ".mxcp", "*.duckdb"))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
        environment |= {"HOME": str(self.folder), "VIRTUAL_ENV": str(REPOSITORY / ".venv")}
        if (self.project / "dbt_project.yml").exists():
            subprocess.run([mxcp, "dbt", "build"], cwd=self.project, env=environment, capture_output=True)
        self.log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(
            [mxcp, "serve", "--port", "0"], cwd=self.project, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.url = self._address()

    def _address(self) -> str:
        for line in self.process.stdout:
            if found := re.match(r"Listening on (http://\S+)", line):
                return found[1]
        sys.exit(f"the server did not start:\n{(self.folder / 'log').read_text()}")

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        self.log.close()
        if code != 0:
            print(f"  the server ended with {code}:\n{(self.folder / 'log').read_text()[-2000:]}")
            raise SystemExit(1)
        shutil.rmtree(self.folder, ignore_errors=True)


def suite(node: Path, tools: Path, served: Served, requirements: str, only: str | None) -> int:
    program = tools / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    with tempfile.TemporaryDirectory() as out:
        ran = subprocess.run(
            [node, program, "server", "--url", served.url, "--requirements", requirements, "-o", out],
            capture_output=True,
            text=True,
            timeout=900,
        )
    text = ran.stdout + ran.stderr
    summary = text.partition("=== SUMMARY ===")[2]
    unscored = set(re.findall(r"^\s+[✓✗] (\S+) \(", summary, re.M))
    rows = re.findall(r"^([✓✗]) (\S+): (\d+) passed, (\d+) failed", summary, re.M)
    if not rows:
        print(text[-3000:])
        return 1
    failing = 0
    print(f"\n{requirements}")
    for mark, name, passed, failed in rows:
        if name in unscored or (only and name != only):
            continue
        failing += mark != "✓"
        print(f"  {mark} {name:52} {passed:>3} passed {failed:>3} failed")
    required = sum(name not in unscored for _, name, _, _ in rows)
    print(f"  {required - failing} of {required} required scenarios pass")
    return failing


def strict(node: Path, tools: Path, served: Served, name: str) -> int:
    program = tools / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    ran = subprocess.run(
        [node, program, "--cli", served.url, "--transport", "http", "--method", "tools/list", "--strict"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(f"  {'✓' if ran.returncode == 0 else '✗'} {name}")
    if ran.returncode:
        print((ran.stderr or ran.stdout)[-2000:])
    return int(ran.returncode != 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="the protocol's conformance suite")
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("tools", type=Path)
    parser.add_argument("--only", help="show this scenario only")
    arguments = parser.parse_args()
    mxcp, tools = arguments.mxcp.resolve(), arguments.tools.resolve()
    node = install(tools)
    failing = 0
    with Served(mxcp, REPOSITORY / "fixtures/conformance") as served:
        for requirements in SETS:
            failing += suite(node, tools, served, requirements, arguments.only)
    print("\ninspector --strict")
    for fixture in ["conformance", "customer_360", "shop", "clinic"]:
        with Served(mxcp, REPOSITORY / "fixtures" / fixture) as served:
            failing += strict(node, tools, served, fixture)
    return int(failing > 0)


if __name__ == "__main__":
    sys.exit(main())
