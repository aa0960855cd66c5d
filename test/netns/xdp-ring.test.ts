import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createBurst } from "../../src/ring/burst.ts";
import { isNativeError, native, openFrameSocket } from "../../src/ring/native.ts";
import { XdpRing } from "../../src/ring/xdp-ring.ts";
import { openXdpSockets, type XdpInterface, type XdpMode } from "../../src/ring/xdp-sockets.ts";
import { mapped, type Words } from "../../src/wire/address.ts";
import {
  NETWORK_KEY,
  networkKey,
  SERVICE_KEY,
  serviceKey,
  TAKE_VALUE,
  Take,
  xdpProgram,
} from "../../src/wire/xdp-program.ts";

const VIP = mapped(0x0a090064);
const VIP6: Words = [0x20010db8, 0, 0, 0x64];
const UDP = 17;
const TCP = 6;

let holder: ChildProcess;
const home = openSync("/proc/self/ns/net", "r");
const open: { close(): void }[] = [];

beforeAll(async () => {
  holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
  const own = readlinkSync("/proc/self/ns/net");
  while (readlinkSync(`/proc/${holder.pid}/ns/net`) === own) await new Promise((next) => setTimeout(next, 5));
  native().setNamespace(`/proc/${holder.pid}/ns/net`, 0);
  ip("link set lo up");
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

function ip(command: string): string {
  const run = spawnSync("ip", command.split(" "), { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`ip ${command}: ${run.stderr}`);
  return run.stdout;
}

function attach(interfaceName: string, chunks?: number, modes: XdpMode[] = ["native copy"]): XdpInterface {
  const one = openXdpSockets({ interfaceName, modes, ...(chunks ? { chunks } : {}) });
  open.push(one);
  return one;
}

function map(one: XdpInterface): XdpRing {
  const ring = new XdpRing(one.sockets[0]!);
  open.push(ring);
  return ring;
}

interface Fields {
  readonly to?: Words;
  readonly protocol?: number;
  readonly port?: number;
  readonly fragment?: number;
  readonly options?: number;
  readonly number?: number;
  readonly tag?: boolean;
}

function frame(length: number, fields: Fields = {}): Uint8Array {
  const { to = VIP, protocol = UDP, port = 80, fragment = 0, options = 0 } = fields;
  const six = to[2] !== 0xffff;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8]);
  const ip = fields.tag ? 18 : 14;
  if (fields.tag) view.setUint32(12, 0x81000007);
  view.setUint16(ip - 2, six ? 0x86dd : 0x0800);
  const transport = ip + (six ? 40 : 20 + options * 4);
  if (six) {
    view.setUint32(ip, 0x60000000);
    view.setUint16(ip + 4, length - transport);
    bytes[ip + 6] = protocol;
    to.forEach((word, w) => {
      view.setUint32(ip + 24 + 4 * w, word);
    });
  } else {
    bytes[ip] = 0x45 + options;
    view.setUint16(ip + 2, length - ip);
    view.setUint16(ip + 6, fragment);
    bytes[ip + 8] = 64;
    bytes[ip + 9] = protocol;
    view.setUint32(ip + 12, 0x0a090001);
    view.setUint32(ip + 16, to[3]);
  }
  if (protocol === 1 || protocol === 58) bytes[transport] = port;
  else view.setUint16(transport + 2, port);
  if (transport + 12 <= length) view.setUint32(transport + 8, fields.number ?? 0);
  return bytes;
}

function queue(ring: XdpRing, bytes: Uint8Array): void {
  const at = ring.reserve(bytes.length);
  if (at < 0) throw new Error("no place");
  ring.bytes.set(bytes, at);
  ring.submit(at, bytes.length);
}

const burst = createBurst();
function take(ring: XdpRing): Uint8Array[] {
  ring.peek(burst);
  return Array.from({ length: burst.count }, (_, i) =>
    ring.bytes.slice(burst.at[i]!, burst.at[i]! + burst.length[i]!),
  );
}

/** Frames go through a queue of the kernel: what was sent arrives a moment later. */
function takeAll(ring: XdpRing, count: number): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let i = 0; i < 100 && all.length < count; i++) {
    const some = take(ring);
    all.push(...some);
    ring.release();
    if (some.length === 0) ring.wait(10);
  }
  return all;
}

