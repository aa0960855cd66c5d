/** Live events over a real shard and its queue: what they tell, and that no reader can hold anybody up. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DirectorListener } from "../../src/control/events.ts";
import { Events } from "../../src/control/events.ts";
import type { TapSubscriber } from "../../src/control/taps.ts";
import { QueueTap } from "../../src/dataplane/queue-tap.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { Live, type LiveSink, type TapHub } from "../../src/observe/live.ts";
import type { LiveFrame, LivePicture } from "../../src/observe/live-events.ts";
import { LIVE_EVENTS } from "../../src/observe/live-schema.ts";
import { TapQueue, tapMemory } from "../../src/table/tap.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";

const { SYN, ACK } = TCP_FLAGS;
const CAPACITY = 1 << 20;

/** A hub over one shard, emptied by hand: control/taps.ts without its descriptors. */
class Hub implements TapHub {
  readonly queue = new TapQueue(new ArrayBuffer(tapMemory(CAPACITY)), CAPACITY);
  readonly #world: World;
  #subscriber: TapSubscriber | undefined;
  subscriptions = 0;

  constructor(world: World) {
    this.#world = world;
  }

  subscribe(subscriber: TapSubscriber): () => void {
    this.subscriptions++;
    this.#subscriber = subscriber;
    this.queue.setFilter(subscriber.filter);
    this.#world.shards[0]!.context.tap = new QueueTap(this.queue);
    return () => {
      this.#subscriber = undefined;
      this.#world.shards[0]!.context.tap = undefined;
    };
  }

  get tapped(): boolean {
    return this.#world.shards[0]!.context.tap !== undefined;
  }

  empty(): void {
    this.queue.take((record) => this.#subscriber?.see(record, 0));
  }
}

class Reader implements LiveSink {
  text = "";
  waiting = 0;

  write(text: string): void {
    this.text += text;
  }

  /** What was told under an event's name, which must be what the API's document says of it. */
  told<T>(event: keyof typeof LIVE_EVENTS): T[] {
    return [...this.text.matchAll(new RegExp(`event: ${event}\\ndata: (.*)\\n\\n`, "g"))].map(
      (match) => LIVE_EVENTS[event].parse(JSON.parse(match[1]!)) as T,
    );
  }

