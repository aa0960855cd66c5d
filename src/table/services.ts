/**
 * Virtual services, one row each. Written by the control thread alone (between generation.begin and end), except
 * `memory`, which belongs to the service's scheduler and is guarded by `lock`.
 */
import type { Columns } from "./columns.ts";

export const NONE = -1;

/** Words of shared memory a scheduler has per service: its positions. They survive a restart. */
export const SCHEDULER_WORDS = 16;
/** Longest scheduler name, IP_VS_SCHEDNAME_MAXLEN in linux/ip_vs.h. */
export const SCHEDULER_NAME = 16;

/** Service flags, numbered as in linux/ip_vs.h (IP_VS_SVC_F_*). */
export const ServiceFlag = {
  Persistent: 0x0001,
  Hashed: 0x0002,
  OnePacket: 0x0004,
  Sched1: 0x0008, // sh-fallback, mh-fallback
  Sched2: 0x0010, // sh-port, mh-port
  Sched3: 0x0020,
  /** Ours: its scheduler hung a shard again and again and is not asked any more. */
  Suspended: 0x1000_0000,
} as const;

export interface Services {
  readonly capacity: number;
  /** 0 free, 1 live. */
  readonly live: Int32Array;
  /** IP protocol number: 6 TCP, 17 UDP, 132 SCTP; 0 for a fwmark service. */
  readonly protocol: Int32Array;
  /** 4 or 6. */
  readonly family: Int32Array;
  /** Four words a row, IPv4 as 0, 0, 0xffff, address. */
  readonly address: Uint32Array;
  readonly port: Int32Array;
  /** Firewall mark, u32; 0 when the service is known by address and port. */
  readonly mark: Uint32Array;
  readonly flags: Int32Array;
  /** Persistence timeout in seconds. */
  readonly timeout: Int32Array;
  /** Persistence granularity: four words a row; IPv4 in the last one. */
  readonly netmask: Uint32Array;
  /** Scheduler's name, ASCII, NUL-padded, 16 bytes a row. */
  readonly scheduler: Uint8Array;
  /** First destination of the list (the one added last), or NONE. */
  readonly first: Int32Array;
  /** Moves with every change of the service or of its destinations. */
  readonly generation: Int32Array;
  /** The scheduler's own words, SCHEDULER_WORDS a row. */
  readonly memory: Int32Array;
  /** One lock word a row; guards `memory`. */
  readonly lock: Int32Array;
  /** What destinations that are gone for good had counted: connections, packets, bytes a row. */
  readonly departed: Float64Array;
}

export function layServices(columns: Columns, capacity: number): Services {
  return {
    capacity,
    live: columns.int32(capacity),
    protocol: columns.int32(capacity),
    family: columns.int32(capacity),
    address: columns.uint32(capacity * 4),
    port: columns.int32(capacity),
    mark: columns.uint32(capacity),
    flags: columns.int32(capacity),
    timeout: columns.int32(capacity),
    netmask: columns.uint32(capacity * 4),
    scheduler: columns.uint8(capacity * SCHEDULER_NAME),
    first: columns.int32(capacity),
    generation: columns.int32(capacity),
    memory: columns.int32(capacity * SCHEDULER_WORDS),
    lock: columns.int32(capacity),
    departed: columns.float64(capacity * 3),
  };
}

export function schedulerName(services: Services, s: number): string {
  let name = "";
  for (let at = s * SCHEDULER_NAME; at < (s + 1) * SCHEDULER_NAME; at++) {
    const code = services.scheduler[at]!;
    if (code === 0) break;
    name += String.fromCharCode(code);
  }
  return name;
}

export function setSchedulerName(services: Services, s: number, name: string): void {
  for (let i = 0; i < SCHEDULER_NAME; i++) {
    services.scheduler[s * SCHEDULER_NAME + i] = i < name.length ? name.charCodeAt(i) & 0x7f : 0;
  }
}