describe("the program that takes the services' frames", () => {
  const REDIRECT = 4;
  const NETWORK: Words = mapped(0x0a0a0000);
  const INSIDE: Words = mapped(0x0a0a1234);
  /** An address that the director answers for, without a service. */
  const OWN: Words = mapped(0x0a090077);
  let program = -1;

  beforeAll(() => {
    const addon = native();
    const maps = {
      services: addon.bpfMapCreate(1, SERVICE_KEY, TAKE_VALUE, 64, 0),
      networks: addon.bpfMapCreate(11, NETWORK_KEY, TAKE_VALUE, 64, 1),
      // A device map in place of the socket map: the kernel's test run has no sockets.
      sockets: addon.bpfMapCreate(14, 4, 4, 1, 0),
    };
    const value = (bits: number) => new Uint8Array(Uint32Array.of(bits).buffer);
    addon.bpfMapUpdate(maps.sockets, value(0), value(addon.link("va").index), 0);
    for (const [address, protocol, port, bits] of [
      [VIP, TCP, 80, Take.Frames],
      [VIP, UDP, 0, Take.Frames],
      [VIP, 0, 0, Take.Frames],
      [VIP6, TCP, 80, Take.Frames],
      [VIP6, 0, 0, Take.Frames | Take.Echo],
      [OWN, 0, 0, Take.Echo],
    ] as const)
      addon.bpfMapUpdate(maps.services, serviceKey(address, protocol, port), value(bits), 0);
    addon.bpfMapUpdate(maps.networks, networkKey(NETWORK, 16), value(Take.Frames), 0);
    program = addon.bpfProgLoad(6, xdpProgram(maps), "MIT", 0, "test");
    for (const fd of Object.values(maps)) addon.close(fd);
  });
  afterAll(() => native().close(program));

  const taken = (bytes: Uint8Array) =>
    native().bpfTestRun(program, bytes, new Uint8Array(2048), 1, 0).result === REDIRECT;

  /** What the maps above ask for, in words. */
  function wanted({ to = VIP, protocol = 0, port = 0, fragment = 0 }: Fields): boolean {
    const six = to[2] !== 0xffff;
    const part = six ? protocol === 44 : (fragment & 0x3fff) !== 0;
    const icmp = !part && protocol === (six ? 58 : 1);
    const error = icmp && (six ? [1, 2, 3, 4] : [3, 4, 5, 11, 12]).includes(port);
    const echo = icmp && port === (six ? 128 : 8);
    if (to === VIP) return part || error || (protocol === TCP && port === 80) || protocol === UDP;
    if (to === VIP6) return part || error || echo || (protocol === TCP && port === 80);
    if (to === OWN) return part || echo;
    return to === INSIDE && (part || error || [TCP, UDP, 132].includes(protocol));
  }

  it("takes exactly these, tagged or not, whatever the IP options", () => {
    const wrong: Fields[] = [];
    const outside: Words[] = [mapped(0x0a0b0000), mapped(0x0a090065), [0x20010db8, 0, 0, 0x65]];
    for (const to of [VIP, VIP6, INSIDE, OWN, ...outside])
      for (const protocol of [TCP, UDP, 132, 1, 58, 47, 44])
        for (const port of [80, 81, 0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 127, 128, 129, 135])
          for (const fragment of [0, 0x4000, 0x2000, 0x0010])
            for (const options of [0, 1, 10])
              for (const tag of [false, true]) {
                const fields = { to, protocol, port, fragment, options, tag };
                if (taken(frame(120, fields)) !== wanted(fields)) wrong.push(fields);
              }
    expect(wrong).toEqual([]);
  });

  it("passes what is cut, and everything that is not IP", () => {
    expect(taken(frame(60, { protocol: TCP }))).toBe(true);
    for (let cut = 14; cut < 38; cut++)
      expect(taken(frame(60, { protocol: TCP }).subarray(0, cut))).toBe(false);
    const arp = frame(60);
    arp.set([8, 6], 12);
    expect(taken(arp)).toBe(false);
    const small = frame(60, { protocol: TCP });
    small[14] = 0x44; // shorter than an IPv4 header
    expect(taken(small)).toBe(false);
  });
});

