/**
 * What `explain` says about one frame, as data: the JSON of `dr-director explain --json` and of POST /v1/explain
 * (docs/explain-json.md). Fields are added, never renamed, while `version` stands.
 */
import type { HeaderDescription } from "../wire/value/field.ts";
import type { ServerName, ServiceName } from "./naming.ts";
import type { Verdict } from "./verdict.ts";

export interface Explanation {
  readonly version: 1;
  /** Milliseconds of the director's clock. */
  readonly time: number;
  readonly frame: FrameTold;
  /** How the data path sorts it; "other" has its verdict from its headers alone. */
  readonly kind: "flow" | "fragment" | "icmp" | "other";
  /** What the data path read as the flow's key; of an ICMP error the flow it is about. Null when it read none. */
  readonly flow: FlowTold | null;
  /** Shards it went through, its home last. */
  readonly shards: { readonly of: number; readonly way: readonly number[] };
  readonly service: ServiceSearch;
  readonly connection: ConnectionTold;
  readonly template: TemplateTold | null;
  /** Null when no scheduler was asked. */
  readonly scheduling: SchedulingTold | null;
  readonly destination: DestinationTold | null;
  readonly neighbour: NeighbourTold | null;
  readonly verdict: {
    readonly name: keyof typeof Verdict;
    readonly number: Verdict;
    readonly sentence: string;
  };
  /** Frames that leave the director because of it: itself as rewritten, or what the director answers. */
  readonly sent: readonly SentTold[];
  /** What cannot be seen from here, or was assumed. */
  readonly notes: readonly string[];
  /** All of it in words, a line each. */
  readonly words: readonly string[];
}

export interface FrameTold {
  /** Hex, no blanks. */
  readonly bytes: string;
  readonly length: number;
  readonly summary: string;
  /** Outermost first. */
  readonly headers: readonly HeaderDescription[];
}

export interface FlowTold {
  readonly protocol: string;
  readonly family: 4 | 6;
  readonly client: string;
  readonly clientPort: number;
  readonly virtual: string;
  readonly virtualPort: number;
  /** The firewall mark that the mark rules give it, 0 for none. */
  readonly mark: number;
  /** The flow hash, u32: its bucket in the connection table and its shard. */
  readonly hash: number;
}

export interface ServiceSearch {
  /** Whom the data path's own look-up finds, or null. */
  readonly found: ServiceName | null;
  /** How: by the frame's firewall mark, its exact address and port, FTP's rule, or a service on port 0. */
  readonly by: "mark" | "exact" | "ftp" | "port-zero" | null;
  /** False when a connection was found first, so that no service was looked for. */
  readonly decides: boolean;
  /** The services there are, the closest first, at most CANDIDATES of them. */
  readonly candidates: readonly CandidateTold[];
  /** How many more there are. */
  readonly omitted: number;
}

export interface CandidateTold {
  readonly service: ServiceName;
  readonly found: boolean;
  /** What of the key is equal and what is not: "family", "protocol", "address", "port", "mark". */
  readonly equal: readonly string[];
  readonly differs: readonly string[];
  readonly words: string;
}

export interface ConnectionPicture {
  readonly protocol: string;
  readonly client: string;
  readonly clientPort: number;
  readonly virtual: string;
  readonly virtualPort: number;
  readonly server: ServerName;
  readonly state: string;
  /** Counted among its real server's active connections, else among the inactive ones. */
  readonly active: boolean;
  /** Milliseconds until its timer ends it. */
  readonly expiresIn: number;
}

export interface ConnectionTold {
  /** "found", "made", "replaced" (an ended one made room for a new one), or "none". */
  readonly what: "found" | "made" | "replaced" | "none";
  readonly before: ConnectionPicture | null;
  readonly after: ConnectionPicture | null;
}

export interface TemplateTold {
  readonly what: "found" | "made";
  /** The client, or the network of clients, that keeps its real server. */
  readonly client: string;
  readonly virtual: string;
  readonly virtualPort: number;
  readonly server: ServerName;
  readonly state: string;
  /** Connections that hang on it. */
  readonly connections: number;
  readonly expiresIn: number;
}

export interface MemberTold {
  readonly server: ServerName;
  readonly weight: number;
  readonly active: number;
  readonly inactive: number;
  readonly overloaded: boolean;
  /** Neither quiesced nor overloaded. */
  readonly available: boolean;
  readonly chosen: boolean;
}

/** One thing the scheduler asked about a real server. */
export interface LookTold {
  readonly server: string;
  readonly asked: string;
  readonly answer: number | boolean;
}

export interface SchedulingTold {
  readonly service: ServiceName;
  readonly scheduler: string;
  readonly flags: readonly string[];
  /** In the scheduler's order: the one added last comes first. At most MEMBERS of them. */
  readonly members: readonly MemberTold[];
  readonly omitted: number;
  /** The scheduler's words of shared memory. */
  readonly memory: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** What it read of its prepared table (sh, dh, mh): place, size, whose the place is. */
  readonly buckets: readonly {
    readonly place: number;
    readonly of: number;
    readonly server: string | null;
  }[];
  /** What it asked, in order. */
  readonly looks: readonly LookTold[];
  readonly chose: ServerName | null;
  /** Its exception, if it threw one. */
  readonly fault: string | null;
  readonly words: string;
}

export interface DestinationTold {
  readonly server: ServerName;
  readonly service: ServiceName | null;
  readonly weight: number;
  /** Deleted, and kept only for the connections it still has. */
  readonly deleted: boolean;
  readonly method: "route" | "local" | "tunnel" | "masquerade";
}

export interface NeighbourTold {
  readonly address: string;
  /** Null while it is not known. */
  readonly mac: string | null;
  readonly state: string;
  /** Frames may be sent there now. */
  readonly usable: boolean;
  /** Milliseconds in this state. */
  readonly since: number;
}

export interface SentTold {
  readonly what: "forwarded" | "answer";
  readonly bytes: string;
  readonly length: number;
  readonly summary: string;
  readonly headers: readonly HeaderDescription[];
  /** Offsets of the bytes that differ from the frame's; empty for an answer. */
  readonly changed: readonly number[];
}

/** Services told of, and members of one, at the most. */
export const CANDIDATES = 16;
export const MEMBERS = 256;
