// The grammars on real text: what VS Code would colour as SQL, CEL and Jinja, and where it stops.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import test from "node:test";

const require = createRequire(import.meta.url);
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const own = ["cel", "jinja", "yaml", "sql"];
const { contributes } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
const wasm = await readFile(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));

const files = new Map(contributes.grammars.map(({ scopeName, path }) => [scopeName, new URL(`../${path}`, import.meta.url)]));
for (const name of ["yaml", "sql"]) {
  const file = new URL(`../node_modules/tm-grammars/grammars/${name}.json`, import.meta.url);
  files.set(`source.${name}`, file);
}
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (sources) => new oniguruma.OnigScanner(sources),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async (scope) => {
    const file = files.get(scope);
    return file && textmate.parseRawGrammar(await readFile(file, "utf8"), file.pathname);
  },
  getInjections: (scope) =>
    contributes.grammars.filter(({ injectTo }) => injectTo?.includes(scope)).map(({ scopeName }) => scopeName),
});

/** Asks for the scopes where a text first stands: at its last character. */
async function scopes(language, text) {
  const grammar = await registry.loadGrammar(`source.${language}`);
  let stack = textmate.INITIAL;
  const found = [];
  for (const line of `${text}\n`.split("\n")) {
    const result = grammar.tokenizeLine(line, stack);
    stack = result.ruleStack;
    for (let i = 0; i <= line.length; i += 1) {
      found.push(result.tokens.findLast(({ startIndex }) => startIndex <= i).scopes.join(" "));
    }
  }
  return (part) => {
    const at = text.indexOf(part);
    assert.notEqual(at, -1, part);
    return found[at + part.length - 1];
  };
}

const TOOL = `mxcp: 1
tool:
  name: get_orders
  source:
    code: |
      SELECT order_id, sum(amount) AS total
      FROM orders -- all of them

      WHERE id = $id
  description: not SELECT
  policies:
    input:
      - condition: "user.role != 'staff' && size(id) > 3"
        action: deny
      - condition: |
          response.total > 7
        reason: because
      - condition: user.name == "x"
        action: deny
  tests: []
`;

test("SQL in a block scalar is SQL, to its end", async () => {
  const at = await scopes("yaml", TOOL);
  assert.match(at("SELECT"), /meta\.embedded\.block\.sql .*keyword/);
  assert.match(at("-- all of them") , /comment/);
  assert.match(at("WHERE"), /meta\.embedded\.block\.sql .*keyword/);
  assert.doesNotMatch(at("not SELECT"), /meta\.embedded/);
  assert.match(at("  name"), /entity\.name\.tag/);
});

test("conditions are CEL", async () => {
  const at = await scopes("yaml", TOOL);
  assert.match(at("\"user"), /meta\.embedded\.inline\.cel variable\.language/);
  assert.match(at("size"), /support\.function\.cel/);
  assert.match(at("  response"), /meta\.embedded\.inline\.cel variable\.language/);
  assert.doesNotMatch(at("because"), /meta\.embedded/);
  assert.doesNotMatch(at("action"), /meta\.embedded/);
  assert.doesNotMatch(at("tests"), /meta\.embedded/);
});

test("short forms", async () => {
  const at = await scopes("yaml", "tool:\n  source: { code: \"SELECT 1 AS a\" }\n  title: after\nx:\n  code: SELECT b FROM t # no\n  y: z\n");
  assert.match(at("SELECT"), /meta\.embedded\.block\.sql/);
  assert.doesNotMatch(at("after"), /meta\.embedded/);
  assert.match(at("FROM"), /meta\.embedded\.block\.sql/);
  assert.doesNotMatch(at("y: z"), /meta\.embedded/);
});

test("prompts are Jinja", async () => {
  const at = await scopes(
    "yaml",
    "prompt:\n  messages:\n    - role: user\n      prompt: |\n        Call {{ tool | upper }} now\n    - prompt: |\n        {% if x %}yes{% endif %}\n      role: assistant\n",
  );
  assert.match(at("{{ tool"), /meta\.embedded\.line\.jinja variable/);
  assert.match(at("upper"), /support\.function\.filter/);
  assert.match(at("{% if"), /keyword\.control\.jinja/);
  assert.match(at("role: user"), /string/);
  assert.doesNotMatch(at("assistant"), /embedded/);
});

test("Jinja in SQL files", async () => {
  const at = await scopes("sql", "SELECT a FROM {{ ref('orders') }}\n{# why #}\n{% if is_incremental() %} WHERE a > 1 {% endif %}\nORDER BY a\n");
  assert.match(at("SELECT"), /keyword/);
  assert.match(at("ref"), /meta\.embedded\.line\.jinja support\.function/);
  assert.match(at("orders"), /string\.quoted\.single\.jinja/);
  assert.match(at("why"), /comment\.block\.jinja/);
  assert.match(at("WHERE"), /keyword/);
  assert.doesNotMatch(at("WHERE"), /jinja/);
  assert.match(at("ORDER BY"), /keyword/);
});

test("every grammar is there", () => {
  assert.equal(contributes.grammars.length, own.length);
});
