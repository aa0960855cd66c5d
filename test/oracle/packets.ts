/** The frames that the recordings' steps stand for. */
import { parseIpv4, parseIpv6, type Words } from "../../src/wire/address.ts";
import { tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import type { Packet } from "./scenario.ts";
import { DIRECTOR_MAC, GATEWAY_MAC } from "./world.ts";

const FLAG_BITS: Readonly<Record<string, number>> = {
  F: 0x01,
  S: 0x02,
  R: 0x04,
  P: 0x08,
  A: 0x10,
  U: 0x20,
  E: 0x40,
  C: 0x80,
};

function addressOf(text: string): number | Words {
  const address = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (address === undefined) throw new Error(`"${text}" is not an address`);
  return address;
}

export function frameOf(step: Packet): Uint8Array {
  const letters = step.flags ?? "";
  const flags = [...letters].reduce((bits, letter) => bits | (FLAG_BITS[letter] ?? 0), 0);
  const payload = new Uint8Array(step.payload_len ?? (step.proto === "udp" ? 1 : 0)).fill("x".charCodeAt(0));
  const common = {
    source: addressOf(step.src),
    destination: addressOf(step.dst),
    sourceMac: GATEWAY_MAC,
    destinationMac: DIRECTOR_MAC,
    sourcePort: step.sport,
    destinationPort: step.dport,
    ttl: step.ttl ?? 64,
    payload,
  };
  if (step.proto === "udp") return udpFrame(common);
  const acknowledgement = letters.includes("A") ? 1 : 0;
  return tcpFrame({ ...common, flags, sequence: 1000, acknowledgement, window: 64_240 });
}

export function hexBytes(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16),
  );
}

export function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
