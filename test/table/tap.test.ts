/** The tap's queue: what goes in comes out, in order, or is counted as missed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVERYTHING, TapKind, TapQueue, type TapRecord, tapMemory } from "../../src/table/tap.ts";

const CAPACITY = 1024;

function queues(capacity = CAPACITY): { writer: TapQueue; reader: TapQueue } {
  const memory = new SharedArrayBuffer(tapMemory(capacity));
  return { writer: new TapQueue(memory, capacity), reader: new TapQueue(memory, capacity) };
}

const head = (n: number): Omit<TapRecord, "bytes"> => ({
  kind: TapKind.Sent,
  time: 1_000_000.25 + n,
  verdict: n % 23,
  service: n,
  destination: -1,
  connection: 2,
  status: 0x1234 + n,
  protocol: 132,
  length: 1500 + n,
});

describe("the tap's queue", () => {
  it("is a queue: any pushes and takes give what was pushed, in order, less what was missed", () => {
    const step = fc.oneof(
      fc.record({ push: fc.nat(300) }),
      fc.record({ take: fc.nat(5) }),
      fc.constant({ publish: true }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { writer, reader } = queues();
        const pushed: number[] = [];
        const taken: number[] = [];
        let refused = 0;
        let n = 0;
        const take = (most: number): void => {
          reader.take(({ bytes, service, time, status, length, verdict, destination, protocol }) => {
            taken.push(service);
            expect({ time, status, length, verdict, destination, protocol }).toMatchObject({
              time: 1_000_000.25 + service,
              status: 0x1234 + service,
              length: 1500 + service,
              verdict: service % 23,
              destination: -1,
              protocol: 132,
            });
            expect(bytes.every((byte) => byte === (service & 0xff))).toBe(true);
          }, most);
        };
        for (const one of steps) {
          if ("push" in one) {
            const bytes = new Uint8Array(one.push + 3).fill(n & 0xff);
            if (writer.push(head(n), bytes, 3, one.push)) pushed.push(n);
            else refused++;
            n++;
          } else if ("take" in one) take(one.take);
          else writer.publish();
        }
        writer.publish();
        take(Number.POSITIVE_INFINITY);
        expect(taken).toEqual(pushed);
        expect(reader.missed).toBe(refused);
      }),
    );
  });

  it("takes as many frames as it has room for, then misses, then takes again", () => {
    const { writer, reader } = queues();
    const frame = new Uint8Array(88); // 40 + 88 = 128 bytes a record
    for (let n = 0; n < 12; n++) writer.push(head(n), frame, 0, 88);
    writer.publish();
    expect(reader.missed).toBe(4);
    expect(reader.take(() => {}, 3)).toBe(3);
    for (let n = 0; n < 4; n++) writer.push(head(n), frame, 0, 88);
    writer.publish();
    expect(reader.missed).toBe(5);
    expect(reader.take(() => {})).toBe(8);
  });

  it("shows nothing before it is published, and a new writer goes on behind an old one", () => {
    const { writer, reader } = queues();
    writer.push(head(1), new Uint8Array(8), 0, 8);
    expect(reader.take(() => {})).toBe(0);
    writer.publish();
    const memory = new SharedArrayBuffer(tapMemory(CAPACITY));
    const first = new TapQueue(memory, CAPACITY);
    first.push(head(1), new Uint8Array(8), 0, 8);
    first.publish();
    const second = new TapQueue(memory, CAPACITY);
    second.push(head(2), new Uint8Array(8), 0, 8);
    second.publish();
    const seen: number[] = [];
    new TapQueue(memory, CAPACITY).take(({ service }) => void seen.push(service));
    expect(seen).toEqual([1, 2]);
  });

  it("goes on when its positions wrap past 2^32", () => {
    const memory = new SharedArrayBuffer(tapMemory(CAPACITY));
    const cells = new Int32Array(memory, 0, 64);
    cells[0] = cells[16] = -256; // 256 bytes before the wrap
    const [writer, reader] = [new TapQueue(memory, CAPACITY), new TapQueue(memory, CAPACITY)];
    for (let n = 0; n < 20; n++) {
      expect(writer.push(head(n), new Uint8Array(200).fill(n), 0, 200)).toBe(true);
      writer.publish();
      let seen = -1;
      reader.take(({ service }) => {
        seen = service;
      });
      expect(seen).toBe(n);
    }
  });

  it("asks for verdicts, a service and a client's network", () => {
    const { writer, reader } = queues();
    reader.setFilter({
      ...EVERYTHING,
      verdicts: 1 << 6,
      service: 3,
      client: [0, 0, 0xffff, 0xcb007107],
      clientMask: [-1, -1, -1, 0xffffff00],
    });
    expect([writer.wantsVerdict(6), writer.wantsVerdict(0)]).toEqual([true, false]);
    expect([writer.wantsService(3), writer.wantsService(-1)]).toEqual([true, false]);
    expect(writer.wantsClient(Int32Array.of(9, 0, 0, 0xffff, 0xcb0071fe), 1)).toBe(true);
    expect(writer.wantsClient(Int32Array.of(9, 0, 0, 0xffff, 0xcb0072fe), 1)).toBe(false);
    reader.setFilter(EVERYTHING);
    expect([writer.wantsAnyClient, writer.wantsVerdict(22), writer.wantsService(-1)]).toEqual([
      true,
      true,
      true,
    ]);
  });
});
