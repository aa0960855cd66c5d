import { beforeEach, describe, expect, it } from "vitest";
import { attachCommands, type Commands } from "../../src/control/commands.ts";
import type { ServerSpec, ServiceKey, ServiceListing, ServiceSpec } from "../../src/control/model.ts";
import type { Change, Scheduler } from "../../src/schedulers/scheduler.ts";
import { STAT_BYTES, STAT_CONNECTIONS, STAT_PACKETS, STATS } from "../../src/table/counters.ts";
import { Life } from "../../src/table/destinations.ts";
import { beginChange, generation } from "../../src/table/generation.ts";
import { CONTROL_OWNER } from "../../src/table/lock.ts";
import { createRegion, Header, openRegion, type Region, regionBytes } from "../../src/table/region.ts";
import { NONE } from "../../src/table/services.ts";
import { Setting } from "../../src/table/settings.ts";

const SIZES = { shards: 2, services: 8, destinations: 16, connections: 64, templates: 64, neighbours: 16 };

const changes: Change[] = [];
const spy: Scheduler = {
  name: "rr",
  schedule: () => -1,
  start: (view) => {
    view.memory[0] = 7;
  },
  changed: (_view, change) => {
    changes.push(change);
  },
};
const plain: Scheduler = { name: "wlc", schedule: () => -1 };
const find = (name: string): Scheduler | undefined =>
  [spy, plain].find((scheduler) => scheduler.name === name);

let buffer: ArrayBuffer;
let region: Region;
let now = 0;
let commands: Commands;

const KEY: ServiceKey = { protocol: "tcp", family: 4, address: "10.0.0.100", port: 80, mark: 0 };
const MARK: ServiceKey = { protocol: "fwm", family: 4, address: "0.0.0.0", port: 0, mark: 7 };
const SIX: ServiceKey = { protocol: "tcp", family: 6, address: "2001:db8::100", port: 80, mark: 0 };

function service(key: ServiceKey, more: Partial<ServiceSpec> = {}): ServiceSpec {
  const netmask = key.family === 4 ? "255.255.255.255" : "128";
  return { key, scheduler: "rr", flags: 0, persistence: 0, netmask, onePacket: false, ...more };
}
function server(address: string, more: Partial<ServerSpec> = {}): ServerSpec {
  return { address, port: 80, weight: 1, method: "route", upper: 0, lower: 0, ...more };
}
/** The error code, or "ok". */
function code(command: Parameters<Commands["execute"]>[0]): string {
  const result = commands.execute(command);
  return result.ok ? "ok" : result.error.code;
}
const add = (key: ServiceKey, spec: ServerSpec): string =>
  code({ kind: "addServer", service: key, server: spec });
const edit = (key: ServiceKey, spec: ServerSpec): string =>
  code({ kind: "editServer", service: key, server: spec });
const remove = (key: ServiceKey, address: string, port = 80): string =>
  code({ kind: "deleteServer", service: key, server: { address, port } });
function list(): ServiceListing[] {
  const listing = commands.list("services");
  return listing.kind === "services" ? [...listing.services] : [];
}
const addresses = (): string[] => list()[0]!.servers.map((one) => one.address);
const row = (address: string): number =>
  commands.destinations.find(commands.services.find({ ...numbers }), { address: words(address), port: 80 });
const words = (address: string): [number, number, number, number] => {
  const value = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return [0, 0, 0xffff, value];
};
const numbers = { family: 4 as const, protocol: 6, address: words("10.0.0.100"), port: 80, mark: 0 };

function attach(): void {
  commands = attachCommands(region, {
    now: () => now,
    schedulers: find,
    addresses: {
      isLocal: (a) => a[3] === 0x0a000001,
      isBroadcast: (a) => a[3] === 0x0a0000ff,
    },
  });
}

beforeEach(() => {
  buffer = new ArrayBuffer(regionBytes(SIZES));
  region = createRegion(buffer, SIZES, 1, 0);
  changes.length = 0;
  now = 1000;
  attach();
});

