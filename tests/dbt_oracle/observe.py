"""What a tool makes of a project, as data, and how two of these differ."""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import yaml

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT = 600
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LEFT_BEHIND = re.compile(r"__dbt_tmp\d{14,}$")
CONFIG = (
    "enabled", "materialized", "tags", "meta", "unique_key", "incremental_strategy", "on_schema_change", "severity",
    "warn_if", "error_if", "fail_calc", "where", "limit", "store_failures", "full_refresh", "group", "access", "quoting",
    "column_types", "quote_columns", "delimiter", "strategy", "updated_at", "check_cols", "hard_deletes", "target_schema",
    "batch_size", "event_time", "begin", "lookback", "location", "format", "options",
)  # fmt: skip
NODE = (
    "resource_type", "package_name", "original_file_path", "fqn", "alias", "schema", "database", "relation_name", "tags",
    "description", "group", "access", "version", "latest_version", "language", "identifier", "loader", "source_name",
    "type", "url", "column_name", "attached_node", "model", "patch_path", "docs", "meta", "constraints",
)  # fmt: skip


@dataclasses.dataclass
class Tool:
    name: str
    command: list
    python: str


def environment(root: pathlib.Path, tool: Tool) -> dict:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MXCP_", "DBT_"))}
    return env | {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "NO_COLOR": "1", "DBT_USE_COLORS": "false", "HOME": str(root.parent),
        "ORACLE_WORD": "from the environment", "TZ": "UTC",
        # Python models of both run with the same packages.
        "VIRTUAL_ENV": str(pathlib.Path(tool.python).parent.parent),
    }  # fmt: skip


def observe(project: pathlib.Path, tool: Tool, work: pathlib.Path) -> list:
    root = work / tool.name / project.name
    if root.exists():
        shutil.rmtree(root)
    shutil.copytree(project, root, ignore=shutil.ignore_patterns("target", "*.duckdb", ".mxcp", "logs"))
    plan = yaml.safe_load((root / "oracle.yml").read_text())
    env = environment(root, tool)
    seen = []
    for number, step in enumerate(plan["steps"], 1):
        if step.get("files"):
            shutil.copytree(root / "_steps" / step["files"], root, dirs_exist_ok=True)
        for gone in step.get("remove", []):
            (root / gone).unlink()
        for name in ("run_results.json", "catalog.json", "sources.json"):
            (root / "target" / name).unlink(missing_ok=True)
        command = step["run"]
        done = subprocess.run(
            [*tool.command, *shlex.split(command)], cwd=root, env=env, capture_output=True, text=True, timeout=TIMEOUT
        )
        output = (done.stdout + done.stderr).replace(str(root), "<root>")
        seen.append(
            {
                "step": f"{number} {command}",
                "code": done.returncode,
                "said": re.findall(r"ORACLE: *(.*?) *$", done.stdout.replace(str(root), "<root>"), re.M),
                "output": output[-4000:],
                **artifacts(root),
                "databases": databases(root, tool, env) if step.get("tables", True) else {},
            }
        )
        if step.get("save") and (root / "target").exists():
            shutil.copytree(root / "target", root / step["save"], dirs_exist_ok=True)
    selections = [str(s) for s in plan.get("selections", [])]
    seen.append({"step": "selections", "selections": listed(root, tool, env, selections)})
    return seen


