// Which schema a YAML file of a project has. Knows nothing of VS Code.

const FOLDERS: [RegExp, string][] = [
  [/^mxcp-site\.yml$/, "site"],
  [/^dbt_project\.yml$/, "dbt-project"],
  [/^tools\/.+\.yml$/, "tool"],
  [/^resources\/.+\.yml$/, "resource"],
  [/^prompts\/.+\.yml$/, "prompt"],
  [/^evals\/.+\.yml$/, "evals"],
  [/^(models|seeds|snapshots|macros|analyses|tests)\/.+\.ya?ml$/, "dbt-properties"],
];

/** By what stands in it, since projects may rename their folders, then by its place. */
export function schemaFor(file: string, text: string): string | undefined {
  const byPlace = FOLDERS.find(([pattern]) => pattern.test(file))?.[1];
  if (byPlace === "site" || byPlace === "dbt-project") {
    return byPlace;
  }
  for (const [key, kind] of [["tool", "tool"], ["resource", "resource"], ["prompt", "prompt"], ["suite", "evals"]] as const) {
    if (new RegExp(`^${key}[ \\t]*:`, "m").test(text)) {
      return kind;
    }
  }
  return byPlace;
}
