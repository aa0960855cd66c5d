import { beforeEach, describe, expect, it } from "vitest";
import { AddressCache } from "../../src/schedulers/address-cache.ts";
import { NO_DESTINATION } from "../../src/schedulers/scheduler.ts";
import type { ServerSets } from "../../src/schedulers/server-sets.ts";
import { Life } from "../../src/table/destinations.ts";
import { NONE } from "../../src/table/services.ts";
import { Setting } from "../../src/table/settings.ts";
import { Bench, flow, v4 } from "./bench.ts";

const CLIENT = v4(0x0a010001);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** A new connection to 198.51.100.`n`, at `now` ms. */
function to(bench: Bench, n: number, now = 0, shard = 0): number {
  return bench.schedule(flow(CLIENT, v4(0xc6336400 + n), 4, 10_000, now), shard);
}

describe.each(["lblc", "lblcr"])("%s", (name) => {
  let bench: Bench;
  let rs1: number;
  let rs2: number;
  let rs3: number;
  beforeEach(() => {
    bench = new Bench(name);
    [rs1, rs2, rs3] = [1, 2, 3].map((n) => bench.add(v4(0x0a00000a + n), 10)) as [number, number, number];
  });

  it("leaves an address with its server although others are less loaded", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 10, 0);
    expect(to(bench, 1)).toBe(rs3);
    expect(to(bench, 2)).toBe(rs2);
  });

  it("lets the least loaded take over when the server has more than its weight and another less than half", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 11, 0);
    bench.count(rs2, 5, 0);
    bench.count(rs1, 5, 0);
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs1, -1, 0);
    expect(to(bench, 1)).toBe(rs1);
  });

  it("does not take a deleted server for one with room", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 11, 0);
    bench.count(rs2, 5, 0);
    bench.remove(rs1);
    expect(to(bench, 1)).toBe(rs3);
  });

  it("remembers an address once, however often its server changes, and nothing when nobody serves", () => {
    const remembered = (): number => (bench.views[0]!.plan as { cache: AddressCache }).cache.length;
    const all = [rs1, rs2, rs3];
    for (const d of all) bench.region.destinations.overload[d] = 1;
    expect(to(bench, 1)).toBe(NO_DESTINATION);
    expect(remembered()).toBe(0);
    bench.region.destinations.overload.fill(0);
    for (const d of [rs3, rs2, rs1]) {
      expect(to(bench, 1)).toBe(d);
      bench.edit(d, 0);
    }
    expect(remembered()).toBe(1);
  });

  it("finds the server again after it was deleted and added, even in another row", () => {
    expect(to(bench, 1)).toBe(rs3);
    expect(to(bench, 2)).toBe(rs3);
    bench.remove(rs3);
    // Its row is given to a stranger, who must not inherit the addresses.
    const { destinations } = bench.region;
    destinations.life[rs3] = Life.Free;
    const stranger = bench.add(v4(0x0a000063), 10);
    expect(stranger).toBe(rs3);
    bench.count(stranger, 3, 0);
    const again = bench.add(v4(0x0a00000d), 10);
    expect(again).not.toBe(rs3);
    bench.count(again, 2, 0);
    expect(to(bench, 1)).toBe(again);
    expect(to(bench, 3)).not.toBe(stranger);
  });

  it("schedules anew while the server is quiesced", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.edit(rs3, 0);
    expect(to(bench, 1)).toBe(rs2);
    expect(to(bench, 9)).toBe(rs2);
    for (const d of [rs1, rs2]) bench.edit(d, 0);
    expect(to(bench, 1)).toBe(NO_DESTINATION);
    expect(to(bench, 10)).toBe(NO_DESTINATION);
  });

  it("forgets when the service gets its scheduler anew, not when its servers change", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 2, 0);
    bench.edit(rs1, 9);
    bench.add(v4(0x0a000014), 1);
    bench.remove(rs2);
    expect(to(bench, 1)).toBe(rs3);
    bench.bind();
    expect(to(bench, 1)).not.toBe(rs3);
  });

  it("forgets an address that was not used for the lifetime, at the next half-hourly look", () => {
    expect(to(bench, 1)).toBe(rs3);
    expect(to(bench, 2)).toBe(rs3);
    bench.count(rs3, 2, 0);
    expect(to(bench, 1, DAY - MINUTE)).toBe(rs3);
    // Address 1 was used, 2 was not.
    expect(to(bench, 1, DAY + 31 * MINUTE)).toBe(rs3);
    expect(to(bench, 2, DAY + 31 * MINUTE)).toBe(rs2);
  });

  it("takes the lifetime from the kernel's sysctl", () => {
    const setting = name === "lblc" ? Setting.lblc_expiration : Setting.lblcr_expiration;
    bench.region.settings[setting] = 60;
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 2, 0);
    expect(to(bench, 2, 29 * MINUTE)).toBe(rs2);
    expect(to(bench, 1, 31 * MINUTE)).toBe(rs2);
  });

  it("begins anew when thousands of deleted servers have gathered", () => {
    expect(to(bench, 1)).toBe(rs3);
    bench.count(rs3, 2, 0);
    for (let i = 0; i < 4100; i++) {
      const d = bench.add(v4(0x0b000000 + i), 0);
      bench.remove(d);
      bench.region.destinations.life[d] = Life.Free;
    }
    expect(to(bench, 1)).not.toBe(rs3);
  });
});

