/** What a command must say to be possible at all, whatever the tables hold. */

import { parseNetmask } from "./keys.ts";
import type { ServerSpec, ServiceSpec, Timeouts } from "./model.ts";
import { refuse } from "./refusal.ts";

const MAX_INT = 2 ** 31 - 1;
/** The kernel keeps timeouts in ticks of an int (HZ=100 at least). */
export const MAX_SECONDS = Math.floor(MAX_INT / 100);

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

export function checkService(spec: ServiceSpec): void {
  const { key } = spec;
  if (!isWhole(spec.persistence, MAX_SECONDS)) {
    refuse("EINVAL", `${spec.persistence} is not a persistence timeout in seconds`);
  }
  if (key.protocol !== "fwm" && key.port === 0 && spec.persistence === 0) {
    refuse("EINVAL", "only a persistent service can have port 0, which means every port");
  }
  if (spec.onePacket && key.protocol === "tcp") {
    refuse("EINVAL", "one-packet scheduling is only for UDP");
  }
  parseNetmask(key.family, spec.netmask);
}

/** In the kernel's order: the weight, then the thresholds (ip_vs_add_dest, ip_vs_edit_dest). */
export function checkServer(spec: ServerSpec): void {
  if (!isWhole(spec.weight, MAX_INT))
    refuse("ERANGE", `the weight ${spec.weight} is not between 0 and ${MAX_INT}`);
  if (!isWhole(spec.upper, MAX_INT) || !isWhole(spec.lower, MAX_INT)) {
    refuse("ERANGE", `a threshold is not between 0 and ${MAX_INT}`);
  }
  if (spec.lower > spec.upper) {
    refuse("ERANGE", `the lower threshold ${spec.lower} is above the upper one ${spec.upper}`);
  }
}

export function checkTimeouts(timeouts: Timeouts): void {
  for (const seconds of [timeouts.tcp, timeouts.tcpfin, timeouts.udp]) {
    if (!isWhole(seconds, MAX_SECONDS)) refuse("EINVAL", `${seconds} is not a timeout in seconds`);
  }
}
