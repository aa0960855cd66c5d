/** The source that makes its own traffic: clients that connect, ask and close, through the cluster of this page. */

import type { ServiceKey } from "../../../src/control/model.ts";
import { SYN } from "../../../src/dataplane/tcp-state.ts";
import { BUILT_IN } from "../../../src/schedulers/built-in.ts";
import { ETH_HEADER } from "../../../src/wire/ethernet.ts";
import { tcpFrame } from "../../../src/wire/frame.ts";
import type { Frame, Picture, Powers, Source, Speed } from "../model.ts";
import { Agenda, chance } from "./agenda.ts";
import { Flow, type Segment, tcpOf } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { Flood } from "./flood.ts";
import { takePicture } from "./picture.ts";
import { CLIENTS, clientAddress, HTTP, ip, ROUTER_MAC, realServerAddress, VIP } from "./place.ts";
import { RealServer } from "./server.ts";

export const KEY: ServiceKey = { protocol: "tcp", family: 4, address: VIP, port: HTTP, mark: 0 };

/** How fast the page's clock goes against the onlooker's. */
const PACE: Readonly<Record<Speed, number>> = { slow: 0.35, normal: 1, fast: 4, flood: 1 };
/** Mean milliseconds between two new connections, and how many may be open. */
const BETWEEN = 1500;
const OPEN_MOST = 24;
const TEND = 100;

const SERVERS = [{ weight: 1 }, { weight: 2 }, { weight: 3 }] as const;

export class Generator implements Source {
  readonly kind = "generator";
  readonly label = "";
  readonly powers: Powers = {
    pause: true,
    step: true,
    speed: true,
    schedulers: BUILT_IN.map(({ name }) => name),
    weights: true,
    faults: [
      { name: "dead-server", ofServer: true },
      { name: "neighbour-unresolved", ofServer: true },
      { name: "vip-missing", ofServer: true },
      { name: "arp-leak", ofServer: true },
      { name: "mac-change", ofServer: true },
      { name: "mac-moves", ofServer: false },
    ],
  };
  onFrame: (frame: Frame) => void = () => {};
  onNotice: Source["onNotice"] = () => {};
  #cluster!: Cluster;
  #agenda!: Agenda;
  #flood!: Flood;
  #flows = new Map<string, Flow>();
  #random = chance(7);
  #speed: Speed = "normal";
  #paused = false;
  #ports = 40_000;
  #told = 0;
  #seen = 0;
  #preserve = false;
  #stepping = false;
  #backlog: Frame[] = [];

  constructor() {
    this.restart();
  }

