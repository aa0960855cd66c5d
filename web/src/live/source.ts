/** A director that serves this page: its events, and in the lab its commands. */
import type { ServiceListing } from "../../../src/control/model.ts";

import type { LiveFrame, LiveHello, LivePicture } from "../../../src/observe/live-events.ts";
import { keyText } from "../browser/director.ts";
import { labName } from "../browser/picture.ts";
import type { Fate, Frame, Picture, Powers, ServiceRow, Source } from "../model.ts";
import { toldOf } from "./told.ts";

/** What the lab adds to a director's events: what may be done, and answers seen on the switch. */
interface LabHello {
  readonly schedulers?: readonly string[];
  readonly faults?: readonly { readonly name: string; readonly sentence: string }[];
}

interface LabState {
  readonly faults: readonly string[];
}

interface SeenAnswer {
  readonly time: number;
  /** The real server's address. */
  readonly server: string;
  readonly length: number;
  readonly bytes: string;
}

/** Frames kept for stepping while the page is paused, and waiting to be shown. */
const KEPT = 240;
/** Waiting frames are shown over so many milliseconds, not all at once. */
const SPREAD = 120;

export class LiveSource implements Source {
  readonly kind: "live" | "lab";
  label = location.host;
  powers: Powers;
  onFrame: (frame: Frame) => void = () => {};
  onNotice: Source["onNotice"] = () => {};
  /** What can be done has changed: controls are drawn anew. */
  onPowers: () => void = () => {};
  readonly #token: string;
  readonly #events: EventSource;
  #picture: Picture | undefined;
  #faults: readonly string[] = [];
  #queue: Frame[] = [];
  #owed = 0;
  #paused = false;
  #answers = 0;
  #lost = false;

