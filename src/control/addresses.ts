/** What the director knows about addresses when somebody wants to make one a real server. */
import type { Words } from "../wire/address.ts";
import { isMapped } from "../wire/address.ts";

/** Told by whoever knows the machine's interfaces; the default knows the loopback alone. */
export interface AddressBook {
  /** Is it an address of this machine? Such a real server is the director itself (local node). */
  isLocal(address: Words): boolean;
  /** Is it the broadcast address of one of this machine's networks? */
  isBroadcast(address: Words): boolean;
}

function isLoopback(a: Words): boolean {
  return isMapped(a) ? a[3] >>> 24 === 127 : a[0] === 0 && a[1] === 0 && a[2] === 0 && a[3] === 1;
}

export const LOOPBACK_ONLY: AddressBook = { isLocal: isLoopback, isBroadcast: () => false };

/**
 * Can the address be a real server's? The kernel's rule (ip_vs_new_dest): unicast or our own. IPv4: not 0/8, not
 * multicast, no broadcast. IPv6: neither unspecified, multicast nor v4-mapped; link-local only when it is ours.
 */
export function mayServe(address: Words, family: number, book: AddressBook): boolean {
  if (family === 6 && isMapped(address)) return false;
  if (isLoopback(address) || book.isLocal(address)) return true;
  if (family === 4) {
    const first = address[3] >>> 24;
    return first !== 0 && (first & 0xf0) !== 0xe0 && address[3] !== 0xffff_ffff && !book.isBroadcast(address);
  }
  const unspecified = address.every((word) => word === 0);
  const multicast = address[0] >>> 24 === 0xff;
  const linkLocal = address[0] >>> 22 === 0xfe80 >>> 6;
  return !unspecified && !multicast && !linkLocal;
}

export function isOwn(address: Words, book: AddressBook): boolean {
  return isLoopback(address) || book.isLocal(address);
}
