/**
 * Single stages of the data path, each over at least 1,024 frames a sample: tinybench's own call costs some 40 ns, and
 * a sample of one frame would measure that.
 */
import { makeClassify } from "../../src/dataplane/classify.ts";
import { makeDispatch, makeLookUp } from "../../src/dataplane/passes.ts";
import { Shard } from "../../src/dataplane/shard.ts";
import { Verdict } from "../../src/dataplane/verdict.ts";
import { WaitingRoom } from "../../src/dataplane/waiting.ts";
import { findScheduler } from "../../src/schedulers/registry.ts";
import type { ServiceView } from "../../src/schedulers/service-view.ts";
import { makeRegion, type Shape } from "../path/director.ts";
import { FLOW_WORDS, inOrder, makeFlows, shuffled } from "../path/flows.ts";
import { SlotRing } from "../path/slots.ts";
import { Flags, FRAME_BYTES, template } from "../path/stretch.ts";

export const FRAMES = 1024;
/** A SYN's connection lives 60 s (SYN_RECV). */
const LIFETIME = 61_000;

/** One thing to measure; `frames` of it happen in each call of `run`. */
export interface Stage {
  readonly name: string;
  readonly frames: number;
  run(): void;
  /** Before and after each sample, not measured. */
  before?(): void;
  after?(): void;
}

const SHAPE: Shape = { connections: 2 ** 20, services: 1, destinations: 4, scheduler: "rr", shards: 1 };

class World {
  readonly ring = new SlotRing();
  readonly shard: Shard;
  now = 1_000_000;

  constructor(shape: Partial<Shape> = {}) {
    this.shard = new Shard(makeRegion({ ...SHAPE, ...shape }, this.now), 0, this.ring);
    this.shard.turn(this.now);
  }

  /** Puts the frames of flows order[from …] into the slots and offers them. */
  fill(flows: Uint32Array, order: Uint32Array, from: number, flags: number): void {
    const { ring } = this;
    const bytes = template(flags);
    for (let i = 0; i < FRAMES; i++) {
      const at = ring.at[i]!;
      const flow = order[(from + i) % order.length]! * FLOW_WORDS;
      ring.bytes.set(bytes, at);
      ring.view.setUint32(at + 26, flows[flow]!);
      ring.view.setUint32(at + 30, flows[flow + 1]!);
      ring.view.setUint32(at + 34, flows[flow + 2]!);
      ring.view.setUint16(at + 24, checksum(ring.view, at + 14));
      ring.length[i] = FRAME_BYTES;
    }
    ring.offer(FRAMES);
  }

  /** Frames handled; throws when not all were forwarded. */
  turnAll(): void {
    while (this.shard.turn(this.now) > 0);
    if (this.ring.sent !== FRAMES) throw new Error(`${this.ring.sent} of ${FRAMES} frames were forwarded`);
  }
}

function checksum(view: DataView, ip: number): number {
  view.setUint16(ip + 10, 0);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(ip + at);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
}

export function classifyStage(): Stage {
  const world = new World();
  const { context } = world.shard;
  const pass = makeClassify(context);
  const { burst } = context.frames;
  world.fill(makeFlows(FRAMES, 1), inOrder(FRAMES), 0, Flags.Ack);
  return {
    name: "classify",
    frames: FRAMES,
    run() {
      world.ring.offer(FRAMES);
      while (world.ring.peek(burst) > 0) pass();
    },
  };
}