describe("the AF_XDP ring", () => {
  it("hands frames out byte for byte at an aligned place, and sends its own", () => {
    const [a, b] = [map(attach("va")), map(attachFor("vb"))];
    const frames = [60, 61, 512, 1513, 1514].map((length) => frame(length, { number: length }));
    for (const one of frames) queue(a, one);
    expect(a.flush()).toBe(0);
    b.wait(1000);
    expect(take(b)).toEqual(frames);
    for (let i = 0; i < burst.count; i++) expect((burst.at[i]! + 14) % 4).toBe(0);
    b.release();
    expect([a.name, a.drops(), b.drops(), a.headroom]).toEqual(["af_xdp native copy", 0, 0, 0]);
  });

  it("sends received frames on from where they lie, drops the others, and never runs out of chunks", () => {
    const [a, b] = [map(attach("va")), map(attachFor("vb", 64))];
    let next = 0;
    let back = 0;
    for (let round = 0; round < 300; round++) {
      for (let i = 0; i < 20; i++) queue(a, frame(60, { number: next++ }));
      a.flush();
      let seen = 0;
      for (let i = 0; i < 50 && seen < 20; i++) {
        if (b.peek(burst) === 0) b.wait(10);
        for (let j = 0; j < burst.count; j++) {
          expect(b.view.getUint32(burst.at[j]! + 42)).toBe(next - 20 + seen++);
          if (seen % 3 === 0) b.submit(burst.at[j]!, burst.length[j]!);
        }
        b.flush();
        b.release();
      }
      expect(seen).toBe(20);
      back += 6;
    }
    expect(b.drops()).toBe(0);
    expect(back).toBe(1800);
  });

  it("counts the frames that find no chunk", () => {
    const [a, b] = [map(attach("va")), map(attachFor("vb", 64))];
    for (let i = 0; i < 100; i++) queue(a, frame(60, { number: i }));
    a.flush();
    expect(takeAll(b, 64).length).toBe(64);
    expect(b.drops()).toBe(36);
  });

  it("goes on with the first frame that was not given back, when another thread maps it", () => {
    const a = map(attach("va"));
    const one = attachFor("vb", 64);
    const numbers = (frames: Uint8Array[]) => frames.map((bytes) => new DataView(bytes.buffer).getUint32(42));
    for (let number = 0; number < 30; number++) queue(a, frame(60, { number }));
    a.flush();
    const first = new XdpRing(one.sockets[0]!);
    first.wait(1000);
    const five = createBurst(5);
    first.peek(five);
    first.release();
    first.peek(five);
    for (let i = 0; i < 3; i++) first.submit(five.at[i]!, five.length[i]!); // 5, 6, 7 are sent …
    first.flush();
    first.close(); // … and then the thread dies
    const second = map(one);
    expect(numbers(takeAll(second, 22))).toEqual(Array.from({ length: 22 }, (_, i) => i + 8));
    // All 64 chunks are there still.
    for (let number = 0; number < 64; number++) queue(a, frame(60, { number }));
    a.flush();
    expect(takeAll(second, 64).length).toBe(64);
    expect(second.drops()).toBe(0);
  });

  it("gives up a sleep when woken", () => {
    const one = attach("va");
    const a = map(one);
    native().signal(one.sockets[0]!.wake);
    const start = performance.now();
    a.wait(2000);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

/** Taken: UDP to the VIP, port 80. */
function attachFor(interfaceName: string, chunks?: number): XdpInterface {
  const one = attach(interfaceName, chunks);
  one.take([serviceKey(VIP, UDP, 80)], [], []);
  return one;
}

describe("the program on the interface", () => {
  it("leaves what is not taken to the host, and can be told otherwise while it runs", () => {
    const [one, a] = [attachFor("vb"), map(attach("va"))];
    const b = map(one);
    const host = openFrameSocket(native().link("vb").index, 0x0800);
    open.push({ close: () => native().close(host) });
    const buffer = new Uint8Array(2000);
    const hostSaw = () => {
      for (let i = 0; i < 50; i++) {
        const length = native().recv(host, buffer);
        if (length >= 0) return new DataView(buffer.buffer).getUint16(36);
        native().wait(host, host, 5);
      }
      return -1;
    };
    const send = (port: number) => {
      queue(a, frame(60, { port }));
      a.flush();
    };
    send(81);
    expect(hostSaw()).toBe(81);
    send(80);
    expect(takeAll(b, 1).length).toBe(1);
    one.take([serviceKey(VIP, UDP, 81)], [], []);
    send(80);
    expect(hostSaw()).toBe(80);
    send(81);
    expect(takeAll(b, 1).length).toBe(1);
    one.take([], [networkKey(mapped(0x0a090000), 16)], []);
    send(99);
    expect(takeAll(b, 1).length).toBe(1);
    one.take([], [], []);
    send(81);
    expect(hostSaw()).toBe(81);
  });

  it("is gone when it is closed, and when the process is killed", async () => {
    attach("va").close();
    open.pop();
    expect(ip("link show va")).not.toContain("xdp");
    const modules = fileURLToPath(new URL("../../dist/ring/xdp-sockets.js", import.meta.url));
    const source = `import { openXdpSockets } from ${JSON.stringify(modules)};
      openXdpSockets({ interfaceName: "va", modes: ["native copy"] });
      console.log("open");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(ip("link show va")).toContain("xdp");
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    for (let i = 0; i < 100 && ip("link show va").includes("xdp"); i++)
      await new Promise((next) => setTimeout(next, 10));
    expect(ip("link show va")).not.toContain("xdp");
  });

  it("stands back for a program that is there already, and says so", () => {
    attach("va");
    try {
      attach("va");
      expect.unreachable();
    } catch (error) {
      expect(isNativeError(error, "EBUSY")).toBe(true);
      expect((error as Error).message).toMatch(/another program is attached/);
    }
    map(open[0] as XdpInterface); // the first one is untouched
  });

  it("takes the next best mode, and tells why the better ones were refused", () => {
    const one = attach("va", undefined, ["zero-copy", "generic"]);
    expect(one.mode).toBe("generic");
    expect(one.refusals.length).toBe(1);
    expect(one.refusals[0]).toMatch(/^zero-copy: .*EOPNOTSUPP/);
    expect(map(one).name).toBe("af_xdp generic");
  });
});

describe("through a forwarding thread", () => {
  function scenario(name: string, options: object): Promise<Record<string, unknown>> {
    const script = fileURLToPath(new URL(`./ring/${name}.mjs`, import.meta.url));
    return new Promise((resolve, reject) => {
      const command = ["--net", process.execPath, script, JSON.stringify(options)];
      execFile("unshare", command, { timeout: 60_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${name}: ${stderr}`, { cause: error }));
        else resolve(JSON.parse(stdout) as Record<string, unknown>);
      });
    });
  }

  it("an upload with every offload on arrives whole, its half-done checksums finished", async () => {
    const report = await scenario("bulk", { megabytes: 30, xdp: "native copy" });
    expect(report.received).toBe(report.sent);
    expect(report).toMatchObject({ mode: "native copy", refused: 0, superFrames: 0 });
    expect(report.frames).toBeGreaterThan(20_000);
  });

  it("nothing is lost when the thread is killed and another maps its ring", async () => {
    const report = await scenario("restart", { xdp: true });
    expect(report).toMatchObject({ seen: report.sent, missing: [] });
  });
});
