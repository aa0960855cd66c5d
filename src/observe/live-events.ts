/** What the live events hold (live.ts): plain data, for the page and for whoever reads the stream. */
import type { ConnectionListing, ServiceListing } from "../control/model.ts";
import type { NeighbourListing } from "../control/neighbours.ts";
import type { MemberTold, NeighbourTold } from "../dataplane/explanation.ts";
import type { Verdict } from "../dataplane/verdict.ts";

/** Event `hello`. */
export interface LiveHello {
  readonly version: 1;
  /** The interface's name. */
  readonly label: string;
}

/** Event `picture`. */
export interface LivePicture {
  readonly time: number;
  readonly services: readonly ServiceListing[];
  readonly neighbours: readonly NeighbourListing[];
  readonly connections: readonly ConnectionListing[];
  readonly connectionCount: number;
  readonly received: number;
  readonly verdicts: Readonly<Record<string, number>>;
  /** Frames forwarded, and told of as events, since the first reader came. */
  readonly frames: number;
  readonly told: number;
}

/** Event `frames`: `{ frames: LiveFrame[] }`. */
export interface LiveFrame {
  readonly id: number;
  /** ms of the shards' clock. */
  readonly time: number;
  readonly shard: number;
  /** A client's frame, or the director's own answer to one. */
  readonly kind: "request" | "icmp";
  /** It had waited for its neighbour and goes on now. */
  readonly late: boolean;
  readonly verdict: keyof typeof Verdict;
  /** Bytes on the wire; before and after hold the first of them, in base64. */
  readonly length: number;
  readonly before: string;
  /** As it went, null when it did not. */
  readonly after: string | null;
  /** "tcp 10.0.0.100:80" */
  readonly service: string | null;
  /** The real server's address. */
  readonly server: string | null;
  readonly connection: LiveConnection | null;
  /** Of a new connection: who was there to be chosen, counted a moment after the choice. */
  readonly scheduling: { readonly scheduler: string; readonly members: readonly MemberTold[] } | null;
  readonly neighbour: NeighbourTold | null;
}

export interface LiveConnection {
  readonly what: "found" | "made";
  readonly state: string;
  readonly active: boolean;
}
