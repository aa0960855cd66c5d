/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Sums are plain numbers: 16-bit words
 * are added without folding, and 2^53 has room for more words than any frame has.
 */

/** Sum of `length` bytes from `at` as network-order 16-bit words on top of `initial`; not folded. */
export function sum(view: DataView, at: number, length: number, initial: number = 0): number {
  let total = initial;
  const end = at + length;
  const even = end - (length & 1);
  for (let i = at; i < even; i += 2) total += view.getUint16(i);
  // RFC 1071 §1: an odd last byte is padded on the right with zero.
  if (even !== end) total += view.getUint8(even) << 8;
  return total;
}

/** Folds the carries back in: the 16-bit ones' complement sum. */
export function fold(total: number): number {
  // Sums may pass 2^32, where bit operators would cut them; one division brings them below.
  let folded = total > 0xffffffff ? Math.floor(total / 0x10000) + (total % 0x10000) : total;
  while (folded > 0xffff) folded = (folded >>> 16) + (folded & 0xffff);
  return folded;
}

/** The checksum field's value for a sum: its ones' complement. */
export function finish(total: number): number {
  return ~fold(total) & 0xffff;
}

/** The checksum of `length` bytes from `at`; 0 over bytes that hold their own correct checksum. */
export function checksum(view: DataView, at: number, length: number, initial: number = 0): number {
  return finish(sum(view, at, length, initial));
}

/** Sum of the IPv4 pseudo-header (RFC 9293 §3.1): addresses as u32, `length` of the transport header and data. */
export function pseudoHeaderSum(
  source: number,
  destination: number,
  protocol: number,
  length: number,
): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}

/**
 * Sum of the IPv6 pseudo-header (RFC 8200 §8.1). `addresses` is where source and destination stand, 32 bytes in
 * a row, as in the IPv6 header itself.
 */
export function pseudoHeaderSum6(
  view: DataView,
  addresses: number,
  nextHeader: number,
  length: number,
): number {
  return sum(view, addresses, 32, (length >>> 16) + (length & 0xffff) + nextHeader);
}

/**
 * The checksum field after one 16-bit word under it changed from `before` to `after`: RFC 1624 eqn 3,
 * HC' = ~(~HC + ~m + m').
 */
export function update(field: number, before: number, after: number): number {
  return finish((~field & 0xffff) + (~before & 0xffff) + after);
}
