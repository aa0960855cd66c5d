/** What an interface has carried, read from the kernel: the independent witness of which way frames went. */

export interface InterfaceCounters {
  rxBytes: number;
  rxPackets: number;
  rxDropped: number;
  txBytes: number;
  txPackets: number;
  txDropped: number;
}

/** Reads /proc/net/dev: one line an interface, received fields first (proc(5)). */
export function parseNetDev(text: string): Map<string, InterfaceCounters> {
  const all = new Map<string, InterfaceCounters>();
  for (const line of text.split("\n")) {
    const match = /^\s*([^:\s]+):(.*)$/.exec(line);
    if (match === null) continue;
    const n = match[2]!.trim().split(/\s+/).map(Number);
    all.set(match[1]!, {
      rxBytes: n[0] ?? 0,
      rxPackets: n[1] ?? 0,
      rxDropped: n[3] ?? 0,
      txBytes: n[8] ?? 0,
      txPackets: n[9] ?? 0,
      txDropped: n[11] ?? 0,
    });
  }
  return all;
}

/** later − earlier, field by field. */
export function difference(later: InterfaceCounters, earlier: InterfaceCounters): InterfaceCounters {
  return {
    rxBytes: later.rxBytes - earlier.rxBytes,
    rxPackets: later.rxPackets - earlier.rxPackets,
    rxDropped: later.rxDropped - earlier.rxDropped,
    txBytes: later.txBytes - earlier.txBytes,
    txPackets: later.txPackets - earlier.txPackets,
    txDropped: later.txDropped - earlier.txDropped,
  };
}
