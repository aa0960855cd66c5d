/**
 * A capture played through this page's director. The director decides anew, by the scheduler and the weights chosen
 * here; the answers are those that were recorded, shown as coming from whomever the director chose. Frames come
 * in their order, evenly spaced: as recorded, a whole connection would be over in a millisecond. The director's clock
 * is the recording's.
 */

import type { ServiceKey } from "../../../src/control/model.ts";
import { millisecondsBetween } from "../../../src/ring/pcap-ring.ts";
import { BUILT_IN } from "../../../src/schedulers/built-in.ts";
import { formatMac, parseMac } from "../../../src/wire/address.ts";
import { readCapture } from "../../../src/wire/capture-reader.ts";
import { TCP_FLAGS } from "../../../src/wire/tcp.ts";
import type { Frame, Picture, Powers, Source, Speed } from "../model.ts";
import { PageDirector } from "./director.ts";
import { type Guess, guess, type Seen } from "./guess.ts";
import { labName, takePicture } from "./picture.ts";
import { macOfAddress, realServerAddress } from "./place.ts";

/** Milliseconds between two frames. */
const BETWEEN: Readonly<Record<Speed, number>> = { slow: 1400, normal: 420, fast: 90, flood: 90 };
const SERVERS = 3;

interface Server {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  /** What tells people which host this is. */
  readonly shown: string;
}

export class Recording implements Source {
  readonly kind = "recording";
  readonly label: string;
  readonly powers: Powers = {
    pause: true,
    step: true,
    speed: true,
    schedulers: BUILT_IN.map(({ name }) => name),
    weights: true,
    faults: [],
  };
  onFrame: (frame: Frame) => void = () => {};
  onNotice: Source["onNotice"] = () => {};
  readonly #guess: Guess;
  readonly #key: ServiceKey;
  readonly #servers: readonly Server[];
  readonly #warning: string | undefined;
  /** What is played: frames for the VIP on their way in, and answers from it. */
  readonly #script: readonly Seen[];
  readonly #packets: number;
  #director!: PageDirector;
  #weights = new Map<string, number>();
  #scheduler = "rr";
  #at = 0;
  #told = 0;
  #owed = 0;
  /** How long it has been looked at: what rates are counted by, since frames are evened out. */
  #watched = 0;
  #now = 1000;
  #paused = false;
  #over = false;
  #speed: Speed = "normal";
  /** The real server chosen for each client's end. */
  #chosen = new Map<string, string>();

