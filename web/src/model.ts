/** What the page shows, whoever tells it: the core running in this browser, or a director by server-sent events. */
import type { ConnectionListing } from "../../src/control/model.ts";
import type { NeighbourListing } from "../../src/control/neighbours.ts";
import type { Explanation } from "../../src/dataplane/explanation.ts";
import type { Verdict } from "../../src/dataplane/verdict.ts";

export type VerdictName = keyof typeof Verdict;

/** Nodes of the topology that are always there; real servers are known by their address. */
export type NodeId = "client" | "router" | "director" | (string & {});

/** The parts of an explanation that the page tells. */
export type Told = Pick<
  Explanation,
  "flow" | "service" | "connection" | "template" | "scheduling" | "neighbour" | "verdict"
>;

export type FrameKind = "request" | "answer" | "arp" | "icmp";

/** Why a frame's journey ended elsewhere than it should; keys of the dictionaries. */
export type Fate =
  | "arrived"
  | "waits"
  | "refused"
  | "lost.gone"
  | "lost.vip"
  | "lost.mac"
  | "lost.port"
  | "bypass";

/** One frame's journey. */
export interface Frame {
  readonly id: number;
  /** Milliseconds of the source's clock. */
  readonly time: number;
  readonly kind: FrameKind;
  /** The nodes it passes, in order; several ways for a broadcast. */
  readonly ways: readonly (readonly NodeId[])[];
  readonly fate: Fate;
  /** Address of the real server that it is for or from. */
  readonly server: string | undefined;
  /** It asks for a new connection. */
  readonly opens: boolean;
  readonly before: Uint8Array;
  /** As the director sent it on; undefined when it did not. */
  readonly after: Uint8Array | undefined;
  /** Undefined when it did not pass the director. */
  readonly verdict: VerdictName | undefined;
  readonly explanation: Told | undefined;
  /** Bytes on the wire, where `before` holds fewer. */
  readonly length: number;
  /** It was said earlier to wait, and goes on now. */
  readonly late: boolean;
  /** The real server whose answer it was when it was recorded, where the director chose another one now. */
  readonly recordedFrom?: string | undefined;
}

export interface ServerRow {
  readonly name: string;
  readonly address: string;
  /** What tells people which host it is: its address, or its MAC where a capture tells no address. */
  readonly shown: string;
  readonly port: number;
  readonly weight: number;
  readonly active: number;
  readonly inactive: number;
  /** Since the counters began. */
  readonly connections: number;
  readonly packets: number;
  readonly bytes: number;
  /** Faults that lie on it, by name. */
  readonly faults: readonly string[];
}

export interface ServiceRow {
  /** "tcp 10.0.0.100:80" */
  readonly name: string;
  readonly scheduler: string;
  /** In the order in which they were added. */
  readonly servers: readonly ServerRow[];
}

/** Everything that is shown beside the frames, at one moment. */
export interface Picture {
  /** Milliseconds of the source's clock. */
  readonly time: number;
  readonly services: readonly ServiceRow[];
  readonly vip: string;
  /** The latest few, and how many there are in all. */
  readonly connections: readonly ConnectionListing[];
  readonly connectionCount: number;
  readonly neighbours: readonly NeighbourListing[];
  readonly received: number;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Faults of the whole link, by name. */
  readonly faults: readonly string[];
  /** Frames there were, and how many of them were told. */
  readonly frames: number;
  readonly told: number;
}

export interface FaultOffer {
  readonly name: string;
  /** It is one real server's. */
  readonly ofServer: boolean;
  /** What is broken, in a sentence; the dictionaries know it where this does not say. */
  readonly sentence?: string;
}

/** What may be done with a source from this page. */
export interface Powers {
  readonly pause: boolean;
  readonly step: boolean;
  readonly speed: boolean;
  readonly schedulers: readonly string[];
  readonly weights: boolean;
  readonly faults: readonly FaultOffer[];
}

export type Speed = "slow" | "normal" | "fast" | "flood";

export interface Source {
  readonly kind: "generator" | "recording" | "live" | "lab";
  readonly powers: Powers;
  /** Where it comes from: a file's name, an interface. */
  readonly label: string;
  /** Hears of every frame that is told. */
  onFrame: (frame: Frame) => void;
  /** Something but frames happened that the page must tell: a refused command, a lost connection. */
  /** What may be done has changed. */
  onPowers?: () => void;
  onNotice: (key: string, values?: Readonly<Record<string, string | number>>) => void;
  picture(): Picture | undefined;
  /** Lets so many milliseconds of the onlooker's time pass. */
  advance(milliseconds: number): void;
  /** One frame's journey, then rest. Returns false when there is none any more. */
  step(): boolean;
  setSpeed(speed: Speed): void;
  setPaused(paused: boolean): void;
  setScheduler(service: string, scheduler: string): void;
  setWeight(service: string, address: string, weight: number): void;
  setFault(name: string, address: string | undefined, on: boolean): void;
  /** A recording begins anew; the generator starts with empty tables. */
  restart(): void;
  close(): void;
}
