import type { ServerListing, ServiceKey, ServiceListing } from "../control/model.ts";
import { ipv4Number, readIPv6Groups } from "./inet.ts";

/** The orders of ipvsadm's listings. */

const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132, fwm: 0 } as const;

/**
 * ipvsadm sorts with C's qsort and a comparison that subtracts 32-bit numbers and looks at the sign, so that
 * addresses 2^31 or more apart come out backwards. That is no total order, and the result depends on the
 * algorithm: this is glibc's (halves merged, the left one first if not greater).
 */
function mergeSort<T>(rows: T[], compare: (a: T, b: T) => number): T[] {
  if (rows.length <= 1) return rows;
  const middle = rows.length >> 1;
  const left = mergeSort(rows.slice(0, middle), compare);
  const right = mergeSort(rows.slice(middle), compare);
  const merged: T[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    merged.push(compare(left[i]!, right[j]!) <= 0 ? left[i++]! : right[j++]!);
  }
  while (i < left.length) merged.push(left[i++]!);
  while (j < right.length) merged.push(right[j++]!);
  return merged;
}

/** Decorated once per row, because comparing text addresses n log n times would parse each of them log n times. */
type Sortable = readonly number[];

function compare(a: Sortable, b: Sortable): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i]! - b[i]!) | 0;
    if (difference !== 0) return difference;
  }
  return 0;
}

function addressWords(address: string): number[] {
  if (!address.includes(":")) return [ipv4Number(address), 0, 0, 0];
  const groups = readIPv6Groups(address) ?? [0, 0, 0, 0, 0, 0, 0, 0];
  return [0, 2, 4, 6].map((i) => groups[i]! * 65_536 + groups[i + 1]!);
}

function sorted<T>(rows: Iterable<T>, key: (row: T) => Sortable): T[] {
  const decorated: [Sortable, T][] = [];
  for (const row of rows) decorated.push([key(row), row]);
  return mergeSort(decorated, (a, b) => compare(a[0], b[0])).map(([, row]) => row);
}

/** By mark (as a signed number, 0 for all others), family, protocol number, address, port. */
export function sortServices(services: Iterable<ServiceListing>): ServiceListing[] {
  return sorted(services, ({ key }) => [
    key.mark,
    key.family,
    PROTOCOL_NUMBERS[key.protocol],
    ...addressWords(key.address),
    key.port,
  ]);
}

/** By address, port. */
export function sortServers(servers: Iterable<ServerListing>): ServerListing[] {
  return sorted(servers, (server) => [...addressWords(server.address), server.port]);
}

/**
 * The order of --nosort: the kernel's hash buckets, and in a bucket newest first (the order in which services
 * are given here). A kernel adds a secret of its own to the hash, so no two machines agree; ours is zero.
 */
export function bucketOrder(services: Iterable<ServiceListing>): ServiceListing[] {
  return sorted(services, ({ key }) => [key.protocol === "fwm" ? 1 : 0, bucket(key)]);
}

function bucket(key: ServiceKey): number {
  if (key.protocol === "fwm") return key.mark & 255;
  const address =
    key.family === 4
      ? ipv4Number(key.address)
      : (readIPv6Groups(key.address) ?? []).reduce((sum, group, i) => sum ^ (i % 2 ? group : group << 16), 0);
  return (PROTOCOL_NUMBERS[key.protocol] ^ address ^ (key.port >> 8) ^ key.port) & 255;
}
