import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { isNativeError, mapFile, type NativeError, native, Watch } from "../../src/ring/native.ts";

const addon = native();
const folder = mkdtempSync(join(tmpdir(), "dr-native-"));
afterAll(() => rmSync(folder, { recursive: true }));

function failure(action: () => unknown): NativeError {
  try {
    action();
  } catch (error) {
    return error as NativeError;
  }
  throw new Error("it did not fail");
}

describe("a failed system call", () => {
  it("is an Error with errno's name, the call, and what to do", () => {
    const error = failure(() => addon.link("no-such-link"));
    expect(error).toBeInstanceOf(Error);
    expect([error.code, error.errno, error.syscall]).toEqual(["ENODEV", 19, "ioctl(SIOCGIFINDEX)"]);
    expect(error.message).toMatch(/^link: ioctl\(SIOCGIFINDEX\): No such device \(ENODEV\); .*`ip link`/);
    expect(isNativeError(error, "ENODEV")).toBe(true);
    expect(isNativeError(error, "EPERM")).toBe(false);
    expect(isNativeError(new Error("other"))).toBe(false);
  });

  it("is a TypeError that names the argument when the argument is the reason", () => {
    const anything = addon as unknown as Record<string, (...values: unknown[]) => unknown>;
    expect(() => anything.link!(7)).toThrow(/link: argument 1 must be a string/);
    expect(() => anything.socket!(1)).toThrow(/socket: argument 2 must be given/);
    expect(() => anything.send!(1, "text")).toThrow(
      /send: argument 2 must be an ArrayBuffer or a typed array/,
    );
    expect(() => anything.setAffinity!(new Uint8Array(1))).toThrow(/Int32Array/);
    expect(() => anything.watchEnd!({})).toThrow(/handle that this addon made/);
    expect(() => anything.watch!(0, 5)).toThrow(/argument 2 must be a function/);
    expect(() => addon.link("a-name-that-is-far-too-long")).toThrow(TypeError);
    expect(() => addon.link("nul\0nul")).toThrow(/NUL/);
  });

  it("leaves wrong descriptors alone", () => {
    for (const action of [
      () => addon.close(9999),
      () => addon.send(9999, new Uint8Array(1)),
      () => addon.recv(9999, new Uint8Array(1)),
      () => addon.setOption(9999, 1, 2, 3),
      () => addon.mapShared(9999, 4096, 0),
    ])
      expect(failure(action).code).toBe("EBADF");
    expect(addon.sendMessages(9999, addon.createMessages(4, 0), 0, 1)).toBe(-9);
    expect(addon.receiveMessages(9999, addon.createMessages(4, 0), 0, 1)).toBe(-9);
  });
});

describe("a region", () => {
  it("never crosses a 4 GiB line, wherever it lands", () => {
    for (let i = 0; i < 40; i++) {
      const bytes = 4096 * (1 + i * 997);
      const { memory, low } = addon.mapRegion(-1, 0, bytes);
      expect(memory.byteLength).toBe(bytes);
      expect(low + bytes).toBeLessThanOrEqual(2 ** 32);
    }
  });

  it("is zeroed, writable, and harmless after it was retired", () => {
    const bytes = new Uint8Array(addon.mapRegion(-1, 0, 8192).memory);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes.fill(7);
    addon.retire(bytes.buffer);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes[8191] = 1;
    expect(() => addon.retire(new ArrayBuffer(4096))).toThrow(TypeError);
  });

  it("is made of whole pages below 2 GiB", () => {
    expect(() => addon.mapRegion(-1, 0, 100)).toThrow(TypeError);
    expect(() => addon.mapRegion(-1, 0, 0)).toThrow(TypeError);
    expect(() => addon.mapRegion(-1, 4096, 4096)).toThrow(TypeError);
    expect(() => addon.mapRegion(-1, 0, 2 ** 31)).toThrow(TypeError);
  });

  it("does not let a table of messages be overrun", () => {
    const table = addon.createMessages(4, 0);
    expect(() => addon.sendMessages(0, table, 0, 5000)).toThrow(/within the table/);
    expect(() => addon.createMessages(0, 0)).toThrow(TypeError);
    expect(() => addon.createMessages(1025, 0)).toThrow(TypeError);
  });
});