describe("services", () => {
  it("are refused as the kernel refuses them", () => {
    expect(code({ kind: "addService", service: service(KEY) })).toBe("ok");
    expect(code({ kind: "addService", service: service(KEY) })).toBe("EEXIST");
    expect(code({ kind: "addService", service: service(KEY, { scheduler: "nosuch" }) })).toBe("EEXIST");
    const other = { ...KEY, port: 81 };
    expect(code({ kind: "editService", service: service(other) })).toBe("ESRCH");
    expect(code({ kind: "deleteService", service: other })).toBe("ESRCH");
    expect(code({ kind: "zero", service: other })).toBe("ESRCH");
    expect(code({ kind: "addService", service: service(other, { scheduler: "nosuch" }) })).toBe("ENOENT");
    expect(code({ kind: "addService", service: service(other, { pe: "sip" }) })).toBe("ENOENT");
    expect(code({ kind: "addService", service: service({ ...KEY, port: 0 }) })).toBe("EINVAL");
    expect(code({ kind: "addService", service: service({ ...KEY, port: 0 }, { persistence: 360 }) })).toBe(
      "ok",
    );
    expect(code({ kind: "addService", service: service({ ...KEY, address: "10.0.0" }) })).toBe("EINVAL");
  });

  it("count per family, which the data path asks for", () => {
    for (const key of [KEY, MARK, SIX])
      expect(code({ kind: "addService", service: service(key) })).toBe("ok");
    expect([region.header[Header.Services4], region.header[Header.Services6]]).toEqual([2, 1]);
    expect(code({ kind: "deleteService", service: MARK })).toBe("ok");
    expect([region.header[Header.Services4], region.header[Header.Services6]]).toEqual([1, 1]);
    expect(code({ kind: "clear" })).toBe("ok");
    expect([region.header[Header.Services4], region.header[Header.Services6]]).toEqual([0, 0]);
  });

  it("list newest first and as they were said", () => {
    const six = service(SIX, { persistence: 60, netmask: "64", scheduler: "wlc" });
    const four = service(KEY, { persistence: 300, netmask: "255.255.255.0", flags: 0x18 });
    commands.execute({ kind: "addService", service: six });
    commands.execute({ kind: "addService", service: four });
    const [first, second] = list();
    expect(first).toMatchObject(four);
    expect(second).toMatchObject(six);
    expect(region.services.netmask.slice(0, 4)).toEqual(new Uint32Array([0xffffffff, 0xffffffff, 0, 0]));
  });

  it("are one and the same however their address is written", () => {
    expect(code({ kind: "addService", service: service(SIX) })).toBe("ok");
    expect(code({ kind: "addService", service: service({ ...SIX, address: "2001:DB8:0::100" }) })).toBe(
      "EEXIST",
    );
  });

  it("keep the scheduler's memory on an edit that keeps the scheduler, and start it anew otherwise", () => {
    commands.execute({ kind: "addService", service: service(KEY) });
    expect(region.services.memory[0]).toBe(7);
    region.services.memory[0] = 9;
    expect(code({ kind: "editService", service: service(KEY, { persistence: 5 }) })).toBe("ok");
    expect(region.services.memory[0]).toBe(9);
    expect(code({ kind: "editService", service: service(KEY, { scheduler: "wlc" }) })).toBe("ok");
    expect(region.services.memory[0]).toBe(0);
    expect(list()[0]!.scheduler).toBe("wlc");
  });

  it("run out with a clear word", () => {
    for (let port = 1; port <= 8; port++)
      commands.execute({ kind: "addService", service: service({ ...KEY, port }) });
    expect(code({ kind: "addService", service: service({ ...KEY, port: 9 }) })).toBe("ENOMEM");
    expect(list()).toHaveLength(8);
  });
});

