/**
 * Fragments. The kernel puts a datagram together, decides once, and cuts it again: nothing leaves before its last
 * piece. We forward the pieces themselves, as they come (a documented difference), so a datagram is compared as a
 * whole: every piece went where the kernel sent its own, and a piece alone may have gone before.
 */
import { ETH_HEADER, EtherType, etherType } from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import { describe } from "./frames.ts";
import { hexBytes } from "./packets.ts";
import type { Outcome } from "./scenario.ts";

function datagramOf(frame: Uint8Array): string | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (etherType(view, 0) !== EtherType.Ipv4 || !ipv4.isFragment(view, ETH_HEADER)) return undefined;
  const at = ETH_HEADER;
  return `${ipv4.source(view, at)} ${ipv4.destination(view, at)} ${ipv4.protocol(view, at)} ${ipv4.identification(view, at)}`;
}

export class Datagrams {
  /** By datagram: how many pieces came, and where ours went. */
  readonly #ways = new Map<string, { came: number; went: string[] }>();

  /** Undefined when the frame is no fragment. */
  compare(frame: Uint8Array, sent: readonly Uint8Array[], step: Outcome): string[] | undefined {
    if (step.out === "multi" && step.out_hex !== undefined && datagramOf(frame) === undefined) {
      return this.#cut(sent, step);
    }
    const datagram = datagramOf(frame);
    if (datagram === undefined) return undefined;
    const way = this.#ways.get(datagram) ?? { came: 0, went: [] };
    this.#ways.set(datagram, way);
    way.came++;
    way.went.push(...sent.map(describe));
    if (step.out === null || step.out.startsWith("director:")) return this.#pending(way.went);
    const servers = new Set(
      step.out === "multi" ? step.out_hex!.map((hex) => describe(hexBytes(hex))) : [step.out],
    );
    const ours = new Set(way.went);
    const same = servers.size === 1 && ours.size === 1 && [...ours][0] === [...servers][0];
    if (!same)
      return [`pieces went to ${[...ours].join(", ") || "nobody"}, recorded ${[...servers].join(", ")}`];
    return way.went.length === way.came ? [] : [`${way.went.length} of ${way.came} pieces went out`];
  }

  /** Not all there yet (or never): what has gone must at least have gone to one real server. */
  #pending(went: readonly string[]): string[] {
    const ways = new Set(went);
    return ways.size <= 1 ? [] : [`pieces of one datagram went to ${[...ways].join(" and ")}`];
  }

  /** A whole packet that the kernel cut for a narrow link: we never cut, so one frame to the same real server. */
  #cut(sent: readonly Uint8Array[], step: Outcome): string[] {
    const servers = new Set(step.out_hex!.map((hex) => describe(hexBytes(hex))));
    const got = sent.map(describe).join(", ") || "nothing";
    return servers.has(got) ? [] : [`${got}, recorded ${[...servers].join(", ")}`];
  }
}
