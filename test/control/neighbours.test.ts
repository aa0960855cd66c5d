import { describe, expect, test } from "vitest";
import { NeighbourUsers } from "../../src/control/neighbour-users.ts";
import { type NeighbourEvent, NeighbourKeeper } from "../../src/control/neighbours.ts";
import { NEIGHBOUR_STATE_NAMES } from "../../src/table/neighbours.ts";
import { createRegion, DEFAULT_SIZES, Header, regionBytes } from "../../src/table/region.ts";
import {
  formatAddress,
  formatMac,
  type Mac,
  mapped,
  parseAddress,
  parseIpv4,
  parseMac,
  type Words,
} from "../../src/wire/address.ts";
import { ArpOperation } from "../../src/wire/arp.ts";
import { ANY_ADDRESS, type NdpMessage } from "../../src/wire/ndp.ts";

const ip = (text: string): number => parseIpv4(text)!;
const mac = (text: string): Mac => parseMac(text)!;
const RIP = ip("10.0.0.11");
const RIP6 = parseAddress("fd00::11")!;
const DIP = ip("10.0.0.1");
const OURS = mac("02:00:00:00:00:01");
const THEIRS = mac("02:00:00:00:00:0b");
const OTHER = mac("02:00:00:00:00:0c");

function keeper(shards = 1, six = false) {
  const sizes = {
    ...DEFAULT_SIZES,
    shards,
    services: 4,
    destinations: 16,
    connections: 16,
    templates: 16,
    neighbours: 8,
  };
  const region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 1, 0);
  const asked: string[] = [];
  const events: NeighbourEvent[] = [];
  let wakes = 0;
  const link = {
    ask: (_target: number, to?: Mac) => void asked.push(to === undefined ? "all" : formatMac(to)),
    ask6: (target: Words, to?: Mac) =>
      void asked.push(`${formatAddress(target)} ${to === undefined ? "group" : formatMac(to)}`),
  };
  const users = new NeighbourUsers(region.neighbours);
  const row = users.use(six ? RIP6 : mapped(RIP), 0);
  const keep = new NeighbourKeeper(region, link, {
    random: () => 0.5, // so the reachable time is exactly 30 s
    wake: () => wakes++,
    event: (event) => events.push(event),
  });
  const state = () => NEIGHBOUR_STATE_NAMES[region.neighbours.state[row]!];
  /** Lets time go by in steps of 100 ms, as the director does. */
  const live = (from: number, to: number) => {
    for (let now = from; now <= to; now += 100) keep.tend(now);
  };
  const want = (shard = 0) => {
    region.neighbours.wanted[shard * 8 + row] = 1;
  };
  const reply = (from: Mac, now: number) =>
    keep.heard(
      { operation: ArpOperation.Reply, senderMac: from, senderIp: RIP, targetMac: OURS, targetIp: DIP },
      true,
      now,
    );
  const request = (from: Mac, now: number, targetIp = DIP) =>
    keep.heard(
      {
        operation: ArpOperation.Request,
        senderMac: from,
        senderIp: RIP,
        targetMac: { hi: 0, lo: 0 },
        targetIp,
      },
      false,
      now,
    );
  const heard6 = (message: Partial<NdpMessage>, now: number) =>
    keep.heard6(
      {
        kind: "advertisement",
        source: RIP6,
        target: RIP6,
        mac: THEIRS,
        sender: THEIRS,
        solicited: true,
        override: true,
        ...message,
      },
      now,
    );
  const known = () => formatMac({ hi: region.neighbours.macHi[row]!, lo: region.neighbours.macLo[row]! });
  return {
    heard6,
    known,
    region,
    keep,
    users,
    row,
    asked,
    events,
    state,
    live,
    want,
    reply,
    request,
    wakes: () => wakes,
  };
}