  restart(): void {
    this.#agenda = new Agenda();
    this.#flows = new Map();
    this.#random = chance(7);
    this.#ports = 40_000;
    this.#seen = 0;
    this.#told = 0;
    this.#backlog = [];
    this.#preserve = false;
    const servers = SERVERS.map((_, i) => new RealServer(`rs${i + 1}`, realServerAddress(i)));
    this.#cluster = new Cluster(servers, this.#agenda, {
      onFrame: (frame) => this.#tell(frame),
      onAnswer: (client, frame) => this.#answered(client, frame),
    });
    this.#addService();
    this.#flood = new Flood(this.#cluster, chance(11));
    this.#agenda.at(this.#cluster.now, () => this.#arrive());
    this.#agenda.at(this.#cluster.now, () => this.#tend());
  }

  #addService(): void {
    const { commands } = this.#cluster.director;
    commands.execute({
      kind: "addService",
      service: {
        key: KEY,
        scheduler: "wrr",
        flags: 0,
        persistence: 0,
        netmask: "255.255.255.255",
        onePacket: false,
      },
    });
    for (const [i, { weight }] of SERVERS.entries()) {
      const server = {
        address: realServerAddress(i),
        port: HTTP,
        weight,
        method: "route",
        upper: 0,
        lower: 0,
      } as const;
      commands.execute({ kind: "addServer", service: KEY, server });
    }
    this.#cluster.director.tend(this.#cluster.now);
  }

  advance(milliseconds: number): void {
    if (this.#paused) return;
    for (const frame of this.#backlog.splice(0)) this.#tell(frame);
    if (this.#speed === "flood") {
      this.#pass(this.#cluster.now + milliseconds);
      const passed = this.#flood.play(milliseconds, (frame) => this.#tell(frame));
      this.#seen += passed;
    } else {
      this.#pass(this.#cluster.now + milliseconds * PACE[this.#speed]);
    }
  }

  #pass(until: number): void {
    while (this.#agenda.next <= until) {
      this.#cluster.now = Math.max(this.#cluster.now, this.#agenda.next);
      this.#agenda.run();
    }
    this.#cluster.now = until;
  }

  /** Where several frames set out at one moment, the others wait for the next step. */
  step(): boolean {
    this.#stepping = true;
    // Something always comes: connections arrive for ever.
    while (this.#backlog.length === 0) {
      this.#cluster.now = Math.max(this.#cluster.now, this.#agenda.next);
      this.#agenda.run();
    }
    this.#stepping = false;
    this.#tell(this.#backlog.shift()!);
    return true;
  }

  #tell(frame: Frame): void {
    if (this.#stepping) {
      this.#backlog.push(frame);
      return;
    }
    this.#seen++;
    this.#told++;
    this.onFrame(frame);
  }

  #tend(): void {
    this.#cluster.tend();
    this.#agenda.at(this.#cluster.now + TEND, () => this.#tend());
  }

  #arrive(): void {
    const quiet = this.#speed === "flood";
    if (!quiet && this.#flows.size < OPEN_MOST) this.#open();
    const wait = BETWEEN * (0.4 + 1.2 * this.#random());
    this.#agenda.at(this.#cluster.now + wait, () => this.#arrive());
  }

  #open(): void {
    const address = clientAddress(Math.floor(this.#random() * CLIENTS));
    const port = this.#ports++;
    if (this.#ports > 60_000) this.#ports = 40_000;
    // Most are short; one in six stays and asks again and again, which is what least-connection looks at.
    const kind = this.#random();
    const requests = kind < 0.6 ? 1 : kind < 0.84 ? 3 : 9;
    const flow = new Flow(
      {
        send: (sender, segment) => this.#send(sender, segment),
        later: (milliseconds, what) => this.#agenda.at(this.#cluster.now + milliseconds, what),
        ended: (ended) => this.#flows.delete(`${ended.address}:${ended.port}`),
      },
      address,
      port,
      requests,
      1500 + 2500 * this.#random(),
    );
    this.#flows.set(`${address}:${port}`, flow);
    flow.begin();
  }

  #send(flow: Flow, { flags, sequence, acknowledgement, payload }: Segment): void {
    const frame = tcpFrame({
      source: ip(flow.address),
      destination: ip(VIP),
      sourceMac: ROUTER_MAC,
      destinationMac: this.#cluster.vipMac,
      sourcePort: flow.port,
      destinationPort: HTTP,
      flags,
      sequence,
      acknowledgement,
      payload: new TextEncoder().encode(payload),
      // The router has spent one of the client's 64 hops.
      ttl: 63,
      dontFragment: true,
      pad: true,
    });
    this.#cluster.fromClient(frame, flow.address, (flags & SYN) !== 0);
  }

  #answered(client: string, frame: Uint8Array): void {
    const read = tcpOf(frame);
    if (read !== undefined)
      this.#flows.get(`${client}:${read.tcp.destinationPort}`)?.heard(read.tcp, read.data);
    else this.#refused(client, frame);
  }

  /** An ICMP error quotes the packet it is about: its source port tells the flow. */
  #refused(client: string, frame: Uint8Array): void {
    const quoted = ETH_HEADER + 20 + 8;
    if (frame.length < quoted + 24) return;
    const port = new DataView(frame.buffer, frame.byteOffset).getUint16(quoted + 20);
    this.#flows.get(`${client}:${port}`)?.refused();
  }

  picture(): Picture {
    const { servers, director, now } = this.#cluster;
    return takePicture(director, {
      now,
      nameOf: (address) => servers.find((server) => server.address === address)?.name,
      faultsOf: (address) => [...(servers.find((server) => server.address === address)?.faults ?? [])],
      faults: this.#preserve ? ["mac-moves"] : [],
      frames: this.#seen,
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
    this.#cluster.director.setScheduler(KEY, scheduler);
  }

  setWeight(_service: string, address: string, weight: number): void {
    this.#cluster.director.setWeight(KEY, address, weight);
  }

  setFault(name: string, address: string | undefined, on: boolean): void {
    if (name === "mac-moves") {
      this.#preserve = on;
      this.#cluster.director.set("source_mac", on ? 1 : 0);
      return;
    }
    const server = this.#cluster.servers.find((candidate) => candidate.address === address);
    if (server === undefined) return;
    if (on) server.faults.add(name);
    else server.faults.delete(name);
    if (name === "mac-change") this.#cluster.changeMac(server, on);
    if (name === "arp-leak") this.#cluster.routerAsks();
  }

  close(): void {
    this.#paused = true;
  }
}
