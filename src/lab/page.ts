/**
 * The page over a lab: the director's live events, passed on from its control socket (its namespace has a loopback of
 * its own), the answers as seen on the switch, and commands for those who have this run's token.
 */
import { request } from "node:http";
import { z } from "zod";
import type { ServiceListing } from "../control/model.ts";
import type { LiveSink } from "../observe/live.ts";
import { eventText } from "../observe/live.ts";
import { serveWeb, type WebServer } from "../observe/web.ts";
import { BUILT_IN } from "../schedulers/built-in.ts";
import { AnswerWatch } from "./answers.ts";
import { FAULTS, findFault } from "./faults.ts";
import type { Stage } from "./stage.ts";
import { relayOutside } from "./web-relay.ts";

export interface LabPageOptions {
  readonly stage: Stage;
  /** 0 takes any. */
  readonly port: number;
}

/** Faults that would take the page's own director away from under it. */
export const NOT_HERE: ReadonlySet<string> = new Set(["no-capability", "no-director"]);
const AGAIN_MS = 500;
/** A browser for whom so many bytes wait: the director's events are left where they are until it has caught up. */
const PENDING = 128 * 1024;

const commandSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("scheduler"),
    service: z.string().max(80),
    scheduler: z.string().max(16),
  }),
  z.strictObject({
    kind: z.literal("weight"),
    service: z.string().max(80),
    address: z.string().max(64),
    weight: z.int().min(0).max(65_535),
  }),
  z.strictObject({ kind: z.literal("fault"), name: z.string().max(40), on: z.boolean() }),
]);
type Command = z.output<typeof commandSchema>;

/** Serves the page on this machine's loopback. Throws WebError. */
export async function serveLabPage(options: LabPageOptions): Promise<WebServer> {
  const page = new LabPage(options);
  const web = await serveWeb({
    host: "127.0.0.1",
    port: options.port,
    ...relayOutside(),
    mode: "lab",
    events: (sink) => page.attach(sink),
    command: (body) => page.command(body),
  });
  return { ...web, close: async () => void (await Promise.all([web.close(), page.close()])) };
}

class LabPage {
  readonly #stage: Stage;
  readonly #sinks = new Set<LiveSink>();
  readonly #mends = new Map<string, () => Promise<unknown>>();
  readonly #answers: AnswerWatch;
  /** One command after the other: faults change what the next one finds. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ stage }: LabPageOptions) {
    this.#stage = stage;
    this.#answers = new AnswerWatch(stage.lab, (answers) => this.#tell("answers", { answers }));
  }

  attach(sink: LiveSink): () => void {
    this.#sinks.add(sink);
    if (this.#sinks.size === 1) this.#answers.start();
    const faults = FAULTS.filter(({ name }) => !NOT_HERE.has(name)).map(({ name, sentence }) => ({
      name,
      sentence,
    }));
    sink.write(eventText("lab", { schedulers: BUILT_IN.map(({ name }) => name), faults }));
    sink.write(eventText("lab-state", this.#state()));
    const end = follow(() => this.#stage.director.socket, sink);
    return () => {
      end();
      this.#sinks.delete(sink);
      if (this.#sinks.size === 0) this.#answers.stop();
    };
  }

  #state(): { faults: string[] } {
    return { faults: [...this.#mends.keys()] };
  }

  #tell(event: string, data: object): void {
    const text = eventText(event, data);
    for (const sink of this.#sinks) if (sink.waiting < PENDING) sink.write(text);
  }

  command(body: unknown): Promise<unknown> {
    const command = commandSchema.parse(body);
    const done = this.#turn.then(() => this.#carryOut(command));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #carryOut(command: Command): Promise<void> {
    if (command.kind === "fault") {
      await this.#setFault(command.name, command.on);
      return;
    }
    const service = await this.#service(command.service);
    if (command.kind === "scheduler") await this.#setScheduler(service, command.scheduler);
    else await this.#setWeight(service, command.address, command.weight);
  }

  async #setFault(name: string, on: boolean): Promise<void> {
    const mend = this.#mends.get(name);
    if (on === (mend !== undefined)) return;
    if (mend === undefined) this.#mends.set(name, await findFault(name).inject(this.#stage));
    else {
      this.#mends.delete(name);
      await mend();
    }
    this.#tell("lab-state", this.#state());
  }

  async #service(name: string): Promise<ServiceListing> {
    const services = (await this.#stage.director.ask("/v1/services")) as ServiceListing[];
    const found = services.find(({ key }) => `${key.protocol} ${key.address}:${key.port}` === name);
    if (found === undefined) throw new Error(`there is no service ${name}`);
    return found;
  }

  #setScheduler(service: ServiceListing, scheduler: string): Promise<unknown> {
    const { key, flags, persistence, netmask, onePacket } = service;
    return this.#execute({
      kind: "editService",
      service: { key, scheduler, flags, persistence, netmask, onePacket },
    });
  }

  #setWeight(service: ServiceListing, address: string, weight: number): Promise<unknown> {
    const server = service.servers.find((candidate) => candidate.address === address);
    if (server === undefined) throw new Error(`the service has no real server ${address}`);
    const { port, method, upper, lower } = server;
    return this.#execute({
      kind: "editServer",
      service: service.key,
      server: { address, port, weight, method, upper, lower },
    });
  }

  #execute(command: object): Promise<unknown> {
    return this.#stage.director.post("/v1/ipvsadm", { command });
  }

  async close(): Promise<void> {
    this.#answers.stop();
    await this.#turn;
  }
}

/** Passes a director's events on, and begins again when it was started anew. */
function follow(socket: () => string, sink: LiveSink): () => void {
  let over = false;
  let hangUp = (): void => {};
  const again = (): void => {
    if (!over) setTimeout(connect, AGAIN_MS).unref();
  };
  const connect = (): void => {
    if (over) return;
    const sent = request({ socketPath: socket(), path: "/v1/live" }, (response) => {
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        sink.write(text);
        if (sink.waiting < PENDING) return;
        response.pause();
        // The director then finds its own reader slow, and leaves frames out.
        const caughtUp = setInterval(() => {
          if (!over && sink.waiting > PENDING / 2) return;
          clearInterval(caughtUp);
          response.resume();
        }, 100);
      });
      response.on("close", again);
    });
    sent.on("error", again);
    sent.end();
    hangUp = () => sent.destroy();
  };
  connect();
  return () => {
    over = true;
    hangUp();
  };
}
