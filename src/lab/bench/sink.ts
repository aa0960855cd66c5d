/**
 * The other end: a BPF program at the ingress of the load's interface (tcx, Linux 6.6) looks at each frame that comes
 * back, counts it by its sequence number and drops it. In the kernel, so that it costs little and every forwarder the
 * same; lost, doubled and overtaken frames are told apart, and frames with wrong MACs are counted.
 */

import { native } from "../../ring/native.ts";
import { parseMac } from "../../wire/address.ts";
import { BpfAssembler, Do, Helper, If, R } from "../../wire/bpf.ts";
import { within } from "../enter.ts";
import type { Namespace } from "../namespace.ts";
import { MAGIC, MAGIC_AT, NUMBER_AT } from "./frames.ts";
import { DIRECTOR_MAC } from "./stage.ts";

export interface Arrivals {
  /** Frames that came, doubled ones included. */
  readonly frames: number;
  /** Came after one with a higher number. */
  readonly reordered: number;
  readonly duplicates: number;
  /** Of these, frames whose MACs are not what direct routing makes of them. */
  readonly wrong: number;
}

const PROG_SCHED_CLS = 3;
const MAP_ARRAY = 2;
const ATTACH_TCX_INGRESS = 46;
const ACT_OK = 0;
const ACT_SHOT = 2;
/** struct __sk_buff. */
const SKB_DATA = 76;
const SKB_DATA_END = 80;

const FRAME = 60;
const SOURCE_MAC = 6;
/** First four bytes of a real server's MAC, 02:02:90:00, in the machine's order. */
const SERVER = 0x0090_0202;

/** Words of the counts: u64 each. */
const FRAMES = 0;
const NEXT = 8;
const REORDERED = 16;
const DUPLICATES = 24;
const WRONG = 32;
const COUNTS_BYTES = 64;

/** Sequence numbers that a run may have: a bit for each, 64 a row. */
const ROWS = 2 ** 17;
const ROW_SHIFT = 6;

const KEY = -4;

/** R0 = the address of the map's row whose number stands on the stack; ends when there is none. */
function row(code: BpfAssembler, map: number): void {
  code.map(R.r1, map).register(Do.move, R.r2, R.r10).constant(Do.add, R.r2, KEY).call(Helper.mapLookup);
  code.jumpIf(If.equal, R.r0, 0, "drop");
}

/** counts[at]++; R8 points at the counts. */
function count(code: BpfAssembler, at: number): void {
  code.load(8, R.r1, R.r8, at).constant(Do.add, R.r1, 1).store(8, R.r8, at, R.r1);
}

function program(counts: number, seen: number, sourceMac: number): Uint8Array {
  const code = new BpfAssembler();
  code.register(Do.move, R.r6, R.r1).load(4, R.r2, R.r6, SKB_DATA).load(4, R.r3, R.r6, SKB_DATA_END);
  code.register(Do.move, R.r4, R.r2).constant(Do.add, R.r4, FRAME);
  code.jumpIfRegister(If.above, R.r4, R.r3, "pass");
  code.load(2, R.r5, R.r2, MAGIC_AT).jumpIf(If.not, R.r5, MAGIC, "pass");
  code.load(4, R.r7, R.r2, NUMBER_AT);
  code.constant(Do.move, R.r9, 0).load(4, R.r5, R.r2, 0).jumpIf(If.not, R.r5, SERVER, "odd");
  code.load(4, R.r5, R.r2, SOURCE_MAC).jumpIf(If.equal, R.r5, sourceMac, "even");
  code.label("odd").constant(Do.move, R.r9, 1).label("even");
  code.storeConstant(4, R.r10, KEY, 0);
  row(code, counts);
  code.register(Do.move, R.r8, R.r0);
  count(code, FRAMES);
  code.jumpIf(If.equal, R.r9, 0, "right");
  count(code, WRONG);
  code.label("right").load(8, R.r1, R.r8, NEXT).jumpIfRegister(If.atLeast, R.r7, R.r1, "in order");
  count(code, REORDERED);
  code.goTo("look").label("in order");
  code.register(Do.move, R.r1, R.r7).constant(Do.add, R.r1, 1).store(8, R.r8, NEXT, R.r1).label("look");
  code.register(Do.move, R.r1, R.r7).constant(Do.shiftRight, R.r1, ROW_SHIFT);
  code.constant(Do.and, R.r1, ROWS - 1).store(4, R.r10, KEY, R.r1);
  row(code, seen);
  code.constant(Do.and, R.r7, 63).constant(Do.move, R.r2, 1).register(Do.shiftLeft, R.r2, R.r7);
  code.load(8, R.r1, R.r0, 0).jumpIfRegister(If.anyBit, R.r1, R.r2, "twice");
  code.register(Do.or, R.r1, R.r2).store(8, R.r0, 0, R.r1).goTo("drop").label("twice");
  count(code, DUPLICATES);
  code.label("drop").constant(Do.move, R.r0, ACT_SHOT).exit();
  code.label("pass").constant(Do.move, R.r0, ACT_OK).exit();
  return code.assemble();
}

export class Sink {
  readonly #fds: number[] = [];
  readonly #counts: number;

  /** Takes what comes in by `device` from now on. */
  constructor(namespace: Namespace, device: string) {
    const addon = native();
    const mac = parseMac(DIRECTOR_MAC)!;
    const own = new DataView(new ArrayBuffer(6));
    own.setUint16(0, mac.hi);
    own.setUint32(2, mac.lo);
    this.#counts = addon.bpfMapCreate(MAP_ARRAY, 4, COUNTS_BYTES, 1, 0);
    const seen = addon.bpfMapCreate(MAP_ARRAY, 4, 8, ROWS, 0);
    const code = program(this.#counts, seen, own.getInt32(0, true));
    const loaded = addon.bpfProgLoad(PROG_SCHED_CLS, code, "MIT", ATTACH_TCX_INGRESS, "bench_sink");
    const link = within(namespace, () =>
      addon.bpfLinkCreate(loaded, addon.link(device).index, ATTACH_TCX_INGRESS, 0),
    );
    this.#fds.push(link, loaded, seen, this.#counts);
  }

  read(): Arrivals {
    const value = new Uint8Array(COUNTS_BYTES);
    native().bpfMapLookup(this.#counts, new Uint8Array(4), value);
    const view = new DataView(value.buffer);
    const at = (offset: number) => Number(view.getBigUint64(offset, true));
    return {
      frames: at(FRAMES),
      reordered: at(REORDERED),
      duplicates: at(DUPLICATES),
      wrong: at(WRONG),
    };
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) native().close(fd);
  }
}
