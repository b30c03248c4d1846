"""A client of `mxcp lsp` for scripts: framed messages over pipes, diagnostics as they are pushed."""

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path

CAPABILITIES = {
    "general": {"positionEncodings": ["utf-8"]},
    "workspace": {"workspaceEdit": {"documentChanges": True}},
}


class Gone(Exception):
    """The server ended, or does not answer."""


class Client:
    def __init__(self, mxcp: Path, root: Path, errors, pause: float = 0):
        self.root = root
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
        self.process = subprocess.Popen(
            [str(mxcp), "lsp"], cwd=root, env=environment | {"HOME": str(root)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )
        self.messages: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.number = 0
        self.versions: dict[str, int] = {}
        self.pushed: dict[str, dict] = {}
        # The process is there, and what starts it is not what is measured.
        time.sleep(pause)
        started = time.perf_counter()
        folders = [{"uri": root.as_uri(), "name": root.name}]
        self.request("initialize", {
            "processId": None, "rootUri": None, "workspaceFolders": folders,
            "capabilities": CAPABILITIES,
        })
        self.introduced = time.perf_counter() - started
        self.notify("initialized", {})

    def _read(self) -> None:
        stream = self.process.stdout
        while True:
            length = 0
            while (line := stream.readline().strip()):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                self.messages.put(None)
                return
            self.messages.put(json.loads(stream.read(length)))

    def _send(self, message: dict) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def notify(self, method: str, params) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params) -> int:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        return self.number

    def request(self, method: str, params) -> dict:
        number = self.ask(method, params)
        while True:
            message = self.receive()
            if "method" not in message and message.get("id") == number:
                if "error" in message:
                    raise Gone(f"{method}: {message['error']}")
                return message["result"]

    def receive(self, timeout: float = 120) -> dict:
        try:
            message = self.messages.get(timeout=timeout)
        except queue.Empty:
            raise Gone("no message for a long time") from None
        if message is None:
            raise Gone("the server closed its output")
        if message.get("method") == "textDocument/publishDiagnostics":
            self.pushed[message["params"]["uri"]] = message["params"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
        return message

    def drain(self) -> None:
        """Takes what has arrived."""
        while not self.messages.empty():
            self.receive()

    def uri(self, path: str) -> str:
        return (self.root / path).as_uri()

    def open(self, path: str, text: str) -> None:
        self.versions[path] = 1
        self.notify("textDocument/didOpen", {"textDocument": {
            "uri": self.uri(path), "languageId": "yaml", "version": 1, "text": text,
        }})

    def change(self, path: str, text: str) -> None:
        self.versions[path] += 1
        self.notify("textDocument/didChange", {
            "textDocument": {"uri": self.uri(path), "version": self.versions[path]},
            "contentChanges": [{"text": text}],
        })

    def settled(self, path: str) -> dict:
        """Waits for the diagnostics of the present version of an open file."""
        uri = self.uri(path)
        while self.pushed.get(uri, {}).get("version") != self.versions[path]:
            self.receive()
        return self.pushed[uri]

    def resident(self) -> float:
        """MiB of the server, now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def leave(self) -> int:
        self.request("shutdown", None)
        self.notify("exit", None)
        return self.process.wait(60)
