import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Burst, createBurst } from "../../src/ring/burst.ts";
import { isNativeError, native } from "../../src/ring/native.ts";
import { PacketRing, type PacketRingOptions } from "../../src/ring/packet-ring.ts";
import {
  chooseSlots,
  closePacketSockets,
  openPacketSockets,
  type PacketSocketOptions,
  type PacketSockets,
  setPacketFilter,
  wakeRing,
} from "../../src/ring/packet-sockets.ts";
import { flowHash, foldAddress, HASH_MULTIPLIERS, shardOf } from "../../src/table/hash.ts";
import { CbpfAssembler, Op, Test } from "../../src/wire/cbpf.ts";
import { fanoutByFlow } from "../../src/wire/fanout.ts";
import { vipFilter } from "../../src/wire/vip-filter.ts";

const VIP = 0x0a090064;
/** Only what the tests send: IPv4, tagged or not, not the host's own neighbour discovery. */
const IPV4_ONLY = new CbpfAssembler()
  .emit(Op.ldh, 12)
  .jump(Test.equal, 0x0800, "take", "")
  .jump(Test.equal, 0x8100, "take", "drop")
  .label("drop")
  .emit(Op.ret, 0)
  .label("take")
  .emit(Op.ret, 0xffff_ffff)
  .assemble();

let holder: ChildProcess;
const home = openSync("/proc/self/ns/net", "r");
const open: { close(): void }[] = [];

beforeAll(async () => {
  holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
  const own = readlinkSync("/proc/self/ns/net");
  while (readlinkSync(`/proc/${holder.pid}/ns/net`) === own) await new Promise((next) => setTimeout(next, 5));
  native().setNamespace(`/proc/${holder.pid}/ns/net`, 0);
  ip("link add va type veth peer name vb");
  for (const name of ["va", "vb"]) {
    ip(`link set ${name} addrgenmode none`);
    ip(`link set ${name} up`);
  }
});
afterEach(() => {
  for (const one of open.splice(0).reverse()) one.close();
});
afterAll(() => {
  native().setNamespace(`/proc/self/fd/${home}`, 0);
  closeSync(home);
  holder.kill();
});

function ip(command: string): void {
  const run = spawnSync("ip", command.split(" "), { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`ip ${command}: ${run.stderr}`);
}

function sockets(options: Partial<PacketSocketOptions> & { interfaceName: string }): PacketSockets[] {
  const all = openPacketSockets({ shards: 1, filter: IPV4_ONLY, ...options });
  for (const one of all) open.push({ close: () => closePacketSockets(one) });
  return all;
}

function map(one: PacketSockets, cells = new Int32Array(4), options: PacketRingOptions = {}): PacketRing {
  const ring = new PacketRing(one, { cells, position: 0, drops: 1 }, options);
  open.push(ring);
  return ring;
}

function ring(
  interfaceName: string,
  options: Partial<PacketSocketOptions> = {},
  more: PacketRingOptions = {},
) {
  return map(sockets({ interfaceName, ...options })[0]!, new Int32Array(4), more);
}

/** An IPv4 UDP frame; what a test does not name is of no account to it. */
function udp(
  length: number,
  fields: { to?: number; from?: number; ports?: number; fragment?: number; number?: number } = {},
) {
  const frame = new Uint8Array(Math.max(length, 46));
  const view = new DataView(frame.buffer);
  frame.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45]);
  view.setUint16(16, frame.length - 14);
  view.setUint16(20, fields.fragment ?? 0);
  frame.set([64, 17], 22);
  view.setUint32(26, fields.from ?? 0x0a090001);
  view.setUint32(30, fields.to ?? VIP);
  view.setUint32(34, fields.ports ?? 0x04d20050);
  view.setUint32(42, fields.number ?? 0);
  return frame;
}

function queue(from: PacketRing, frame: Uint8Array): void {
  const at = from.reserve(frame.length);
  if (at < 0) throw new Error("no place");
  from.bytes.set(frame, at);
  from.submit(at, frame.length);
}

function take(from: PacketRing, burst: Burst): Uint8Array[] {
  from.peek(burst);
  return Array.from({ length: burst.count }, (_, i) =>
    from.bytes.slice(burst.at[i]!, burst.at[i]! + burst.length[i]!),
  );
}