describe("lblc", () => {
  it("takes two ports of one real server for two servers", () => {
    const bench = new Bench("lblc");
    const [, second] = [80, 81].map((port) => bench.add(v4(0x0a00000b), 10, {}, port)) as [number, number];
    expect(to(bench, 1)).toBe(second);
    expect(to(bench, 1)).toBe(second);
  });

  it("regards no threshold: an address stays with its server though it is overloaded", () => {
    const bench = new Bench("lblc");
    const [, rs2] = [1, 2].map((n) => bench.add(v4(0x0a00000a + n), 10)) as [number, number];
    expect(to(bench, 1)).toBe(rs2);
    bench.region.destinations.overload[rs2] = 1;
    expect(to(bench, 1)).toBe(rs2);
    expect(to(bench, 2)).not.toBe(rs2);
  });
});

describe("lblcr", () => {
  let bench: Bench;
  let rs1: number;
  let rs2: number;
  beforeEach(() => {
    bench = new Bench("lblcr");
    [rs1, rs2] = [1, 2].map((n) => bench.add(v4(0x0a00000a + n), 10)) as [number, number];
    // Both join the set of address 1.
    expect(to(bench, 1)).toBe(rs2);
    bench.count(rs2, 11, 0);
    expect(to(bench, 1)).toBe(rs1);
    bench.count(rs2, -11, 0);
  });

  it("goes to the least loaded of the set, the one that joined last of equals", () => {
    expect(to(bench, 1)).toBe(rs1);
    bench.count(rs1, 1, 0);
    expect(to(bench, 1)).toBe(rs2);
    const rs3 = bench.add(v4(0x0a00000d), 1000);
    expect(to(bench, 1)).toBe(rs2);
    expect(to(bench, 2)).toBe(rs3);
  });

  it("passes over an overloaded one of the set", () => {
    bench.region.destinations.overload[rs1] = 1;
    expect(to(bench, 1)).toBe(rs2);
  });

  it("leaves a set alone whose servers are all quiesced, and takes another in", () => {
    const rs3 = bench.add(v4(0x0a00000d), 10);
    for (const d of [rs1, rs2]) bench.edit(d, 0);
    expect(to(bench, 2, DAY / 2)).toBe(rs3);
    bench.edit(rs3, 0);
    expect(to(bench, 1, DAY / 2)).toBe(NO_DESTINATION);
    expect(to(bench, 1, DAY + MINUTE)).toBe(NO_DESTINATION);
    bench.edit(rs3, 10);
    expect(to(bench, 1, DAY + 2 * MINUTE)).toBe(rs3);
  });

  it("does not begin the day anew when the least loaded of all is in the set already", () => {
    // rs1 has more than its weight and rs3 no active connection, but so many others that rs1 stays the least loaded.
    const rs3 = bench.add(v4(0x0a00000d), 10);
    bench.count(rs1, 11, 0);
    bench.count(rs2, 12, 0);
    bench.count(rs3, 0, 1_000_000);
    for (const now of [1, DAY / 2, DAY - 1, DAY + MINUTE]) expect(to(bench, 1, now)).toBe(rs1);
    // So rs2, the most loaded, has left it by now.
    const { cache, sets } = bench.views[0]!.plan as { cache: AddressCache; sets: ServerSets };
    const set = cache.value(cache.find(Int32Array.from(v4(0xc6336401)), 0, DAY + MINUTE));
    expect(sets.after(set)).toBe(0);
  });

  it("takes the most loaded out of a set that was not changed for a day, and no more for a day", () => {
    bench.count(rs1, 3, 0);
    const use = (now: number): number => to(bench, 1, now);
    for (let hour = 1; hour <= 24; hour++) expect(use(hour * 60 * MINUTE)).toBe(rs2);
    bench.count(rs2, 5, 0);
    // rs1 is the least loaded now, but it was rs2 that is taken out from here on.
    expect(use(DAY + MINUTE)).toBe(rs1);
    bench.count(rs2, -5, 0);
    bench.count(rs1, 2, 0);
    expect(use(DAY + 2 * MINUTE)).toBe(rs1);
    expect(use(2 * DAY + 3 * MINUTE)).toBe(rs1);
  });
});

