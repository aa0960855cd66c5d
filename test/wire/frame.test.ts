/** Frames built from fields equal the recorded ones; any frame at all can be described. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mapped, parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import { fold, pseudoHeaderSum, pseudoHeaderSum6, sum } from "../../src/wire/checksum.ts";
import { icmpFrame, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { describeFrame, summarizeFrame } from "../../src/wire/value/frame.ts";
import { fromHex, RECORDINGS, recordedSteps, toHex, viewOf } from "./bytes.ts";

const LETTERS: Record<string, number> = {
  F: TCP_FLAGS.FIN,
  S: TCP_FLAGS.SYN,
  R: TCP_FLAGS.RST,
  P: TCP_FLAGS.PSH,
  A: TCP_FLAGS.ACK,
  U: TCP_FLAGS.URG,
};

const flagsOf = (letters: string): number =>
  [...letters].reduce((bits, letter) => bits | LETTERS[letter]!, 0);

/** Every frame that the recordings hold, in or out. */
function recordedFrames(): Uint8Array[] {
  const scenarios = [
    "icmp/icmp_errors",
    "icmp/icmp6_errors",
    "frag/udp_frags",
    "frag/tcp_frag_syn",
    "headers/ttl",
  ];
  const steps = scenarios.flatMap(recordedSteps);
  const hex = steps.flatMap((step) => [step.in_hex ?? "", ...(step.out_hex ?? [])]);
  const captures = readdirSync(new URL("pcap/", RECORDINGS)).map((file) =>
    readCapture(readFileSync(new URL(`pcap/${file}`, RECORDINGS))),
  );
  const captured = captures.flatMap(({ packets }) => packets.map((packet) => packet.bytes));
  return [...hex.filter((text) => text !== "").map(fromHex), ...captured];
}

describe("built frames", () => {
  it("equal the ones that were injected into the kernel, byte for byte", () => {
    const steps = recordedSteps("headers/ttl").filter(
      (step) => step.op === "pkt" && step.in_hex !== undefined,
    );
    expect(steps.length).toBeGreaterThan(4);
    for (const step of steps) {
      const built = tcpFrame({
        source: parseIpv4(step.src!)!,
        destination: parseIpv4(step.dst!)!,
        sourcePort: step.sport!,
        destinationPort: step.dport!,
        flags: flagsOf(step.flags!),
        sequence: 1000,
        acknowledgement: step.flags!.includes("A") ? 1 : 0,
        ttl: step.ttl ?? 64,
      });
      expect(toHex(built)).toBe(step.in_hex);
    }
  });

  it("have right checksums in both families", () => {
    const [a4, b4] = [parseIpv4("10.0.0.1")!, parseIpv4("10.0.0.2")!];
    const [a6, b6] = [parseIpv6("2001:db8::1")!, parseIpv6("2001:db8::2")!];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (payload) => {
        const ports = { sourcePort: 4000, destinationPort: 53, payload };
        const v4 = viewOf(udpFrame({ source: a4, destination: b4, ...ports }));
        const length = 8 + payload.length;
        expect(fold(sum(v4, 34, length, pseudoHeaderSum(a4, b4, 17, length)))).toBe(0xffff);
        const v6 = viewOf(tcpFrame({ source: a6, destination: b6, ...ports }));
        expect(fold(sum(v6, 54, 12 + length, pseudoHeaderSum6(v6, 22, 6, 12 + length)))).toBe(0xffff);
      }),
    );
  });

  it("of ICMPv6 sum up the pseudo-header, those of ICMP do not", () => {
    const payload = Uint8Array.of(1, 2, 3);
    const v4 = viewOf(icmpFrame({ source: 0x0a000001, destination: 0x0a000002, type: 8, code: 0, payload }));
    expect(fold(sum(v4, 34, 11))).toBe(0xffff);
    const [source, destination] = [parseIpv6("2001:db8::1")!, parseIpv6("2001:db8::2")!];
    const v6 = viewOf(icmpFrame({ source, destination, type: 128, code: 0, payload }));
    expect(fold(sum(v6, 54, 11, pseudoHeaderSum6(v6, 22, 58, 11)))).toBe(0xffff);
  });

  it("never send a UDP checksum of zero, which would mean none (RFC 768)", () => {
    const fields = { source: 0x0a000001, destination: 0x0a000002, sourcePort: 1, destinationPort: 2 };
    const view = viewOf(udpFrame({ ...fields, payload: Uint8Array.of(0, 0) }));
    // The payload that makes the sum all ones.
    const wanted = view.getUint16(40);
    const zero = udpFrame({ ...fields, payload: Uint8Array.of(wanted >>> 8, wanted & 255) });
    expect(viewOf(zero).getUint16(40)).toBe(0xffff);
  });

  it("can be tagged, padded, fragments and with options", () => {
    const frame = ipFrame(
      {
        source: 1,
        destination: 2,
        vlan: 7,
        pad: true,
        moreFragments: true,
        fragmentOffset: 1480,
        options: Uint8Array.of(1, 1, 1, 1),
      },
      17,
      new Uint8Array(8),
    );
    expect(frame.length).toBe(60);
    const names = describeFrame(frame).map((header) => header.name);
    expect(names).toEqual(["Ethernet", "VLAN", "IPv4", "fragment data", "padding"]);
    expect(toHex(frame.subarray(12, 26))).toBe("81000007080046000020" + "000020b9");
  });
});