describe("frames over a link", () => {
  it("arrive byte for byte, whatever their length, at an aligned place", () => {
    const [a, b] = [ring("va"), ring("vb")];
    const lengths = [46, 60, 61, 512, 1513, 1514];
    for (const length of lengths) queue(a, udp(length, { number: length }));
    expect(a.flush()).toBe(0);
    const burst = createBurst();
    expect(take(b, burst)).toEqual(lengths.map((length) => udp(length, { number: length })));
    for (let i = 0; i < burst.count; i++) expect((burst.at[i]! + 14) % 4).toBe(0);
    b.release();
    expect(b.peek(burst)).toBe(0);
    expect([a.drops(), b.drops()]).toEqual([0, 0]);
  });

  it("are not held up by one that the kernel refuses", () => {
    const [a, b] = [ring("va"), ring("vb")];
    for (const length of [60, 1600, 61, 1700, 62]) queue(a, udp(length)); // beyond the MTU: EMSGSIZE
    expect(a.flush()).toBe(2);
    expect(take(b, createBurst()).map((frame) => frame.length)).toEqual([60, 61, 62]);
    expect(a.flush()).toBe(0);
  });

  it("may be more than the queue holds, and places of our own never run out", () => {
    const a = ring("va", {}, { arena: { small: 8, big: 2 }, queue: 4 });
    const b = ring("vb");
    const burst = createBurst();
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 11; i++) queue(a, udp(100, { number: round * 11 + i })); // more than there are places
      expect(a.flush()).toBe(0);
      const numbers = take(b, burst).map((frame) => new DataView(frame.buffer).getUint32(42));
      expect(numbers).toEqual(Array.from({ length: 11 }, (_, i) => round * 11 + i));
      b.release();
    }
  });

  it("get the VLAN tag back that the kernel takes out, 802.1Q and 802.1ad, one or two", () => {
    const [a, b] = [ring("va"), ring("vb", { filter: [{ code: 6, jt: 0, jf: 0, k: 0xffffffff }] })];
    const tagged = [
      [0x8100, 7],
      [0x8100, 0xe00f],
      [0x88a8, 9, 0x8100, 10],
    ].map((tags) => {
      const plain = udp(80);
      const bytes = [
        ...plain.subarray(0, 12),
        ...tags.flatMap((tag) => [tag >>> 8, tag & 255]),
        ...plain.subarray(12),
      ];
      return Uint8Array.from(bytes);
    });
    for (const frame of tagged) queue(a, frame);
    expect(a.flush()).toBe(0);
    const burst = createBurst();
    expect(take(b, burst)).toEqual(tagged);
    for (let i = 0; i < burst.count; i++) expect((burst.at[i]! + 14) % 4).toBe(0);
  });

  it("wrap around the end of the ring", () => {
    const [a, b] = [ring("va"), ring("vb", { slots: 32, slotBytes: 2048 })];
    const burst = createBurst(7);
    for (let number = 0; number < 200; number++) {
      queue(a, udp(60, { number }));
      a.flush();
      if (number % 5 !== 4) continue;
      const numbers = take(b, burst).map((frame) => new DataView(frame.buffer).getUint32(42));
      expect(numbers).toEqual([4, 3, 2, 1, 0].map((back) => number - back));
      b.release();
    }
  });

  it("that find the ring full are dropped and counted, since the ring was opened", () => {
    const a = ring("va");
    const [one] = sockets({ interfaceName: "vb", slots: 32, slotBytes: 2048 });
    const cells = new Int32Array(4);
    const b = map(one!, cells);
    for (let i = 0; i < 100; i++) queue(a, udp(60));
    a.flush();
    expect([b.drops(), b.drops()]).toEqual([68, 68]);
    b.close();
    expect(map(one!, cells).drops()).toBe(68); // the next thread goes on counting
  });
});

