"""The official Python and TypeScript clients list and call everything that `fixtures/customer_360` has, over every transport.

usage: run.py MXCP TOOLS

TOOLS is a folder for the TypeScript client; npm fetches it when it is missing. Both clients check results against the
output schemas that the server lists. What every client sees must be the same; one row is printed per client and
transport, and the exit code is 1 when a call fails that should not.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import PromptReference

REPOSITORY = Path(__file__).resolve().parents[2]
ARGUMENTS = {"customer_id": "cust_123", "email": "ada@example.org"}
# The policies of these let nobody in who is anonymous.
DENIED = {"analyze_customer", "get_customer", "update_customer"}


def install(tools: Path) -> None:
    wanted = (Path(__file__).parent / "package.json").read_text()
    stamp = tools / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        sys.exit("npm is needed for the TypeScript client: install the package `npm` of your system")
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "package.json").write_text(wanted)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=tools, check=True)
    stamp.write_text(wanted)


class Project:
    def __init__(self, mxcp: Path):
        self.mxcp = mxcp
        self.folder = Path(tempfile.mkdtemp(prefix="clients-"))
        self.root = self.folder / "project"
        shutil.copytree(REPOSITORY / "fixtures/customer_360", self.root, ignore=shutil.ignore_patterns("target", ".mxcp", "*.duckdb"))
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
        self.environment = kept | {"HOME": str(self.folder), "VIRTUAL_ENV": str(REPOSITORY / ".venv"), "ARGUMENTS": json.dumps(ARGUMENTS)}
        for command in (["dbt", "build"], ["build"]):
            subprocess.run([mxcp, *command], cwd=self.root, env=self.environment, check=True, capture_output=True)

    def serve(self, transport: str) -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [self.mxcp, "serve", "--port", "0", "--transport", transport],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=open(self.folder / "log", "a"),
            text=True,
        )
        for line in process.stdout:
            if found := re.match(r"Listening on (http://\S+)", line):
                return process, found[1]
        sys.exit("the server did not start: " + (self.folder / "log").read_text())


async def python(connection) -> dict:
    seen: dict = {"tools": {}, "resources": {}, "prompts": {}, "completions": {}}
    async with connection as (read, write, *_):
        async with ClientSession(read, write) as session:
            await session.initialize()
            for tool in (await session.list_tools()).tools:
                arguments = {name: ARGUMENTS[name] for name in tool.inputSchema.get("required", [])}
                result = await session.call_tool(tool.name, arguments)
                text = result.content[0].text if result.content else ""
                seen["tools"][tool.name] = {"error": bool(result.isError), "text": text, "structured": result.structuredContent}
            for resource in (await session.list_resources()).resources:
                contents = (await session.read_resource(resource.uri)).contents
                seen["resources"][str(resource.uri)] = len(contents[0].text)
            seen["templates"] = len((await session.list_resource_templates()).resourceTemplates)
            for prompt in (await session.list_prompts()).prompts:
                arguments = {a.name: ARGUMENTS[a.name] for a in prompt.arguments or [] if a.required}
                seen["prompts"][prompt.name] = len((await session.get_prompt(prompt.name, arguments)).messages)
                for argument in prompt.arguments or []:
                    reference = PromptReference(type="ref/prompt", name=prompt.name)
                    found = await session.complete(reference, {"name": argument.name, "value": ""})
                    seen["completions"][argument.name] = found.completion.values
            await session.send_ping()
    return seen


def typescript(tools: Path, project: Project, *arguments: str) -> dict:
    script = tools / "client.mjs"
    shutil.copy(Path(__file__).parent / "client.mjs", script)
    ran = subprocess.run(["node", script, *arguments], cwd=tools, env=project.environment, capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        return {"failed": ran.stderr[-600:]}
    return json.loads(ran.stdout)


def row(name: str, seen: dict, first: dict | None) -> bool:
    if "failed" in seen:
        print(f"✗ {name:34} {seen['failed']}")
        return False
    wrong = [f"{tool}: {found['text'][:200]}" for tool, found in seen["tools"].items() if found["error"] != (tool in DENIED)]
    same = first is None or seen == first
    ok = not wrong and same and bool(seen["tools"]) and bool(seen["resources"]) and bool(seen["prompts"])
    denied = sum(found["error"] for found in seen["tools"].values())
    counts = f"{len(seen['tools'])} tools called ({denied} denied by policy), {len(seen['resources'])} resources read, {len(seen['prompts'])} prompts got, {len(seen['completions'])} arguments completed"
    print(f"{'✓' if ok else '✗'} {name:34} {counts}{'' if same else ', not what the first client saw'}")
    for line in wrong:
        print("    " + line)
    return ok


def main() -> int:
    mxcp, tools = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    install(tools)
    project = Project(mxcp)
    parameters = StdioServerParameters(
        command=str(mxcp), args=["serve", "--transport", "stdio"], cwd=project.root, env=project.environment
    )
    first = asyncio.run(python(stdio_client(parameters, errlog=open(project.folder / "log", "a"))))
    ok = row("Python, stdio", first, None)
    ok &= row("TypeScript, stdio", typescript(tools, project, "stdio", str(mxcp), str(project.root)), first)
    for transport, client, kind in (("streamable-http", streamablehttp_client, "http"), ("sse", sse_client, "sse")):
        server, url = project.serve(transport)
        ok &= row(f"Python, {transport}", asyncio.run(python(client(url))), first)
        ok &= row(f"TypeScript, {transport}", typescript(tools, project, kind, url), first)
        server.terminate()
        code = server.wait(timeout=30)
        if code != 0:
            print(f"✗ the server ended with {code}")
            ok = False
    shutil.rmtree(project.folder, ignore_errors=True)
    return int(not ok)


if __name__ == "__main__":
    sys.exit(main())
