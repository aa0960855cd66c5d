/** What an examination finds, as `dr-director doctor --json` prints it. */

/** What can be wrong; the names of `dr-director lab --fault`, so that each can be seen on purpose. */
export const DISEASES = [
  "no-capability",
  "no-link",
  "no-director",
  "host-answers",
  "neighbour-unresolved",
  "off-link",
  "mac-change",
  "rip-twice",
  "vip-missing",
  "dead-server",
  "arp-leak",
  "vip-twice",
  "mac-moves",
  "rp-filter",
  "wrong-gateway",
  "narrow-mtu",
  "mtu-mismatch",
  "offload",
] as const;
export type Disease = (typeof DISEASES)[number];

export interface Cure {
  /** Where to type it: "the director", "10.0.0.11" … */
  readonly on: string;
  readonly commands: readonly string[];
}

export interface Finding {
  readonly fault: Disease;
  /** Whom it is about: an address, or "the director". */
  readonly subject: string;
  /** What is wrong, a sentence. */
  readonly says: string;
  /** What was seen that shows it. */
  readonly seen: string;
  readonly cure: readonly Cure[];
}

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** How many subjects it was looked at for. */
  readonly subjects: number;
}

export interface DoctorReport {
  readonly version: 1;
  /** True when nothing is wrong with what could be looked at. */
  readonly sound: boolean;
  readonly interface: string;
  /** The address the link was asked from; empty when the interface has none. */
  readonly dip: string;
  readonly findings: readonly Finding[];
  /** What was looked at and found right or wrong. */
  readonly looked: readonly Check[];
  /** What could not be looked at, and why, a sentence each. */
  readonly notLooked: readonly string[];
}