  constructor(bytes: Uint8Array, label: string) {
    const { packets, interfaces, warning } = readCapture(bytes);
    const found = guess(packets, interfaces);
    if (found === undefined) throw new EmptyCapture();
    this.label = label;
    this.#guess = found;
    this.#warning = warning;
    this.#packets = packets.length;
    this.#key = {
      protocol: found.protocol,
      family: found.family,
      address: found.vip,
      port: found.port,
      mark: 0,
    };
    this.#servers = serversOf(found);
    this.#script = found.seen.filter((seen) => this.#comesIn(seen) || this.#isAnswer(seen));
    this.restart();
  }

  #comesIn({ destination, destinationPort, destinationMac }: Seen): boolean {
    const { vip, port, directorMac } = this.#guess;
    return destination === vip && destinationPort === port && destinationMac === directorMac;
  }

  #isAnswer({ source, sourcePort, sourceMac }: Seen): boolean {
    const { vip, port, directorMac } = this.#guess;
    return source === vip && sourcePort === port && sourceMac !== directorMac;
  }

  restart(): void {
    const mac = parseMac(this.#guess.directorMac)!;
    this.#director = new PageDirector({ mac, dip: 0, ask: () => {}, onLate: () => {} });
    this.#at = 0;
    this.#told = 0;
    this.#over = false;
    this.#now = 1000;
    this.#watched = 0;
    this.#chosen = new Map();
    const { commands, keeper } = this.#director;
    const netmask = this.#guess.family === 6 ? "128" : "255.255.255.255";
    commands.execute({
      kind: "addService",
      service: {
        key: this.#key,
        scheduler: this.#scheduler,
        flags: 0,
        persistence: 0,
        netmask,
        onePacket: false,
      },
    });
    for (const { address } of this.#servers) {
      const server = {
        address,
        port: this.#guess.port,
        weight: this.#weights.get(address) ?? 1,
        method: "route",
        upper: 0,
        lower: 0,
      } as const;
      commands.execute({ kind: "addServer", service: this.#key, server });
    }
    // What a capture shows of ARP is past: the real servers' MACs are taken as known.
    keeper.setStatics(
      new Map(this.#servers.map(({ address, mac: text }) => [address, parseMac(text)!])),
      this.#now,
    );
    this.#director.tend(this.#now);
  }

  /** What was found in the file, and what was wrong with it. */
  introduce(): void {
    const { vip, port } = this.#guess;
    if (this.#warning !== undefined)
      this.onNotice("notice.capture.warning", { name: this.label, warning: this.#warning });
    else
      this.onNotice("notice.capture", {
        name: this.label,
        frames: this.#packets,
        fed: this.#script.length,
        vip: `${vip}:${port}`,
      });
  }

  advance(milliseconds: number): void {
    if (this.#paused || this.#over) return;
    this.#watched += milliseconds;
    this.#owed += milliseconds;
    const between = BETWEEN[this.#speed];
    while (this.#owed >= between && !this.#over) {
      this.#owed -= between;
      if (!this.step()) this.onNotice("status.over");
    }
  }

  step(): boolean {
    const seen = this.#script[this.#at];
    if (seen === undefined) {
      this.#over = true;
      return false;
    }
    this.#at++;
    this.#told++;
    this.#now = Math.max(this.#now, 1000 + millisecondsBetween(this.#script[0]!.packet, seen.packet));
    if (this.#comesIn(seen)) this.#request(seen);
    else this.#answer(seen);
    return true;
  }

  #request(seen: Seen): void {
    const before = whole(seen);
    const { verdict, server, after, answers, explanation } = this.#director.receive(before, this.#now, true);
    const way = ["client", "router", "director"];
    if (server !== undefined) this.#chosen.set(`${seen.source} ${seen.sourcePort}`, server);
    const opens = (seen.flags & (TCP_FLAGS.SYN | TCP_FLAGS.ACK)) === TCP_FLAGS.SYN;
    const frame = { kind: "request" as const, server, opens, before, after, verdict, explanation };
    if (after !== undefined && server !== undefined)
      this.#tell({ ...frame, ways: [[...way, server]], fate: "arrived" });
    else this.#tell({ ...frame, ways: [way], fate: "refused" });
    for (const answer of answers) {
      const ways = [["director", "router", "client"]];
      this.#tell({
        kind: "icmp",
        ways,
        fate: "arrived",
        before: answer,
        server: undefined,
        opens: false,
        after: undefined,
        verdict: undefined,
        explanation: undefined,
      });
    }
  }

  #answer(seen: Seen): void {
    const server = this.#chosen.get(`${seen.destination} ${seen.destinationPort}`);
    if (server === undefined) return;
    this.#tell({
      kind: "answer",
      ways: [[server, "router", "client"]],
      fate: "arrived",
      server,
      recordedFrom: this.#recordedFrom(seen, server),
      opens: false,
      before: seen.packet.bytes,
      after: undefined,
      verdict: undefined,
      explanation: undefined,
    });
  }

  /** Who answered when it was recorded, where that was not whom the director chose now. */
  #recordedFrom({ sourceMac }: Seen, server: string): string | undefined {
    const then = this.#servers.find(({ mac }) => mac === sourceMac);
    return then === undefined || then.address === server ? undefined : then.name;
  }

  #tell(frame: Omit<Frame, "id" | "time" | "late" | "length">): void {
    this.onFrame({
      ...frame,
      length: frame.before.length,
      id: ++frames,
      time: this.#now - 1000,
      late: false,
    });
  }

  picture(): Picture {
    const hosts = new Map(this.#servers.map((server) => [server.address, server]));
    return takePicture(this.#director, {
      now: this.#watched,
      nameOf: (address) => hosts.get(address)?.name,
      shownOf: (address) => hosts.get(address)?.shown,
      faultsOf: () => [],
      faults: [],
      frames: this.#told,
      told: this.#told,
    });
  }

  setSpeed(speed: Speed): void {
    this.#speed = speed;
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
  }

  setScheduler(_service: string, scheduler: string): void {
    this.#scheduler = scheduler;
    this.#director.setScheduler(this.#key, scheduler);
  }

  setWeight(_service: string, address: string, weight: number): void {
    this.#weights.set(address, weight);
    this.#director.setWeight(this.#key, address, weight);
  }

  setFault(): void {}

  close(): void {
    this.#paused = true;
  }
}

let frames = 0;

export class EmptyCapture extends Error {}

/** A frame that the capture had cut, in its whole length: its headers decide, not its data. */
function whole({ packet }: Seen): Uint8Array {
  const length = Math.max(packet.bytes.length, Math.min(packet.originalLength, 65_000));
  if (length === packet.bytes.length) return packet.bytes;
  const frame = new Uint8Array(length);
  frame.set(packet.bytes);
  return frame;
}

/** The real servers that the capture shows, or three that are made up beside the VIP. */
function serversOf({ servers, family }: Guess): Server[] {
  const seen = servers.map(({ mac, address }, i): Server => {
    const known = family === 4 ? (address ?? spelled(mac)) : undefined;
    const name = (known === undefined ? undefined : labName(known)) ?? `rs${i + 1}`;
    // Nobody in the capture said which address this host has: tables need one, people are shown its MAC.
    return { name, address: known ?? placeholder(family, i), mac, shown: known ?? mac };
  });
  if (seen.length > 0) return seen;
  return Array.from({ length: SERVERS }, (_, i) => {
    const address = realServerAddress(i);
    const mac = formatMac(macOfAddress(address));
    const shown = family === 4 ? address : placeholder(family, i);
    return { name: `rs${i + 1}`, address: shown, mac, shown };
  });
}

/** RFC 5737's and RFC 3849's addresses for examples. */
function placeholder(family: 4 | 6, i: number): string {
  return family === 4 ? `192.0.2.${i + 1}` : `2001:db8::${(i + 1).toString(16)}`;
}

/** The address of one of the lab's real servers, which its MAC spells. */
function spelled(mac: string): string | undefined {
  const parts = mac.split(":").map((part) => Number.parseInt(part, 16));
  const address = parts.slice(2).join(".");
  return parts[0] === 2 && parts[1] === 0 && labName(address) !== undefined ? address : undefined;
}
