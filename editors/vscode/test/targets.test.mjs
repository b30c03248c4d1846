// What the server's lenses hand over, taken apart; and the schema of a file by what stands in it.
import assert from "node:assert/strict";
import test from "node:test";
import { schemaFor } from "../out/kinds.mjs";
import { cteQuery, endpointOf, modelOf, parameterArguments, referencesOf } from "../out/targets.mjs";

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
  assert.deepEqual(modelOf([{ root: "/p", model: "orders", cte: null }]), { name: "orders", root: "/p" });
  assert.deepEqual(modelOf([{ root: "/p", model: "orders", cte: "c" }]), { name: "orders", root: "/p", cte: "c" });
  assert.equal(modelOf([{ root: "/p" }]), undefined);
});

test("a common table expression by itself", () => {
  const model = "WITH a AS (SELECT ')' AS x -- )\n  FROM f((1))), b (y) as MATERIALIZED (\n  SELECT x FROM a {# ) #}\n)\nSELECT * FROM b";
  assert.equal(cteQuery(model, "a"), "WITH a AS (SELECT ')' AS x -- )\n  FROM f((1)))\nSELECT * FROM \"a\"");
  assert.equal(cteQuery(model, "B"), model.replace("SELECT * FROM b", 'SELECT * FROM "B"'));
  assert.equal(cteQuery(model, "c"), undefined);
  assert.equal(cteQuery("WITH a AS (SELECT 1", "a"), undefined);
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
  const position = { line: 0, character: 3 };
  assert.deepEqual(referencesOf(["file:///a", position]), { uri: "file:///a", position });
  assert.equal(referencesOf(["file:///a"]), undefined);
});

test("schemas go by what stands in a file, then by its place", () => {
  assert.equal(schemaFor("tools/a.yml", ""), "tool");
  assert.equal(schemaFor("things/a.yml", "mxcp: 1\nresource:\n  uri: x\n"), "resource");
  assert.equal(schemaFor("mxcp-site.yml", "tool: x"), "site");
  assert.equal(schemaFor("models/schema.yaml", "models: []"), "dbt-properties");
  assert.equal(schemaFor("docker-compose.yml", "services: {}\nx:\n  tool: y\n"), undefined);
});