describe("a deleted server in a set of lblcr", () => {
  /** Servers 1 and 2 in the set of address 1, one `deleted`; which are left in it a day later. */
  function leftOf(
    counts: Record<1 | 2, number>,
    deleted: 1 | 2,
    meanwhile?: (bench: Bench) => void,
  ): number[] {
    const bench = new Bench("lblcr");
    const rows = { 1: bench.add(v4(0x0a00000b), 10), 2: bench.add(v4(0x0a00000c), 10) };
    for (let i = 0; i < 2; i++) bench.count(to(bench, 1), 11, 0);
    for (const n of [1, 2] as const) bench.count(rows[n], counts[n] - 11, 0);
    bench.remove(rows[deleted]);
    meanwhile?.(bench);
    to(bench, 1, DAY / 2);
    to(bench, 1, DAY + MINUTE);
    const plan = bench.views[0]!.plan as {
      cache: AddressCache;
      sets: ServerSets;
      servers: { row: number[] };
    };
    const left: number[] = [];
    const entry = plan.cache.find(Int32Array.from(v4(0xc6336401)), 0, DAY + MINUTE);
    for (let node = plan.cache.value(entry); node !== 0; node = plan.sets.after(node)) {
      left.push(plan.sets.server(node) + 1);
    }
    return left;
  }

  // KnownServers counts from the list's head at the first look: here 1 came alone, then 2.
  it("is the one that goes when it still has the most connections", () => {
    expect(leftOf({ 1: 3, 2: 5 }, 2)).toEqual([1]);
    expect(leftOf({ 1: 5, 2: 3 }, 1)).toEqual([2]);
  });

  it("stays when another has more, or as many and joined before it", () => {
    expect(leftOf({ 1: 5, 2: 3 }, 2)).toEqual([2]);
    expect(leftOf({ 1: 3, 2: 3 }, 2)).toEqual([2]);
    expect(leftOf({ 1: 3, 2: 3 }, 1)).toEqual([2]);
  });

  it("has no connections once its row was freed, or is another server's or another service's", () => {
    const row = 1;
    const freed = (bench: Bench): void => void (bench.region.destinations.life[row] = Life.Free);
    expect(leftOf({ 1: 3, 2: 5 }, 2, freed)).toEqual([2]);
    const first = (bench: Bench): void => void (bench.region.destinations.life[0] = Life.Free);
    expect(leftOf({ 1: 5, 2: 3 }, 1, first)).toEqual([1]);
    const strangers = (bench: Bench): void => {
      freed(bench);
      expect(bench.add(v4(0x0a000063), 1)).toBe(row);
      bench.count(row, 100, 0);
      bench.remove(row);
    };
    expect(leftOf({ 1: 3, 2: 5 }, 2, strangers)).toEqual([2]);
    const another = (bench: Bench): void => void (bench.region.destinations.service[row] = NONE);
    expect(leftOf({ 1: 3, 2: 5 }, 2, another)).toEqual([2]);
  });

  it("that was quiesced before never goes", () => {
    const bench = new Bench("lblcr");
    const [rs1, rs2] = [1, 2].map((n) => bench.add(v4(0x0a00000a + n), 10)) as [number, number];
    for (let i = 0; i < 2; i++) bench.count(to(bench, 1), 11, 0);
    bench.edit(rs2, 0);
    bench.remove(rs2);
    bench.count(rs1, -8, 0);
    to(bench, 1, DAY / 2);
    to(bench, 1, DAY + MINUTE);
    // rs1 was the only one with a weight, so it went; rs2 is back with its connections and in the set alone.
    bench.add(v4(0x0a00000c), 20);
    expect(to(bench, 1, DAY + 2 * MINUTE)).toBe(rs2);
  });
});