describe("a neighbour's life", () => {
  test("a new one is asked for three times, a second apart, and then has failed", () => {
    const n = keeper();
    n.keep.tend(0);
    expect(n.asked).toEqual(["all"]);
    n.live(100, 2900);
    expect(n.asked).toEqual(["all", "all", "all"]);
    expect(n.state()).toBe("incomplete");
    n.live(3000, 60_000);
    expect(n.asked.length).toBe(3);
    expect(n.state()).toBe("failed");
    expect(n.events).toEqual([{ kind: "failed", address: "10.0.0.11" }]);
  });

  test("a failed one is asked for again as soon as some shard wants it", () => {
    const n = keeper(4);
    n.live(0, 4000);
    n.want(3);
    n.keep.tend(4100);
    expect(n.state()).toBe("incomplete");
    expect(n.asked.length).toBe(4);
    n.reply(THEIRS, 4150);
    expect(n.state()).toBe("reachable");
  });

  test("answers make it reachable; after 30 s it is stale, and stays so while nobody uses it", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 50);
    expect(n.state()).toBe("reachable");
    expect(n.events).toEqual([{ kind: "resolved", address: "10.0.0.11", mac: "02:00:00:00:00:0b" }]);
    n.live(100, 30_000);
    expect(n.state()).toBe("reachable");
    n.live(30_100, 300_000);
    expect(n.state()).toBe("stale");
    expect(n.asked).toEqual(["all"]);
  });

  test("a stale one that is used is asked again after 5 s by unicast, and fails when it is silent", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 0);
    n.live(0, 31_000);
    n.want();
    n.live(31_100, 36_000);
    expect(n.state()).toBe("delay");
    expect(n.asked).toEqual(["all"]);
    n.live(36_100, 38_900);
    expect(n.state()).toBe("probe");
    expect(n.asked.slice(1)).toEqual(["02:00:00:00:00:0b", "02:00:00:00:00:0b", "02:00:00:00:00:0b"]);
    n.live(39_000, 40_000);
    expect(n.state()).toBe("failed");
    expect(n.keep.list(40_000)[0]).not.toHaveProperty("mac");
  });

  test("an answer to a probe makes it reachable again", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 0);
    n.live(0, 31_000);
    n.want();
    n.live(31_100, 36_200);
    n.reply(THEIRS, 36_250);
    expect(n.state()).toBe("reachable");
    expect(n.events.map((event) => event.kind)).toEqual(["resolved"]);
  });

  test("a health check's word counts as an answer", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 0);
    n.live(0, 31_000);
    n.keep.confirm(n.row, 31_050);
    expect(n.state()).toBe("reachable");
    n.live(31_100, 61_000);
    expect(n.state()).toBe("reachable");
  });
});

describe("what others say", () => {
  test("a gratuitous ARP with a new MAC is followed at once", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 0);
    n.request(OTHER, 10, RIP);
    expect(n.keep.list(10)[0]).toMatchObject({ mac: "02:00:00:00:00:0c", state: "stale" });
    expect(n.events.at(-1)).toEqual({
      kind: "moved",
      address: "10.0.0.11",
      mac: "02:00:00:00:00:0c",
      before: "02:00:00:00:00:0b",
    });
  });

  test("of several answers within a second the first one counts", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 100);
    n.reply(OTHER, 101);
    expect(n.keep.list(200)[0]?.mac).toBe("02:00:00:00:00:0b");
    n.reply(OTHER, 1_200);
    expect(n.keep.list(1_300)[0]?.mac).toBe("02:00:00:00:00:0c");
  });

  test("its own question to another tells its MAC: that resolves an incomplete one, as stale", () => {
    const n = keeper();
    n.keep.tend(0);
    n.request(THEIRS, 50, ip("10.0.0.77"));
    expect(n.state()).toBe("stale");
    expect(n.asked).toEqual(["all"]);
  });

  test("a question with the MAC that we know proves nothing", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 0);
    n.live(0, 29_000);
    n.request(THEIRS, 29_500);
    n.live(29_600, 31_000);
    expect(n.state()).toBe("stale");
  });

  test("strangers and group MACs are not learnt", () => {
    const n = keeper();
    n.keep.tend(0);
    n.keep.heard(
      {
        operation: ArpOperation.Reply,
        senderMac: THEIRS,
        senderIp: ip("10.0.0.99"),
        targetMac: OURS,
        targetIp: DIP,
      },
      true,
      1,
    );
    n.reply(mac("01:00:5e:00:00:01"), 2);
    expect(n.state()).toBe("incomplete");
  });
});

