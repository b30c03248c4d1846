// The commands of the palette and those behind the code lenses of the server.
//
// Programs are started without a shell in between: what a project calls its tools reaches no command line.

import * as vscode from "vscode";
import { program, projectOf } from "./program";
import type { Server } from "./server";
import { Endpoint, Model, cteQuery, endpointOf, modelOf, parameterArguments, referencesOf } from "./targets";

export function registerCommands(context: vscode.ExtensionContext, server: Server): void {
  const register = (name: string, run: (...args: unknown[]) => unknown) =>
    context.subscriptions.push(vscode.commands.registerCommand(name, run));
  register("mxcp.restart", () => server.restart());
  register("mxcp.showOutput", () => server.output.show());
  register("mxcp.runTool", (...args) => runTool(endpointOf(args)));
  register("mxcp.runTests", (...args) => runTests(endpointOf(args)));
  register("mxcp.previewModel", (...args) => previewModel(modelOf(args)));
  // What the server's lenses ask for.
  register("mxcp.run", (...args) => runTool(endpointOf(args)));
  register("mxcp.test", (...args) => runTests(endpointOf(args)));
  register("mxcp.preview", (...args) => previewModel(modelOf(args)));
  register("mxcp.references", (...args) => showReferences(args));
}

async function runTool(target: Endpoint | undefined): Promise<void> {
  const endpoint = target ?? (await askForEndpoint());
  if (endpoint === undefined) {
    return;
  }
  const given = await askForArguments(endpoint);
  if (given === undefined) {
    return;
  }
  await start(endpoint, `run ${endpoint.name}`, ["run", endpoint.kind, endpoint.name, ...given]);
}

async function runTests(target: Endpoint | undefined): Promise<void> {
  const which = target === undefined ? [] : [target.kind, target.name];
  await start(target ?? {}, target === undefined ? "test" : `test ${target.name}`, ["test", ...which]);
}

async function previewModel(target: Model | undefined): Promise<void> {
  const model = target ?? (await activeModel());
  if (model === undefined) {
    return;
  }
  let what = ["--select", model.name];
  if (model.cte !== undefined) {
    const query = cteQuery((await textOf(model)) ?? "", model.cte);
    if (query === undefined) {
      void vscode.window.showErrorMessage(`\`${model.cte}\` was not found in \`${model.name}\`.`);
      return;
    }
    what = ["--inline", query];
  }
  await start(model, `preview ${model.cte ?? model.name}`, ["dbt", "show", ...what, "--limit", "20"]);
}

/** The template of a model: as it is in the editor, or in its file. */
async function textOf(model: Model): Promise<string | undefined> {
  const file = `/${model.name}.sql`;
  const open = vscode.window.activeTextEditor?.document;
  if (open?.uri.path.endsWith(file)) {
    return open.getText();
  }
  const [found] = await vscode.workspace.findFiles(`**${file}`, "**/{node_modules,target,.venv}/**", 1);
  return found && (await vscode.workspace.openTextDocument(found)).getText();
}

async function showReferences(args: unknown[]): Promise<void> {
  const found = referencesOf(args);
  if (found !== undefined) {
    const { line, character } = found.position;
    const position = new vscode.Position(line, character);
    await vscode.commands.executeCommand("editor.action.findReferences", vscode.Uri.parse(found.uri), position);
  }
}

async function askForEndpoint(): Promise<Endpoint | undefined> {
  const kind = await vscode.window.showQuickPick(["tool", "resource", "prompt"], { title: "MXCP: run what?" });
  if (kind === undefined) {
    return undefined;
  }
  const title = kind === "resource" ? "The URI of the resource" : `The name of the ${kind}`;
  const name = await vscode.window.showInputBox({ title, ignoreFocusOut: true });
  return name ? { kind, name, parameters: [] } : undefined;
}

/** `-p name=value` for every argument; nothing when the question was dismissed. */
async function askForArguments(endpoint: Endpoint): Promise<string[] | undefined> {
  const parameters = endpoint.parameters ?? [];
  if (endpoint.parameters !== undefined && parameters.length === 0 && endpoint.isComplete) {
    return [];
  }
  const example = Object.fromEntries(parameters.map(({ name, example }) => [name, example ?? null]));
  const answer = await vscode.window.showInputBox({
    title: `Arguments of ${endpoint.name}, as a JSON object`,
    value: JSON.stringify(example),
    ignoreFocusOut: true,
    validateInput: (text) => {
      const checked = parameterArguments(text);
      return "problem" in checked ? checked.problem : undefined;
    },
  });
  if (answer === undefined) {
    return undefined;
  }
  const checked = parameterArguments(answer);
  return "problem" in checked ? undefined : checked.args;
}

async function activeModel(): Promise<Model | undefined> {
  const uri = vscode.window.activeTextEditor?.document.uri;
  const name = uri?.path.split("/").pop()?.match(/^(.+)\.(sql|py)$/)?.[1];
  if (uri === undefined || name === undefined) {
    void vscode.window.showInformationMessage("Open the file of a model to preview it.");
    return undefined;
  }
  return { name, uri: uri.toString() };
}

/** Runs the program in the folder of the project, in a terminal of its own. */
async function start(target: { root?: string; uri?: string }, name: string, args: string[]): Promise<void> {
  const uri = target.uri === undefined ? vscode.window.activeTextEditor?.document.uri : vscode.Uri.parse(target.uri);
  const cwd = target.root ?? (await projectOf(uri));
  if (cwd === undefined) {
    void vscode.window.showErrorMessage("There is no mxcp-site.yml in this window.");
    return;
  }
  // A run must not read what is only in an editor.
  await vscode.workspace.saveAll(false);
  const { command, profile, env } = program(uri);
  const chosen = profile === undefined || args[0] === "dbt" ? [] : ["--profile", profile];
  const scope = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(cwd)) ?? vscode.TaskScope.Workspace;
  const execution = new vscode.ProcessExecution(command, [...args, ...chosen], { cwd, env });
  const task = new vscode.Task({ type: "mxcp", name }, scope, name, "mxcp", execution);
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, clear: true, panel: vscode.TaskPanelKind.Shared };
  await vscode.tasks.executeTask(task);
}
