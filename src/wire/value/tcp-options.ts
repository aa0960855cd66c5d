/** TCP options in few words, as capture tools abbreviate them (RFC 9293 §3.2, RFC 7323, RFC 2018). */
import { hexBytes } from "./field.ts";

const END = 0;
const NO_OPERATION = 1;

/** Kinds that say all by being there, or hold numbers: name, and the bytes of each number. */
const KINDS: Readonly<Record<number, readonly [string, ...number[]]>> = {
  2: ["MSS", 2],
  3: ["WSCALE", 1],
  4: ["SACK-OK"],
  8: ["TS", 4, 4],
  34: ["FASTOPEN"],
};
const SACK = 5;

/** "MSS 1460, SACK-OK, TS 123/0, NOP, WSCALE 10"; what contradicts itself ends the list with "…". */
export function optionsText(options: Uint8Array): string {
  const view = new DataView(options.buffer, options.byteOffset, options.length);
  const words: string[] = [];
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!;
    if (kind === END) break;
    if (kind === NO_OPERATION) {
      words.push("NOP");
      at++;
      continue;
    }
    const length = at + 1 < options.length ? options[at + 1]! : 0;
    if (length < 2 || at + length > options.length) return [...words, "…"].join(", ");
    words.push(optionText(view, at, kind, length));
    at += length;
  }
  return words.join(", ");
}

function optionText(view: DataView, at: number, kind: number, length: number): string {
  if (kind === SACK) return `SACK ${blocks(view, at + 2, length - 2)}`;
  const known = KINDS[kind];
  if (known === undefined) return `${kind}: ${hexBytes(view, at + 2, length - 2)}`;
  const [name, ...sizes] = known;
  const numbers: number[] = [];
  let from = at + 2;
  for (const size of sizes) {
    if (from + size > at + length) break;
    numbers.push(size === 4 ? view.getUint32(from) : size === 2 ? view.getUint16(from) : view.getUint8(from));
    from += size;
  }
  return numbers.length === 0 ? name : `${name} ${numbers.join("/")}`;
}

/** Pairs of sequence numbers that have arrived out of turn. */
function blocks(view: DataView, at: number, length: number): string {
  return Array.from(
    { length: Math.floor(length / 8) },
    (_, i) => `${view.getUint32(at + i * 8)}–${view.getUint32(at + i * 8 + 4)}`,
  ).join(" ");
}