describe("a mapped file", () => {
  it("is the same memory for every thread that maps it", async () => {
    const { memory, fd } = mapFile(join(folder, "shared"), 4096, { create: true, lock: true });
    const cells = new Int32Array(memory);
    const source = `
      const { workerData, parentPort } = require("node:worker_threads");
      const addon = require(workerData.addon);
      const cells = new Int32Array(addon.mapShared(workerData.fd, 4096, 0));
      for (let i = 0; i < 10000; i++) Atomics.add(cells, 5, 1);
      parentPort.postMessage("done");`;
    const path = new URL("../../build/dr_director.node", import.meta.url).pathname;
    const workers = [0, 1].map(() => new Worker(source, { eval: true, workerData: { addon: path, fd } }));
    for (let i = 0; i < 10000; i++) Atomics.add(cells, 5, 1);
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve))));
    expect(cells[5]).toBe(30000);
    addon.close(fd);
  });

  it("keeps what is in it, and grows with zeros", () => {
    const path = join(folder, "kept");
    writeFileSync(path, "abc");
    const { memory, fd } = mapFile(path, 8192, { create: true, lock: false });
    expect([...new Uint8Array(memory, 0, 5)]).toEqual([97, 98, 99, 0, 0]);
    addon.close(fd);
  });

  it("is refused when it is shorter than what is to be mapped", () => {
    const path = join(folder, "short");
    writeFileSync(path, new Uint8Array(8192));
    truncateSync(path, 4096);
    const error = failure(() => mapFile(path, 8192, { create: false, lock: false }));
    expect(error.code).toBe("EOVERFLOW");
    expect(failure(() => mapFile(join(folder, "none"), 1, { create: false, lock: false })).code).toBe(
      "ENOENT",
    );
  });

  it("is locked for one at a time", () => {
    const path = join(folder, "locked");
    const first = mapFile(path, 4096, { create: true, lock: true });
    expect(failure(() => mapFile(path, 4096, { create: true, lock: true })).code).toBe("EAGAIN");
    addon.close(first.fd);
    addon.close(mapFile(path, 4096, { create: true, lock: true }).fd);
  });

  it("may have no name at all", () => {
    const fd = addon.memfd("dr-test", 4096);
    const [one, other] = [addon.mapShared(fd, 4096, 0), addon.mapShared(fd, 4096, 0)];
    new Uint8Array(one)[9] = 42;
    expect(new Uint8Array(other)[9]).toBe(42);
    addon.close(fd);
  });
});

describe("waiting", () => {
  it("ends when the time has gone, when something is readable, and when woken", () => {
    const [here, there] = addon.socketPair();
    const wake = addon.eventFd();
    const start = performance.now();
    expect(addon.wait(here, wake, 30)).toBe(0);
    expect(performance.now() - start).toBeGreaterThan(25);
    addon.send(there, Uint8Array.of(1));
    expect(addon.wait(here, wake, 1000)).toBe(1);
    addon.signal(wake);
    expect(addon.wait(here, wake, 1000)).toBe(3);
    addon.recv(here, new Uint8Array(1));
    expect(addon.wait(here, wake, 0)).toBe(0); // the signal was taken
    for (const fd of [here, there, wake]) addon.close(fd);
  });

  it("sleeps for less than a millisecond when asked to", () => {
    const wake = addon.eventFd();
    const start = performance.now();
    for (let i = 0; i < 20; i++) addon.wait(wake, wake, 0.1);
    expect(performance.now() - start).toBeLessThan(20);
    addon.close(wake);
  });

  it("has clocks in milliseconds", () => {
    const [wall, cpu] = [addon.monotonic(), addon.threadCpu()];
    for (const end = performance.now() + 20; performance.now() < end; );
    expect(addon.monotonic() - wall).toBeGreaterThanOrEqual(19);
    expect(addon.threadCpu() - cpu).toBeGreaterThan(2);
    expect(addon.threadCpu() - cpu).toBeLessThan(1000);
  });
});

