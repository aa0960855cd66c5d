/** The answers that the recorded kernel sent, written by us from the packets that it answered. */
import { describe, expect, it } from "vitest";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { checksum, fold, pseudoHeaderSum6, sum } from "../../src/wire/checksum.ts";
import { icmpFrame, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import * as icmp from "../../src/wire/icmp.ts";
import { makeEchoReply, mayAnswerWithError, writeIcmpError } from "../../src/wire/icmp-message.ts";
import * as icmpv6 from "../../src/wire/icmpv6.ts";
import { makeEchoReply6, mayAnswerWithError6, writeIcmpv6Error } from "../../src/wire/icmpv6-message.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import { fromHex, type RecordedStep, recordedSteps, toHex, viewOf } from "./bytes.ts";

const IP = 14;

/** Bytes that are all different from their neighbours. */
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => 1 + (i % 251));

/** Steps that the director answered with this ICMP message, all bytes known. */
function answered(scenario: string, out: RegExp): (RecordedStep & { in_hex: string; out_hex: string[] })[] {
  return recordedSteps(scenario).filter(
    (step): step is RecordedStep & { in_hex: string; out_hex: string[] } =>
      out.test(step.out ?? "") && step.in_hex !== undefined && step.out_hex?.length === 1,
  );
}

describe("ICMP errors", () => {
  const steps = [
    ...answered("headers/ttl", /icmp-11-0/),
    ...answered("frag/pmtu", /icmp-3-4/),
    ...answered("icmp/icmp_errors", /icmp-3-/),
  ];

  it("equal the kernel's, byte for byte", () => {
    expect(steps.length).toBeGreaterThan(3);
    for (const step of steps) {
      const asked = fromHex(step.in_hex);
      const kernel = fromHex(step.out_hex[0]!);
      const answer = viewOf(kernel);
      // IPVS has already decremented the TTL when it finds the packet too big.
      if (step.out === "director:icmp-3-4") ipv4.decrementTtl(viewOf(asked), IP);
      const out = new Uint8Array(1500);
      const length = writeIcmpError(
        viewOf(out),
        0,
        answer.getUint8(34),
        answer.getUint8(35),
        answer.getUint32(38),
        ipv4.destination(viewOf(asked), IP),
        viewOf(asked),
        IP,
        ipv4.totalLength(viewOf(asked), IP),
        ipv4.identification(answer, IP), // the kernel's own counter
      );
      expect(toHex(out.subarray(0, length))).toBe(toHex(kernel.subarray(IP)));
    }
  });

  it("quote no more than fits into 576 bytes, whatever the packet's length", () => {
    for (const size of [0, 1, 519, 520, 521, 1400, 60000]) {
      const asked = viewOf(ipFrame({ source: 0x0a000001, destination: 2, tos: 0x1b }, 6, noise(size)));
      const out = new Uint8Array(700).fill(0xaa);
      const total = ipv4.totalLength(asked, IP);
      const length = writeIcmpError(viewOf(out), 4, 3, 3, 0, 2, asked, IP, total);
      expect(length).toBe(Math.min(576, 28 + total));
      expect(ipv4.checksumIsRight(viewOf(out), 4)).toBe(true);
      expect(checksum(viewOf(out), 24, length - 20)).toBe(0);
      expect(ipv4.tos(viewOf(out), 4)).toBe(0xda);
      const quoted = new Uint8Array(asked.buffer, IP, length - 28);
      expect(toHex(out.subarray(32, 4 + length))).toBe(toHex(quoted));
      expect(toHex(out.subarray(4 + length))).toBe("aa".repeat(700 - 4 - length));
    }
  });

  it("are not sent about errors, later fragments, groups or nobody", () => {
    const ask = (frame: Uint8Array): boolean => mayAnswerWithError(viewOf(frame), IP, frame.length);
    const from = (source: string, destination = "10.0.0.100") => ({
      source: parseIpv4(source)!,
      destination: parseIpv4(destination)!,
    });
    const ports = { sourcePort: 1, destinationPort: 2 };
    expect(ask(tcpFrame({ ...from("10.0.0.1"), ...ports }))).toBe(true);
    expect(ask(icmpFrame({ ...from("10.0.0.1"), type: 8, code: 0 }))).toBe(true);
    for (const type of [3, 4, 5, 11, 12])
      expect(ask(icmpFrame({ ...from("10.0.0.1"), type, code: 0 }))).toBe(false);
    expect(ask(ipFrame(from("10.0.0.1"), 1, new Uint8Array(0)))).toBe(false); // ICMP without a type
    expect(ask(udpFrame({ ...from("10.0.0.1"), ...ports, fragmentOffset: 8 }))).toBe(false);
    expect(ask(udpFrame({ ...from("10.0.0.1"), ...ports, moreFragments: true }))).toBe(true);
    for (const source of ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"])
      expect(ask(tcpFrame({ ...from(source), ...ports }))).toBe(false);
    expect(ask(tcpFrame({ ...from("10.0.0.1", "239.1.1.1"), ...ports }))).toBe(false);
  });
});

describe("echo replies", () => {
  it("equal the kernel's, byte for byte", () => {
    const steps = answered("icmp/icmp_errors", /icmp-0-0/);
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      const frame = fromHex(step.in_hex);
      const kernel = fromHex(step.out_hex[0]!);
      makeEchoReply(viewOf(frame), IP, ipv4.identification(viewOf(kernel), IP));
      expect(toHex(frame.subarray(IP))).toBe(toHex(kernel.subarray(IP)));
    }
  });

  it("of IPv6 equal the kernel's but for the flow label it invents", () => {
    const steps = answered("icmp/icmp6_errors", /icmp6-129-0/);
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      const frame = fromHex(step.in_hex);
      makeEchoReply6(viewOf(frame), IP);
      expect(toHex(frame.subarray(IP + 4))).toBe(toHex(fromHex(step.out_hex[0]!).subarray(IP + 4)));
    }
  });
});

