// The protocol library of VS Code drives `mxcp lsp` as the extension does. MXCP names the program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { endpointOf, modelOf, referencesOf } from "../out/targets.mjs";

const require = createRequire(import.meta.url);
const protocol = require("vscode-languageserver-protocol/node");
const fixture = fileURLToPath(new URL("../../../fixtures/customer_360", import.meta.url));
const TOOL = "tools/get_customer_metrics.yml";

async function connect(t) {
  assert.ok(process.env.MXCP, "MXCP names the program");
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), "mxcp-vscode-")));
  const root = path.join(folder, "customer_360");
  const kept = (file) => !/(\/target|\/\.mxcp|\.duckdb|\.wal)$/.test(file);
  await cp(fixture, root, { recursive: true, filter: kept });
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MXCP_")));
  const child = spawn(process.env.MXCP, ["lsp", "--stdio"], { cwd: root, env: { ...env, HOME: folder }, stdio: ["pipe", "pipe", "inherit"] });
  const connection = protocol.createProtocolConnection(
    new protocol.StreamMessageReader(child.stdout),
    new protocol.StreamMessageWriter(child.stdin),
  );
  const problems = [];
  connection.onError((error) => problems.push(error));
  connection.onUnhandledNotification((message) => problems.push(message));
  connection.onNotification(protocol.LogMessageNotification.type, () => {});
  connection.onNotification(protocol.ShowMessageNotification.type, ({ message }) => problems.push(message));
  connection.onNotification(protocol.PublishDiagnosticsNotification.type, () => problems.push("pushed, though it is asked for"));
  connection.onRequest(protocol.RegistrationRequest.type, () => {});
  connection.onRequest(protocol.DiagnosticRefreshRequest.type, () => {});
  connection.onRequest("workspace/codeLens/refresh", () => {});
  connection.onRequest("workspace/semanticTokens/refresh", () => {});
  connection.onRequest("workspace/inlayHint/refresh", () => {});
  connection.listen();
  t.after(async () => {
    connection.dispose();
    child.kill();
    await rm(folder, { recursive: true, force: true });
  });
  const started = await connection.sendRequest(protocol.InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    workspaceFolders: [{ uri: pathToFileURL(root).href, name: "customer_360" }],
    // What vscode-languageclient says of itself, as far as it matters here.
    capabilities: {
      general: { positionEncodings: ["utf-16"] },
      workspace: {
        didChangeWatchedFiles: { dynamicRegistration: true },
        diagnostics: { refreshSupport: true },
        codeLens: { refreshSupport: true },
        workspaceEdit: { documentChanges: true },
      },
      textDocument: { diagnostic: { dynamicRegistration: true, relatedDocumentSupport: false } },
    },
    initializationOptions: { profile: null },
  });
  await connection.sendNotification(protocol.InitializedNotification.type, {});
  const uriOf = (file) => pathToFileURL(path.join(root, file)).href;
  const open = async (file, languageId) => {
    const text = await readFile(path.join(root, file), "utf8");
    const textDocument = { uri: uriOf(file), languageId, version: 1, text };
    await connection.sendNotification(protocol.DidOpenTextDocumentNotification.type, { textDocument });
    return text;
  };
  const stop = async () => {
    await connection.sendRequest(protocol.ShutdownRequest.type);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await connection.sendNotification(protocol.ExitNotification.type);
    return ended;
  };
  return { connection, root, started, uriOf, open, stop, problems };
}

const diagnose = (connection, uri) =>
  connection.sendRequest(protocol.DocumentDiagnosticRequest.type, { textDocument: { uri } });

test("a mistake is reported while it is typed, and gone when it is mended", async (t) => {
  const { connection, started, uriOf, open, stop, problems } = await connect(t);
  assert.equal(started.serverInfo.name, "mxcp");
  const text = await open(TOOL, "yaml");
  const uri = uriOf(TOOL);
  assert.deepEqual((await diagnose(connection, uri)).items, []);
  const line = text.split("\n").findIndex((l) => l.includes("customer_id, name, email,"));
  const character = text.split("\n")[line].indexOf("email");
  const range = { start: { line, character }, end: { line, character: character + 5 } };
  const change = (version, replacement) =>
    connection.sendNotification(protocol.DidChangeTextDocumentNotification.type, {
      textDocument: { uri, version },
      contentChanges: [{ range, text: replacement }],
    });
  await change(2, "emial");
  const { items } = await diagnose(connection, uri);
  assert.equal(items.length, 1, JSON.stringify(items));
  assert.equal(items[0].code, "MX0203");
  assert.deepEqual(items[0].range, range);
  await change(3, "email");
  assert.deepEqual((await diagnose(connection, uri)).items, []);
  assert.equal(await stop(), 0);
  assert.deepEqual(problems, []);
});

test("a file that changes outside of the editor", async (t) => {
  const { connection, root, uriOf, open, stop, problems } = await connect(t);
  await open(TOOL, "yaml");
  const model = "models/staging/stg_customers.sql";
  const text = await readFile(path.join(root, model), "utf8");
  await writeFile(path.join(root, model), text.replace("AS email", "AS mail"));
  const changes = [{ uri: uriOf(model), type: protocol.FileChangeType.Changed }];
  await connection.sendNotification(protocol.DidChangeWatchedFilesNotification.type, { changes });
  const { items } = await diagnose(connection, uriOf(TOOL));
  assert.deepEqual(items.map(({ code }) => code), ["MX0203"]);
  assert.equal(await stop(), 0);
  assert.deepEqual(problems, []);
});

test("the extension knows every command of the code lenses", async (t) => {
  const { connection, started, uriOf, open, stop } = await connect(t);
  assert.ok(started.capabilities.codeLensProvider, "the server has no code lenses");
  const known = new Map([
    ["mxcp.run", endpointOf],
    ["mxcp.test", endpointOf],
    ["mxcp.preview", modelOf],
    ["mxcp.references", referencesOf],
  ]);
  const source = await readFile(new URL("../src/commands.ts", import.meta.url), "utf8");
  const seen = new Set();
  for (const [file, language] of [[TOOL, "yaml"], ["models/marts/customer_updates.sql", "sql"]]) {
    await open(file, language);
    const lenses = await connection.sendRequest(protocol.CodeLensRequest.type, { textDocument: { uri: uriOf(file) } });
    for (const lens of lenses ?? []) {
      const { command } = lens.command
        ? lens
        : await connection.sendRequest(protocol.CodeLensResolveRequest.type, lens);
      assert.ok(command, JSON.stringify(lens));
      if (command.command === "") {
        continue;
      }
      const takes = known.get(command.command);
      assert.ok(takes, `the extension has no ${command.command}`);
      assert.ok(source.includes(`register("${command.command}"`), command.command);
      assert.ok(takes(command.arguments ?? []), JSON.stringify(command));
      seen.add(command.command);
    }
  }
  assert.ok(seen.has("mxcp.run") && seen.has("mxcp.preview"), [...seen].join(", "));
  assert.equal(await stop(), 0);
});

test("what the extension takes along is what the program prints", async () => {
  const { execFile } = await import("node:child_process");
  const { promisify } = await import("node:util");
  const run = async (...args) => (await promisify(execFile)(process.env.MXCP, args, { maxBuffer: 1 << 24 })).stdout;
  for (const line of (await run("schema")).trim().split("\n")) {
    const kind = line.split(" ")[0];
    const taken = JSON.parse(await readFile(new URL(`../schemas/${kind}.schema.json`, import.meta.url), "utf8"));
    assert.deepEqual(taken, JSON.parse(await run("schema", kind)), kind);
  }
});
