/** The control API over its socket, for the subcommands that are its clients. */
import { type IncomingMessage, request } from "node:http";
import { askAgain } from "./ask-again.ts";
import { DirectorUnreachable } from "./director-client.ts";
import { DEFAULT_SOCKET, reasonOf } from "./socket-client.ts";
import { textLines } from "./text-lines.ts";

/** A director that is silent for so long is taken for dead. */
const PATIENCE_MS = 60_000;

/** The API refused: its own sentence, and the lines below it where a config is wrong. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class ApiClient {
  readonly socket: string;

  constructor(socket: string = DEFAULT_SOCKET) {
    this.socket = socket;
  }

  /** The answer, not yet read. Throws ApiError when it is none, DirectorUnreachable when nobody answers. */
  get(path: string): Promise<IncomingMessage> {
    return this.#ask("GET", path);
  }

  async json<T>(path: string): Promise<T> {
    return this.#parse<T>(await textOf(await this.get(path)));
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#parse<T>(await textOf(await this.#ask("POST", path, JSON.stringify(body))));
  }

  /** The answer to a request that may go on for ever, and be silent for long. */
  async stream(path: string, body: unknown): Promise<IncomingMessage> {
    const answer = await this.#ask("POST", path, JSON.stringify(body));
    answer.socket.setTimeout(0);
    return answer;
  }

  /** The rows of an answer in JSON lines; throws when their end is missing. */
  async *rows<T>(path: string, body?: unknown): AsyncGenerator<T> {
    const answer = await (body === undefined
      ? this.get(path)
      : this.#ask("POST", path, JSON.stringify(body)));
    for await (const line of textLines(answer)) yield this.#parse<T>(line);
  }

  #parse<T>(text: string): T {
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new DirectorUnreachable(`what answers at ${this.socket} is no director: ${text.slice(0, 100)}`);
    }
  }

  async #ask(method: string, path: string, body?: string): Promise<IncomingMessage> {
    const answer = await askAgain(() => this.#send(method, path, body));
    if (answer.statusCode === 200) return answer;
    const text = await textOf(answer);
    throw new ApiError(
      answer.statusCode ?? 0,
      messageOf(text) ?? `it answered ${answer.statusCode}: ${text}`,
    );
  }

  #send(method: string, path: string, body?: string): Promise<IncomingMessage> {
    const headers =
      body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socket, path, method, headers, timeout: PATIENCE_MS }, resolve);
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${PATIENCE_MS / 1000} s`)));
      sent.on("error", (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
      sent.end(body);
    });
  }

  #unreachable(error: NodeJS.ErrnoException): DirectorUnreachable {
    return new DirectorUnreachable(
      `the director at ${this.socket} is out of reach (${reasonOf(error)}); start it with ` +
        "`dr-director run', or name another socket by --socket PATH or DR_DIRECTOR_SOCKET",
    );
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += chunk;
  return text;
}

function messageOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message;
  } catch {
    return undefined;
  }
}