describe("a ring that another thread maps anew", () => {
  it("goes on with the first frame that was not given back", () => {
    const a = ring("va");
    const [one] = sockets({ interfaceName: "vb", slots: 32, slotBytes: 2048 });
    const cells = new Int32Array(4);
    const burst = createBurst(5);
    const numbers = (from: PacketRing) =>
      take(from, burst).map((frame) => new DataView(frame.buffer).getUint32(42));
    for (let number = 0; number < 20; number++) queue(a, udp(60, { number }));
    a.flush();
    const first = map(one!, cells);
    expect(numbers(first)).toEqual([0, 1, 2, 3, 4]);
    first.release();
    expect(numbers(first)).toEqual([5, 6, 7, 8, 9]);
    first.close(); // without release: it died with five frames in hand
    const second = map(one!, cells);
    expect(numbers(second)).toEqual([5, 6, 7, 8, 9]);
    second.release();
    second.close();
    // A region that was lost says 0: the oldest waiting frame is found all the same.
    expect(numbers(map(one!, new Int32Array(4)))).toEqual([10, 11, 12, 13, 14]);
  });

  it("does not put a VLAN tag back twice", () => {
    const a = ring("va");
    const [one] = sockets({ interfaceName: "vb" });
    const plain = udp(80);
    const tagged = Uint8Array.from([...plain.subarray(0, 12), 0x81, 0, 0, 7, ...plain.subarray(12)]);
    queue(a, tagged);
    a.flush();
    const cells = new Int32Array(4);
    const first = map(one!, cells);
    expect(take(first, createBurst())).toEqual([tagged]);
    first.close();
    expect(take(map(one!, cells), createBurst())).toEqual([tagged]);
  });
});

