/** Who is where on this page: the lab's own addresses (src/lab/topology.ts), as numbers. */
import { clientAddress, DIP, macOf, ROUTER, realServerAddress, VIP } from "../../../src/lab/topology.ts";
import { type Mac, parseIpv4, parseMac } from "../../../src/wire/address.ts";

export { clientAddress, DIP, ROUTER, realServerAddress, VIP };

export const HTTP = 80;
export const CLIENTS = 8;

export function ip(address: string): number {
  const parsed = parseIpv4(address);
  if (parsed === undefined) throw new RangeError(`${address} is not an IPv4 address`);
  return parsed;
}

export function mac(text: string): Mac {
  const parsed = parseMac(text);
  if (parsed === undefined) throw new RangeError(`${text} is not a MAC address`);
  return parsed;
}

/** A MAC spells its interface's address, as in the lab. */
export const macOfAddress = (address: string): Mac => mac(macOf(address));

export const DIRECTOR_MAC = macOfAddress(DIP);
export const ROUTER_MAC = macOfAddress(ROUTER);

export const sameMac = (a: Mac, b: Mac): boolean => a.hi === b.hi && a.lo === b.lo;
