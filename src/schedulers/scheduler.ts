/**
 * The contract of a scheduler. Only `name` and `schedule` are compulsory; ten lines make one (examples/).
 *
 * A scheduler is pure: it knows no clock but `flow.now`, draws no randomness of its own, and allocates nothing while
 * choosing. What it wants to remember between two connections it keeps in `service.memory`, 16 words that all shards
 * share and that outlive the process; `schedule`, `start` and `changed` run under the service's lock, so no two
 * threads are in them at once for one service. What can be computed beforehand is computed in `prepare`, in each
 * thread on its own.
 */
import type { ServiceView } from "./service-view.ts";

/** Returned by `schedule` when nobody can take the connection: the client gets ICMP port unreachable. */
export const NO_DESTINATION = -1;

/** The flow that wants a destination. One mutable object a thread: read it, do not keep it. */
export interface Flow {
  /** 4 or 6. */
  family: number;
  /** Eight words in host order: client address, virtual address; IPv4 as 0, 0, 0xffff, address (int32). */
  readonly words: Int32Array;
  clientPort: number;
  virtualPort: number;
  /** When its first frame came, in milliseconds of a clock that only goes forward: the one clock a scheduler has. */
  now: number;
}
export const FLOW_CLIENT = 0;
export const FLOW_VIRTUAL = 4;

/** What happened to the service's list of destinations. */
export interface Change {
  readonly kind: "added" | "edited" | "removed";
  /** The destination's row. */
  readonly destination: number;
  /** Of a removed one: the destination that stood before it in the list, NONE (-1) when it was the first. */
  readonly before: number;
}

export interface Scheduler {
  /** As after `ipvsadm -s`, up to 15 characters. */
  readonly name: string;

  /**
   * Words of `service.memory` that hold a destination's row + 1, 0 for none: they are translated when destinations get
   * other rows, in tables of another size or out of a dump.
   */
  readonly destinationWords?: readonly number[];

  /** Chooses a row out of `service.members`, or NO_DESTINATION. */
  schedule(service: ServiceView, flow: Flow): number;

  /** Once, in the control thread, when the service gets this scheduler: `service.memory` is zeroed before. */
  start?(service: ServiceView): void;

  /** Once, in the control thread, after each change of the destinations: brings `service.memory` up to date. */
  changed?(service: ServiceView, change: Change): void;

  /**
   * In the control thread, when a director goes on with what another one left: could it have left these words? When
   * it says no they are zeroed and `start` is called.
   */
  isSound?(service: ServiceView): boolean;

  /**
   * In every thread, after each change: what it returns is found in `service.plan` when scheduling. It finds there
   * what it returned the time before, or what another scheduler left; what it keeps of it is its own thread's.
   */
  prepare?(service: ServiceView): unknown;
}