describe("real servers", () => {
  beforeEach(() => {
    commands.execute({ kind: "addService", service: service(KEY) });
  });

  it("come to the head of the list, and an edit does not move them", () => {
    for (const n of [1, 2, 3]) expect(add(KEY, server(`10.0.0.1${n}`))).toBe("ok");
    expect(addresses()).toEqual(["10.0.0.13", "10.0.0.12", "10.0.0.11"]);
    expect(edit(KEY, server("10.0.0.11", { weight: 5 }))).toBe("ok");
    expect(remove(KEY, "10.0.0.12")).toBe("ok");
    expect(add(KEY, server("10.0.0.12"))).toBe("ok");
    expect(addresses()).toEqual(["10.0.0.12", "10.0.0.13", "10.0.0.11"]);
  });

  it("tell the scheduler of each change, with the one that stood before a removed one", () => {
    for (const n of [1, 2, 3]) add(KEY, server(`10.0.0.1${n}`));
    const [a, b, c] = [1, 2, 3].map((n) => row(`10.0.0.1${n}`));
    edit(KEY, server("10.0.0.12"));
    remove(KEY, "10.0.0.12");
    remove(KEY, "10.0.0.13");
    expect(changes).toEqual([
      { kind: "added", destination: a, before: -1 },
      { kind: "added", destination: b, before: -1 },
      { kind: "added", destination: c, before: -1 },
      { kind: "edited", destination: b, before: -1 },
      { kind: "removed", destination: b, before: c },
      { kind: "removed", destination: c, before: -1 },
    ]);
    expect(region.services.lock[0]).toBe(0);
  });

  it("are refused as the kernel refuses them", () => {
    const nowhere = { ...KEY, port: 81 };
    expect(add(nowhere, server("10.0.0.11"))).toBe("ESRCH");
    expect(edit(nowhere, server("10.0.0.11"))).toBe("ESRCH");
    expect(remove(nowhere, "10.0.0.11")).toBe("ESRCH");
    expect(add(KEY, server("10.0.0.11"))).toBe("ok");
    expect(add(KEY, server("10.0.0.11", { weight: 5 }))).toBe("EEXIST");
    expect(edit(KEY, server("10.0.0.12"))).toBe("ENOENT");
    expect(remove(KEY, "10.0.0.12")).toBe("ENOENT");
    expect(add(KEY, server("10.0.0.16", { upper: 5, lower: 10 }))).toBe("ERANGE");
    expect(add(KEY, server("10.0.0.16", { lower: 5 }))).toBe("ERANGE");
    expect(add(KEY, server("10.0.0.16", { upper: 5, lower: 5 }))).toBe("ok");
    expect(add(KEY, server("10.0.0.17", { weight: -1 }))).toBe("ERANGE");
    expect(add(KEY, server("10.0.0.17", { weight: 2147483647 }))).toBe("ok");
    expect(add(KEY, server("10.0.0.18", { method: "masq", port: 8080 }))).toBe("EOPNOTSUPP");
    expect(add(KEY, server("10.0.0.18", { method: "tunnel" }))).toBe("EOPNOTSUPP");
  });

  it("must have a unicast address", () => {
    for (const bad of ["224.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.255"]) {
      expect([bad, add(KEY, server(bad))]).toEqual([bad, "EINVAL"]);
    }
    for (const good of ["8.8.8.8", "127.0.0.1", "10.0.0.1"])
      expect([good, add(KEY, server(good))]).toEqual([good, "ok"]);
    commands.execute({ kind: "addService", service: service(SIX) });
    for (const bad of ["::", "ff02::1", "fe80::1", "::ffff:10.0.0.1"]) {
      expect([bad, add(SIX, server(bad))]).toEqual([bad, "EINVAL"]);
    }
    expect(add(SIX, server("2001:db8::11"))).toBe("ok");
  });

  it("have the service's port, but for a firewall mark's", () => {
    expect(add(KEY, server("10.0.0.13", { port: 8080 }))).toBe("ok");
    expect(list()[0]!.servers[0]!.port).toBe(80);
    expect(edit(KEY, server("10.0.0.13", { port: 9090, weight: 3 }))).toBe("ok");
    expect(remove(KEY, "10.0.0.13", 8080)).toBe("ENOENT");
    expect(remove(KEY, "10.0.0.13")).toBe("ok");
    commands.execute({ kind: "addService", service: service(MARK) });
    expect(add(MARK, server("10.0.0.13", { port: 8080 }))).toBe("ok");
    expect(list()[0]!.servers[0]!.port).toBe(8080);
  });

  it("remember the last weight that was not zero", () => {
    add(KEY, server("10.0.0.11", { weight: 4 }));
    edit(KEY, server("10.0.0.11", { weight: 0 }));
    const d = row("10.0.0.11");
    expect([region.destinations.weight[d], region.destinations.lastWeight[d]]).toEqual([0, 4]);
  });

  it("share a neighbour's row, which knows how many use it", () => {
    add(KEY, server("10.0.0.11"));
    commands.execute({ kind: "addService", service: service({ ...KEY, port: 81 }) });
    add({ ...KEY, port: 81 }, server("10.0.0.11"));
    const n = region.destinations.neighbour[row("10.0.0.11")]!;
    expect(region.neighbours.users[n]).toBe(2);
    commands.execute({ kind: "clear" });
    commands.sweep(now + 60_000);
    commands.sweep(now + 180_000);
    expect(region.neighbours.users[n]).toBe(0);
  });
});

