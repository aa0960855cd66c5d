/** A forwarder under test: who forwards, behind which cable, and how much CPU it has used. */
import { readdirSync, readFileSync } from "node:fs";
import type { Arm } from "./stage.ts";

export interface Site {
  readonly name: string;
  readonly arm: Arm;
  /** What its ring or hook really is, as it says itself. */
  readonly how: string;
  /** Whether it has connections, which a SYN and an ACK must open before data counts. */
  readonly stateful: boolean;
  /** Nothing is to come back from it. */
  readonly silent?: boolean;
  /** Its end of the cable has an XDP program of its own. */
  readonly ownXdp?: boolean;
  /** CPU nanoseconds of its forwarding thread so far; undefined when the kernel forwards in the sender's own time. */
  cpu(): number | undefined;
  close(): Promise<void>;
}

/** CPU nanoseconds of a thread: the scheduler's own count, the same as CLOCK_THREAD_CPUTIME_ID's. */
export function threadCpu(pid: number, thread = pid): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
}

/** The one thread of a process that is bound to this CPU. */
export function threadOn(pid: number, cpu: number): number {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    if (new RegExp(`^Cpus_allowed_list:\\s+${cpu}$`, "m").test(status)) return Number(thread);
  }
  throw new Error(`process ${pid} has no thread that is bound to CPU ${cpu}`);
}
