/**
 * What timers cost as connections grow, on demand: `node scripts/build-bench.mjs && node build/bench/timers.js`.
 *
 * The same frames of established connections twice, in turn: with the clock standing still, and with it running, ten
 * milliseconds in every ten thousand frames, which is a million frames a second. The wheel turns as it would after
 * hours: connections were armed at all times of its turn. What the clock adds is what timers cost. Each size is a process of its own, because V8 must see one shard.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { tuneV8 } from "../src/control/v8-flags.ts";
import { median } from "../src/lab/bench/statistics.ts";
import { makePair, type Pair } from "./path/director.ts";
import { makeFlows, shuffled } from "./path/flows.ts";
import { SLOTS } from "./path/slots.ts";
import { cpuTime, Flags, fill, ours, type Traffic, template } from "./path/stretch.ts";

const SIZES = [10_000, 100_000, 1_000_000, 5_000_000];
/** A tick, and the frames that come in it. */
const TICK = 10;
const FRAMES = 10_240;
/** Ticks of one stretch: the same frames are measured with both clocks. */
const TICKS = 20;
/** Stretches of each kind, in turn. */
const ROUNDS = 15;
/** The wheel's turn, ms: while connections are opened this much time passes, so that they stand all over it. */
const TURN = 650_000;
/** ESTABLISHED ends after 900 s; by then the wheel has gone round. */
const ALL_OVER = 2_000_000;

interface Cost {
  readonly standing: number;
  readonly running: number;
  readonly idleTick: number;
}

function open(pair: Pair, flows: Uint32Array, order: Uint32Array): void {
  const stretches = Math.ceil(order.length / SLOTS);
  for (let from = 0; from < order.length; from += SLOTS) {
    for (const flag of [Flags.Syn, Flags.Ack]) {
      fill(pair, { flows, order, template: template(flag) }, from);
      ours(pair);
    }
    pair.now += Math.floor(TURN / stretches);
  }
}

/** CPU nanoseconds of `ticks` ticks without a frame. */
function idle(pair: Pair, ticks: number): number {
  pair.ring.offer(0);
  const start = cpuTime();
  for (let tick = 0; tick < ticks; tick++) {
    pair.now += TICK;
    pair.shard.turn(pair.now);
  }
  return cpuTime() - start;
}

function measure(size: number): Cost {
  const pair = makePair({
    connections: 2 ** Math.ceil(Math.log2(size)),
    services: 1,
    destinations: 4,
    shards: 1,
    scheduler: "rr",
  });
  const flows = makeFlows(size, 1);
  const order = shuffled(size);
  open(pair, flows, order);
  const { connections } = pair.region.shards[0]!;
  if (connections.live !== size) throw new Error(`${connections.live} connections of ${size} were opened`);
  const traffic: Traffic = { flows, order, template: template(Flags.Ack) };
  const samples: { standing: number[]; running: number[] } = { standing: [], running: [] };
  let from = 0;
  const stretch = (step: number): number => {
    let spent = 0;
    for (let tick = 0; tick < TICKS; tick++) {
      pair.now += step;
      for (let done = 0; done < FRAMES; ) {
        const count = fill(pair, traffic, from);
        spent += ours(pair);
        done += count;
        from = from + count >= order.length ? 0 : from + count;
      }
    }
    return spent / (TICKS * FRAMES);
  };
  for (let warm = 0; warm < 3; warm++) stretch(TICK);
  for (let round = 0; round < ROUNDS; round++) {
    samples.standing.push(stretch(0));
    samples.running.push(stretch(TICK));
  }
  const idleTick = idle(pair, 1_000) / 1_000;
  idle(pair, ALL_OVER / TICK);
  if (connections.live !== 0) throw new Error(`${connections.live} connections never ended`);
  return { standing: median(samples.standing), running: median(samples.running), idleTick };
}

function showAll(): void {
  process.stdout.write(
    "| connections | clock stands | clock runs | share | tick without frames |\n|---|---|---|---|---|\n",
  );
  const program = fileURLToPath(import.meta.url);
  for (const size of SIZES) {
    const child = spawnSync(process.execPath, [program, String(size)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (child.status !== 0) throw new Error(`the bench with ${size} connections failed, see above`);
    const { standing, running, idleTick } = JSON.parse(String(child.stdout)) as Cost;
    const cells = [standing, running].map((ns) => `${ns.toFixed(1)} ns`);
    const share = (running / standing).toFixed(3);
    process.stdout.write(`| ${size} | ${cells.join(" | ")} | ${share} | ${idleTick.toFixed(0)} ns |\n`);
  }
}

const size = Number(process.argv[2] ?? 0);
if (size === 0) showAll();
else {
  tuneV8();
  process.stdout.write(`${JSON.stringify(measure(size))}\n`);
}