describe("what is an error", () => {
  it("is said by the type alone", () => {
    const types = [...new Array(256).keys()];
    expect(types.filter(icmp.isError)).toEqual([3, 4, 5, 11, 12]);
    expect(types.filter(icmpv6.isError)).toEqual(types.slice(0, 128));
  });
});

describe("ICMPv6 errors", () => {
  const [client, vip] = [parseIpv6("2001:db8:9::9")!, parseIpv6("2001:db8::100")!];
  const ports = { sourcePort: 4000, destinationPort: 80 };

  it("come from the VIP, quote up to the minimum MTU and carry a right checksum", () => {
    for (const size of [0, 3, 1171, 1172, 1173, 1400]) {
      const asked = viewOf(tcpFrame({ source: client, destination: vip, ...ports, payload: noise(size) }));
      const out = viewOf(new Uint8Array(1500));
      const length = writeIcmpv6Error(out, 0, 1, 4, 0, asked, IP, 60 + size);
      expect(length).toBe(Math.min(1280, 48 + 60 + size));
      expect([0, 1, 2, 3].map((i) => ipv6.source(out, 0, i))).toEqual(vip);
      expect([0, 1, 2, 3].map((i) => ipv6.destination(out, 0, i))).toEqual(client);
      expect(ipv6.payloadLength(out, 0)).toBe(length - 40);
      expect(fold(sum(out, 40, length - 40, pseudoHeaderSum6(out, 8, 58, length - 40)))).toBe(0xffff);
      expect(toHex(new Uint8Array(out.buffer, 48, length - 48))).toBe(
        toHex(new Uint8Array(asked.buffer, IP, length - 48)),
      );
    }
  });

  it("are not sent about errors, groups or nobody", () => {
    const ask = (frame: Uint8Array): boolean => {
      const walk = ipv6.createWalk();
      expect(ipv6.walkExtensions(viewOf(frame), IP, frame.length, walk)).toBe(true);
      return mayAnswerWithError6(viewOf(frame), IP, frame.length, walk);
    };
    expect(ask(tcpFrame({ source: client, destination: vip, ...ports }))).toBe(true);
    expect(ask(icmpFrame({ source: client, destination: vip, type: 128, code: 0 }))).toBe(true);
    expect(ask(icmpFrame({ source: client, destination: vip, type: 1, code: 4 }))).toBe(false);
    for (const nobody of ["::", "::1", "ff02::1"])
      expect(ask(tcpFrame({ source: parseIpv6(nobody)!, destination: vip, ...ports }))).toBe(false);
    expect(ask(tcpFrame({ source: client, destination: parseIpv6("ff02::1")!, ...ports }))).toBe(false);
  });
});
