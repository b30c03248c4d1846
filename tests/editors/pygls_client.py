"""An independent client library, pygls with lsprotocol, drives `mxcp lsp`: what it cannot take apart fails.

usage: pygls_client.py MXCP
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import BaseLanguageClient

import project

PATIENCE = 60  # seconds


class Client(BaseLanguageClient):
    def __init__(self) -> None:
        super().__init__("mxcp-tests", "1")
        self.pushed: dict[str, list[types.Diagnostic]] = {}
        self.news = asyncio.Event()
        self.problems: list[str] = []

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.pushed[params.uri] = list(params.diagnostics)
            self.news.set()

        @self.feature(types.CLIENT_REGISTER_CAPABILITY)
        def registered(params: types.RegistrationParams) -> None:
            return None

        @self.feature(types.WORKSPACE_CONFIGURATION)
        def configured(params: types.ConfigurationParams) -> list[None]:
            return [None] * len(params.items)

    def report_server_error(self, error: Exception, source: object) -> None:
        self.problems.append(f"{source}: {error}")

    async def until(self, wanted) -> None:
        async def wait() -> None:
            while not wanted():
                self.news.clear()
                await self.news.wait()

        await asyncio.wait_for(wait(), PATIENCE)


async def drive(mxcp: Path, folder: Path) -> None:
    tool = project.broken(folder / "customer_360")
    uri = tool.as_uri()
    client = Client()
    await client.start_io(str(mxcp), "lsp", cwd=str(folder), env=project.environment(folder))
    ask = lambda awaitable: asyncio.wait_for(awaitable, PATIENCE)
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
    )
    root = tool.parents[1]
    started = await ask(
        client.initialize_async(
            types.InitializeParams(
                capabilities=capabilities,
                root_uri=root.as_uri(),
                workspace_folders=[types.WorkspaceFolder(uri=root.as_uri(), name="customer_360")],
            )
        )
    )
    assert started.server_info and started.server_info.name == "mxcp", started
    client.initialized(types.InitializedParams())
    text = tool.read_text()
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            text_document=types.TextDocumentItem(uri=uri, language_id="yaml", version=1, text=text)
        )
    )
    await client.until(lambda: client.pushed.get(uri))
    found = client.pushed[uri]
    assert [d.code for d in found] == ["MX0203"], found
    # In UTF-16 units, as was asked for.
    line = text.splitlines()[found[0].range.start.line].encode("utf-16-le")
    marked = line[2 * found[0].range.start.character : 2 * found[0].range.end.character].decode("utf-16-le")
    assert marked == "emial", marked

    # The mistake is mended in the buffer; the file stays broken.
    start = found[0].range.start
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=uri, version=2),
            content_changes=[types.TextDocumentContentChangePartial(range=types.Range(start, found[0].range.end), text="email")],
        )
    )
    await client.until(lambda: client.pushed.get(uri) == [])
    client.text_document_did_close(
        types.DidCloseTextDocumentParams(text_document=types.TextDocumentIdentifier(uri=uri))
    )
    # What counts again is the file.
    await client.until(lambda: client.pushed.get(uri))
    await ask(client.shutdown_async(None))
    client.exit(None)
    await asyncio.sleep(0.2)
    await client.stop()
    assert not client.problems, client.problems
    print(f"pygls: {found[0].code} {found[0].message.splitlines()[0]}, mended in the buffer, back with the file")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mxcp-pygls-") as folder:
        asyncio.run(drive(Path(sys.argv[1]).resolve(), Path(folder).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
