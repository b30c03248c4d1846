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
  /** SQL to show instead of the model, e.g. that of a CTE. */
  sql?: string;
  limit?: number;
}

interface Position {
  line: number;
  character: number;
}

export interface References {
  uri: string;
  position: Position;
  locations: { uri: string; range: { start: Position; end: Position } }[];
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
  const name = given?.["name"];
  if (given === undefined || typeof name !== "string") {
    return undefined;
  }
  const limit = given["limit"];
  return { name, ...optional(given, "root", "uri", "sql"), ...(typeof limit === "number" ? { limit } : {}) };
}

/** The arguments of the editor's own command: a URI, a position, locations. */
export function referencesOf(args: unknown[]): References | undefined {
  const [uri, at, found] = args;
  const position = positionOf(at);
  if (typeof uri !== "string" || position === undefined || !Array.isArray(found)) {
    return undefined;
  }
  const locations = found.flatMap((location) => {
    const given = fields(location);
    const range = fields(given?.["range"]);
    const start = positionOf(range?.["start"]);
    const end = positionOf(range?.["end"]);
    const where = given?.["uri"];
    return typeof where === "string" && start !== undefined && end !== undefined
      ? [{ uri: where, range: { start, end } }]
      : [];
  });
  return { uri, position, locations };
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
