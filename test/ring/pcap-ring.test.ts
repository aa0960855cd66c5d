import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBurst } from "../../src/ring/burst.ts";
import { createPcapRing, type Sent } from "../../src/ring/pcap-ring.ts";
import type { CapturedPacket } from "../../src/wire/capture.ts";

const ETHERNET = [{ name: "eth0", linkType: 1, snapLength: 0 }];

function packet(seconds: number, nanoseconds: number, bytes: Uint8Array, more = 0): CapturedPacket {
  const originalLength = bytes.length + more;
  return { interface: 0, seconds, nanoseconds, originalLength, bytes, comments: [], direction: "unknown" };
}

const times = fc.array(fc.tuple(fc.nat(3), fc.constantFrom(0, 1, 999_999_999)), { maxLength: 200 });
const captures = times.map((list) =>
  list
    .sort(([a, b], [c, d]) => a - c || b - d)
    .map(([seconds, nanoseconds], i) => packet(seconds, nanoseconds, new Uint8Array(14 + (i % 50)).fill(i))),
);

describe("a ring over a capture", () => {
  it("hands out every frame once, in order, never two times in one burst", () => {
    fc.assert(
      fc.property(captures, (packets) => {
        const ring = createPcapRing(packets, ETHERNET, () => {});
        const burst = createBurst(8);
        const seen: CapturedPacket[] = [];
        while (ring.peek(burst) > 0) {
          const members = [...burst.at.subarray(0, burst.count)].map((at) => ring.packetAt(at)!);
          expect(new Set(members.map((one) => `${one.seconds}.${one.nanoseconds}`)).size).toBe(1);
          for (let i = 0; i < burst.count; i++) {
            const at = burst.at[i]!;
            expect(at % 4).toBe(2); // the IP header of an Ethernet frame stands on a word
            expect(ring.bytes.slice(at, at + burst.length[i]!)).toEqual(members[i]!.bytes);
          }
          seen.push(...members);
          ring.release();
        }
        expect(seen).toEqual(packets);
        expect(ring.isOver()).toBe(true);
      }),
    );
  });

  it("tells the capture's time in milliseconds from its first frame, and never goes back", () => {
    const one = new Uint8Array(14);
    const list = [
      packet(10, 500_000_000, one),
      packet(11, 250_000, one),
      packet(9, 0, one),
      packet(12, 0, one),
    ];
    const ring = createPcapRing(list, ETHERNET, () => {});
    const burst = createBurst();
    const found: number[] = [];
    while (ring.peek(burst) > 0) found.push(ring.now());
    expect(found).toEqual([0, 500.25, 500.25, 1500]);
  });

  it("gives what is sent to the sink with the received frame it lies on", () => {
    const sent: Sent[] = [];
    const list = [packet(1, 0, new Uint8Array(20).fill(1)), packet(1, 0, new Uint8Array(30).fill(2))];
    const ring = createPcapRing(list, ETHERNET, (one) => sent.push({ ...one, bytes: one.bytes.slice() }));
    const burst = createBurst();
    ring.peek(burst);
    ring.bytes[burst.at[1]!] = 0xee;
    ring.submit(burst.at[1]!, burst.length[1]!);
    const own = ring.reserve(42);
    ring.bytes.fill(0xaa, own, own + 42);
    ring.submit(own, 42);
    expect(sent).toEqual([]); // nothing leaves before flush
    expect(ring.flush()).toBe(0);
    expect(sent.map(({ received, bytes }) => [received, bytes.length])).toEqual([
      [list[1], 30],
      [undefined, 42],
    ]);
    expect([...sent[0]!.bytes.subarray(0, 2)]).toEqual([0xee, 2]);
  });

  it("keeps a frame beyond release, and reserves only so much", () => {
    const ring = createPcapRing([packet(1, 0, new Uint8Array(60).fill(5))], ETHERNET, () => {});
    const burst = createBurst();
    ring.peek(burst);
    const kept = ring.reserve(60);
    const from = burst.at[0]! - ring.headroom;
    ring.bytes.copyWithin(kept - ring.headroom, from, burst.at[0]! + 60);
    ring.release();
    expect(ring.bytes.slice(kept, kept + 60)).toEqual(new Uint8Array(60).fill(5));
    const places = new Set([kept]);
    for (let at = ring.reserve(100); at >= 0; at = ring.reserve(100)) places.add(at);
    expect(places.size).toBe(64);
    ring.cancel(kept);
    expect(ring.reserve(100)).toBe(kept);
    ring.cancel(kept);
    expect(ring.reserve(5000)).toBe(-1); // no place is that large
  });

  it("sends a submitted frame once, and has its place free again afterwards", () => {
    let sent = 0;
    const ring = createPcapRing([packet(1, 0, new Uint8Array(60))], ETHERNET, () => sent++);
    for (let turn = 1; turn <= 200; turn++) {
      const at = ring.reserve(100);
      expect(at).toBeGreaterThanOrEqual(0);
      ring.submit(at, 100);
      ring.flush();
      ring.flush();
      expect(sent).toBe(turn);
    }
    const burst = createBurst();
    ring.peek(burst);
    ring.submit(burst.at[0]!, 60);
    ring.flush();
    const places = new Set<number>();
    for (let at = ring.reserve(100); at >= 0; at = ring.reserve(100)) places.add(at);
    expect(places.has(burst.at[0]!)).toBe(false); // a received frame's place is not ours to give
  });

  it("fills a frame that the capture cut with zeros, and sends only what the capture had", () => {
    const sent: Sent[] = [];
    const list = [packet(0, 0, new Uint8Array(90).fill(9)), packet(1, 0, new Uint8Array(20).fill(1), 40)];
    const ring = createPcapRing(list, ETHERNET, (one) => sent.push(one));
    const burst = createBurst();
    ring.peek(burst); // leaves its bytes where the next frame will stand
    ring.release();
    ring.peek(burst);
    const at = burst.at[0]!;
    expect(burst.length[0]).toBe(60);
    expect(ring.bytes.slice(at + 20, at + 60)).toEqual(new Uint8Array(40));
    ring.submit(at, 60);
    ring.flush();
    expect([sent[0]!.bytes.length, sent[0]!.originalLength]).toEqual([20, 60]);
  });

  it("leaves out and counts frames of other link types", () => {
    const interfaces = [...ETHERNET, { name: "lo", linkType: 113, snapLength: 0 }];
    const list = [{ ...packet(0, 0, new Uint8Array(14)), interface: 1 }, packet(0, 0, new Uint8Array(14))];
    const ring = createPcapRing(list, interfaces, () => {});
    expect(ring.peek(createBurst())).toBe(1);
    expect(ring.skipped).toBe(1);
    expect(ring.peek(createBurst())).toBe(0);
  });

  it("knows a super-frame by its length alone", () => {
    const list = [packet(0, 0, new Uint8Array(9014)), packet(0, 0, new Uint8Array(20000))];
    const ring = createPcapRing(list, ETHERNET, () => {});
    const burst = createBurst();
    ring.peek(burst);
    expect([ring.isSuperFrame(burst.at[0]!), ring.isSuperFrame(burst.at[1]!)]).toEqual([false, true]);
  });
});
