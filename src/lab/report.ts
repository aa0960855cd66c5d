/** What a run of the lab found, as `dr-director lab --json` prints it (docs/lab-json.md). */
import type { Tally } from "./traffic.ts";

/** One scheduler's round of requests. */
export interface SchedulerReport {
  scheduler: string;
  /** The service's address and port; each scheduler has a service of its own. */
  service: string;
  /** By real server. */
  weights: Record<string, number>;
  requests: number;
  failed: number;
  /** The first few errors, as the client said them. */
  errors: string[];
  /** Answers by real server, every one named, also those with 0. */
  answers: Tally;
  /** Answers by client address and real server. */
  answersByClient: Record<string, Tally>;
  /** What this scheduler is known to do, in words. */
  expected: string;
  held: boolean;
}

/** The way back, as the switch's ports and a witness on the director's port saw it. */
export interface WayBackReport {
  framesToDirector: number;
  bytesToDirector: number;
  framesFromDirector: number;
  bytesFromDirector: number;
  /** Frames with the VIP as source that the director received or sent. */
  answersAtDirector: number;
  /** What went from the switch to the router: the answers. */
  framesToRouter: number;
  bytesToRouter: number;
  held: boolean;
}

/** One frame as it came to the director and as it left it. */
export interface FrameReport {
  /** What it is, in words. */
  what: string;
  realServer: string;
  /** Hex, no blanks. */
  before: string;
  after: string;
  /** Offsets of the bytes that differ. */
  changed: number[];
  /** True when the sender had left the checksum half done and the director finished it, as AF_XDP must. */
  checksumFinished: boolean;
  /** True when nothing else from byte 12 on differs. */
  held: boolean;
}

export interface VerdictReport {
  /** Frames the director received. */
  received: number;
  /** By verdict's name, those that are not 0. */
  verdicts: Record<string, number>;
  /** Sum over all verdicts. */
  sum: number;
  held: boolean;
}

export interface LabReport {
  version: 1;
  lab: {
    vip: string;
    realServers: Record<string, string>;
    clients: string[];
    rootless: boolean;
    shards: number;
    /** Which path the frames really took: "af_packet", "af_xdp native copy". */
    ring: string;
    /** Until the first request could be sent. */
    setupMilliseconds: number;
  };
  schedulers: SchedulerReport[];
  wayBack: WayBackReport;
  frame: FrameReport | null;
  verdicts: VerdictReport;
  /** True when everything held. */
  held: boolean;
  /** What did not, one sentence each. */
  problems: string[];
}
