/** A frame that somebody asks about: as hex, or described in a few words and built. */
import { z } from "zod";
import type { Mac, Words } from "../wire/address.ts";
import { isMapped } from "../wire/address.ts";
import { type FrameFields, icmpFrame, ipFrame, tcpFrame, udpFrame } from "../wire/frame.ts";
import { Protocol } from "../wire/ipv4.ts";
import { parseEndpoint } from "../wire/network.ts";

export const askedPacketSchema = z.strictObject({
  from: z.string().max(80).describe("Client's address and port: 203.0.113.7:40000 or [2001:db8::7]:40000"),
  to: z.string().max(80).describe("Virtual address and port"),
  protocol: z.enum(["tcp", "udp", "sctp", "icmp"]).default("tcp").describe("icmp: an echo request"),
  flags: z.string().max(8).optional().describe("TCP flags by letter: S, SA, F, R …; S by default"),
  payload: z.int().min(0).max(65_000).default(0).describe("Bytes of data"),
  ttl: z.int().min(0).max(255).default(64),
});
export type AskedPacket = z.input<typeof askedPacketSchema>;

export class AskedFrameError extends Error {
  override readonly name = "AskedFrameError";
}

const FLAG_BITS: Readonly<Record<string, number>> = {
  F: 0x01,
  S: 0x02,
  R: 0x04,
  P: 0x08,
  A: 0x10,
  ".": 0x10,
  U: 0x20,
  E: 0x40,
  W: 0x80,
};

/** "SA", and tcpdump's "S.": the flags' bits. Throws AskedFrameError. */
export function parseFlags(text: string): number {
  let bits = 0;
  for (const letter of text.toUpperCase()) {
    const bit = FLAG_BITS[letter];
    if (bit === undefined)
      throw new AskedFrameError(`"${letter}" is no TCP flag; there are ${Object.keys(FLAG_BITS).join(" ")}`);
    bits |= bit;
  }
  return bits;
}

function endpoint(text: string, what: string): { address: Words; port: number } {
  const parsed = parseEndpoint(text);
  if (parsed === undefined)
    throw new AskedFrameError(`${what} "${text}": an address and a port, as 10.0.0.1:80 or [2001:db8::1]:80`);
  return parsed;
}

/** The described packet in a frame to `mac`, from a router. Throws AskedFrameError. */
export function buildFrame(asked: AskedPacket, mac: Mac): Uint8Array {
  const { from, to, protocol, flags, payload, ttl } = askedPacketSchema.parse(asked);
  const source = endpoint(from, "from");
  const destination = endpoint(to, "to");
  const four = isMapped(source.address);
  if (four !== isMapped(destination.address))
    throw new AskedFrameError("from and to are of different IP versions");
  const fields: FrameFields = {
    source: four ? source.address[3] : source.address,
    destination: four ? destination.address[3] : destination.address,
    destinationMac: mac,
    ttl,
    payload: new Uint8Array(payload),
  };
  const ports = { sourcePort: source.port, destinationPort: destination.port };
  if (protocol === "tcp") {
    const bits = parseFlags(flags ?? "S");
    return tcpFrame({ ...fields, ...ports, flags: bits, acknowledgement: (bits & 0x10) === 0 ? 0 : 1 });
  }
  if (flags !== undefined) throw new AskedFrameError(`${protocol} has no flags`);
  if (protocol === "udp") return udpFrame({ ...fields, ...ports });
  if (protocol === "icmp") return icmpFrame({ ...fields, type: four ? 8 : 128, code: 0, rest: 1 });
  return ipFrame(fields, Protocol.Sctp, sctpHead(ports.sourcePort, ports.destinationPort, payload));
}

/** SCTP's common header (RFC 9260 §3.1); its checksum is the receiver's business. */
function sctpHead(from: number, to: number, payload: number): Uint8Array {
  const bytes = new Uint8Array(12 + payload);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, from);
  view.setUint16(2, to);
  return bytes;
}

/** One line of a dump: "0x0010:  4500 …  E.(." of tcpdump and xxd, "0010  45 00 …  |E.(.|" of hexdump. */
function digitsOf(line: string): string {
  const dumped = /^\s*(?:0x)?[0-9a-f]{4,8}:\s+(.*)$/i.exec(line);
  // Behind two blanks stands what the bytes look like as text.
  if (dumped !== null) return dumped[1]!.split(/\s{2,}/)[0]!;
  return line
    .replace(/^\s*[0-9a-f]{4,8}\s{2,}/i, "")
    .replace(/^\s*0x/i, "")
    .replace(/\|.*$/, "");
}

/**
 * Bytes from hex as people have it: blanks, colons, "0x", and the offsets and texts of dumps are left out. Throws
 * AskedFrameError.
 */
export function parseHex(text: string): Uint8Array {
  const lines = text.split("\n");
  // tcpdump puts a line of words before those with offsets.
  const dumped = lines.filter((line) => /^\s*0x[0-9a-f]+:/i.test(line));
  const digits = (dumped.length > 0 ? dumped : lines).map(digitsOf).join("").replace(/[\s:]/g, "");
  if (digits === "") throw new AskedFrameError("no frame was given");
  const wrong = /[^0-9a-f]/i.exec(digits);
  if (wrong !== null) throw new AskedFrameError(`"${wrong[0]}" is no hex digit`);
  if (digits.length % 2 !== 0) throw new AskedFrameError(`${digits.length} hex digits are no whole bytes`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
