/**
 * More frames than any forwarder takes: a BPF program makes each one and redirects it into the cable, in the kernel, on
 * the generator's core (bpf_prog_test_run with live frames, Linux 5.18). A forwarder that is never idle shows what a frame
 * costs it; one that waits for a slow generator shows what waking up costs.
 *
 * The frames are the generator's own (bench/tools/load.c): the same flows in the same order, numbered in the payload. A
 * page comes back as its last receiver left it, so every byte is written anew.
 */

import {
  ACK,
  CHECKSUM,
  CLIENT_PORTS,
  FIRST_CLIENT,
  FIRST_PORT,
  NUMBER_AT,
  SOURCE,
  SOURCE_PORT,
  stepFor,
  template,
} from "../../src/lab/bench/frames.ts";
import type { Site } from "../../src/lab/bench/site.ts";
import { LOAD_CPU, type Stage } from "../../src/lab/bench/stage.ts";
import { within } from "../../src/lab/enter.ts";
import { native } from "../../src/ring/native.ts";
import { BpfAssembler, Do, Helper, If, R } from "../../src/wire/bpf.ts";
import type { Sent } from "./traffic.ts";

const PROG_XDP = 6;
const ATTACH_XDP = 37;
const XDP_NATIVE = 4;
const XDP_PASS = 2;
const LIVE_FRAMES = 2;
const MAP_ARRAY = 2;
const KEY = -4;

/** The sum of the IPv4 header's words, without checksum and source. */
function headerSum(frame: Uint8Array): number {
  const view = new DataView(frame.buffer);
  let sum = 0;
  for (let at = 14; at < 34; at += 2)
    if (at !== CHECKSUM && at !== SOURCE && at !== SOURCE + 2) sum += view.getUint16(at);
  return sum;
}

/** Stores `bytes` low bytes of `register` in network order; the register is spent. */
function storeBig(code: BpfAssembler, register: number, at: number, bytes: number): void {
  for (let byte = bytes - 1; byte >= 0; byte--)
    code.store(1, R.r2, at + byte, register).constant(Do.shiftRight, register, 8);
}

/** r7 = this frame's flow, r9 = its number; the map's row is moved on to the next. */
function takeTurn(code: BpfAssembler, turn: number, flows: number): void {
  code.storeConstant(4, R.r10, KEY, 0).map(R.r1, turn).register(Do.move, R.r2, R.r10);
  code.constant(Do.add, R.r2, KEY).call(Helper.mapLookup).jumpIf(If.equal, R.r0, 0, "out");
  code.load(4, R.r7, R.r0, 0).load(4, R.r9, R.r0, 4);
  code.register(Do.move, R.r1, R.r9).constant(Do.add, R.r1, 1).store(4, R.r0, 4, R.r1);
  code.register(Do.move, R.r1, R.r7).constant(Do.add, R.r1, stepFor(flows));
  code.jumpIf(If.below, R.r1, flows, "around").constant(Do.add, R.r1, -flows).label("around");
  code.store(4, R.r0, 0, R.r1);
}

function program(turn: number, frame: Uint8Array, flows: number, device: number): Uint8Array {
  const code = new BpfAssembler();
  const words = new DataView(frame.buffer);
  code.register(Do.move, R.r6, R.r1);
  takeTurn(code, turn, flows);
  code.load(4, R.r2, R.r6, 0).load(4, R.r3, R.r6, 4);
  code.register(Do.move, R.r4, R.r2).constant(Do.add, R.r4, 60);
  code.jumpIfRegister(If.above, R.r4, R.r3, "out");
  for (let at = 0; at < 60; at += 4) code.storeConstant(4, R.r2, at, words.getInt32(at, true));
  code.store(4, R.r2, NUMBER_AT, R.r9);
  code.register(Do.move, R.r4, R.r7).constant(Do.divide, R.r4, CLIENT_PORTS);
  code.constant(Do.add, R.r4, FIRST_CLIENT).register(Do.move, R.r5, R.r4);
  code.constant(Do.and, R.r5, 0xffff).register(Do.move, R.r1, R.r4).constant(Do.shiftRight, R.r1, 16);
  code.register(Do.add, R.r5, R.r1).constant(Do.add, R.r5, headerSum(frame));
  for (let fold = 0; fold < 2; fold++) {
    code.register(Do.move, R.r1, R.r5).constant(Do.shiftRight, R.r1, 16);
    code.constant(Do.and, R.r5, 0xffff).register(Do.add, R.r5, R.r1);
  }
  code.constant(Do.xor, R.r5, 0xffff);
  storeBig(code, R.r5, CHECKSUM, 2);
  storeBig(code, R.r4, SOURCE, 4);
  code.constant(Do.modulo, R.r7, CLIENT_PORTS).constant(Do.add, R.r7, FIRST_PORT);
  storeBig(code, R.r7, SOURCE_PORT, 2);
  code.constant(Do.move, R.r1, device).constant(Do.move, R.r2, 0).call(Helper.redirect).exit();
  return code.label("out").constant(Do.move, R.r0, 1).exit().assemble();
}

/** veth takes redirected frames only at an end with NAPI, which a program of its own gives it. */
function openFarEnd(site: Site): () => void {
  if (site.ownXdp === true) return () => {};
  const addon = native();
  const code = new BpfAssembler().constant(Do.move, R.r0, XDP_PASS).exit().assemble();
  return within(site.arm.namespace, () => {
    const passer = addon.bpfProgLoad(PROG_XDP, code, "MIT", 0, "bench_pass");
    const link = addon.bpfLinkCreate(passer, addon.link("eth0").index, ATTACH_XDP, XDP_NATIVE);
    return () => {
      addon.close(link);
      addon.close(passer);
    };
  });
}

/** Frames a second that the generator was last seen to make, to find out how many fill the time. */
const speeds = new Map<string, number>();
const FIRST_SPEED = 500_000;

/** Floods for about so long; the calling thread stands still meanwhile. */
export function flood(stage: Stage, site: Site, size: number, flows: number, milliseconds: number): Sent {
  const addon = native();
  const close = openFarEnd(site);
  const cpus = addon.getAffinity();
  const turn = addon.bpfMapCreate(MAP_ARRAY, 4, 8, 1, 0);
  addon.setAffinity(Int32Array.of(LOAD_CPU));
  try {
    const frames = Math.ceil((speeds.get(site.name) ?? FIRST_SPEED) * (milliseconds / 1000));
    const frame = template(size, ACK);
    const nanoseconds = within(stage.load, () => {
      const code = program(turn, frame, flows, addon.link(site.arm.device).index);
      const loaded = addon.bpfProgLoad(PROG_XDP, code, "MIT", 0, "bench_flood");
      const start = addon.monotonic();
      const cpu = addon.threadCpu();
      addon.bpfTestRun(loaded, frame.subarray(0, size), new Uint8Array(0), frames, LIVE_FRAMES);
      const times = { wall: (addon.monotonic() - start) * 1e6, cpu: (addon.threadCpu() - cpu) * 1e6 };
      addon.close(loaded);
      return times;
    });
    speeds.set(site.name, frames / (nanoseconds.wall / 1e9));
    return { sent: frames, refused: 0, nanoseconds: nanoseconds.wall, cpu: nanoseconds.cpu };
  } finally {
    addon.close(turn);
    addon.setAffinity(Int32Array.from(cpus));
    close();
  }
}
