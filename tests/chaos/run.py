"""A server under load while its sources change: no call in progress may fail, and the end is what a clean start gives.

usage: run.py MXCP [--seconds 60] [--connections 8] [--seed 1]

Clients call two tools of a copy of `fixtures/customer_360` without a pause while a script edits one of its files a
few times a second, every third time into something broken, and sends SIGHUP once a second. Some clients go away in
the middle of a call, some read slowly. At the end the last good sources are served, and what the server lists then must
equal what a new server lists. Resident memory is read before and after.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "chaos", "version": "1"},
}
CALLS = [("get_customer_metrics", {"customer_id": "cust_123"}), ("predict_churn", {"customer_id": "cust_123"})]


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
    return kept | {"HOME": str(folder), "VIRTUAL_ENV": str(REPOSITORY / ".venv")}


class Server:
    def __init__(self, mxcp: Path, project: Path, *options: str):
        self.log = open(project.parent / "log", "a")
        self.process = subprocess.Popen(
            [mxcp, "serve", "--port", "0", *options],
            cwd=project,
            env=environment(project.parent),
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        for line in self.process.stdout:
            if found := re.match(r"Listening on (http://\S+)", line):
                self.url = found[1]
                return
        sys.exit("the server did not start; its log:\n" + (project.parent / "log").read_text()[-3000:])

    def resident(self) -> float:
        """In MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=30)


def message(method: str, params: dict) -> tuple[dict[str, str], bytes]:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return headers, json.dumps(body).encode()


def answer(response: httpx.Response) -> dict:
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = [line[6:] for line in text.splitlines() if line.startswith("data: ")][-1]
    return json.loads(text)


async def call(client: httpx.AsyncClient, url: str, name: str, arguments: dict) -> str | None:
    """What went wrong, if anything."""
    headers, body = message("tools/call", {"name": name, "arguments": arguments})
    response = await client.post(url, headers=headers, content=body)
    if response.status_code != 200:
        return f"{name}: HTTP {response.status_code}: {response.text[:200]}"
    found = answer(response)
    if "error" in found or found["result"].get("isError"):
        return f"{name}: {json.dumps(found)[:300]}"
    return None


async def listed(url: str) -> list:
    async with httpx.AsyncClient() as client:
        headers, body = message("tools/list", {})
        return answer(await client.post(url, headers=headers, content=body))["result"]["tools"]