  get frames(): LiveFrame[] {
    return this.told<{ frames: LiveFrame[] }>("frames").flatMap(({ frames }) => frames);
  }
}

function stage(scheduler = "wlc") {
  const world = new World({ scheduler, weights: [1, 2, 3] });
  const hub = new Hub(world);
  const events = new Events();
  const source = {
    region: world.region,
    counters: () => {
      const verdicts = Object.fromEntries(VERDICT_NAMES.map((name) => [name, world.verdicts()[name] ?? 0]));
      return { received: world.balance().received, verdicts } as never;
    },
    services: () => {
      const listing = world.commands.list("services");
      return listing.kind === "services" ? listing.services : [];
    },
    neighbours: () => [],
    on: (listener: DirectorListener) => events.on(listener),
  };
  const live = new Live({ source, taps: hub, label: "eth7", now: () => world.now });
  const pass = (milliseconds: number) => {
    world.now += milliseconds;
    hub.empty();
    vi.advanceTimersByTime(milliseconds);
  };
  return { world, hub, live, events, pass };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("live events", () => {
  test("begin with who it is and how things stand", () => {
    const { live } = stage();
    const reader = new Reader();
    live.attach(reader);
    expect(reader.text).toMatch(/^retry: 1000\n\nevent: hello\ndata: /);
    expect(reader.told("hello")).toEqual([{ label: "eth7", version: 1 }]);
    const [picture] = reader.told<LivePicture>("picture");
    expect(picture!.services[0]).toMatchObject({
      scheduler: "wlc",
      key: { address: "10.0.0.100", port: 80 },
    });
    expect(picture!.services[0]!.servers.map(({ weight }) => weight)).toEqual([3, 2, 1]);
  });

  test("tell of a frame: its bytes before and after, its connection, whom the scheduler could choose", () => {
    const { world, live, pass } = stage();
    const reader = new Reader();
    live.attach(reader);
    const frame = tcp({ source: client(1), sourcePort: 5000, flags: SYN });
    const [sent] = world.send(frame);
    world.send(tcp({ source: client(1), sourcePort: 5000, flags: ACK }));
    pass(100);
    const [opening, next] = reader.frames;
    expect(opening).toMatchObject({
      kind: "request",
      verdict: "Forwarded",
      service: "tcp 10.0.0.100:80",
      server: "10.0.0.13",
      late: false,
      length: frame.length,
      connection: { what: "made", state: "SYN_RECV", active: true },
      neighbour: { mac: "02:00:00:00:01:03", usable: true },
    });
    expect(Buffer.from(opening!.before, "base64")).toEqual(Buffer.from(frame));
    expect(Buffer.from(opening!.after!, "base64")).toEqual(Buffer.from(sent!));
    expect(opening!.scheduling!.scheduler).toBe("wlc");
    expect(
      opening!.scheduling!.members.filter(({ chosen }) => chosen).map(({ server }) => server.address),
    ).toEqual(["10.0.0.13"]);
    expect(next).toMatchObject({ connection: { what: "found", state: "ESTABLISHED" }, scheduling: null });
  });

  test("tell of a refused frame and of the director's answer to it", () => {
    const { world, live, pass } = stage();
    const reader = new Reader();
    live.attach(reader);
    for (const n of [1, 2, 3]) world.editServer(n, 0);
    world.send(tcp({ source: client(1), sourcePort: 5000, flags: SYN }));
    pass(100);
    expect(reader.frames.map(({ kind, verdict, server }) => [kind, verdict, server])).toEqual([
      ["request", "NoDestination", null],
      ["icmp", "NoDestination", null],
    ]);
  });

  test("tell what happened, but not what only concerns a debugger", () => {
    const { live, events } = stage();
    const reader = new Reader();
    live.attach(reader);
    events.tell("debug", "beat", "a shard turned");
    events.tell("warn", "neighbour-failed", "10.0.0.11 does not answer");
    expect(reader.told("notice")).toEqual([
      { level: "warn", name: "neighbour-failed", message: "10.0.0.11 does not answer" },
    ]);
  });

  test("show no frame while nobody listens", () => {
    const { live, hub, events } = stage();
    expect(hub.tapped).toBe(false);
    const [leave, leaveToo] = [live.attach(new Reader()), live.attach(new Reader())];
    expect(hub.subscriptions).toBe(1);
    leave();
    expect(hub.tapped).toBe(true);
    leaveToo();
    expect(hub.tapped).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    events.tell("warn", "x", "nobody hears it");
  });

  test("are a sample when many frames pass, of which the shards copy ever fewer", () => {
    const { world, live, hub, pass } = stage();
    const reader = new Reader();
    live.attach(reader);
    let port = 1000;
    for (let tenth = 0; tenth < 50; tenth++) {
      for (let i = 0; i < 1000; i++) {
        world.rings[0]!.inject(
          tcp({
            source: client(1 + (i % 5)),
            sourcePort: 1000 + (port++ % 400),
            flags: i % 40 === 0 ? SYN : ACK,
          }),
        );
        if (i % 50 === 49) world.turn();
      }
      world.takeSent();
      pass(100);
    }
    // Sixty a second are told of; of fifty thousand that is not one in a hundred.
    expect(reader.frames.length).toBeLessThanOrEqual(6 * 50);
    expect(reader.frames.length).toBeGreaterThan(60);
    expect(hub.queue.every).toBeGreaterThan(20);
    const last = reader.told<LivePicture>("picture").at(-1)!;
    expect(last.frames).toBeGreaterThan(45_000);
    expect(last.told).toBeLessThanOrEqual(6 * 50);
  });

  test("leave frames out for a reader that does not read, and tell it how many; others miss nothing", () => {
    const { world, live, pass } = stage();
    const [slow, quick] = [new Reader(), new Reader()];
    live.attach(slow);
    live.attach(quick);
    slow.waiting = 10 * 1024 * 1024;
    const before = slow.text.length;
    for (let i = 0; i < 10; i++) {
      world.send(tcp({ source: client(1), sourcePort: 6000 + i, flags: SYN }));
      pass(100);
    }
    expect(slow.text.length).toBe(before);
    expect(quick.frames).toHaveLength(10);
    slow.waiting = 0;
    world.send(tcp({ source: client(2), sourcePort: 6000, flags: SYN }));
    pass(100);
    expect(slow.told("skipped")).toEqual([{ frames: 10 }]);
    expect(slow.frames).toHaveLength(1);
  });
});