describe("static entries", () => {
  test("are never asked for, and believe nobody; left out, they go back to ARP", () => {
    const n = keeper();
    n.keep.setStatics(new Map([["10.0.0.11", THEIRS]]), 0);
    expect(n.state()).toBe("permanent");
    n.request(OTHER, 5000, RIP);
    n.live(100, 90_000);
    expect(n.keep.list(1)[0]?.mac).toBe("02:00:00:00:00:0b");
    expect(n.asked).toEqual([]);
    n.keep.setStatics(new Map(), 90_100);
    expect(n.state()).toBe("incomplete");
    expect(n.asked).toEqual(["all"]);
  });
});

describe("the shared table", () => {
  test("a change ends on an even generation and wakes the shards; no change does neither", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 10);
    const generation = n.region.header[Header.NeighbourGeneration]!;
    const wakes = n.wakes();
    expect(generation).toBeGreaterThan(0);
    expect(generation % 2).toBe(0);
    expect(wakes).toBeGreaterThan(0);
    n.live(100, 20_000);
    expect(n.region.header[Header.NeighbourGeneration]).toBe(generation);
    expect(n.wakes()).toBe(wakes);
  });

  test("a row that no destination uses is freed", () => {
    const n = keeper();
    n.keep.tend(0);
    n.reply(THEIRS, 10);
    n.users.release(n.row);
    n.keep.tend(100);
    expect(n.state()).toBe("free");
    expect(n.keep.list(100)).toEqual([]);
  });
});

describe("a neighbour over IPv6 (RFC 4861 §7.2, §7.3)", () => {
  const resolved = () => {
    const n = keeper(1, true);
    n.keep.tend(0);
    n.heard6({}, 10);
    return n;
  };

  test("is asked for in its group, and known when it answers", () => {
    const n = keeper(1, true);
    n.live(0, 1500);
    expect(n.asked).toEqual(["fd00::11 group", "fd00::11 group"]);
    n.heard6({}, 1600);
    expect([n.state(), n.known()]).toEqual(["reachable", "02:00:00:00:00:0b"]);
    expect(n.events).toEqual([{ kind: "resolved", address: "fd00::11", mac: "02:00:00:00:00:0b" }]);
  });

  test("is asked alone when it was used after half a minute, and fails when it is silent", () => {
    const n = resolved();
    n.live(100, 31_000);
    expect(n.state()).toBe("stale");
    n.want();
    n.live(31_100, 37_000);
    expect(n.asked.slice(1)).toEqual(["fd00::11 02:00:00:00:00:0b"]);
    n.live(37_100, 40_000);
    expect(n.state()).toBe("failed");
  });

  test("that announces another MAC is believed at once, and confirmed when it answers", () => {
    const n = resolved();
    n.heard6({ mac: OTHER, solicited: false }, 20);
    expect([n.state(), n.known()]).toEqual(["stale", "02:00:00:00:00:0c"]);
    expect(n.events.at(-1)).toMatchObject({ kind: "moved", before: "02:00:00:00:00:0b" });
    n.heard6({ mac: OTHER }, 30);
    expect(n.state()).toBe("reachable");
  });

  test("another's answer that may not override makes the known MAC doubtful, no more", () => {
    const n = resolved();
    n.heard6({ mac: OTHER, override: false }, 20);
    expect([n.state(), n.known()]).toEqual(["stale", "02:00:00:00:00:0b"]);
  });

  test("an answer without a MAC confirms a known one, and tells nothing about an unknown one", () => {
    const n = keeper(1, true);
    n.keep.tend(0);
    n.heard6({ mac: undefined }, 10);
    expect(n.state()).toBe("incomplete");
    n.heard6({ solicited: false }, 20);
    expect(n.state()).toBe("stale");
    n.heard6({ mac: undefined }, 30);
    expect([n.state(), n.known()]).toEqual(["reachable", "02:00:00:00:00:0b"]);
  });

  test("that asks tells its MAC; one that only probes an address tells nothing", () => {
    const n = keeper(1, true);
    n.keep.tend(0);
    const other = parseAddress("fd00::99")!;
    n.heard6({ kind: "solicitation", source: ANY_ADDRESS, target: RIP6, mac: undefined }, 10);
    expect(n.state()).toBe("incomplete");
    n.heard6({ kind: "solicitation", target: other }, 20);
    expect([n.state(), n.known()]).toEqual(["stale", "02:00:00:00:00:0b"]);
  });
});
