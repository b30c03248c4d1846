// The official TypeScript client: lists and calls everything that a server has, and prints what it saw.
//
// usage: client.mjs stdio MXCP DIRECTORY | client.mjs http URL | client.mjs sse URL

import { createRequire } from "node:module";
import path from "node:path";

// Installed beside the other tools, not beside this file.
const require = createRequire(path.join(process.cwd(), "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { SSEClientTransport } = require("@modelcontextprotocol/sdk/client/sse.js");

const [kind, first, directory] = process.argv.slice(2);
const known = JSON.parse(process.env.ARGUMENTS);

function transport() {
  if (kind === "http") return new StreamableHTTPClientTransport(new URL(first));
  if (kind === "sse") return new SSEClientTransport(new URL(first));
  return new StdioClientTransport({
    command: first,
    args: ["serve", "--transport", "stdio"],
    cwd: directory,
    env: { ...process.env },
    stderr: "ignore",
  });
}

const client = new Client({ name: "clients", version: "1" }, { capabilities: {} });
await client.connect(transport());
const seen = { tools: {}, resources: {}, prompts: {}, completions: {} };
const { tools } = await client.listTools();
for (const tool of tools) {
  const names = tool.inputSchema.required ?? [];
  const result = await client.callTool({ name: tool.name, arguments: Object.fromEntries(names.map((n) => [n, known[n]])) });
  seen.tools[tool.name] = { error: result.isError ?? false, text: result.content[0]?.text ?? "", structured: result.structuredContent ?? null };
}
for (const resource of (await client.listResources()).resources) {
  const { contents } = await client.readResource({ uri: resource.uri });
  seen.resources[resource.uri] = contents[0].text.length;
}
seen.templates = (await client.listResourceTemplates()).resourceTemplates.length;
for (const prompt of (await client.listPrompts()).prompts) {
  const names = (prompt.arguments ?? []).filter((a) => a.required).map((a) => a.name);
  const { messages } = await client.getPrompt({ name: prompt.name, arguments: Object.fromEntries(names.map((n) => [n, known[n]])) });
  seen.prompts[prompt.name] = messages.length;
  for (const { name } of prompt.arguments ?? []) {
    const { completion } = await client.complete({ ref: { type: "ref/prompt", name: prompt.name }, argument: { name, value: "" } });
    seen.completions[name] = completion.values;
  }
}
await client.ping();
await client.close();
console.log(JSON.stringify(seen));
