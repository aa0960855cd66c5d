import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flowHash, foldAddress, HASH_MULTIPLIERS } from "../../src/table/hash.ts";
import { CbpfAssembler, encodeCbpf, MAX_INSTRUCTIONS, Op, Test } from "../../src/wire/cbpf.ts";
import { fanoutByFlow } from "../../src/wire/fanout.ts";
import { type Ipv4Network, type Ipv6Network, vipFilter } from "../../src/wire/vip-filter.ts";
import { runCbpf } from "./cbpf-machine.ts";

interface Packet {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly options: number;
  readonly fragment: number;
  readonly ports: number;
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const packet = fc.record<Packet>({
  source: u32,
  destination: u32,
  protocol: fc.constantFrom(1, 6, 17, 47, 132),
  options: fc.integer({ min: 0, max: 10 }),
  fragment: fc.constantFrom(0, 0, 0x4000, 0x2000, 0x2001, 0x0007),
  ports: u32,
});

function ipv4(packet: Packet): Uint8Array {
  const header = 20 + packet.options * 4;
  const bytes = new Uint8Array(header + 20);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x40 | (header / 4);
  view.setUint16(6, packet.fragment);
  bytes[9] = packet.protocol;
  view.setUint32(12, packet.source);
  view.setUint32(16, packet.destination);
  view.setUint32(header, packet.ports);
  return bytes;
}

function ipv6(next: number, from: readonly number[], to: readonly number[], ports: number): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x60;
  bytes[6] = next;
  for (let w = 0; w < 4; w++) {
    view.setUint32(8 + 4 * w, from[w]!);
    view.setUint32(24 + 4 * w, to[w]!);
  }
  view.setUint32(40, ports);
  return bytes;
}

function ethernet(type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  new DataView(frame.buffer).setUint16(12, type);
  frame.set(payload, 14);
  return frame;
}

