/**
 * The cluster of this page: router, switch and real servers are played, the director is the real core. A frame's
 * whole way is decided when it sets out; what follows from it happens when it would have arrived.
 */
import type { Mac } from "../../../src/wire/address.ts";
import { ARP_FRAME, writeReply, writeRequest } from "../../../src/wire/arp.ts";
import { ETH_HEADER } from "../../../src/wire/ethernet.ts";
import { parse as parseArp } from "../../../src/wire/value/arp.ts";
import type { Fate, Frame, FrameKind, NodeId, VerdictName } from "../model.ts";
import type { Agenda } from "./agenda.ts";
import { type LateFrame, type Outcome, PageDirector } from "./director.ts";
import { DIP, DIRECTOR_MAC, ip, macOfAddress, ROUTER, ROUTER_MAC, sameMac, VIP } from "./place.ts";
import type { RealServer } from "./server.ts";
import { Switch } from "./switch.ts";

/** Milliseconds a frame takes for each line of the picture. */
export const LEG = 620;
const THINK = 250;
const NOBODY: Mac = { hi: 0, lo: 0 };

export interface ClusterEvents {
  onFrame(frame: Frame): void;
  /** An answer reached the client. */
  onAnswer(client: string, frame: Uint8Array): void;
}

type Told = Partial<Pick<Frame, "server" | "opens" | "after" | "verdict" | "explanation" | "late">>;

export class Cluster {
  readonly director: PageDirector;
  readonly servers: readonly RealServer[];
  /** Frames that were shown, for their numbers. */
  frames = 0;
  readonly #agenda: Agenda;
  readonly #events: ClusterEvents;
  readonly #switch = new Switch();
  /** The router's own ARP entry for the VIP. */
  #vipMac = DIRECTOR_MAC;
  now = 1000;

  constructor(servers: readonly RealServer[], agenda: Agenda, events: ClusterEvents) {
    this.servers = servers;
    this.#agenda = agenda;
    this.#events = events;
    this.director = new PageDirector({
      mac: DIRECTOR_MAC,
      dip: ip(DIP),
      ask: (target, to) => this.#ask(target, to),
      onLate: (late) => this.#late(late),
    });
    this.#switch.learn(DIRECTOR_MAC.hi, DIRECTOR_MAC.lo, "director");
    this.#switch.learn(ROUTER_MAC.hi, ROUTER_MAC.lo, "router");
    for (const { mac, address } of servers) this.#switch.learn(mac.hi, mac.lo, address);
  }

  /** The MAC that the router writes for the VIP. */
  get vipMac(): Mac {
    return this.#vipMac;
  }

  /** A client's frame for the VIP leaves the router; `opens` when it is a SYN. */
  fromClient(frame: Uint8Array, client: string, opens: boolean): void {
    const port = this.#switch.carry(frame, "router");
    if (port === "director") this.#toDirector(frame, client, opens);
    else if (port !== undefined) this.#past(frame, client, port, opens);
  }

