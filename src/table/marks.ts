/**
 * Rules that give a frame its firewall mark. In the kernel iptables' MARK target does it; no netfilter mark reaches
 * a tap, so the director classifies by rules of its own: protocol, destination network, port range → mark. As with
 * the MARK target, the last rule that matches sets the mark. Written by the control thread.
 */
import type { Columns } from "./columns.ts";

export const MAX_MARK_RULES = 1024;

export interface Marks {
  /** [0] how many rules there are. */
  readonly count: Int32Array;
  /** IP protocol number, 0 for any. */
  readonly protocol: Int32Array;
  /** 4 or 6. */
  readonly family: Int32Array;
  /** Destination network and its mask, four words a row; IPv4 as 0, 0, 0xffff, address, with mask ~0, ~0, ~0, m. */
  readonly network: Uint32Array;
  readonly mask: Uint32Array;
  /** First and last destination port; 0 and 65535 for every port. */
  readonly firstPort: Int32Array;
  readonly lastPort: Int32Array;
  readonly mark: Uint32Array;
}

export function layMarks(columns: Columns): Marks {
  return {
    count: columns.int32(16),
    protocol: columns.int32(MAX_MARK_RULES),
    family: columns.int32(MAX_MARK_RULES),
    network: columns.uint32(MAX_MARK_RULES * 4),
    mask: columns.uint32(MAX_MARK_RULES * 4),
    firstPort: columns.int32(MAX_MARK_RULES),
    lastPort: columns.int32(MAX_MARK_RULES),
    mark: columns.uint32(MAX_MARK_RULES),
  };
}
