// The language server: its process, its state, and the item in the status bar that shows it.

import * as vscode from "vscode";
import { LanguageClient, LanguageClientOptions, ServerOptions, State, TransportKind } from "vscode-languageclient/node";
import { program } from "./program";

const SELECTOR = ["yaml", "sql", "jinja-sql", "python", "csv", "markdown"].map((language) => ({ scheme: "file", language }));

export class Server implements vscode.Disposable {
  readonly output = vscode.window.createOutputChannel("MXCP");
  private readonly status = vscode.window.createStatusBarItem("mxcp.status", vscode.StatusBarAlignment.Left, 1);
  private readonly changed = new vscode.EventEmitter<boolean>();
  /** Fires with whether the server runs. */
  readonly onDidChangeRunning = this.changed.event;
  private client: LanguageClient | undefined;
  // Starting and stopping take time; one waits for the other.
  private turn: Promise<void> = Promise.resolve();

  constructor() {
    this.status.name = "MXCP";
    this.status.command = "mxcp.showOutput";
    this.show("$(circle-slash) MXCP", "not started");
    this.status.show();
  }

  get isRunning(): boolean {
    return this.client?.state === State.Running;
  }

  start(): Promise<void> {
    return this.inTurn(() => this.startNow());
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.stopNow());
  }

  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.stopNow();
      await this.startNow();
    });
  }

  dispose(): void {
    this.status.dispose();
    this.output.dispose();
    this.changed.dispose();
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(work, work);
    return this.turn;
  }

  private async startNow(): Promise<void> {
    const { command, profile, cwd, env } = program();
    const args = ["lsp"];
    if (profile !== undefined) {
      args.push("--profile", profile);
    }
    const serverOptions: ServerOptions = {
      command,
      args,
      transport: TransportKind.stdio,
      options: { ...(cwd === undefined ? {} : { cwd }), env: { ...process.env, ...env } },
    };
    const clientOptions: LanguageClientOptions = {
      documentSelector: SELECTOR,
      outputChannel: this.output,
      diagnosticCollectionName: "mxcp",
      initializationOptions: { profile: profile ?? null },
      markdown: { isTrusted: false },
    };
    // The name is that of the settings: `mxcp.trace.server` belongs to it.
    const client = new LanguageClient("mxcp", "MXCP", serverOptions, clientOptions);
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) {
        return;
      }
      if (newState === State.Starting) {
        this.show("$(sync~spin) MXCP", `starting ${command}`);
      } else if (newState === State.Stopped) {
        this.show("$(error) MXCP", "stopped; `MXCP: Restart Server` starts it again", true);
      }
      this.changed.fire(newState === State.Running);
    });
    try {
      await client.start();
      const version = client.initializeResult?.serverInfo?.version;
      this.show("$(check) MXCP", `${command} ${version ?? ""}${profile === undefined ? "" : `, profile ${profile}`}`);
    } catch (error) {
      this.show("$(error) MXCP", `not started: ${text(error)}`, true);
      await this.explain(command, error);
    }
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client === undefined) {
      return;
    }
    try {
      await client.dispose(5000);
    } catch (error) {
      // It is gone already, or will not go by itself; a new one can be started either way.
      this.output.appendLine(`The server did not stop in order: ${text(error)}`);
    }
    this.show("$(circle-slash) MXCP", "stopped");
    this.changed.fire(false);
  }

  private async explain(command: string, error: unknown): Promise<void> {
    this.output.appendLine(`${command} lsp: ${text(error)}`);
    const [settings, log] = ["Open Settings", "Show Output"];
    // Nobody may answer, and the window goes on.
    void vscode.window
      .showErrorMessage(`\`${command} lsp\` cannot be started. Install mxcp, or set \`mxcp.path\`.`, settings, log)
      .then(async (choice) => {
        if (choice === settings) {
          await vscode.commands.executeCommand("workbench.action.openSettings", "mxcp.path");
        } else if (choice === log) {
          this.output.show();
        }
      });
  }

  private show(label: string, tooltip: string, failed = false): void {
    this.status.text = label;
    this.status.tooltip = `MXCP: ${tooltip}`;
    this.status.backgroundColor = failed ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
