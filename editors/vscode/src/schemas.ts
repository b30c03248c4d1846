// Gives the YAML extension the schemas of the files of MXCP projects, and of no others: `tools/` and
// `models/` are common names. While the server runs it knows all of that, so nothing is said twice.

import * as path from "node:path";
import * as vscode from "vscode";
import { schemaFor } from "./kinds";
import type { Server } from "./server";

const SCHEME = "mxcp-schema";

interface YamlExtension {
  registerContributor(
    schema: string,
    requestSchema: (resource: string) => string | undefined,
    requestSchemaContent: (uri: string) => Promise<string> | string,
  ): boolean;
}

export async function registerSchemas(context: vscode.ExtensionContext, server: Server): Promise<void> {
  const extension = vscode.extensions.getExtension<YamlExtension>("redhat.vscode-yaml");
  if (extension === undefined) {
    return;
  }
  const sites = new Set<string>();
  const remember = (uri: vscode.Uri) => sites.add(path.dirname(uri.fsPath));
  (await vscode.workspace.findFiles("**/mxcp-site.yml", "**/node_modules/**")).forEach(remember);
  const watcher = vscode.workspace.createFileSystemWatcher("**/mxcp-site.yml", false, true, false);
  context.subscriptions.push(
    watcher,
    watcher.onDidCreate(remember),
    watcher.onDidDelete((uri) => sites.delete(path.dirname(uri.fsPath))),
  );
  const yaml = extension.isActive ? extension.exports : await extension.activate();
  yaml.registerContributor(
    SCHEME,
    (resource) => {
      const wanted = vscode.workspace.getConfiguration("mxcp").get<string>("yamlSchemas", "auto");
      if (wanted === "never" || (wanted === "auto" && server.isRunning)) {
        return undefined;
      }
      const uri = vscode.Uri.parse(resource);
      const project = [...sites].filter((site) => uri.fsPath.startsWith(site + path.sep)).sort().pop();
      if (project === undefined) {
        return undefined;
      }
      const document = vscode.workspace.textDocuments.find((open) => open.uri.toString() === uri.toString());
      const inside = path.relative(project, uri.fsPath).split(path.sep).join("/");
      const kind = schemaFor(inside, document?.getText() ?? "");
      return kind === undefined ? undefined : `${SCHEME}://schema/${kind}.schema.json`;
    },
    async (uri) => {
      const file = vscode.Uri.joinPath(context.extensionUri, "schemas", path.posix.basename(vscode.Uri.parse(uri).path));
      return new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
    },
  );
}