describe("the sets of lblcr", () => {
  it("give their room back when their address is forgotten", () => {
    const bench = new Bench("lblcr");
    bench.add(v4(0x0a00000b), 10);
    const plan = bench.views[0]!.plan as { sets: ServerSets };
    bench.region.settings[Setting.lblcr_expiration] = 60;
    for (let hour = 0; hour < 5; hour++) {
      for (let n = 0; n < 200; n++) to(bench, hour * 1000 + n, hour * 60 * MINUTE);
    }
    expect(plan.sets.with(0, 0)).toBeLessThanOrEqual(201);
  });
});

describe("a set of three in lblcr", () => {
  it("shrinks once a day", () => {
    const bench = new Bench("lblcr");
    const rows = [1, 2, 3].map((n) => bench.add(v4(0x0a00000a + n), 10));
    // All three join: each time the chosen one is made to have more than its weight.
    for (let i = 0; i < 3; i++) bench.count(to(bench, 1), 11, 0);
    for (const d of rows) bench.count(d, -11, 0);
    const members = (now: number): number => {
      to(bench, 1, now);
      const plan = bench.views[0]!.plan as { cache: AddressCache; sets: ServerSets };
      let length = 0;
      const entry = plan.cache.find(Int32Array.from(v4(0xc6336401)), 0, now);
      for (let node = plan.cache.value(entry); node !== 0; node = plan.sets.after(node)) length++;
      return length;
    };
    expect(members(0)).toBe(3);
    expect(members(DAY / 2)).toBe(3);
    expect(members(DAY + MINUTE)).toBe(2);
    expect(members(2 * DAY)).toBe(2);
    expect(members(2 * DAY + 3 * MINUTE)).toBe(1);
    expect(members(3 * DAY)).toBe(1);
    expect(members(3 * DAY + 4 * MINUTE)).toBe(1);
  });
});

describe("AddressCache", () => {
  const words = (n: number): Int32Array => Int32Array.from([0x20010db8, n & 7, n >> 9, n]);

  it("holds what was put in through growth, each address its own", () => {
    const cache = new AddressCache(() => {});
    for (let n = 0; n < 3000; n++) cache.set(cache.insert(words(n), 0, 0), n * 3, 0);
    for (let n = 0; n < 3000; n++) expect(cache.value(cache.find(words(n), 0, 0))).toBe(n * 3);
    expect(cache.find(words(3000), 0, 0)).toBe(NONE);
    expect(cache.length).toBe(3000);
  });

  it("lets a third more than the surplus go, of those unused for six minutes, when there are more than 16384", () => {
    const gone: number[] = [];
    const cache = new AddressCache((row) => gone.push(row));
    cache.expire(0, DAY);
    for (let n = 0; n < 16_384 + 30; n++) cache.insert(words(n), 0, 0);
    cache.expire(5 * MINUTE, DAY);
    expect(gone).toHaveLength(0);
    cache.find(words(0), 0, 5 * MINUTE);
    cache.expire(6 * MINUTE, DAY);
    expect(gone).toHaveLength(40);
    expect(cache.find(words(0), 0, 6 * MINUTE)).not.toBe(NONE);
    expect(cache.find(words(1), 0, 6 * MINUTE)).toBe(NONE);
    cache.expire(20 * MINUTE, DAY);
    expect(gone).toHaveLength(40);
  });

  it("does not count the minutes to the half-hourly look while there are too many", () => {
    const cache = new AddressCache(() => {});
    cache.expire(0, 0);
    for (let n = 0; n <= 16_384; n++) cache.insert(words(n), 0, 0);
    for (let minute = 1; minute <= 40; minute++) {
      for (let n = 0; n <= 16_384; n++) cache.find(words(n), 0, minute * MINUTE - 1);
      cache.expire(minute * MINUTE, 0);
    }
    expect(cache.length).toBe(16_385);
  });

  it("never holds more than 65536, and goes on taking new ones", () => {
    let gone = 0;
    const cache = new AddressCache(() => gone++);
    for (let n = 0; n < 65_536 + 100; n++) cache.insert(words(n), 0, 0);
    expect(cache.length).toBe(65_536);
    expect(gone).toBe(100);
    expect(cache.find(words(65_635), 0, 0)).not.toBe(NONE);
  });

  it("counts the minutes of a long rest without walking through them", () => {
    const cache = new AddressCache(() => {});
    cache.expire(0, DAY);
    cache.insert(words(1), 0, 0);
    const began = process.hrtime.bigint();
    cache.expire(1e15, DAY);
    expect(Number(process.hrtime.bigint() - began) / 1e6).toBeLessThan(1000);
    expect(cache.length).toBe(0);
  });
});
