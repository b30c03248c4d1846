// One file with everything in it: an extension is loaded faster, and needs no node_modules.
import { build } from "esbuild";

await build({
  entryPoints: ["src/extension.ts"],
  bundle: true,
  outfile: "dist/extension.js",
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  minify: true,
  sourcemap: false,
  logLevel: "warning",
});
// What knows nothing of the editor is tested without it.
await build({
  entryPoints: ["src/targets.ts", "src/kinds.ts"],
  outdir: "out",
  platform: "node",
  format: "esm",
  outExtension: { ".js": ".mjs" },
  target: "node20",
  logLevel: "warning",
});