describe("the sockets of several shards", () => {
  const seed = 0x1234567;
  const fanout = { group: 77, program: fanoutByFlow({ seed, multipliers: HASH_MULTIPLIERS }) };

  it.each([2, 3, 4])("bring every frame to its flow's shard of %i", (shards) => {
    const a = ring("va");
    const rings = sockets({ interfaceName: "vb", shards, fanout }).map((one) => map(one));
    const sent = Array.from({ length: 60 }, (_, i) => ({
      from: (0x0a000000 + Math.imul(i, 2654435761)) >>> 0,
      ports: Math.imul(i, 40503) >>> 0,
      fragment: i % 6 === 0 ? 0x2000 : i % 6 === 1 ? 0x0005 : 0,
    }));
    for (const fields of sent) queue(a, udp(100, fields));
    a.flush();
    const burst = createBurst();
    let received = 0;
    rings.forEach((one, shard) => {
      for (const frame of take(one, burst)) {
        const view = new DataView(frame.buffer);
        const ports = (view.getUint16(20) & 0x3fff) === 0 ? view.getUint32(34) : 0;
        expect(shardOf(flowHash(seed, view.getUint32(26), VIP, ports), shards)).toBe(shard);
        received++;
      }
    });
    expect(received).toBe(sent.length);
  });

  it("take only what the filter lets in, and the filter can be changed", () => {
    const a = ring("va");
    const all = sockets({ interfaceName: "vb", filter: vipFilter([VIP]) });
    const b = map(all[0]!);
    const send = () => {
      for (const to of [VIP, VIP + 1, 0x08080808]) queue(a, udp(60, { to }));
      a.flush();
    };
    const burst = createBurst();
    const targets = () => take(b, burst).map((frame) => new DataView(frame.buffer).getUint32(30));
    send();
    expect(targets()).toEqual([VIP]);
    b.release();
    setPacketFilter(all[0]!, vipFilter([VIP + 1, 0x08080808]));
    send();
    expect(targets()).toEqual([VIP + 1, 0x08080808]);
  });

  it("take IPv6 to a VIP and bring it to its flow's shard", () => {
    const vip6 = [0x20010db8, 0, 0, 0x64] as const;
    const filter = vipFilter([VIP], [], { networks6: [{ address: vip6, bits: 128 }] });
    const a = ring("va");
    const rings = sockets({ interfaceName: "vb", shards: 2, fanout, filter }).map((one) => map(one));
    const expected = [new Set<number>(), new Set<number>()];
    for (let port = 1; port <= 20; port++) {
      const frame = new Uint8Array(74);
      const view = new DataView(frame.buffer);
      frame.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
      const to = port % 4 === 0 ? [0x20010db8, 0, 0, 0x65] : vip6;
      to.forEach((word, w) => {
        view.setUint32(38 + 4 * w, word);
      });
      const ports = (port << 16) | 80;
      view.setUint32(54, ports);
      queue(a, frame);
      if (port % 4 === 0) continue;
      const hash = flowHash(seed, foldAddress(0, 0, 0, 0), foldAddress(...vip6), ports);
      expected[shardOf(hash, 2)]!.add(port);
    }
    a.flush();
    const got = rings.map(
      (one) => new Set(take(one, createBurst()).map((frame) => (frame[54]! << 8) | frame[55]!)),
    );
    expect(got).toEqual(expected);
  });

  it("are a group of their own, also beside another director's on the same interface", () => {
    const a = ring("va");
    const { program } = fanout;
    const groups = [0, 1].map(() => {
      const opened = sockets({ interfaceName: "vb", shards: 2, fanout: { program } });
      return { opened, rings: opened.map((one) => map(one)) };
    });
    const numbers = groups.map(({ opened }) =>
      opened.map(({ rx }) => {
        const value = new Int32Array(1);
        native().getOption(rx, 263, 18, value);
        return value[0]! & 0xffff;
      }),
    );
    for (const [first, second] of numbers) expect(first).toBe(second);
    expect(numbers[0]![0]).not.toBe(numbers[1]![0]);
    for (let port = 0; port < 40; port++) queue(a, udp(60));
    a.flush();
    for (const { rings } of groups)
      expect(rings.reduce((sum, one) => sum + take(one, createBurst()).length, 0)).toBe(40);
  });

  it("take no frame before their filter stands", async () => {
    const source = `
      const { workerData, parentPort } = require("node:worker_threads");
      const addon = require(workerData.addon);
      const fd = addon.socket(17, 3, 0);
      addon.bindPacket(fd, workerData.index, 0);
      parentPort.postMessage("ready");
      while (Atomics.load(workerData.stop, 0) === 0) for (let i = 0; i < 100; i++) addon.send(fd, workerData.frame);
      addon.close(fd);`;
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const addon = fileURLToPath(new URL("../../build/dr_director.node", import.meta.url));
    const workerData = { addon, index: native().link("va").index, frame: udp(60), stop };
    const flood = new Worker(source, { eval: true, workerData });
    await once(flood, "message");
    const nothing = [{ code: 6, jt: 0, jf: 0, k: 0 }];
    const rings = sockets({ interfaceName: "vb", shards: 4, fanout, filter: nothing }).map((one) => map(one));
    Atomics.store(stop, 0, 1);
    await once(flood, "exit");
    expect(rings.map((one) => one.peek(createBurst()))).toEqual([0, 0, 0, 0]);
  });

  it("are all closed again when one cannot be opened", async () => {
    const { readdirSync } = await import("node:fs");
    const before = readdirSync("/proc/self/fd").length;
    for (const bad of [
      { interfaceName: "none" },
      { interfaceName: "vb", slots: 33 },
      { interfaceName: "vb", slotBytes: 3000 },
      { interfaceName: "vb", fanout: { group: 78, program: [] } },
    ])
      expect(() => sockets({ shards: 3, fanout, ...bad })).toThrow();
    expect(readdirSync("/proc/self/fd").length).toBe(before);
    try {
      sockets({ interfaceName: "none" });
    } catch (error) {
      expect(isNativeError(error, "ENODEV")).toBe(true);
    }
  });
});

describe("sleeping on the ring", () => {
  it("ends at once for a frame, for a wake-up that came before, and else when the time has gone", () => {
    const a = ring("va");
    const [one] = sockets({ interfaceName: "vb" });
    const b = map(one!);
    const asleep = (milliseconds: number) => {
      const start = performance.now();
      b.wait(milliseconds);
      return performance.now() - start;
    };
    expect(asleep(40)).toBeGreaterThan(35);
    wakeRing(one!);
    expect(asleep(2000)).toBeLessThan(1000);
    expect(asleep(40)).toBeGreaterThan(35);
    queue(a, udp(60));
    a.flush();
    expect(asleep(2000)).toBeLessThan(1000);
  });

  it("survives the interface going down and up", () => {
    const [a, b] = [ring("va"), ring("vb")];
    ip("link set vb down");
    const start = performance.now();
    for (let i = 0; i < 3; i++) b.wait(20);
    expect(performance.now() - start).toBeGreaterThan(35); // the error ends one sleep, not every one
    queue(a, udp(60));
    a.flush();
    ip("link set vb up");
    const burst = createBurst();
    queue(a, udp(61));
    expect(a.flush()).toBe(0);
    expect(take(b, burst).map((frame) => frame.length)).toEqual([61]);
  });
});