describe("the trash", () => {
  beforeEach(() => {
    commands.execute({ kind: "addService", service: service(KEY) });
    add(KEY, server("10.0.0.11"));
  });

  function count(d: number, shard: number): void {
    const counters = region.shards[shard]!.counters;
    counters.active[d]!++;
    counters.destination[d * STATS + STAT_CONNECTIONS]! += 1;
    counters.destination[d * STATS + STAT_PACKETS]! += 2;
    counters.destination[d * STATS + STAT_BYTES]! += 80;
  }

  it("gives a server back with its connections and counters", () => {
    const d = row("10.0.0.11");
    count(d, 0);
    count(d, 1);
    remove(KEY, "10.0.0.11");
    expect(list()[0]!.stats).toMatchObject({ conns: 2, inPkts: 4, inBytes: 160 });
    now += 1_000_000;
    commands.sweep(now);
    commands.sweep(now + 1_000_000);
    expect(region.destinations.life[d]).toBe(Life.Trash);
    expect(add(KEY, server("10.0.0.11", { weight: 9 }))).toBe("ok");
    expect(row("10.0.0.11")).toBe(d);
    expect(list()[0]!.servers[0]).toMatchObject({ activeConns: 2, weight: 9, stats: { conns: 2 } });
  });

  it("gives it back to a service that was deleted and made anew, with connections but counters of 0", () => {
    const d = row("10.0.0.11");
    count(d, 0);
    commands.execute({ kind: "clear" });
    commands.execute({ kind: "addService", service: service({ ...KEY, port: 443 }) });
    commands.execute({ kind: "addService", service: service(KEY) });
    expect(add(KEY, server("10.0.0.11"))).toBe("ok");
    expect(row("10.0.0.11")).toBe(d);
    expect(list()[0]!.servers[0]).toMatchObject({ activeConns: 1, stats: { conns: 0, inPkts: 0 } });
    expect(list()[0]!.stats.conns).toBe(0);
  });

  // ip_vs_dest_trash_expire (ip_vs_ctl.c): once a minute, and two minutes from when nobody was first seen to need it.
  it("is looked through once a minute and emptied two minutes after it was seen idle; the service keeps what was counted", () => {
    const d = row("10.0.0.11");
    count(d, 0);
    remove(KEY, "10.0.0.11");
    commands.sweep(now + 60_000);
    region.shards[0]!.counters.active[d] = 0;
    for (const after of [119_999, 120_000, 180_000, 239_999]) commands.sweep(now + after);
    expect(region.destinations.life[d]).toBe(Life.Trash);
    commands.sweep(now + 240_000);
    expect(region.destinations.life[d]).toBe(Life.Free);
    expect(list()[0]!.stats).toMatchObject({ conns: 1, inPkts: 2, inBytes: 80 });
    add(KEY, server("10.0.0.12"));
    expect(list()[0]!.servers[0]!.stats.conns).toBe(0);
  });

  it("makes room when the table is full", () => {
    remove(KEY, "10.0.0.11");
    for (let n = 0; n < 15; n++) expect(add(KEY, server(`10.0.1.${n + 1}`))).toBe("ok");
    expect(add(KEY, server("10.0.1.100"))).toBe("ok");
    expect(add(KEY, server("10.0.1.101"))).toBe("ENOMEM");
  });
});