describe("a described frame", () => {
  it("accounts for each of its bytes once, from the first to the last", () => {
    for (const frame of recordedFrames()) {
      let next = 0;
      for (const header of describeFrame(frame)) {
        expect(header.at).toBe(next);
        next += header.length;
        for (const field of header.fields) {
          expect(field.at).toBeGreaterThanOrEqual(header.at);
          expect(field.at + field.length).toBeLessThanOrEqual(next);
        }
      }
      expect(next).toBe(frame.length);
    }
  });

  it("can be cut at every byte", () => {
    for (const frame of recordedFrames().filter((_, i) => i % 5 === 0))
      for (let end = 0; end <= Math.min(frame.length, 160); end++) {
        const headers = describeFrame(frame.slice(0, end));
        expect(headers.reduce((total, header) => total + header.length, 0)).toBe(end);
      }
  });

  it("can be any bytes at all", () => {
    const type = fc.constantFrom("0800", "86dd", "0806", "8100", "88a8", "0000");
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 120 }), fc.nat(255), (hex, noise, first) => {
        const frame = Uint8Array.from([...new Array(12).fill(2), ...fromHex(hex), first, ...noise]);
        const total = describeFrame(frame).reduce((length, header) => length + header.length, 0);
        expect(total).toBe(frame.length);
      }),
      { numRuns: 2000 },
    );
  });

  it("goes on into the packet that an ICMP error quotes", () => {
    const quoted = tcpFrame({ source: 1, destination: 2, sourcePort: 80, destinationPort: 4000 }).subarray(
      14,
    );
    const error = icmpFrame({ source: 3, destination: 4, type: 3, code: 4, rest: 1300, payload: quoted });
    const told = describeFrame(error);
    expect(told.map((header) => header.name)).toEqual(["Ethernet", "IPv4", "ICMP", "IPv4", "TCP"]);
    const mtu = told[2]!.fields.find((field) => field.key === "icmp.mtu")!;
    expect([mtu.at, mtu.length, mtu.value]).toEqual([40, 2, "1300"]);
  });

  it("believes its bytes where its total length is absurd", () => {
    const frame = udpFrame({
      source: 1,
      destination: 2,
      sourcePort: 3,
      destinationPort: 4,
      payload: new Uint8Array(9),
    });
    const namesWith = (total: number): string[] => {
      viewOf(frame).setUint16(16, total);
      return describeFrame(frame).map((header) => `${header.name} ${header.length}`);
    };
    const headers = ["Ethernet 14", "IPv4 20"];
    expect(namesWith(0)).toEqual([...headers, "UDP 8", "data 9"]); // as super-frames above 64 KiB have it
    expect(namesWith(10)).toEqual([...headers, "padding 17"]); // less than its own header
    expect(namesWith(9999)).toEqual([...headers, "UDP 8", "data 9"]);
  });

  it("prints itself in one line", () => {
    const fields = { source: parseIpv4("10.9.2.1")!, destination: parseIpv4("10.0.0.100")! };
    const frame = tcpFrame({ ...fields, sourcePort: 4001, destinationPort: 80, sequence: 1000 });
    expect(summarizeFrame(frame)).toBe(
      "IPv4 10.9.2.1 → 10.0.0.100, TCP, ttl 64 | TCP 4001 → 80, SYN, sequence 1000",
    );
    expect(mapped(fields.source)).toEqual([0, 0, 0xffff, 0x0a090201]);
  });
});