describe("the size of the slots", () => {
  it("is the link's, and super-frames are copied, where the buffer is granted", () => {
    expect(chooseSlots({}, 1500, 32 << 20)).toEqual({ copies: true, slotBytes: 2048, slots: 4096 });
    expect(chooseSlots({}, 9000, 32 << 20)).toEqual({ copies: true, slotBytes: 16384, slots: 512 });
  });

  it("holds a super-frame where a user namespace gets 208 KiB", () => {
    expect(chooseSlots({}, 1500, 212_992 * 2)).toEqual({ copies: false, slotBytes: 131_072, slots: 256 });
  });

  it("is a power of two, and the ring never so large that the machine runs out of memory", () => {
    expect(() => chooseSlots({ slotBytes: 3000 }, 1500, 32 << 20)).toThrow(RangeError);
    expect(() => chooseSlots({ slots: 2 ** 22 }, 1500, 32 << 20)).toThrow(/more than/);
  });
});

describe("through a forwarding thread", () => {
  const folder = fileURLToPath(new URL("./ring", import.meta.url));

  /** Runs a script of ring/ in namespaces of its own and reads its report. */
  function scenario(name: string, options: object = {}, user = false): Promise<Record<string, unknown>> {
    const spaces = user ? ["--user", "--map-root-user", "--net"] : ["--net"];
    const command = [...spaces, process.execPath, `${folder}/${name}.mjs`, JSON.stringify(options)];
    return new Promise((resolve, reject) => {
      execFile("unshare", command, { timeout: 60_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${name}: ${stderr}`, { cause: error }));
        else resolve(JSON.parse(stdout) as Record<string, unknown>);
      });
    });
  }

  it.each([
    ["super-frames fetched by recv()", { superFrames: "copy" }, false],
    ["super-frames in large slots", { superFrames: "slots" }, false],
    ["a user namespace, as it comes", {}, true],
    ["a user namespace, large slots", { superFrames: "slots" }, true],
    ["VLAN tags, super-frames by recv()", { superFrames: "copy", vlan: 7 }, false],
    ["VLAN tags, super-frames in large slots", { superFrames: "slots", vlan: 7 }, false],
  ])("an upload with every offload on arrives whole: %s", async (_name, options, user) => {
    const report = await scenario("bulk", { megabytes: 60, ...options }, user);
    expect(report.received).toBe(report.sent);
    expect(report.superFrames).toBeGreaterThan(200);
    expect(report.refused).toBe(0);
    expect(report.stopMilliseconds).toBeLessThan(1000);
    if ("superFrames" in options) expect(report.copies).toBe(options.superFrames === "copy");
    if ("vlan" in options) expect(report).toMatchObject({ tagged: report.frames, badTags: 0 });
  });

  it("nothing is lost when the thread is killed and another maps its ring", async () => {
    const report = await scenario("restart");
    expect(report).toMatchObject({ seen: report.sent, missing: [] });
    expect(report.frames).toBeLessThan((report.sent as number) + 1 + 64); // at most the burst in hand comes twice
    expect(report.atRestart).toBeLessThan(1000); // the ring really stood still in between
  });

  it("fifty threads that die leave no mapping, descriptor or thread behind", async () => {
    const { before, after, mapped } = (await scenario("leak")) as Record<string, Record<string, number>>;
    expect(mapped).toBe(1);
    expect(after).toMatchObject({ rings: 0, fds: before!.fds, threads: before!.threads });
    expect(after!.maps! - before!.maps!).toBeLessThan(50);
    expect(after!.megabytes! - before!.megabytes!).toBeLessThan(60);
  });
});