describe("zero", () => {
  it("brings a service and its servers to 0, also what deleted ones had counted", () => {
    commands.execute({ kind: "addService", service: service(KEY) });
    for (const n of [1, 2]) add(KEY, server(`10.0.0.1${n}`));
    for (const n of [1, 2])
      region.shards[1]!.counters.destination[row(`10.0.0.1${n}`) * STATS + STAT_PACKETS]! += 5;
    remove(KEY, "10.0.0.12");
    expect(list()[0]!.stats.inPkts).toBe(10);
    expect(code({ kind: "zero" })).toBe("ok");
    expect(list()[0]!).toMatchObject({ stats: { inPkts: 0 }, servers: [{ stats: { inPkts: 0 } }] });
    add(KEY, server("10.0.0.12"));
    expect(list()[0]!.servers[0]!.stats.inPkts).toBe(5);
  });
});

describe("thresholds", () => {
  const d = (): number => row("10.0.0.11");
  const overloaded = (): number => region.destinations.overload[d()]!;
  beforeEach(() => {
    commands.execute({ kind: "addService", service: service(KEY) });
    add(KEY, server("10.0.0.11", { upper: 10 }));
    region.shards[0]!.counters.active[d()] = 3;
    region.shards[1]!.counters.inactive[d()] = 3;
  });

  it("newer kernels look at the connections when a threshold is edited", () => {
    edit(KEY, server("10.0.0.11", { upper: 6 }));
    expect(overloaded()).toBe(1);
    edit(KEY, server("10.0.0.11", { upper: 8 }));
    expect(overloaded()).toBe(1); // 6 is not below 8 - 8/4
    edit(KEY, server("10.0.0.11", { upper: 9 }));
    expect(overloaded()).toBe(0); // but below 9 - 9/4
    edit(KEY, server("10.0.0.11", { upper: 5 }));
    edit(KEY, server("10.0.0.11", { upper: 8, lower: 7 }));
    expect(overloaded()).toBe(0); // 6 is below y
    edit(KEY, server("10.0.0.11", { upper: 5 }));
    edit(KEY, server("10.0.0.11"));
    expect(overloaded()).toBe(0); // no -x
  });

  it("older kernels only ever clear the mark, when -x rises or goes", () => {
    region.settings[Setting.overload_on_edit] = 0;
    edit(KEY, server("10.0.0.11", { upper: 5 }));
    expect(overloaded()).toBe(0);
    region.destinations.overload[d()] = 1;
    edit(KEY, server("10.0.0.11", { upper: 4 }));
    expect(overloaded()).toBe(1);
    edit(KEY, server("10.0.0.11", { upper: 5 }));
    expect(overloaded()).toBe(0);
  });
});

describe("a change", () => {
  it("moves the generation from even to even, and a refused one does not move it", () => {
    const before = generation(region.header, Header.Generation);
    commands.execute({ kind: "addService", service: service(KEY) });
    expect(generation(region.header, Header.Generation)).toBe(before + 2);
    const of = region.services.generation[0]!;
    expect(add(KEY, server("224.0.0.1"))).toBe("EINVAL");
    expect(generation(region.header, Header.Generation)).toBe(before + 2);
    expect(add(KEY, server("10.0.0.11"))).toBe("ok");
    expect(region.services.generation[0]).toBe(of + 1);
  });

  it("takes the scheduler's lock when there are several shards", () => {
    const held: number[] = [];
    const watching: Scheduler = {
      name: "rr",
      schedule: () => -1,
      changed: (view) => held.push(view.region.services.lock[view.service]!),
    };
    commands = attachCommands(region, { now: () => now, schedulers: () => watching });
    commands.execute({ kind: "addService", service: service(KEY) });
    add(KEY, server("10.0.0.11"));
    expect(held).toEqual([CONTROL_OWNER + 1]);
  });
});

