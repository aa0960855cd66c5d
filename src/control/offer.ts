/**
 * What a director hands to the one that takes over: all that its frames go through, as descriptors, and how it is cut.
 * Descriptors travel beside the message; in the message stand their places in that row.
 */
import type { XdpHandles } from "../ring/xdp-sockets.ts";
import { REGION_VERSION, type Sizes } from "../table/region.ts";
import { formatAddress, parseAddress } from "../wire/address.ts";
import type { Config } from "./config.ts";
import type { Link } from "./machine.ts";
import { isXdp, type RingSockets } from "./shard-task.ts";
import type { InheritedSilence } from "./silence.ts";

export interface Offer {
  readonly pid: number;
  readonly interface: string;
  readonly interfaceIndex: number;
  readonly sizes: Sizes;
  /** The region's file or memory; it carries the lock. */
  readonly state: number;
  readonly stateBytes: number;
  readonly arp: number;
  readonly sockets: readonly RingSockets[];
  /** What AF_XDP's sockets share. */
  readonly xdp?: XdpHandles;
  readonly silence?: InheritedSilence;
  /** Which virtual addresses it answers for at the moment. */
  readonly vips: readonly { readonly address: string; readonly active: boolean }[];
}

/** Moves whenever an offer or the steps after it change. */
const PROTOCOL = 1;

function translatedSockets(sockets: RingSockets, translate: (fd: number) => number): RingSockets {
  const wake = translate(sockets.wake);
  return isXdp(sockets)
    ? { ...sockets, wake, fd: translate(sockets.fd), memory: translate(sockets.memory) }
    : { ...sockets, wake, rx: translate(sockets.rx), tx: translate(sockets.tx) };
}

function allTranslated(
  { link, program, ...maps }: XdpHandles,
  translate: (fd: number) => number,
): XdpHandles {
  return {
    link: translate(link),
    program: translate(program),
    services: translate(maps.services),
    networks: translate(maps.networks),
    sockets: translate(maps.sockets),
  };
}

/** Replaces each descriptor in an offer by what `translate` makes of it. */
function translated(offer: Offer, translate: (fd: number) => number): Offer {
  const { silence, xdp } = offer;
  return {
    ...offer,
    state: translate(offer.state),
    arp: translate(offer.arp),
    sockets: offer.sockets.map((sockets) => translatedSockets(sockets, translate)),
    ...(xdp === undefined ? {} : { xdp: allTranslated(xdp, translate) }),
    ...(silence === undefined ? {} : { silence: { ...silence, fd: translate(silence.fd) } }),
  };
}

/** The offer as a message, and the descriptors that go beside it. */
export function packOffer(offer: Offer): { message: { step: "offer" }; fds: number[] } {
  const fds: number[] = [];
  const placed = translated(offer, (fd) => fds.push(fd) - 1);
  return {
    message: { step: "offer", ...{ protocol: PROTOCOL, layout: REGION_VERSION, offer: placed } },
    fds,
  };
}

/** The offer with descriptors of this process, or why it cannot be understood. */
export function unpackOffer(
  message: Readonly<Record<string, unknown>>,
  fds: readonly number[],
): Offer | string {
  const { protocol, layout, offer } = message;
  if (protocol !== PROTOCOL) return `it speaks takeover ${protocol}, this program ${PROTOCOL}`;
  if (layout !== REGION_VERSION)
    return `its tables have layout ${layout}, this program knows ${REGION_VERSION}`;
  try {
    return translated(offer as Offer, (place) => {
      const fd = fds[place];
      if (fd === undefined) throw new RangeError("a descriptor is missing");
      return fd;
    });
  } catch (error) {
    return `its offer cannot be read (${(error as Error).message})`;
  }
}

const SIZE_NAMES = ["shards", "services", "destinations", "connections", "templates", "neighbours"] as const;

/** Why a director with this config cannot go on with the offer; undefined when it can. */
export function offerMisfit(offer: Offer, config: Config, link: Link): string | undefined {
  const cure = "stop it and start this one without --takeover, its connections go on";
  if (offer.interfaceIndex !== link.index)
    return `the running director works on ${offer.interface}, this one is to work on ${link.name}: ${cure}`;
  const wanted: Sizes = { shards: config.shards, ...config.sizes };
  const differs = SIZE_NAMES.find((name) => offer.sizes[name] !== wanted[name]);
  if (differs === undefined) return undefined;
  const has = `the running director has ${offer.sizes[differs]} ${differs}, this one is to have ${wanted[differs]}`;
  return `${has}, and a takeover keeps its tables: ${cure}`;
}

/** Which addresses are answered for may have changed since the config was read; that outlives a takeover. */
export function vipsAsTheyAre(vips: Config["vips"], offer: Offer): Config["vips"] {
  const active = new Map(offer.vips.map((vip) => [vip.address, vip.active]));
  return vips.map((vip) => {
    const words = parseAddress(vip.address);
    const now = words === undefined ? undefined : active.get(formatAddress(words));
    return now === undefined || !vip.own ? vip : { ...vip, active: now };
  });
}
