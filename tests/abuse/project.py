"""The project that is abused: SQL tools over one table, free SQL, and on request Python and a plugin."""

import subprocess
from pathlib import Path

# Must never reach a client.
SECRETS = ["SENTINEL-CONFIG", "SENTINEL-ENVIRONMENT", "SENTINEL-FILE", "SENTINEL-TABLE"]

SITE = """\
mxcp: 1
project: abused
profile: default
profiles:
  default:
    duckdb: { path: abused.duckdb }
sql_tools: { enabled: true }
limits: { rows: 1000, bytes: 1000000, timeout_ms: 3000, memory_mb: 256 }
"""
PLUGIN = """\
plugin:
  - { name: helper, module: helper, config: default }
"""
CONFIG = """\
mxcp: 1
projects:
  abused:
    profiles:
      default:
        secrets:
          - name: web
            type: http
            parameters: { BEARER_TOKEN: "SENTINEL-CONFIG" }
          - name: own
            type: custom
            parameters: { key: "SENTINEL-CONFIG" }
        plugin: { config: { default: { key: "SENTINEL-CONFIG" } } }
"""
TOOLS = {
    "get_order": ("{ name: id, type: integer }", "object", "SELECT id, name FROM orders WHERE id = $id"),
    "list_orders": ("{ name: first, type: integer, default: 0 }", "array", "SELECT id, name FROM orders WHERE id >= $first ORDER BY id"),
    "echo": ("{ name: text, type: string }", "object", "SELECT $text AS text"),
    "size": ("{ name: data, type: object }", "object", "SELECT length(CAST($data AS VARCHAR)) AS size"),
    "find": ("{ name: pattern, type: string }", "array", "SELECT id FROM orders WHERE regexp_matches(name, $pattern) OR name LIKE $pattern"),
    "slow": ("{ name: n, type: integer }", "object", "SELECT count(*) AS n FROM range($n) a, range($n) b, range($n) c WHERE (a.range + b.range) % 7 = c.range % 5"),
    "huge": ("{ name: n, type: integer }", "array", "SELECT repeat('x', 100000) AS text FROM range($n)"),
    "one_huge": ("{ name: n, type: integer }", "object", "SELECT repeat('x', $n) AS text"),
    "memory": ("{ name: n, type: integer }", "object", "SELECT length(string_agg(repeat('x', 1000000) || range, '')) AS n FROM range($n)"),
    "broken": ("{ name: id, type: string }", "object", "SELECT CAST($id AS INTEGER) AS id, CAST(hidden AS INTEGER) AS hidden FROM secret_table"),
}
PYTHON = {
    "run_sql": (
        "{ name: id, type: integer }",
        "from mxcp.runtime import db\n\ndef run_sql(id: int) -> list:\n    return db.execute('SELECT id FROM orders WHERE id = $id', {'id': id})\n",
    ),
    "open_file": (
        "{ name: path, type: string }",
        "def open_file(path: str) -> str:\n    return open('/nowhere/SENTINEL-FILE/' + path.replace('/', '')).read()\n",
    ),
    "endless": ("{ name: n, type: integer }", "def endless(n: int) -> int:\n    while True:\n        n += 1\n"),
}
HELPER = """\
from mxcp.plugins import MXCPBasePlugin, udf


class MXCPPlugin(MXCPBasePlugin):
    @udf
    def double(self, n: int) -> int:
        return 2 * n
"""


def tool(name: str, parameter: str, returns: str, source: str) -> str:
    kind = "items: { type: object }" if returns == "array" else ""
    return f"""\
mxcp: 1
tool:
  name: {name}
  description: "A tool that is abused: {name}"
  parameters:
    - {parameter}
  return:
    type: {returns}
    {kind}
{source}
"""


def write(root: Path, home: Path, mxcp: Path, environment: dict, outside: bool) -> None:
    """Writes the project, with `outside` code that may reach files and the network, and builds it."""
    (root / "tools").mkdir(parents=True)
    (home / ".mxcp").mkdir(parents=True, exist_ok=True)
    (home / ".mxcp/config.yml").write_text(CONFIG)
    (home / "secret.txt").write_text("SENTINEL-FILE\n")
    (home / "secret.csv").write_text("a\nSENTINEL-FILE\n")
    (root / "mxcp-site.yml").write_text(SITE + (PLUGIN if outside else ""))
    for name, (parameter, returns, sql) in TOOLS.items():
        source = f"  source:\n    code: |\n      {sql}"
        (root / "tools" / f"{name}.yml").write_text(tool(name, parameter, returns, source).replace("\n  parameters:\n    - {", "\n  parameters:\n    - { description: x,"))
    if outside:
        (root / "python").mkdir()
        (root / "plugins").mkdir()
        (root / "plugins/helper.py").write_text(HELPER)
        for name, (parameter, code) in PYTHON.items():
            (root / "python" / f"{name}.py").write_text(code)
            source = f"  language: python\n  source:\n    file: ../python/{name}.py"
            text = tool(name, parameter, "object", source).replace("  return:\n    type: object\n    \n", "")
            (root / "tools" / f"{name}.yml").write_text(text)
    sql = (
        "CREATE TABLE orders AS SELECT i AS id, 'name ' || i AS name FROM range(5000) AS t(i); "
        "CREATE TABLE secret_table AS SELECT 'SENTINEL-TABLE' AS hidden"
    )
    for command in (["query", sql], ["build"]):
        ran = subprocess.run([mxcp, *command], cwd=root, env=environment, capture_output=True, text=True)
        if ran.returncode != 0:
            raise SystemExit(f"{command}: {ran.stdout}{ran.stderr}")