  #toDirector(frame: Uint8Array, client: string, opens: boolean): void {
    const outcome = this.director.receive(frame, this.now, true);
    const { verdict, server, after, explanation } = outcome;
    const told = { server, opens, after, verdict, explanation };
    if (after !== undefined) {
      this.#deliver(after, frame, ["client", "router", "director"], client, told);
    } else {
      const fate: Fate = verdict === "Waiting" ? "waits" : "refused";
      this.#show("request", [["client", "router", "director"]], fate, frame, told);
    }
    this.#answers(outcome, client);
  }

  /** ARP told the router a real server's MAC for the VIP: the frame never sees the director. */
  #past(frame: Uint8Array, client: string, port: NodeId, opens: boolean): void {
    this.#deliver(frame, frame, ["client", "router"], client, { opens }, port);
  }

  /** The switch carries `sent` from the last node of `way` to whoever has its destination MAC. */
  #deliver(
    sent: Uint8Array,
    before: Uint8Array,
    way: readonly NodeId[],
    client: string,
    told: Told,
    known?: NodeId,
  ): void {
    const port = known ?? this.#switch.carry(sent, way.at(-1)!);
    const server = this.servers.find(({ address }) => address === port);
    const target = server ?? this.servers.find(({ address }) => address === told.server);
    const mine = server !== undefined && sameMac(server.mac, macAt(sent, 0));
    const fate = fateOf(server, mine, told.verdict);
    this.#show("request", [[...way, target?.address ?? "director"]], fate, before, {
      ...told,
      server: target?.address,
    });
    if (server === undefined || (fate !== "arrived" && fate !== "bypass")) return;
    const arrival = this.now + way.length * LEG + THINK;
    this.#agenda.at(arrival, () => {
      const answer = server.gone ? undefined : server.answer(sent, client);
      if (answer !== undefined) this.#fromServer(server, answer, client);
    });
  }

  #fromServer(server: RealServer, answer: Uint8Array, client: string): void {
    const port = this.#switch.carry(answer, server.address);
    const told = { server: server.address };
    if (port === "director") {
      // The switch believes that the router's MAC lives behind the director's port.
      const { verdict, explanation } = this.director.receive(answer, this.now, true);
      this.#show("answer", [[server.address, "director"]], "lost.port", answer, {
        ...told,
        verdict,
        explanation,
      });
      return;
    }
    this.#show("answer", [[server.address, "router", "client"]], "arrived", answer, told);
    this.#agenda.at(this.now + 2 * LEG, () => this.#events.onAnswer(client, answer));
  }

  /** What the director itself says to the client: ICMP. */
  #answers({ answers }: Outcome, client: string): void {
    for (const answer of answers) {
      this.#agenda.at(this.now + 2 * LEG, () => {
        this.#show("icmp", [["director", "router", "client"]], "arrived", answer, {});
        this.#agenda.at(this.now + 2 * LEG, () => this.#events.onAnswer(client, answer));
      });
    }
  }

  /** A frame that waited for ARP goes on, or is given up. */
  #late({ verdict, server, bytes }: LateFrame): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const source = view.getUint32(ETH_HEADER + 12);
    const client = [24, 16, 8, 0].map((shift) => (source >>> shift) & 255).join(".");
    const told = { server, verdict, late: true, after: verdict === "Forwarded" ? bytes : undefined };
    if (verdict === "Forwarded") this.#deliver(bytes, beforeMacs(bytes), ["director"], client, told);
    else this.#show("request", [["director"]], "refused", bytes, told);
  }

  /** "Who has …?": the director asks everybody, or a known neighbour once more. */
  #ask(target: number, to?: Mac): void {
    const frame = new Uint8Array(60);
    const view = new DataView(frame.buffer);
    if (to === undefined) writeRequest(view, 0, DIRECTOR_MAC, ip(DIP), target);
    else writeRequest(view, 0, DIRECTOR_MAC, ip(DIP), target, to);
    const asked = this.servers.find(({ address }) => ip(address) === target);
    const heard =
      to === undefined ? ["router", ...this.servers.map(({ address }) => address)] : [asked?.address ?? ""];
    const ways = heard.filter((node) => node !== "").map((node) => ["director", node]);
    this.#show("arp", ways, "arrived", frame, { server: asked?.address });
    if (asked === undefined || asked.gone) return;
    if (to !== undefined && !sameMac(to, asked.mac)) return;
    this.#agenda.at(this.now + LEG + THINK, () => this.#reply(asked));
  }

  #reply(server: RealServer): void {
    if (server.gone) return;
    const frame = new Uint8Array(60);
    const view = new DataView(frame.buffer);
    writeReply(view, 0, server.mac, ip(server.address), DIRECTOR_MAC, ip(DIP));
    this.#switch.carry(frame, server.address);
    this.#show("arp", [[server.address, "director"]], "arrived", frame, { server: server.address });
    const packet = parseArp(view, ETH_HEADER, ARP_FRAME)!;
    this.#agenda.at(this.now + LEG, () => this.director.heard(packet, true, this.now));
  }

  /** The router asks anew who has the VIP: the director answers, and so does every real server that leaks. */
  routerAsks(): void {
    const request = new Uint8Array(60);
    writeRequest(new DataView(request.buffer), 0, ROUTER_MAC, ip(ROUTER), ip(VIP));
    const everybody = ["director", ...this.servers.map(({ address }) => address)];
    this.#show(
      "arp",
      everybody.map((node) => ["router", node]),
      "arrived",
      request,
      {},
    );
    const leaking = this.servers.filter(({ faults, gone }) => faults.has("arp-leak") && !gone);
    const answering = [{ node: "director", mac: DIRECTOR_MAC }].concat(
      leaking.map(({ address, mac }) => ({ node: address, mac })),
    );
    for (const [turn, { node, mac }] of answering.entries()) {
      // The director's answer comes first, so the last one wins: what happens on a real link is chance.
      this.#agenda.at(this.now + LEG + turn * 400, () => this.#vipReply(node, mac));
    }
  }

  #vipReply(node: NodeId, mac: Mac): void {
    const frame = new Uint8Array(60);
    const operation = writeReply(new DataView(frame.buffer), 0, mac, ip(VIP), ROUTER_MAC, ip(ROUTER));
    const server = node === "director" ? undefined : node;
    this.#show("arp", [[node, "router"]], "arrived", frame.subarray(0, Math.max(operation, 60)), { server });
    this.#agenda.at(this.now + LEG, () => {
      this.#vipMac = mac;
    });
  }

  /** The real server gets another network card, and tells nobody. */
  changeMac(server: RealServer, on: boolean): void {
    const { hi, lo } = macOfAddress(server.address);
    server.mac = on ? { hi: hi | 0x0400, lo } : { hi, lo };
  }

  tend(): void {
    this.director.tend(this.now);
  }

  #show(
    kind: FrameKind,
    ways: readonly (readonly NodeId[])[],
    fate: Fate,
    before: Uint8Array,
    told: Told,
  ): void {
    this.#events.onFrame({
      id: ++this.frames,
      time: this.now,
      kind,
      ways,
      fate,
      server: told.server,
      opens: told.opens ?? false,
      before,
      length: before.length,
      after: told.after,
      verdict: told.verdict,
      explanation: told.explanation,
      late: told.late ?? false,
    });
  }
}

function fateOf(server: RealServer | undefined, mine: boolean, verdict: VerdictName | undefined): Fate {
  if (server === undefined || !mine) return "lost.mac";
  if (server.gone) return "lost.gone";
  if (!server.hasVip) return "lost.vip";
  return verdict === undefined ? "bypass" : "arrived";
}

function macAt(frame: Uint8Array, at: number): Mac {
  if (frame.length < at + 6) return NOBODY;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  return { hi: view.getUint16(at), lo: view.getUint32(at + 2) };
}

/** A frame that waited, with the MACs it came with: the waiting room keeps only the frame as it will be sent. */
function beforeMacs(sent: Uint8Array): Uint8Array {
  const frame = sent.slice();
  const view = new DataView(frame.buffer);
  view.setUint16(0, DIRECTOR_MAC.hi);
  view.setUint32(2, DIRECTOR_MAC.lo);
  view.setUint16(6, ROUTER_MAC.hi);
  view.setUint32(8, ROUTER_MAC.lo);
  return frame;
}
