// What the server's code lenses hand over with their commands, taken apart. Knows nothing of VS Code.

export interface Parameter {
  name: string;
  example?: unknown;
}

export interface Endpoint {
  kind: string;
  name: string;
  root?: string;
  uri?: string;
  parameters?: Parameter[];
  /** The parameters are all there are. */
  isComplete?: boolean;
}

export interface Model {
  name: string;
  root?: string;
  uri?: string;
  /** A common table expression of the model, to be shown in its place. */
  cte?: string;
}

interface Position {
  line: number;
  character: number;
}

/** A place whose references are to be shown. */
export interface References {
  uri: string;
  position: Position;
}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function optional(from: Fields, ...names: string[]): { [name: string]: string } {
  const found: { [name: string]: string } = {};
  for (const name of names) {
    const value = from[name];
    if (typeof value === "string") {
      found[name] = value;
    }
  }
  return found;
}

/** One object, or the kind and the name; nothing when the command comes from the palette. */
export function endpointOf(args: unknown[]): Endpoint | undefined {
  const [first, second] = args;
  if (typeof first === "string") {
    return typeof second === "string" ? { kind: first, name: second } : { kind: "tool", name: first };
  }
  const given = fields(first);
  const name = given?.["name"];
  if (given === undefined || typeof name !== "string") {
    return undefined;
  }
  const kind = given["kind"];
  const endpoint: Endpoint = { kind: typeof kind === "string" ? kind : "tool", name, ...optional(given, "root", "uri") };
  const parameters = given["parameters"];
  if (Array.isArray(parameters)) {
    endpoint.isComplete = true;
    endpoint.parameters = parameters.flatMap((parameter): Parameter[] => {
      if (typeof parameter === "string") {
        return [{ name: parameter }];
      }
      const described = fields(parameter);
      const name = described?.["name"];
      return typeof name === "string" ? [{ name, example: described?.["example"] ?? described?.["default"] }] : [];
    });
  }
  return endpoint;
}

export function modelOf(args: unknown[]): Model | undefined {
  const [first] = args;
  if (typeof first === "string") {
    return { name: first };
  }
  const given = fields(first);
  const name = given?.["model"];
  return given === undefined || typeof name !== "string" ? undefined : { name, ...optional(given, "root", "uri", "cte") };
}

export function referencesOf(args: unknown[]): References | undefined {
  const [uri, at] = args;
  const position = positionOf(at);
  return typeof uri === "string" && position !== undefined ? { uri, position } : undefined;
}

/** The rows of a common table expression as a query: the model up to its end, and a SELECT from it. */
export function cteQuery(model: string, cte: string): string | undefined {
  const name = cte.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const head = new RegExp(`(?<![\\w"])"?${name}"?\\s*(\\([^()]*\\)\\s*)?AS\\s+((NOT\\s+)?MATERIALIZED\\s+)?\\(`, "i").exec(model);
  if (head === null) {
    return undefined;
  }
  // What brackets say inside of texts and comments does not count.
  const other = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\{#[\s\S]*?#\}|[()]/g;
  other.lastIndex = head.index + head[0].length;
  let depth = 1;
  for (let found = other.exec(model); found !== null; found = other.exec(model)) {
    depth += found[0] === "(" ? 1 : found[0] === ")" ? -1 : 0;
    if (depth === 0) {
      return `${model.slice(0, other.lastIndex)}\nSELECT * FROM "${cte.replaceAll('"', '""')}"`;
    }
  }
  return undefined;
}

function positionOf(value: unknown): Position | undefined {
  const given = fields(value);
  const line = given?.["line"];
  const character = given?.["character"];
  return typeof line === "number" && typeof character === "number" ? { line, character } : undefined;
}

/** A JSON object as `-p name=value`; null leaves a parameter out. */
export function parameterArguments(text: string): { args: string[] } | { problem: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.trim() || "{}");
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  const given = fields(parsed);
  if (given === undefined) {
    return { problem: "a JSON object is expected, e.g. {\"id\": 1}" };
  }
  const args = Object.entries(given)
    .filter(([, value]) => value !== null)
    .flatMap(([name, value]) => ["-p", `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`]);
  return { args };
}