describe("the filter for the VIPs", () => {
  const network = fc.record<Ipv4Network>({ address: u32, bits: fc.integer({ min: 4, max: 32 }) });
  const inside = (address: number, { address: of, bits }: Ipv4Network) =>
    Math.floor(address / 2 ** (32 - bits)) === Math.floor(of / 2 ** (32 - bits));

  it("takes a frame exactly when it is IPv4 TCP, UDP or ICMP to a VIP or into a network", () => {
    fc.assert(
      fc.property(
        fc.array(u32, { maxLength: 60 }),
        fc.array(network, { maxLength: 4 }),
        packet,
        fc.constantFrom(0x0800, 0x0800, 0x86dd, 0x0806),
        fc.nat(100),
        (vips, networks, base, type, pick) => {
          // Half of the time a destination that is near a VIP: random ones never hit.
          const near =
            vips.length > 0 && pick % 2 === 0
              ? (vips[pick % vips.length]! + (pick % 3) - 1) >>> 0
              : base.destination;
          const frame = ethernet(type, ipv4({ ...base, destination: near }));
          const wanted =
            type === 0x0800 &&
            [1, 6, 17, 132].includes(base.protocol) &&
            (vips.includes(near) || networks.some((one) => inside(near, one)));
          expect(runCbpf(vipFilter(vips, networks), frame) !== 0).toBe(wanted);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("takes ICMP errors to the director's own address, and no echo to it", () => {
    const filter = vipFilter([0x0a000064], [], { dips: [0x0a000001, 0x0a000002] });
    const to = (destination: number, protocol: number, type: number) =>
      runCbpf(
        filter,
        ethernet(
          0x0800,
          ipv4({ source: 1, destination, protocol, options: 3, fragment: 0, ports: type << 24 }),
        ),
      ) !== 0;
    for (const type of [3, 4, 5, 11, 12]) expect(to(0x0a000002, 1, type)).toBe(true);
    for (const type of [0, 8, 13]) expect(to(0x0a000002, 1, type)).toBe(false);
    expect(to(0x0a000002, 6, 3)).toBe(false);
    expect(to(0x0a000003, 1, 3)).toBe(false);
    expect(to(0x0a000064, 1, 8)).toBe(true);
  });

  it("takes every VIP of five thousand, and fits the kernel's limits", () => {
    const vips = Array.from({ length: 5000 }, (_, i) => (0x0a000000 + i * 7919) >>> 0);
    const filter = vipFilter(vips);
    expect(filter.length).toBeLessThan(2500);
    for (const destination of vips.filter((_, i) => i % 50 === 0)) {
      const frame = ethernet(
        0x0800,
        ipv4({ source: 1, destination, protocol: 6, options: 0, fragment: 0, ports: 0 }),
      );
      expect(runCbpf(filter, frame)).not.toBe(0);
    }
    const far = ethernet(
      0x0800,
      ipv4({ source: 1, destination: 0xc0000201, protocol: 6, options: 0, fragment: 0, ports: 0 }),
    );
    expect(runCbpf(filter, far)).toBe(0);
  });

  const near = fc.integer({ min: -2, max: 2 });
  /** Few distinct values a word, so that addresses share their beginnings. */
  const word = fc.oneof(fc.constantFrom(0x20010db8, 0, 1, 0xfffffffe), u32);
  const words6 = fc.tuple(word, word, word, word);
  const network6 = fc.record<Ipv6Network>({
    address: words6,
    bits: fc.constantFrom(128, 128, 128, 127, 96, 90, 64, 48, 33, 32, 7, 1),
  });
  const inside6 = (address: readonly number[], { address: of, bits }: Ipv6Network) =>
    [0, 1, 2, 3].every((w) => {
      const kept = Math.max(0, Math.min(32, bits - w * 32));
      return (
        Math.floor((address[w]! >>> 0) / 2 ** (32 - kept)) === Math.floor((of[w]! >>> 0) / 2 ** (32 - kept))
      );
    });

  it("takes an IPv6 frame exactly when its destination is in one of the networks", () => {
    fc.assert(
      fc.property(
        fc.array(network6, { minLength: 1, maxLength: 30 }),
        words6,
        fc.nat(200),
        near,
        fc.constantFrom(6, 17, 58, 132, 44, 0, 50),
        (networks6, other, pick, step, protocol) => {
          const to =
            pick % 3 === 0
              ? other
              : ([...networks6[pick % networks6.length]!.address] as [number, number, number, number]);
          to[pick % 4] = (to[pick % 4]! + step) >>> 0;
          const frame = ethernet(0x86dd, ipv6(protocol, [1, 2, 3, 4], to, 0));
          const wanted = protocol !== 50 && networks6.some((one) => inside6(to, one));
          expect(runCbpf(vipFilter([1], [], { networks6 }), frame) !== 0).toBe(wanted);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("misses none of two thousand IPv6 addresses, and fits the kernel's limits", () => {
    const networks6 = Array.from(
      { length: 2000 },
      (_, i): Ipv6Network => ({ address: [0x20010db8, i % 7, i * 31, i * 977], bits: 128 }),
    );
    const filter = vipFilter([1], [], { networks6 });
    expect(filter.length).toBeLessThan(2000);
    for (const { address } of networks6.filter((_, i) => i % 20 === 0)) {
      expect(runCbpf(filter, ethernet(0x86dd, ipv6(6, [1, 2, 3, 4], address, 0)))).not.toBe(0);
    }
    expect(runCbpf(filter, ethernet(0x86dd, ipv6(6, [1, 2, 3, 4], [0x20010db9, 0, 0, 0], 0)))).toBe(0);
  });

  it("takes nothing when there is no VIP", () => {
    const frame = ethernet(
      0x0800,
      ipv4({ source: 1, destination: 0, protocol: 6, options: 0, fragment: 0, ports: 0 }),
    );
    expect(runCbpf(vipFilter([]), frame)).toBe(0);
  });
});

describe("the fanout's program", () => {
  it("computes the flow hash, with ports 0 for fragments and for what has no ports", () => {
    fc.assert(
      fc.property(packet, u32, (base, seed) => {
        const program = fanoutByFlow({ seed, multipliers: HASH_MULTIPLIERS });
        const whole = (base.fragment & 0x3fff) === 0 && [6, 17, 132].includes(base.protocol);
        const expected = flowHash(seed, base.source, base.destination, whole ? base.ports : 0);
        expect(runCbpf(program, ipv4(base))).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("computes the flow hash of IPv6 too", () => {
    const words = fc.tuple(u32, u32, u32, u32);
    fc.assert(
      fc.property(words, words, u32, u32, fc.constantFrom(6, 17, 58, 44), (from, to, ports, seed, next) => {
        const program = fanoutByFlow({ seed, multipliers: HASH_MULTIPLIERS });
        const seen = next === 6 || next === 17 ? ports : 0;
        const expected = flowHash(seed, foldAddress(...from), foldAddress(...to), seen);
        expect(runCbpf(program, ipv6(next, from, to, ports))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("sends what it cannot read to the first shard", () => {
    const program = fanoutByFlow({ seed: 1, multipliers: HASH_MULTIPLIERS });
    expect(runCbpf(program, Uint8Array.of(0x60, 0, 0, 0))).toBe(0);
    expect(runCbpf(program, new Uint8Array(0))).toBe(0);
    expect(runCbpf(program, Uint8Array.of(0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6))).toBe(0);
  });
});

describe("the assembler", () => {
  it("reaches labels further than a comparison can jump", () => {
    const code = new CbpfAssembler().emit(Op.ldb, 0).jump(Test.equal, 7, "seven", "other");
    for (let i = 0; i < 300; i++) code.emit(Op.ldImm, i);
    code.label("other").emit(Op.ret, 1).label("seven").emit(Op.ret, 2);
    const program = code.assemble();
    expect(runCbpf(program, Uint8Array.of(7))).toBe(2);
    expect(runCbpf(program, Uint8Array.of(8))).toBe(1);
  });

  it("refuses a label that does not follow, and a program that is too long", () => {
    expect(() => new CbpfAssembler().label("back").goTo("back").assemble()).toThrow(/back/);
    const long = new CbpfAssembler();
    for (let i = 0; i <= MAX_INSTRUCTIONS; i++) long.emit(Op.tax);
    expect(() => long.assemble()).toThrow(RangeError);
  });

  it("writes struct sock_filter", () => {
    expect([...encodeCbpf([{ code: 0x15, jt: 1, jf: 2, k: 0x01020304 }])]).toEqual([
      0x15, 0, 1, 2, 4, 3, 2, 1,
    ]);
  });
});