/** Among so many connections; every sample looks for other ones, so that they are not in the cache. */
export function lookUpStage(connections: number): Stage {
  const capacity = Math.max(SHAPE.connections, 2 ** Math.ceil(Math.log2(connections)));
  const world = new World({ connections: capacity });
  const flows = makeFlows(connections, 1);
  const order = inOrder(connections);
  for (let from = 0; from < connections; from += FRAMES) {
    world.fill(flows, order, from, Flags.Syn);
    world.turnAll();
  }
  const { context } = world.shard;
  const classify = makeClassify(context);
  const pass = makeLookUp(context);
  const { frames } = context;
  const { burst, hash, flowKind, client, virtual, ports } = frames;
  const mixed = shuffled(connections);
  const columns = [hash, flowKind, client, virtual, ports];
  const kept = columns.map(() => new Int32Array(FRAMES));
  let from = 0;
  return {
    name: `look-up among ${connections.toLocaleString("en-US")}`,
    frames: FRAMES,
    before() {
      world.fill(flows, mixed, from, Flags.Ack);
      from = (from + FRAMES) % connections;
      for (let at = 0; world.ring.peek(burst) > 0; at += burst.count) {
        classify();
        for (const [c, column] of columns.entries())
          for (let i = 0; i < burst.count; i++) kept[c]![at + i] = column[i]!;
      }
      burst.count = burst.capacity;
    },
    run() {
      const [h, k, c, v, p] = kept;
      for (let at = 0; at < FRAMES; at += burst.capacity) {
        for (let i = 0; i < burst.capacity; i++) {
          hash[i] = h![at + i]!;
          flowKind[i] = k![at + i]!;
          client[i] = c![at + i]!;
          virtual[i] = v![at + i]!;
          ports[i] = p![at + i]!;
        }
        pass();
      }
    },
    after() {
      for (let i = 0; i < burst.capacity; i++)
        if (frames.row[i]! < 0) throw new Error("a connection that is there was not found");
    },
  };
}

/** A choice, with 16 real servers, for another client each time. */
export function schedulerStage(name: string): Stage {
  const world = new World({ destinations: 16, scheduler: name });
  const { context } = world.shard;
  const scheduler = findScheduler(name)!;
  const view: ServiceView = context.directory.services[0]!.view;
  const { flow } = context;
  flow.words[2] = flow.words[6] = 0xffff;
  flow.words[7] = 0x0ac8_0001;
  flow.virtualPort = 80;
  let chosen = 0;
  return {
    name: `scheduler ${name}`,
    frames: FRAMES,
    run() {
      chosen = 0;
      for (let i = 0; i < FRAMES; i++) {
        flow.words[3] = 0x0b00_0001 + i;
        flow.clientPort = 32_768 + i;
        if (scheduler.schedule(view, flow) >= 0) chosen++;
      }
    },
    after() {
      if (chosen !== FRAMES) throw new Error(`${name} chose nobody ${FRAMES - chosen} times`);
    },
  };
}

export function rewriteStage(): Stage {
  const world = new World();
  const { context } = world.shard;
  const dispatch = makeDispatch(context, new WaitingRoom());
  const { burst, verdict, destination, bytes } = context.frames;
  world.fill(makeFlows(FRAMES, 1), inOrder(FRAMES), 0, Flags.Ack);
  return {
    name: "rewrite",
    frames: FRAMES,
    run() {
      world.ring.offer(FRAMES);
      while (world.ring.peek(burst) > 0) {
        for (let i = 0; i < burst.count; i++) {
          verdict[i] = Verdict.Forwarded;
          destination[i] = i & 3;
          bytes[i] = 46;
        }
        dispatch();
      }
    },
    after() {
      if (world.ring.sent !== FRAMES) throw new Error(`${world.ring.sent} of ${FRAMES} frames went out`);
    },
  };
}

function churn(): { world: World; open: () => void; end: () => void } {
  const world = new World();
  const flows = makeFlows(FRAMES, 1);
  const order = inOrder(FRAMES);
  return {
    world,
    open: () => world.fill(flows, order, 0, Flags.Syn),
    end() {
      world.now += LIFETIME;
      world.ring.offer(0);
      world.shard.turn(world.now);
      if (world.shard.context.connections.live !== 0) throw new Error("connections were left over");
    },
  };
}

export function newConnectionStage(): Stage {
  const { world, open, end } = churn();
  return { name: "new connection", frames: FRAMES, before: open, run: () => world.turnAll(), after: end };
}

export function expiryStage(): Stage {
  const { world, open, end } = churn();
  const before = () => {
    open();
    world.turnAll();
  };
  return { name: "expiry, with the walk of the wheel", frames: FRAMES, before, run: end };
}