class Load:
    def __init__(self, url: str, until: float):
        self.url, self.until = url, until
        self.done, self.failures, self.slowest = 0, [], 0.0

    async def steady(self, seed: int) -> None:
        choose = random.Random(seed)
        async with httpx.AsyncClient(timeout=30) as client:
            while time.monotonic() < self.until:
                started = time.monotonic()
                try:
                    failure = await call(client, self.url, *choose.choice(CALLS))
                except httpx.HTTPError as error:
                    failure = f"{type(error).__name__}: {error}"
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.done += 1
                if failure:
                    self.failures.append(failure)

    async def vanishing(self, seed: int) -> None:
        """Sends a call and goes away before it is answered."""
        choose = random.Random(seed)
        host, port = re.match(r"http://([^:/]+):(\d+)", self.url).groups()
        while time.monotonic() < self.until:
            headers, body = message("tools/call", {"name": CALLS[0][0], "arguments": CALLS[0][1]})
            lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            head = f"POST /mcp HTTP/1.1\r\nhost: {host}:{port}\r\n{lines}content-length: {len(body)}\r\n\r\n"
            _, writer = await asyncio.open_connection(host, int(port))
            data = head.encode() + body
            writer.write(data[: choose.randrange(len(data) // 2, len(data) + 1)])
            await asyncio.sleep(choose.random() * 0.05)
            writer.close()

    async def slow(self) -> None:
        """Sends a call byte by byte."""
        host, port = re.match(r"http://([^:/]+):(\d+)", self.url).groups()
        while time.monotonic() < self.until:
            headers, body = message("tools/call", {"name": CALLS[0][0], "arguments": CALLS[0][1]})
            lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            head = f"POST /mcp HTTP/1.1\r\nhost: {host}:{port}\r\n{lines}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            reader, writer = await asyncio.open_connection(host, int(port))
            data = head.encode() + body
            for i in range(0, len(data), 16):
                writer.write(data[i : i + 16])
                await asyncio.sleep(0.02)
            text = await reader.read()
            if b" 200 " not in text.split(b"\r\n", 1)[0]:
                self.failures.append(f"slow: {text[:200]!r}")
            self.done += 1
            writer.close()


async def edits(server: Server, tool: Path, good: str, until: float, choose: random.Random) -> tuple[int, int]:
    """Every third edit is broken. Leaves a good one."""
    count = broken = 0
    pause = max(0.05, (until - time.monotonic()) / 200)
    while time.monotonic() < until - 1:
        count += 1
        if count % 3 == 0:
            broken += 1
            tool.write_text(choose.choice(["mxcp: 1\ntool: [", good.replace("SELECT", "SELEC"), good.replace("type:", "typ:", 1), ""]))
        else:
            tool.write_text(good.replace("description:", f"title: Edit {count}\n  description:", 1))
        await asyncio.sleep(pause)
    tool.write_text(good.replace("description:", "title: The last edit\n  description:", 1))
    return count, broken


async def hangups(server: Server, until: float) -> int:
    count = 0
    while time.monotonic() < until:
        server.process.send_signal(signal.SIGHUP)
        count += 1
        await asyncio.sleep(1)
    return count


async def run(mxcp: Path, seconds: int, connections: int, seed: int) -> int:
    choose = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    project = folder / "project"
    shutil.copytree(REPOSITORY / "fixtures/customer_360", project, ignore=shutil.ignore_patterns("target", ".mxcp", "*.duckdb"))
    subprocess.run([mxcp, "dbt", "build"], cwd=project, env=environment(folder), check=True, capture_output=True)
    # Not a tool that is called: it must never be missing.
    tool = project / "tools/get_customer_list.yml"
    good = tool.read_text()
    server = Server(mxcp, project, "--watch")
    for _ in range(50):
        async with httpx.AsyncClient() as client:
            await call(client, server.url, *CALLS[0])
    before = server.resident()
    until = time.monotonic() + seconds
    load = Load(server.url, until)
    work = [load.steady(choose.random()) for _ in range(connections)]
    work += [load.vanishing(choose.random()), load.slow(), hangups(server, until)]
    *_, hangup_count, (count, broken) = await asyncio.gather(*work, edits(server, tool, good, until, choose))
    expected = deadline = None
    while deadline is None or time.monotonic() < deadline:
        deadline = deadline or time.monotonic() + 60
        titles = {t["name"]: t.get("title") for t in await listed(server.url)}
        if titles.get("get_customer_list") == "The last edit":
            break
        await asyncio.sleep(0.5)
    served = await listed(server.url)
    after = server.resident()
    code = server.stop()
    clean = Server(mxcp, project)
    expected = await listed(clean.url)
    clean.stop()
    print(f"{load.done} calls over {connections} connections in {seconds} s, slowest {load.slowest * 1000:.0f} ms")
    print(f"{count} edits ({broken} of them broken), {hangup_count} times SIGHUP")
    print(f"resident memory {before:.0f} MiB before, {after:.0f} MiB after")
    print(f"failed calls: {len(load.failures)}; exit code {code}; final state equals a clean start: {served == expected}")
    for failure in load.failures[:10]:
        print("  " + failure)
    ok = not load.failures and code == 0 and served == expected and after < before * 1.5 + 64
    if ok:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"kept: {folder}")
    return int(not ok)


def main() -> int:
    parser = argparse.ArgumentParser(description="edits and signals under load")
    parser.add_argument("mxcp", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return asyncio.run(run(arguments.mxcp.resolve(), arguments.seconds, arguments.connections, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
