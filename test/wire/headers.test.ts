/**
 * Every header as a value: what is emitted is parsed again, what is parsed is emitted to the same bytes, a header
 * that ends too early is undefined and never an exception.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as arp from "../../src/wire/value/arp.ts";
import * as ethernet from "../../src/wire/value/ethernet.ts";
import type { HeaderDescription } from "../../src/wire/value/field.ts";
import * as icmp from "../../src/wire/value/icmp.ts";
import * as icmpv6 from "../../src/wire/value/icmpv6.ts";
import * as ipv4 from "../../src/wire/value/ipv4.ts";
import * as ipv6 from "../../src/wire/value/ipv6.ts";
import * as tcp from "../../src/wire/value/tcp.ts";
import * as udp from "../../src/wire/value/udp.ts";
import * as vlan from "../../src/wire/value/vlan.ts";
import { mac, options, u8, u16, u32, viewOf, words } from "./bytes.ts";

interface Value<T> {
  readonly parse: (frame: DataView, at: number, end: number) => T | undefined;
  readonly emit: (frame: DataView, at: number, value: T) => number;
  readonly describe: (frame: DataView, at: number, end: number) => HeaderDescription | undefined;
}

function holds<T>(name: string, value: Value<T>, arbitrary: fc.Arbitrary<T>): void {
  describe(name, () => {
    it("comes back from its bytes as it was, wherever they stand", () => {
      fc.assert(
        fc.property(arbitrary, fc.nat(9), (header, at) => {
          const view = viewOf(new Uint8Array(120));
          const length = value.emit(view, at, header);
          expect(value.parse(view, at, at + length)).toEqual(header);
        }),
      );
    });

    it("comes back from any bytes that parse as the same bytes", () => {
      fc.assert(
        fc.property(arbitrary, fc.uint8Array({ minLength: 64, maxLength: 64 }), (header, noise) => {
          const length = value.emit(viewOf(noise), 0, header);
          const copy = new Uint8Array(64);
          value.emit(viewOf(copy), 0, value.parse(viewOf(noise), 0, 64)!);
          expect(copy.subarray(0, length)).toEqual(noise.subarray(0, length));
        }),
      );
    });

    it("is undefined at every truncation", () => {
      fc.assert(
        fc.property(arbitrary, (header) => {
          const bytes = new Uint8Array(64);
          const length = value.emit(viewOf(bytes), 0, header);
          for (let end = 0; end < length; end++) {
            // A view that ends there too: reading beyond would throw.
            const cut = viewOf(bytes.slice(0, end));
            expect(value.parse(cut, 0, end)).toBeUndefined();
            expect(value.describe(cut, 0, end)).toBeUndefined();
          }
        }),
        { numRuns: 20 },
      );
    });

    it("describes each of its bytes, and nothing outside", () => {
      fc.assert(
        fc.property(arbitrary, fc.nat(9), (header, at) => {
          const view = viewOf(new Uint8Array(120));
          const length = value.emit(view, at, header);
          const told = value.describe(view, at, at + length)!;
          expect([told.at, told.length]).toEqual([at, length]);
          const covered = new Set<number>();
          for (const field of told.fields) for (let i = 0; i < field.length; i++) covered.add(field.at + i);
          expect([...covered].sort((a, b) => a - b)).toEqual(
            [...new Array(length).keys()].map((i) => at + i),
          );
        }),
      );
    });
  });
}

holds("Ethernet", ethernet, fc.record({ destination: mac, source: mac, type: u16 }));
holds(
  "VLAN tag",
  vlan,
  fc.record({ priority: fc.nat(7), dropEligible: fc.boolean(), id: fc.nat(4095), type: u16 }),
);
holds(
  "ARP",
  arp,
  fc.record({ operation: u16, senderMac: mac, senderIp: u32, targetMac: mac, targetIp: u32 }),
);
holds(
  "IPv4",
  ipv4,
  fc.record({
    tos: u8,
    totalLength: u16,
    identification: u16,
    reservedFlag: fc.boolean(),
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    fragmentOffset: fc.nat(0x1fff).map((units) => units * 8),
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
    options,
  }),
);
holds(
  "IPv6",
  ipv6,
  fc.record({
    trafficClass: u8,
    flowLabel: fc.nat(0xfffff),
    payloadLength: u16,
    nextHeader: u8,
    hopLimit: u8,
    source: words,
    destination: words,
  }),
);
holds(
  "TCP",
  tcp,
  fc.record({
    sourcePort: u16,
    destinationPort: u16,
    sequence: u32,
    acknowledgement: u32,
    reserved: fc.nat(15),
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
    options,
  }),
);
holds("UDP", udp, fc.record({ sourcePort: u16, destinationPort: u16, length: u16, checksum: u16 }));
holds("ICMP", icmp, fc.record({ type: u8, code: u8, checksum: u16, rest: u32 }));
holds("ICMPv6", icmpv6, fc.record({ type: u8, code: u8, checksum: u16, rest: u32 }));

it("a header whose length field is below its minimum is none", () => {
  const view = viewOf(new Uint8Array(64));
  for (let words = 0; words < 5; words++) {
    view.setUint8(0, 0x40 | words);
    expect(ipv4.parse(view, 0, 64)).toBeUndefined();
    view.setUint8(12, words << 4);
    expect(tcp.parse(view, 0, 64)).toBeUndefined();
  }
});
