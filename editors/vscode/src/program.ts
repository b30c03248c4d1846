// Which program is run, with what: the settings, read in one place.

import * as os from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";

export interface Program {
  command: string;
  profile: string | undefined;
  cwd: string | undefined;
  env: Record<string, string>;
}

/** Settings as they are for a file, or for the window. */
export function program(scope?: vscode.Uri): Program {
  const settings = vscode.workspace.getConfiguration("mxcp", scope);
  const folder = (scope && vscode.workspace.getWorkspaceFolder(scope)) ?? vscode.workspace.workspaceFolders?.[0];
  const cwd = folder?.uri.fsPath;
  const profile = settings.get<string>("profile", "").trim();
  return {
    command: resolve(settings.get<string>("path", "").trim() || "mxcp", cwd),
    profile: profile || undefined,
    cwd,
    env: settings.get<Record<string, string>>("env", {}),
  };
}

/** A bare name is looked for in PATH; everything else is a path, relative to the folder. */
function resolve(command: string, folder: string | undefined): string {
  let text = command;
  if (folder !== undefined) {
    text = text.replaceAll("${workspaceFolder}", folder);
  }
  if (text === "~" || text.startsWith("~/") || text.startsWith("~\\")) {
    text = path.join(os.homedir(), text.slice(1));
  }
  const isName = !text.includes("/") && !text.includes("\\");
  return isName || path.isAbsolute(text) || folder === undefined ? text : path.join(folder, text);
}

/** The folder with the site file around a file: where commands have to be run. */
export async function projectOf(uri: vscode.Uri | undefined): Promise<string | undefined> {
  const roots = vscode.workspace.workspaceFolders ?? [];
  if (uri?.scheme === "file") {
    let folder = path.dirname(uri.fsPath);
    for (;;) {
      if (await exists(path.join(folder, "mxcp-site.yml"))) {
        return folder;
      }
      const parent = path.dirname(folder);
      if (parent === folder) {
        break;
      }
      folder = parent;
    }
  }
  const sites = await vscode.workspace.findFiles("**/mxcp-site.yml", "**/{node_modules,target,.venv}/**", 20);
  const projects = sites.map((site) => path.dirname(site.fsPath)).sort();
  if (projects.length > 1) {
    return vscode.window.showQuickPick(projects, { title: "MXCP: which project?" });
  }
  return projects[0] ?? roots[0]?.uri.fsPath;
}

async function exists(file: string): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(vscode.Uri.file(file));
    return true;
  } catch {
    return false;
  }
}