  constructor(kind: "live" | "lab") {
    this.kind = kind;
    this.#token = kind === "lab" ? takeToken() : "";
    this.powers = { pause: true, step: true, speed: false, schedulers: [], weights: false, faults: [] };
    this.#events = new EventSource("events");
    this.#listen("hello", (data: LiveHello) => {
      this.label = data.label;
      this.#found();
    });
    this.#listen("lab", (data: LabHello) => this.#empower(data));
    this.#listen("lab-state", (data: LabState) => {
      this.#faults = data.faults;
    });
    this.#listen("picture", (data: LivePicture) => {
      this.#found();
      this.#picture = this.#pictureOf(data);
    });
    this.#listen("frames", ({ frames }: { frames: LiveFrame[] }) => this.#keep(frames.map(frameOf)));
    this.#listen("answers", ({ answers }: { answers: SeenAnswer[] }) =>
      this.#keep(answers.map((answer) => this.#answerOf(answer))),
    );
    this.#listen("skipped", ({ frames }: { frames: number }) =>
      this.onNotice("notice.skipped", { count: frames }),
    );
    this.#listen("notice", ({ message }: { message: string }) => this.onNotice("notice.told", { message }));
    this.#events.addEventListener("error", () => {
      this.#lost = true;
      this.onNotice("where.lost");
    });
  }

  #listen<T>(name: string, hear: (data: T) => void): void {
    this.#events.addEventListener(name, (event) =>
      hear(JSON.parse((event as MessageEvent<string>).data) as T),
    );
  }

  #found(): void {
    if (!this.#lost) return;
    this.#lost = false;
    this.onNotice("notice.none");
  }

  #empower({ schedulers = [], faults = [] }: LabHello): void {
    if (this.#token === "") return;
    const offers = faults.map(({ name, sentence }) => ({ name, sentence, ofServer: false }));
    this.powers = { ...this.powers, schedulers, weights: true, faults: offers };
    this.onPowers();
  }

  #pictureOf(data: LivePicture): Picture {
    const services = data.services.map(serviceRow);
    services.reverse();
    return {
      time: data.time,
      services,
      vip: data.services.at(-1)?.key.address ?? "",
      connections: data.connections,
      connectionCount: data.connectionCount,
      neighbours: data.neighbours,
      received: data.received,
      verdicts: data.verdicts,
      faults: this.#faults,
      frames: data.frames,
      told: data.told,
    };
  }

  #answerOf({ time, server, length, bytes }: SeenAnswer): Frame {
    return {
      id: -++this.#answers,
      time,
      kind: "answer",
      ways: [[server, "router", "client"]],
      fate: "arrived",
      server,
      opens: false,
      before: bytesOf(bytes),
      length,
      after: undefined,
      verdict: undefined,
      explanation: undefined,
      late: false,
    };
  }

  #keep(frames: readonly Frame[]): void {
    this.#queue.push(...frames);
    // Requests and answers come from two places, each a little late in its own way.
    this.#queue.sort((a, b) => a.time - b.time);
    // While paused the oldest stay, so that one can step on from where it stood still.
    if (this.#queue.length > KEPT) this.#queue.length = KEPT;
  }

  picture(): Picture | undefined {
    return this.#picture;
  }

  /** Until the first picture came nobody has a name or a place yet: frames wait for it. */
  advance(milliseconds: number): void {
    if (this.#paused || this.#picture === undefined) return;
    this.#owed += (this.#queue.length * milliseconds) / SPREAD;
    while (this.#owed >= 1 && this.#queue.length > 0) {
      this.#owed--;
      this.onFrame(this.#queue.shift()!);
    }
    if (this.#queue.length === 0) this.#owed = 0;
  }

  step(): boolean {
    const frame = this.#picture === undefined ? undefined : this.#queue.shift();
    if (frame !== undefined) this.onFrame(frame);
    return true;
  }

  setSpeed(): void {}

  setPaused(paused: boolean): void {
    this.#paused = paused;
    // What gathered meanwhile is past.
    if (!paused) this.#queue = [];
  }

  setScheduler(service: string, scheduler: string): void {
    void this.#command({ kind: "scheduler", service, scheduler });
  }

  setWeight(service: string, address: string, weight: number): void {
    void this.#command({ kind: "weight", service, address, weight });
  }

  setFault(name: string, _address: string | undefined, on: boolean): void {
    void this.#command({ kind: "fault", name, on });
  }

  async #command(body: object): Promise<void> {
    try {
      const reply = await fetch("command", {
        method: "POST",
        headers: { "content-type": "application/json", "x-dr-director-token": this.#token },
        body: JSON.stringify(body),
      });
      if (!reply.ok)
        this.onNotice("notice.refused", { why: ((await reply.json()) as { error: string }).error });
    } catch (error) {
      this.onNotice("notice.refused", { why: error instanceof Error ? error.message : String(error) });
    }
  }

  restart(): void {}

  close(): void {
    this.#events.close();
  }
}

/** The token stands behind the address's #, which no browser sends anywhere; it is taken out of sight at once. */
function takeToken(): string {
  const found = /^#token=([0-9a-f]{32})$/.exec(location.hash)?.[1];
  const kept = "dr-director.token";
  if (found !== undefined) {
    sessionStorage.setItem(kept, found);
    history.replaceState(null, "", location.pathname);
    return found;
  }
  return sessionStorage.getItem(kept) ?? "";
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function serviceRow(service: ServiceListing): ServiceRow {
  const servers = service.servers.map(({ address, port, weight, activeConns, inactiveConns, stats }) => ({
    name: labName(address) ?? address,
    address,
    shown: address,
    port,
    weight,
    active: activeConns,
    inactive: inactiveConns,
    connections: stats.conns,
    packets: stats.inPkts,
    bytes: stats.inBytes,
    faults: [],
  }));
  return { name: keyText(service.key), scheduler: service.scheduler, servers: servers.reverse() };
}

function frameOf(live: LiveFrame): Frame {
  const { id, time, kind, late, verdict, length, server } = live;
  const before = bytesOf(live.before);
  const after = live.after === null ? undefined : bytesOf(live.after);
  const way =
    kind === "icmp"
      ? ["director", "router", "client"]
      : late
        ? ["director"]
        : ["client", "router", "director"];
  const sent = after !== undefined && server !== null;
  const fate: Fate =
    kind === "icmp" || sent || verdict === "Forwarded"
      ? "arrived"
      : verdict === "Waiting"
        ? "waits"
        : "refused";
  return {
    id,
    time,
    kind,
    ways: [sent ? [...way, server] : way],
    fate,
    server: server ?? undefined,
    opens: live.connection?.what === "made",
    before,
    length,
    after,
    verdict,
    explanation: kind === "icmp" ? undefined : toldOf(live, before),
    late,
  };
}
