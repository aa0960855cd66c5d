/**
 * Last stage: the frame goes to its real server. Direct routing changes the destination MAC, stamps our own MAC as
 * source, and with `ttl: decrement` takes one from the TTL; from byte 12 on nothing else changes.
 */
import { Life, Method } from "../table/destinations.ts";
import { Setting } from "../table/settings.ts";
import * as ethernet from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { answerTimeExceeded, answerTooBig } from "./answer.ts";
import type { Context } from "./context.ts";
import { ROUTE_MAC, ROUTE_MAC_END, ROUTE_READY, ROUTE_SHIFT } from "./directory.ts";
import { Verdict } from "./verdict.ts";
import type { WaitingRoom } from "./waiting.ts";

/** Rewrites and submits a frame whose destination is chosen; or says why not. */
export type Dispatch = (i: number) => Verdict;

export function makeDispatchOne(context: Context, waiting: WaitingRoom): Dispatch {
  const { frames, ring, directory, settings } = context;
  const { burst, destination, bytes } = frames;
  const { routes, station } = directory;
  const { view } = ring;
  const { life, method, neighbour } = context.region.destinations;

  /** The first frame since something changed. A deleted destination keeps no route: `follow` is to see that it is gone. */
  function ask(d: number, at: number, length: number): Verdict {
    const n = neighbour[d]!;
    if (directory.reachable[n] === 0) return waiting.hold(context, at, length, n);
    if (directory.stale[n] !== 0) waiting.want(context, n);
    if (life[d] === Life.Live) directory.learnRoute(d, n);
    address(context, at, n);
    ring.submit(at, length);
    return Verdict.Forwarded;
  }

  return (i) => {
    const d = destination[i]!;
    const route = d << ROUTE_SHIFT;
    const ready = routes[route + ROUTE_READY] !== 0;
    if (!ready && method[d] === Method.LocalNode) return Verdict.NotScheduled;
    const at = burst.at[i]!;
    const length = burst.length[i]!;
    if (settings[Setting.ttl] !== 0 && !spendTtl(context, i)) {
      answerTimeExceeded(context, i);
      return Verdict.TtlExceeded;
    }
    if (bytes[i]! > settings[Setting.mtu]! && !ring.isSuperFrame(at) && isWhole(context, i)) {
      answerTooBig(context, i, settings[Setting.mtu]!);
      return Verdict.TooBig;
    }
    if (!ready) return ask(d, at, length);
    // Both MACs are three words: the middle one has the end of the first and the begin of the second.
    view.setInt32(at, routes[route + ROUTE_MAC]!);
    if (settings[Setting.source_mac] === 0) {
      view.setInt32(at + 4, routes[route + ROUTE_MAC_END]! | station.macHi);
      view.setInt32(at + 8, station.macLo);
    } else {
      view.setUint16(at + 4, routes[route + ROUTE_MAC_END]! >>> 16);
    }
    ring.submit(at, length);
    return Verdict.Forwarded;
  };
}

/** Writes the MACs of a frame that goes to neighbour `n`. */
export function address(context: Context, at: number, n: number): void {
  const { view } = context.ring;
  const { directory, settings } = context;
  ethernet.writeMac(view, at, directory.macHi[n]!, directory.macLo[n]!);
  if (settings[Setting.source_mac] === 0) {
    ethernet.writeMac(view, at + ethernet.ETH_SOURCE, directory.station.macHi, directory.station.macLo);
  }
}

/** `ttl: decrement`: false when the packet has no hop left to spend. */
function spendTtl(context: Context, i: number): boolean {
  const { view } = context.ring;
  const ip = context.frames.ip[i]!;
  if (ipv4.version(view, ip) === 4) {
    if (ipv4.ttl(view, ip) <= 1) return false;
    ipv4.decrementTtl(view, ip);
    return true;
  }
  const hops = ipv6.hopLimit(view, ip);
  if (hops <= 1) return false;
  ipv6.writeHopLimit(view, ip, hops - 1);
  return true;
}

/** May routers not cut this packet: IPv6 always, IPv4 with DF. */
function isWhole(context: Context, i: number): boolean {
  const { view } = context.ring;
  const ip = context.frames.ip[i]!;
  return ipv4.version(view, ip) !== 4 || ipv4.dontFragment(view, ip);
}