def read(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def plain(root: pathlib.Path, value):
    if isinstance(value, str):
        return UUID.sub("<uuid>", value.replace(str(root), "<root>"))
    if isinstance(value, list):
        return [plain(root, v) for v in value]
    if isinstance(value, dict):
        return {k: plain(root, v) for k, v in value.items()}
    return value


def sql(text) -> str | None:
    # Whether the database is named is no difference: there is one.
    return None if text is None else " ".join(re.sub(r'"(warehouse|production|other)"\.', "", text).split())


def artifacts(root: pathlib.Path) -> dict:
    target = root / "target"
    manifest = read(target / "manifest.json")
    nodes = {}
    for kind in ("nodes", "sources", "exposures", "metrics", "groups", "unit_tests", "semantic_models", "saved_queries"):
        for name, node in manifest.get(kind, {}).items():
            config = node.get("config") or {}
            nodes[name] = plain(root, {
                **{key: node.get(key) for key in NODE},
                "depends_on": sorted((node.get("depends_on") or {}).get("nodes", [])),
                "macros": sorted((node.get("depends_on") or {}).get("macros") or []),
                "tags": sorted(node.get("tags") or []),
                "columns": {n: (c.get("data_type"), c.get("description"), sorted(c.get("tags") or []), c.get("meta")) for n, c in (node.get("columns") or {}).items()},
                "config": {k: config.get(k) for k in CONFIG} | {"hooks": [[h["sql"] for h in config.get(k) or [] if isinstance(h, dict)] for k in ("pre-hook", "post-hook")], "contract": (config.get("contract") or {}).get("enforced")},
                "freshness": node.get("freshness"),
                "test_metadata": {k: v for k, v in (node.get("test_metadata") or {}).items() if k in ("name", "kwargs", "namespace")},
            })  # fmt: skip
    results = read(target / "run_results.json")
    catalog = read(target / "catalog.json")
    return {
        "nodes": nodes,
        "disabled": sorted(manifest.get("disabled", {})),
        "results": {
            r["unique_id"]: {"status": r.get("status"), "failures": r.get("failures")}
            for r in results.get("results", [])
        },
        "compiled": {
            r["unique_id"]: plain(root, sql(r.get("compiled_code")))
            for r in results.get("results", [])
            if r.get("compiled_code") is not None
        },
        "catalog": {
            name: {
                "type": node["metadata"]["type"],
                "columns": {n: [c["type"], c["index"]] for n, c in node["columns"].items()},
            }
            for kind in ("nodes", "sources")
            for name, node in catalog.get(kind, {}).items()
        },
        "freshness": {r["unique_id"]: r.get("status") for r in read(target / "sources.json").get("results", [])},
    }


def databases(root: pathlib.Path, tool: Tool, env: dict) -> dict:
    done = subprocess.run(
        [tool.python, str(HERE / "inside.py"), "tables"], cwd=root, env=env, capture_output=True, text=True, timeout=TIMEOUT
    )
    return plain(root, json.loads(done.stdout)) if done.returncode == 0 else {"": {"error": done.stderr[-500:]}}


def listed(root: pathlib.Path, tool: Tool, env: dict, selections: list) -> dict:
    if tool.name == "dbt":
        done = subprocess.run(
            [tool.python, str(HERE / "inside.py"), "ls"],
            cwd=root, env=env, input=json.dumps(selections), capture_output=True, text=True, timeout=TIMEOUT,
        )  # fmt: skip
        line = [line for line in done.stdout.splitlines() if line.startswith("ORACLE-LS ")]
        if not line:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads(line[-1].removeprefix("ORACLE-LS "))
    found = {}
    for selection in selections:
        arguments = shlex.split(selection)
        if not arguments or not arguments[0].startswith("--"):
            arguments = ["--select", *arguments]
        done = subprocess.run(
            [*tool.command, "ls", "--quiet", *arguments], cwd=root, env=env, capture_output=True, text=True, timeout=TIMEOUT
        )
        found[selection] = sorted(done.stdout.splitlines()) if done.returncode == 0 else f"exit {done.returncode}"
    return found


def compare(expected: list, found: list):
    """Yields kind, what, whether it is the same, and how it differs."""
    for index, (a, b) in enumerate(zip(expected, found)):
        step = a["step"]
        if "selections" in a:
            for selection, wanted in a["selections"].items():
                got = b["selections"].get(selection)
                yield "selections", f"select {selection}", wanted == got, difference(wanted, got)
            continue
        # The first command shows what the project is; later ones, what changed.
        earlier = expected[index - 1] if index else {"nodes": {}, "disabled": None}
        yield "commands", f"[{step}] exit code", a["code"] == b["code"], f"dbt: {a['code']}, mxcp: {b['code']}\n{b['output'][-1500:]}"
        if a["said"] or b["said"]:
            yield "commands", f"[{step}] said", a["said"] == b["said"], difference(a["said"], b["said"])
        if a["disabled"] != earlier["disabled"]:
            yield "nodes", f"[{step}] disabled", a["disabled"] == b["disabled"], difference(a["disabled"], b["disabled"])
        changed = {n: v for n, v in a["nodes"].items() if earlier["nodes"].get(n) != v}
        if index == 0 or changed:
            yield "nodes", f"[{step}] ids", sorted(a["nodes"]) == sorted(b["nodes"]), difference(sorted(a["nodes"]), sorted(b["nodes"]))
        for name, node in changed.items():
            other = b["nodes"].get(name)
            if other is None:
                continue
            for key in node:
                yield "nodes", f"[{step}] {name} {key}", node[key] == other.get(key), difference(node[key], other.get(key))
        for name, text in a["compiled"].items():
            text = sql(text)
            yield "sql", f"[{step}] {name} sql", text == b["compiled"].get(name), f"dbt:  {text}\nmxcp: {b['compiled'].get(name)}"
        extra = sorted(set(b["results"]) - set(a["results"]))
        if a["results"] or extra:
            yield "verdicts", f"[{step}] results", not extra, f"only mxcp has {extra}"
        for name, result in a["results"].items():
            other = b["results"].get(name)
            yield "verdicts", f"[{step}] {name} result", result == other, f"dbt: {result}, mxcp: {other}"
        for name, status in a["freshness"].items():
            yield "verdicts", f"[{step}] {name} freshness", status == b["freshness"].get(name), f"dbt: {status}, mxcp: {b['freshness'].get(name)}"
        for name, entry in a["catalog"].items():
            yield "relations", f"[{step}] {name} catalog", entry == b["catalog"].get(name), difference(entry, b["catalog"].get(name))
        for database, relations in a["databases"].items():
            # dbt leaves the rows of an incremental Python model behind under a name of the moment.
            relations = {name: r for name, r in relations.items() if not LEFT_BEHIND.search(name)}
            others = b["databases"].get(database, {})
            yield "relations", f"[{step}] {database}", sorted(relations) == sorted(others), difference(sorted(relations), sorted(others))
            for name, relation in relations.items():
                other = others.get(name)
                if other is None:
                    continue
                for key in ("kind", "columns", "extra", "rows"):
                    kind = "rows" if key == "rows" else "relations"
                    yield kind, f"[{step}] {database}.{name} {key}", relation.get(key) == other.get(key), difference(relation.get(key), other.get(key))


def difference(a, b) -> str:
    if isinstance(a, list) and isinstance(b, list):
        left = [x for x in a if x not in b]
        right = [x for x in b if x not in a]
        if left or right:
            return f"only dbt:  {json.dumps(left)[:1500]}\nonly mxcp: {json.dumps(right)[:1500]}"
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [k for k in {**a, **b} if a.get(k) != b.get(k)]
        return "\n".join(f"{k}: dbt {json.dumps(a.get(k))[:600]}, mxcp {json.dumps(b.get(k))[:600]}" for k in keys[:12])
    return f"dbt:  {json.dumps(a)[:1500]}\nmxcp: {json.dumps(b)[:1500]}"
