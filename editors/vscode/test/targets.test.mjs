// What the server's lenses hand over, taken apart; and the schema of a file by what stands in it.
import assert from "node:assert/strict";
import test from "node:test";
import { schemaFor } from "../out/kinds.mjs";
import { endpointOf, modelOf, parameterArguments, referencesOf } from "../out/targets.mjs";

test("endpoints", () => {
  assert.equal(endpointOf([]), undefined);
  assert.deepEqual(endpointOf(["greet"]), { kind: "tool", name: "greet" });
  assert.deepEqual(endpointOf(["prompt", "review"]), { kind: "prompt", name: "review" });
  assert.deepEqual(
    endpointOf([{ kind: "tool", name: "t", root: "/p", parameters: ["a", { name: "b", default: 2 }, 7] }]),
    { kind: "tool", name: "t", root: "/p", isComplete: true, parameters: [{ name: "a" }, { name: "b", example: 2 }] },
  );
  assert.equal(endpointOf([{ kind: "tool" }]), undefined);
});

test("models", () => {
  assert.deepEqual(modelOf(["orders"]), { name: "orders" });
  assert.deepEqual(modelOf([{ name: "c", sql: "SELECT 1", limit: 5, x: 1 }]), { name: "c", sql: "SELECT 1", limit: 5 });
});

test("arguments are passed one by one, whatever is in them", () => {
  assert.deepEqual(parameterArguments('{"id": 1, "name": "a b; $(x)", "tags": ["q"], "none": null}'), {
    args: ["-p", "id=1", "-p", "name=a b; $(x)", "-p", 'tags=["q"]'],
  });
  assert.deepEqual(parameterArguments(" "), { args: [] });
  assert.match(parameterArguments("[1]").problem, /object/);
  assert.ok(parameterArguments("{").problem);
});

test("references", () => {
  const range = { start: { line: 1, character: 2 }, end: { line: 1, character: 5 } };
  const position = { line: 0, character: 0 };
  assert.deepEqual(referencesOf(["file:///a", position, [{ uri: "file:///b", range }, 3]]), {
    uri: "file:///a",
    position,
    locations: [{ uri: "file:///b", range }],
  });
  assert.equal(referencesOf(["file:///a"]), undefined);
});

test("schemas go by what stands in a file, then by its place", () => {
  assert.equal(schemaFor("tools/a.yml", ""), "tool");
  assert.equal(schemaFor("things/a.yml", "mxcp: 1\nresource:\n  uri: x\n"), "resource");
  assert.equal(schemaFor("mxcp-site.yml", "tool: x"), "site");
  assert.equal(schemaFor("models/schema.yaml", "models: []"), "dbt-properties");
  assert.equal(schemaFor("docker-compose.yml", "services: {}\nx:\n  tool: y\n"), undefined);
});
