/**
 * Asks the link, in three rounds: who is where (ARP); what each real server does with frames of the services; how large
 * a frame may be, where a large one was lost. An unanswered question is asked three times.
 */
import { native } from "../../ring/native.ts";
import { formatIpv4, formatMac, type Mac, parseMac } from "../../wire/address.ts";
import { ARP_FRAME, ArpOperation, writeRequest } from "../../wire/arp.ts";
import { ETH_HEADER, ETH_SOURCE, macHi, macLo } from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { parse } from "../../wire/value/arp.ts";
import type { Link } from "../machine.ts";
import { type Host, lookAtHost, routeTo } from "./host.ts";
import { LinkEar } from "./link-ear.ts";
import type { Observations, ServerSeen, Stray, VipAsked } from "./observations.ts";
import { number4, type Patient } from "./patient.ts";
import { FAR_CLIENT, readAnswer } from "./probes.ts";
import { ServerProbe } from "./server-probe.ts";

export interface ExamineOptions {
  /** How long an answer may take, ms; each question is asked three times, so far apart. */
  readonly patience: number;
}

const TRIES = 3;
/** Real servers asked side by side. */
const GROUP = 32;

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Sees host and link. Only the host when the capability or the link is missing. */
export async function examine(patient: Patient, options: ExamineOptions): Promise<Observations> {
  const host = lookAtHost(patient);
  if (host.link === undefined || host.seen.lacks.length > 0 || host.seen.dip === "") {
    return { host: host.seen, servers: [], vips: [], strays: [], ourMacElsewhere: [] };
  }
  const examination = new Examination(patient, host, host.link, options);
  try {
    return await examination.run();
  } finally {
    examination.close();
  }
}

class Examination {
  readonly #patient: Patient;
  readonly #host: Host;
  readonly #link: Link;
  readonly #dip: number;
  readonly #patience: number;
  readonly #ear: LinkEar;
  /** MACs by address, as ARP told them, in order. */
  readonly #told = new Map<number, string[]>();
  readonly #strays = new Map<string, number>();
  readonly #twins = new Set<string>();
  readonly #probes = new Map<string, ServerProbe>();
  readonly #through = new Map<string, string>();

