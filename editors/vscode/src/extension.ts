// Starts and stops everything: one server for all folders of the window.

import * as vscode from "vscode";
import { Server } from "./server";
import { registerCommands } from "./commands";
import { registerSchemas } from "./schemas";

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<Server> {
  const started = new Server();
  server = started;
  context.subscriptions.push(started);
  registerCommands(context, started);
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      const needsRestart = ["mxcp.path", "mxcp.profile", "mxcp.env"];
      if (needsRestart.some((key) => event.affectsConfiguration(key))) {
        await started.restart();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => started.restart()),
  );
  await started.start();
  // The YAML extension may be slow to start, or missing: nothing waits for it.
  void registerSchemas(context, started);
  return started;
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
