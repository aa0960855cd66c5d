import { type IncomingMessage, request } from "node:http";
import type {
  CommandError,
  ConnectionListing,
  DirectorCommand,
  ServiceListing,
  Timeouts,
} from "../control/model.ts";
import { askAgain } from "./ask-again.ts";
import {
  type DirectorClient,
  DirectorUnreachable,
  type ListAnswer,
  type ListCommand,
} from "./director-client.ts";
import { textLines } from "./text-lines.ts";

export const DEFAULT_SOCKET = "/run/dr-director/control.sock";

const PATH = "/v1/ipvsadm";
/** A director that is silent for so long is taken for dead. */
const PATIENCE_MS = 60_000;

/** A director at the other end of its control socket. */
export class SocketClient implements DirectorClient {
  readonly #socket: string;
  readonly #patience: number;

  constructor(socket: string, patience: number = PATIENCE_MS) {
    this.#socket = socket;
    this.#patience = patience;
  }

  async change(commands: readonly DirectorCommand[]): Promise<(CommandError | null)[]> {
    const results = new Array<CommandError | null>(commands.length).fill(null);
    if (commands.length === 1) {
      const answer = await this.#post({ command: commands[0] });
      if (answer.statusCode !== 200) results[0] = (await this.#failure(answer)).error;
      else answer.resume();
      return results;
    }
    const answer = await this.#post({ commands });
    if (answer.statusCode !== 200) throw await this.#unexpected(answer);
    const { errors } = JSON.parse(await this.#text(answer)) as {
      errors: { index: number; error: CommandError }[];
    };
    for (const { index, error } of errors) results[index] = error;
    return results;
  }

  async list(command: ListCommand): Promise<ListAnswer> {
    const answer = await this.#post({ command });
    if (answer.statusCode !== 200) return { kind: "error", error: (await this.#failure(answer)).error };
    const rows = this.#rows(answer);
    const head = (await rows.next()).value as ListAnswer | undefined;
    switch (head?.kind) {
      case "services":
        return { kind: "services", info: head.info, services: rows as AsyncIterable<ServiceListing> };
      case "connections":
        return { kind: "connections", connections: rows as AsyncIterable<ConnectionListing> };
      case "timeouts":
        answer.resume();
        return { kind: "timeouts", timeouts: head.timeouts as Timeouts };
      case "daemons":
        answer.resume();
        return { kind: "daemons" };
      default:
        throw this.#unreachable("its answer is no listing");
    }
  }

  /** JSON lines up to the one that ends them; their absence means that the rest is lost. */
  async *#rows(answer: IncomingMessage): AsyncGenerator<unknown> {
    try {
      for await (const line of textLines(answer)) {
        const row = JSON.parse(line) as { end?: number };
        if (row.end !== undefined) return;
        yield row;
      }
    } catch (error) {
      throw this.#unreachable((error as Error).message);
    }
    throw this.#unreachable("its answer broke off");
  }

  #post(body: unknown): Promise<IncomingMessage> {
    const text = JSON.stringify(body);
    return askAgain(() => this.#send(text));
  }

  #send(text: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          socketPath: this.#socket,
          path: PATH,
          method: "POST",
          headers: {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(text),
            accept: "application/x-ndjson, application/json",
          },
          timeout: this.#patience,
        },
        resolve,
      );
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${this.#patience / 1000} s`)));
      sent.on("error", (error: NodeJS.ErrnoException) => reject(this.#unreachable(reasonOf(error))));
      sent.end(text);
    });
  }

  async #failure(answer: IncomingMessage): Promise<{ error: CommandError }> {
    const text = await this.#text(answer);
    try {
      const failure = JSON.parse(text) as { error?: CommandError };
      if (typeof failure.error?.code === "string") return { error: failure.error };
    } catch {
      // not even JSON: said below
    }
    throw this.#unreachable(`it answered ${answer.statusCode}: ${text.slice(0, 200).trim()}`);
  }

  async #unexpected(answer: IncomingMessage): Promise<Error> {
    const { error } = await this.#failure(answer);
    return this.#unreachable(`it answered ${answer.statusCode}: ${error.message}`);
  }

  async #text(answer: IncomingMessage): Promise<string> {
    try {
      let text = "";
      for await (const chunk of answer.setEncoding("utf8")) text += chunk;
      return text;
    } catch (error) {
      throw this.#unreachable((error as Error).message);
    }
  }

  /** Begins as ipvsadm does when the kernel has no IPVS, for scripts that look for it. */
  #unreachable(reason: string): DirectorUnreachable {
    return new DirectorUnreachable(
      `Can't initialize ipvs: the director at ${this.#socket} is out of reach (${reason}); ` +
        "start it with `dr-director run', or name another socket by --socket PATH or DR_DIRECTOR_SOCKET",
    );
  }
}

/** Why the socket could not be had, in words. */
export function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return "there is no such socket";
    case "ECONNREFUSED":
      return "nobody listens there";
    case "EACCES":
      return "permission denied: you must be root or in the socket's group";
    case "ENOTSOCK":
      return "it is not a socket";
    default:
      return error.message;
  }
}
