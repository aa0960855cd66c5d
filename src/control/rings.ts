/**
 * The sockets of every shard's ring, of the best kind that was asked for and that the machine grants. With `xdp` each
 * step down is a warning: zero copy, copied by the driver, copied by the stack (generic), AF_PACKET. `xdp!` takes no
 * frame that did not come from the driver: it refuses the last two.
 */
import { native } from "../ring/native.ts";
import {
  closePacketSockets,
  openPacketSockets,
  type PacketSockets,
  setPacketFilter,
} from "../ring/packet-sockets.ts";
import {
  inheritXdpSockets,
  openXdpSockets,
  type XdpHandles,
  type XdpInterface,
  type XdpMode,
} from "../ring/xdp-sockets.ts";
import type { Region } from "../table/region.ts";
import type { CbpfInstruction } from "../wire/cbpf.ts";
import type { Config } from "./config.ts";
import { MachineError } from "./machine.ts";
import { isXdp, type RingSockets } from "./shard-task.ts";
import { shardProgram, takenTraffic } from "./traffic.ts";

/** All shards' rings, open. */
export interface Rings {
  /** Which path they really got: "af_packet", "af_xdp native copy". */
  readonly name: string;
  /** Whether the NIC's queues decide which shard a frame comes to, not the flow's hash. */
  readonly byQueue: boolean;
  /** By shard. */
  readonly sockets: readonly RingSockets[];
  /** What AF_XDP's sockets share. */
  readonly xdp?: XdpHandles;
  /** Of rings that another process has opened: nobody else changes any more what enters them. */
  inherited?(): void;
  /** Has what enters the rings follow the services and the addresses that we answer for. Throws a NativeError. */
  follow(): void;
  close(): void;
}

export interface RingOptions {
  readonly region: Region;
  readonly config: Pick<Config, "ring" | "shards">;
  readonly interfaceName: string;
  /** The packet filter as the services are now. */
  readonly filter: () => readonly CbpfInstruction[];
  readonly warn: (message: string) => void;
}

const FROM_DRIVER: readonly XdpMode[] = ["zero-copy", "native copy"];
const ANY: readonly XdpMode[] = [...FROM_DRIVER, "generic"];

/** Opens the rings. Throws, with nothing left open, when they cannot be had as they were asked for. */
export function openRings(options: RingOptions): Rings {
  const { kind } = options.config.ring;
  return (kind === "packet" ? undefined : openXdp(options, kind === "xdp!")) ?? openPacket(options);
}

function openPacket({ region, config, interfaceName, filter }: RingOptions): Rings {
  const { bypass, frames } = config.ring;
  const sockets = openPacketSockets({
    interfaceName,
    shards: config.shards,
    filter: filter(),
    fanout: { program: shardProgram(region) },
    qdiscBypass: bypass,
    ...(frames === undefined ? {} : { slots: frames }),
  });
  return packetRings(sockets, filter);
}

/** Rings that another process has opened; what enters them stays as it is until `follow`. */
export function inheritRings(
  { region, filter }: Pick<RingOptions, "region" | "filter">,
  sockets: readonly RingSockets[],
  xdp: XdpHandles | undefined,
): Rings {
  if (xdp !== undefined) return xdpRings(region, inheritXdpSockets(sockets.filter(isXdp), xdp));
  return packetRings(
    sockets.filter((each): each is PacketSockets => !isXdp(each)),
    filter,
  );
}

function xdpRings(region: Region, opened: Omit<XdpInterface, "refusals">): Rings {
  const { sockets, handles, mode, close } = opened;
  const traffic = () => {
    const { services, networks, echo } = takenTraffic(region);
    return [services, networks, echo] as const;
  };
  return {
    name: `af_xdp ${mode}`,
    byQueue: true,
    sockets,
    xdp: handles,
    follow: () => opened.take(...traffic()),
    inherited: () => opened.taken(...traffic()),
    close,
  };
}

function packetRings(sockets: readonly PacketSockets[], filter: RingOptions["filter"]): Rings {
  return {
    name: "af_packet",
    byQueue: false,
    sockets,
    follow: () => {
      const program = filter();
      for (const each of sockets) setPacketFilter(each, program);
    },
    close: () => sockets.forEach(closePacketSockets),
  };
}

/** AF_XDP, or undefined where AF_PACKET may stand in for it. */
function openXdp(options: RingOptions, insist: boolean): Rings | undefined {
  const { region, config, interfaceName, warn } = options;
  const reasons = new Set<string>(); // often the same for every mode
  const unfit = misfit(interfaceName, config.shards);
  if (unfit !== undefined) return fallBack(options, insist, unfit);
  let opened: XdpInterface;
  try {
    const { frames } = config.ring;
    const chunks = frames === undefined ? {} : { chunks: 2 ** Math.ceil(Math.log2(frames)) };
    const refused = (_: XdpMode, { message }: Error) => void reasons.add(message);
    opened = openXdpSockets({ interfaceName, modes: insist ? FROM_DRIVER : ANY, refused, ...chunks });
  } catch {
    return fallBack(options, insist, [...reasons].join("; "));
  }
  for (const refusal of opened.refusals) warn(`AF_XDP on ${interfaceName}: no ${refusal}`);
  for (const caveat of caveats(opened.mode, options)) warn(`AF_XDP on ${interfaceName}: ${caveat}`);
  const rings = xdpRings(region, opened);
  try {
    rings.follow();
  } catch (error) {
    opened.close();
    throw error;
  }
  return rings;
}

/** A queue's frames can go to that queue's socket only, so each queue needs a shard. */
function misfit(interfaceName: string, shards: number): string | undefined {
  const { queues } = native().link(interfaceName);
  if (queues === shards) return undefined;
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  return `it has ${count(queues, "receive queue")} and the director ${count(shards, "shard")}: say shards: ${queues}, or \`ethtool -L\``;
}

function fallBack({ interfaceName, warn }: RingOptions, insist: boolean, why: string): undefined {
  if (insist) throw new MachineError(`ring xdp!: no AF_XDP on ${interfaceName}: ${why}`);
  warn(`no AF_XDP on ${interfaceName}, uses AF_PACKET: ${why}`);
}

/** What silently goes wrong, or not as with AF_PACKET. */
function* caveats(mode: XdpMode, { interfaceName, config }: RingOptions): Generator<string> {
  if (mode === "generic")
    yield "the generic mode loses super-frames, so TCP from this machine or by LRO only crawls: use `packet`";
  if (native().link(interfaceName).stripsTags)
    yield `tagged frames lose their VLAN tag: if services have any, \`ethtool -K ${interfaceName} rxvlan off\``;
  if (!config.ring.bypass)
    yield "bypass: false changes nothing, tcpdump on this host does not see the frames";
}
