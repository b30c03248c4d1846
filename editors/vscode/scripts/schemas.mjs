// Takes the schemas along: those of grammar/schema, and one for each kind of endpoint. The latter are what
// `mxcp schema tool` prints; a test compares them.
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";

const here = new URL("..", import.meta.url);
const from = new URL("../../grammar/schema/", here);
const to = new URL("schemas/", here);

await rm(to, { recursive: true, force: true });
await mkdir(to, { recursive: true });
for (const name of await readdir(from)) {
  if (name.endsWith(".schema.json")) {
    await copyFile(new URL(name, from), new URL(name, to));
  }
}
const endpoint = JSON.parse(await readFile(new URL("endpoint.schema.json", from), "utf8"));
const kinds = ["tool", "resource", "prompt"];
for (const kind of kinds) {
  const schema = structuredClone(endpoint);
  for (const other of kinds) {
    if (other !== kind) {
      delete schema.properties[other];
    }
  }
  schema.$id = `${kind}.schema.json`;
  schema.title = `MXCP ${kind}`;
  schema.description = schema.properties[kind].description;
  schema.properties[kind].type = "object";
  schema.required = [kind];
  delete schema.if;
  delete schema.then;
  await writeFile(new URL(`${kind}.schema.json`, to), JSON.stringify(schema, undefined, 2) + "\n");
}
// The licence is that of the repository.
await copyFile(new URL("../../LICENSE", here), new URL("LICENSE", here));