  constructor(patient: Patient, host: Host, link: Link, { patience }: ExamineOptions) {
    this.#patient = patient;
    this.#host = host;
    this.#link = link;
    this.#dip = number4(host.seen.dip);
    this.#patience = patience;
    const addresses = [
      ...patient.servers.map(({ rip }) => rip),
      ...patient.vips.map(({ address }) => address),
    ];
    this.#ear = new LinkEar(link.index, addresses.map(number4), {
      arp: (frame, length) => this.#heardArp(frame, length),
      answer: (frame, length) => this.#heardAnswer(frame, length),
      stray: (frame) => this.#count(this.#strays, macText(frame, 0)),
    });
  }

  close(): void {
    this.#ear.close();
  }

  async run(): Promise<Observations> {
    const { servers, vips } = this.#patient;
    const gateway = this.#gateway();
    const others = servers.filter(({ rip }) => number4(rip) !== this.#dip);
    await this.#askWho([...others.map(({ rip }) => number4(rip)), ...(gateway === 0 ? [] : [gateway])]);
    const seen: ServerSeen[] = [];
    for (let from = 0; from < others.length; from += GROUP)
      seen.push(...(await this.#askServers(others.slice(from, from + GROUP))));
    const gatewayMac = this.#told.get(gateway)?.[0];
    return {
      host: { ...this.#host.seen, ...(gatewayMac === undefined ? {} : { gatewayMac }) },
      servers: seen,
      vips: vips.map((vip): VipAsked => {
        const macs = this.#told.get(number4(vip.address)) ?? [];
        return { vip: vip.address, active: vip.active, macs };
      }),
      strays: this.#strayed(),
      ourMacElsewhere: [...this.#twins],
    };
  }

  #gateway(): number {
    const route = routeTo(
      this.#host.routes.filter(({ device }) => device === this.#link.name),
      FAR_CLIENT,
    );
    return route?.gateway ?? 0;
  }

  /** Asks for these and for every VIP. For a VIP silence is right, so the whole time is waited through. */
  async #askWho(addresses: readonly number[]): Promise<void> {
    const vips = this.#patient.vips.map(({ address }) => number4(address));
    for (let i = 0; i < TRIES; i++) {
      for (const address of [...addresses, ...vips])
        if (!this.#told.has(address)) this.#ask(address, this.#dip);
      await wait(this.#patience);
      this.#ear.hear();
    }
  }

  #ask(target: number, sender: number, to?: Mac): void {
    const frame = new DataView(new ArrayBuffer(ARP_FRAME));
    writeRequest(frame, 0, this.#link.mac, sender, target, to);
    this.#ear.send(new Uint8Array(frame.buffer));
  }

  async #askServers(group: Patient["servers"]): Promise<ServerSeen[]> {
    const probes: ServerProbe[] = [];
    for (const server of group) {
      const mac = this.#told.get(number4(server.rip))?.[0] ?? server.fixedMac;
      if (mac === undefined) continue;
      const probe = new ServerProbe({
        server,
        mac: parseMac(mac)!,
        own: this.#link.mac,
        dip: this.#dip,
        mtu: this.#link.mtu,
        send: (frame) => this.#ear.send(frame),
        askFar: (to) => this.#ask(number4(server.rip), FAR_CLIENT, to),
      });
      probes.push(probe);
      this.#probes.set(mac, probe);
    }
    await this.#patiently(probes, (probe) => probe.ask());
    const narrow = probes.filter((probe) => probe.beginMeasuring());
    await this.#patiently(narrow, (probe) => probe.ask());
    for (const probe of narrow) probe.refineMeasuring();
    await this.#patiently(narrow, (probe) => probe.ask());
    for (const probe of probes) probe.end();
    return group.map((server) =>
      this.#seen(
        server,
        probes.find((probe) => probe.rip === server.rip),
      ),
    );
  }

  /** Asks until everything is answered, three times at the most, and then gives the last answers their time. */
  async #patiently(probes: readonly ServerProbe[], ask: (probe: ServerProbe) => void): Promise<void> {
    for (let i = 0; i < TRIES && probes.some((probe) => probe.open); i++) {
      for (const probe of probes) ask(probe);
      // The first time to the end: of some questions an answer is the exception, and nobody knows that it is missing.
      const until = native().monotonic() + this.#patience;
      while (native().monotonic() < until && (i === 0 || probes.some((probe) => probe.open))) await wait(5);
      this.#ear.hear();
    }
  }

  #seen(server: Patient["servers"][number], probe: ServerProbe | undefined): ServerSeen {
    const { rip, vips, fixedMac, heldMac } = server;
    const address = number4(rip);
    const through = this.#through.get(probe?.macText ?? "");
    const nothing = {
      echo: false,
      vips: [...vips.keys()].map((vip) => ({ vip, echo: false, ports: [] })),
      mss: 0,
    };
    return {
      rip,
      macs: this.#told.get(address) ?? [],
      onLink: this.#isOnLink(address),
      ...(fixedMac === undefined ? {} : { fixedMac }),
      ...(heldMac === undefined ? {} : { heldMac }),
      ...(probe === undefined ? { ...nothing, largest: 0, lost: 0 } : probe.seen()),
      ...(through === undefined ? {} : { answersThroughUs: through }),
    };
  }

  #isOnLink(address: number): boolean {
    const route = routeTo(this.#host.routes, address);
    return route !== undefined && route.device === this.#link.name && route.gateway === 0;
  }

  #heardArp(frame: DataView, length: number): void {
    const packet = parse(frame, ETH_HEADER, length);
    if (packet === undefined) return;
    const mac = formatMac(packet.senderMac);
    if (mac === this.#host.seen.mac) {
      this.#twins.add(formatIpv4(packet.senderIp));
      return;
    }
    if (packet.operation !== ArpOperation.Reply) return;
    if (packet.targetIp === FAR_CLIENT) {
      this.#probes.get(mac)?.answeredFar();
      return;
    }
    const macs = this.#told.get(packet.senderIp) ?? [];
    this.#told.set(packet.senderIp, macs);
    if (!macs.includes(mac)) macs.push(mac);
  }

  #heardAnswer(frame: DataView, length: number): void {
    if (macText(frame, 0) !== this.#host.seen.mac) return; // a stray, counted as such
    const from = macText(frame, ETH_SOURCE);
    const to = ipv4.destination(frame, ETH_HEADER);
    if (to !== this.#dip) {
      this.#through.set(from, formatIpv4(to));
      return;
    }
    const answer = readAnswer(frame, length);
    if (answer !== undefined) this.#probes.get(from)?.answered(ipv4.source(frame, ETH_HEADER), answer);
  }

  #count(counts: Map<string, number>, key: string): void {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }

  /** Only of stations that spoke during the examination: the switch has just learned where they are. */
  #strayed(): Stray[] {
    const known = new Set([...this.#told.values()].flat());
    return [...this.#strays].filter(([mac]) => known.has(mac)).map(([mac, frames]) => ({ mac, frames }));
  }
}

function macText(frame: DataView, at: number): string {
  return formatMac({ hi: macHi(frame, at), lo: macLo(frame, at) });
}