describe("a director that starts again", () => {
  it("finds services, servers and trash where they were", () => {
    commands.execute({ kind: "addService", service: service(KEY) });
    for (const n of [1, 2, 3]) add(KEY, server(`10.0.0.1${n}`));
    const gone = row("10.0.0.12");
    region.shards[0]!.counters.active[gone] = 1;
    remove(KEY, "10.0.0.12");
    const before = list();
    region = openRegion(buffer);
    attach();
    expect(list()).toEqual(before);
    expect(add(KEY, server("10.0.0.11"))).toBe("EEXIST");
    expect(add(KEY, server("10.0.0.12"))).toBe("ok");
    expect(row("10.0.0.12")).toBe(gone);
    expect(region.neighbours.users[region.destinations.neighbour[gone]!]).toBe(1);
  });

  it("makes whole what a crash left half done", () => {
    commands.execute({ kind: "addService", service: service(KEY) });
    for (const n of [1, 2]) add(KEY, server(`10.0.0.1${n}`));
    const [old, lost] = [row("10.0.0.11"), row("10.0.0.12")];
    beginChange(region.header, Header.Generation);
    region.services.first[0] = old;
    region.services.lock[0] = CONTROL_OWNER + 1;
    changes.length = 0;
    region = openRegion(buffer);
    attach();
    expect(generation(region.header, Header.Generation) & 1).toBe(0);
    expect(region.services.lock[0]).toBe(0);
    expect(addresses()).toEqual(["10.0.0.11", "10.0.0.12"]);
    expect(changes).toEqual([{ kind: "edited", destination: old, before: -1 }]);
    expect(add(KEY, server("10.0.0.12"))).toBe("EEXIST");
    expect(row("10.0.0.12")).toBe(lost);
  });

  it("does the rest of a deletion that a crash left half done", () => {
    commands.execute({ kind: "addService", service: service(KEY) });
    for (const n of [1, 2]) add(KEY, server(`10.0.0.1${n}`));
    const [first, second] = [row("10.0.0.11"), row("10.0.0.12")];
    beginChange(region.header, Header.Generation);
    region.services.live[0] = 0;
    region.services.first[0] = NONE;
    region.destinations.life[first] = Life.Trash;
    region = openRegion(buffer);
    attach();
    expect(list()).toEqual([]);
    expect([first, second].map((d) => region.destinations.life[d])).toEqual([Life.Trash, Life.Trash]);
    expect([first, second].map((d) => region.destinations.service[d])).toEqual([NONE, NONE]);
  });
});

describe("the listing", () => {
  it("tells in the first line how many hash buckets the connection tables have, as the kernel does", () => {
    // Two shards with room for 64 connections each.
    expect(commands.info()).toEqual({ version: "1.2.1", size: 2 * 64 * 4 });
    const sizes = { ...SIZES, shards: 1, connections: 2 ** 10 };
    const other = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 1, 0);
    expect(attachCommands(other, { now: () => 0 }).info().size).toBe(4096);
  });
});

describe("timeouts", () => {
  it("move where said and stay where 0", () => {
    expect(code({ kind: "setTimeouts", timeouts: { tcp: 0, tcpfin: 0, udp: 30 } })).toBe("ok");
    expect(commands.timeouts()).toEqual({ tcp: 900, tcpfin: 120, udp: 30 });
    expect(code({ kind: "setTimeouts", timeouts: { tcp: 5, tcpfin: -1, udp: 0 } })).toBe("EINVAL");
    expect(commands.timeouts().tcp).toBe(900);
  });
});
