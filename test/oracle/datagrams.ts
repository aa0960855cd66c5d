/**
 * Fragments. The kernel puts a datagram together, decides once, and cuts it again: nothing leaves before its last
 * piece. We forward the pieces themselves, as they come (a documented difference), so a datagram is compared as a
 * whole: every piece went where the kernel sent its own, and a piece alone may have gone before.
 */
import { formatAddress, formatIpv4, type Words } from "../../src/wire/address.ts";
import { ETH_HEADER, EtherType, etherType } from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import { flowOf } from "./compare.ts";
import { describe } from "./frames.ts";
import { hexBytes } from "./packets.ts";
import type { Outcome } from "./scenario.ts";
import type { Unsaid } from "./unsaid.ts";

interface Fragment {
  readonly datagram: string;
  readonly offset: number;
  /** The flow, which only the first piece tells. */
  readonly flow: string | undefined;
}

/** Undefined for what is whole, and for a runt that does not even hold the headers it should. */
function readFragment(frame: Uint8Array): Fragment | undefined {
  try {
    return readPiece(frame);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readPiece(frame: Uint8Array): Fragment | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const at = ETH_HEADER;
  if (etherType(view, 0) === EtherType.Ipv6) return readFragment6(view, at);
  if (etherType(view, 0) !== EtherType.Ipv4 || !ipv4.isFragment(view, at)) return undefined;
  const client = formatIpv4(ipv4.source(view, at));
  const vip = formatIpv4(ipv4.destination(view, at));
  const offset = ipv4.fragmentOffset(view, at);
  const ports = at + ipv4.headerLength(view, at);
  const flow =
    offset === 0
      ? flowOf({ client, vip, cport: view.getUint16(ports), vport: view.getUint16(ports + 2) })
      : undefined;
  return {
    datagram: `${client} ${vip} ${ipv4.protocol(view, at)} ${ipv4.identification(view, at)}`,
    offset,
    flow,
  };
}

function readFragment6(view: DataView, at: number): Fragment | undefined {
  const walk = ipv6.createWalk();
  const end = at + ipv6.IPV6_HEADER + ipv6.payloadLength(view, at);
  if (!ipv6.walkExtensions(view, at, end, walk)) return undefined;
  if (!walk.moreFragments && walk.fragmentOffset === 0) return undefined;
  const client = formatAddress(wordsOf((word) => ipv6.source(view, at, word)));
  const vip = formatAddress(wordsOf((word) => ipv6.destination(view, at, word)));
  const flow =
    walk.fragmentOffset === 0
      ? flowOf({ client, vip, cport: view.getUint16(walk.at), vport: view.getUint16(walk.at + 2) })
      : undefined;
  const datagram = `${client} ${vip} ${walk.identification}`;
  return { datagram, offset: walk.fragmentOffset, flow };
}

function wordsOf(word: (w: number) => number): Words {
  return [word(0), word(1), word(2), word(3)];
}

interface Way {
  came: number;
  readonly offsets: Set<number>;
  readonly went: string[];
  flow: string | undefined;
}

/** "rs3" has the addresses 10.0.0.13 and 2001:db8::13. */
function addressOf(server: string, flow: string): string {
  const last = 10 + Number(server.slice(2));
  return flow.includes(".") ? `10.0.0.${last}` : `2001:db8::${last}`;
}

export class Datagrams {
  /** Pieces that came twice: we count each of them, the kernel none. */
  doubled = 0;
  readonly #ways = new Map<string, Way>();
  readonly #unsaid: Unsaid;

  constructor(unsaid: Unsaid) {
    this.#unsaid = unsaid;
  }

  /** Undefined when the frame is no fragment. */
  compare(frame: Uint8Array, sent: readonly Uint8Array[], step: Outcome): string[] | undefined {
    const fragment = readFragment(frame);
    const multi = step.out === "multi" && step.out_hex !== undefined;
    if (fragment === undefined) return multi && isCut(step) ? compareCut(sent, step) : undefined;
    const way = this.#take(fragment, sent.map(describe));
    const whole = step.out === "multi" || step.out?.startsWith("rs");
    if (way.flow !== undefined && way.went[0]?.startsWith("rs")) {
      if (whole || step.out !== null) this.#unsaid.delete(way.flow);
      else this.#unsaid.add(way.flow, addressOf(way.went[0], way.flow));
    }
    return whole ? compareWhole(way, step) : comparePending(way.went);
  }

  #take(fragment: Fragment, went: readonly string[]): Way {
    const way = this.#ways.get(fragment.datagram) ?? {
      came: 0,
      offsets: new Set(),
      went: [],
      flow: undefined,
    };
    this.#ways.set(fragment.datagram, way);
    if (way.offsets.has(fragment.offset)) this.doubled++;
    way.offsets.add(fragment.offset);
    way.came++;
    way.went.push(...went);
    way.flow ??= fragment.flow;
    return way;
  }
}

function serversOf(step: Outcome): Set<string> {
  return new Set(step.out === "multi" ? step.out_hex!.map((hex) => describe(hexBytes(hex))) : [step.out!]);
}

/** Is it a whole packet that the kernel cut for a narrow link? */
function isCut(step: Outcome): boolean {
  return step.out_hex!.every((hex) => readFragment(hexBytes(hex)) !== undefined);
}

/** We never cut: one frame to the same real server. */
function compareCut(sent: readonly Uint8Array[], step: Outcome): string[] {
  const servers = serversOf(step);
  const got = sent.map(describe).join(", ") || "nothing";
  return servers.has(got) ? [] : [`${got}, recorded ${[...servers].join(", ")}`];
}

function compareWhole(way: Way, step: Outcome): string[] {
  const servers = serversOf(step);
  const ours = new Set(way.went);
  const same = servers.size === 1 && ours.size === 1 && [...ours][0] === [...servers][0];
  if (!same) {
    return [`pieces went to ${[...ours].join(", ") || "nobody"}, recorded ${[...servers].join(", ")}`];
  }
  return way.went.length === way.came ? [] : [`${way.went.length} of ${way.came} pieces went out`];
}

/** Not all there yet (or never): what has gone must at least have gone to one real server. */
function comparePending(went: readonly string[]): string[] {
  const ways = new Set(went);
  return ways.size <= 1 ? [] : [`pieces of one datagram went to ${[...ways].join(" and ")}`];
}