describe("watching a descriptor", () => {
  it("calls back for what is readable, again while something is left, and never after end()", async () => {
    const [here, there] = addon.socketPair();
    const got: number[] = [];
    const byte = new Uint8Array(1);
    // One message a call: the rest is still readable, so it must be called again.
    const watch = new Watch(here, () => {
      addon.recv(here, byte);
      got.push(byte[0]!);
    });
    for (let i = 0; i < 5; i++) addon.send(there, Uint8Array.of(i));
    await sleep(50);
    addon.send(there, Uint8Array.of(5));
    await sleep(50);
    expect(got).toEqual([0, 1, 2, 3, 4, 5]);
    watch.end();
    watch.end();
    addon.send(there, Uint8Array.of(6));
    await sleep(30);
    expect(got.length).toBe(6);
    for (const fd of [here, there]) addon.close(fd);
  });

  it("keeps a process alive until it is unref'd or ended", async () => {
    const path = new URL("../../build/dr_director.node", import.meta.url).pathname;
    const source = (more: string) => `
      const addon = require(${JSON.stringify(path)});
      const watch = addon.watch(addon.eventFd(), () => {});
      ${more}
      setTimeout(() => process.exit(7), 300).unref();`;
    const { spawnSync } = await import("node:child_process");
    const status = (more: string) => spawnSync(process.execPath, ["-e", source(more)]).status;
    expect(status("addon.watchHold(watch, false);")).toBe(0);
    expect(status("addon.watchEnd(watch);")).toBe(0);
    expect(status("")).toBe(7);
  });

  it("hands an error in the callback to the process, as the event loop does", async () => {
    const path = new URL("../../build/dr_director.node", import.meta.url).pathname;
    const source = `
      const addon = require(${JSON.stringify(path)});
      process.on("uncaughtException", (error) => { console.log(error.message); process.exit(3); });
      const fd = addon.eventFd();
      addon.watch(fd, () => { throw new Error("from the callback"); });
      addon.signal(fd);`;
    const { spawnSync } = await import("node:child_process");
    const run = spawnSync(process.execPath, ["-e", source], { encoding: "utf8" });
    expect([run.status, run.stdout]).toEqual([3, "from the callback\n"]);
  });
});

describe("descriptors from process to process", () => {
  it("arrive open, with the bytes that say what they are", () => {
    const [here, there] = addon.socketPair();
    const files = [addon.memfd("one", 4096), addon.memfd("two", 4096)];
    new Uint8Array(addon.mapShared(files[1]!, 4096, 0))[0] = 77;
    addon.sendFds(here, Int32Array.from(files), new TextEncoder().encode("rings"));
    for (const fd of files) addon.close(fd);
    const fds = new Int32Array(4);
    const text = new Uint8Array(16);
    expect(addon.receiveFds(there, fds, text)).toEqual({ fds: 2, bytes: 5 });
    expect(new TextDecoder().decode(text.subarray(0, 5))).toBe("rings");
    expect(new Uint8Array(addon.mapShared(fds[1]!, 4096, 0))[0]).toBe(77);
    expect(addon.receiveFds(there, fds, text)).toEqual({ fds: 0, bytes: -1 });
    for (const fd of [here, there, fds[0]!, fds[1]!]) addon.close(fd);
  });

  it("are closed when there is no room for them", async () => {
    const { readdirSync } = await import("node:fs");
    const [here, there] = addon.socketPair();
    const before = readdirSync("/proc/self/fd").length;
    const files = [addon.eventFd(), addon.eventFd(), addon.eventFd()];
    addon.sendFds(here, Int32Array.from(files), Uint8Array.of(1));
    for (const fd of files) addon.close(fd);
    const one = new Int32Array(1);
    expect(addon.receiveFds(there, one, new Uint8Array(1))).toEqual({ fds: 1, bytes: 1 });
    addon.close(one[0]!);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
    for (const fd of [here, there]) addon.close(fd);
  });
});

describe("the thread and the process", () => {
  it("run on the CPUs they are told to", () => {
    const all = addon.getAffinity();
    addon.setAffinity(Int32Array.of(all[0]!));
    expect(addon.getAffinity()).toEqual([all[0]]);
    addon.setAffinity(Int32Array.from(all));
    expect(addon.getAffinity()).toEqual(all);
    expect(failure(() => addon.setAffinity(Int32Array.of(1000))).code).toBe("EINVAL");
    expect(() => addon.setAffinity(Int32Array.of(-1))).toThrow(TypeError);
  });

  it("say which capabilities they have", async () => {
    const { readFileSync } = await import("node:fs");
    const status = /CapEff:\s+(\w+)/.exec(readFileSync("/proc/thread-self/status", "utf8"))![1]!;
    expect(addon.capabilities()).toBe(BigInt(`0x${status}`));
  });

  it("know the loopback interface", () => {
    expect(addon.link("lo")).toMatchObject({ index: 1, hardwareType: 772, macHigh: 0, macLow: 0 });
  });
});
