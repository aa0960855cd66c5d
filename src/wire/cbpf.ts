/**
 * Classic BPF programs, for socket filters and fanout (Linux: Documentation/networking/filter.rst): a small assembler
 * with labels. The programs themselves are in vip-filter.ts and fanout.ts.
 */

/** One struct sock_filter. */
export interface CbpfInstruction {
  readonly code: number;
  /** Instructions to skip when a comparison holds, and when it does not. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** The kernel's BPF_MAXINSNS. */
export const MAX_INSTRUCTIONS = 4096;
const INSTRUCTION_BYTES = 8;

/** Operations, named as in the kernel's bpf_asm: ld/ldh/ldb load 4, 2, 1 bytes; `x` means "X + k". */
export const Op = {
  ld: 0x20,
  ldh: 0x28,
  ldb: 0x30,
  ldX: 0x40,
  ldhX: 0x48,
  ldbX: 0x50,
  ldImm: 0x00,
  ldMem: 0x60,
  ldxMem: 0x61,
  /** X = 4 * (byte & 15): the length of an IPv4 header. */
  ldxHeader: 0xb1,
  st: 0x02,
  add: 0x04,
  addX: 0x0c,
  mul: 0x24,
  and: 0x54,
  rsh: 0x74,
  xor: 0xa4,
  xorX: 0xac,
  tax: 0x07,
  ja: 0x05,
  ret: 0x06,
  retA: 0x16,
} as const;

/** Comparisons of A with k. */
export const Test = { equal: 0x15, above: 0x25, atLeast: 0x35, anyBit: 0x45 } as const;

type Line =
  | { readonly kind: "plain"; readonly code: number; readonly k: number }
  | {
      readonly kind: "jump";
      readonly code: number;
      readonly k: number;
      readonly yes: string;
      readonly no: string;
    }
  | { readonly kind: "goto"; readonly target: string }
  | { readonly kind: "label"; readonly name: string };

/** Furthest that a comparison itself reaches; beyond it goes by way of `ja`. */
const SHORT = 255;

/** Collects lines; jumps go to labels, forward only. The empty label means the next line. */
export class CbpfAssembler {
  readonly #lines: Line[] = [];

  emit(code: number, k = 0): this {
    this.#lines.push({ kind: "plain", code, k: k >>> 0 });
    return this;
  }

  /** Goes to `yes` when A compares so with k, else to `no`. */
  jump(code: number, k: number, yes: string, no: string): this {
    this.#lines.push({ kind: "jump", code, k: k >>> 0, yes, no });
    return this;
  }

  goTo(target: string): this {
    this.#lines.push({ kind: "goto", target });
    return this;
  }

  label(name: string): this {
    this.#lines.push({ kind: "label", name });
    return this;
  }

  /** Throws RangeError for a program too long, or a label that does not follow. */
  assemble(): CbpfInstruction[] {
    // A comparison that needs `ja` makes others longer, so the far ones are found by repeating; they only grow.
    const far = new Set<Line>();
    for (;;) {
      const { places, labels } = this.#place(far);
      const before = far.size;
      for (const line of this.#lines) {
        if (line.kind !== "jump" || far.has(line)) continue;
        const next = places.get(line)! + 1;
        if (reach(labels, line.yes, next) > SHORT || reach(labels, line.no, next) > SHORT) far.add(line);
      }
      if (far.size === before) return this.#write(far, places, labels);
    }
  }

  #place(far: ReadonlySet<Line>) {
    const places = new Map<Line, number>();
    const labels = new Map<string, number>();
    let place = 0;
    for (const line of this.#lines) {
      places.set(line, place);
      if (line.kind === "label") labels.set(line.name, place);
      else place += far.has(line) ? 3 : 1;
    }
    return { places, labels };
  }

  #write(far: ReadonlySet<Line>, places: ReadonlyMap<Line, number>, labels: ReadonlyMap<string, number>) {
    const program: CbpfInstruction[] = [];
    for (const line of this.#lines) {
      const place = places.get(line)!;
      if (line.kind === "plain") {
        program.push({ code: line.code, jt: 0, jf: 0, k: line.k });
      } else if (line.kind === "goto") {
        program.push({ code: Op.ja, jt: 0, jf: 0, k: reach(labels, line.target, place + 1) });
      } else if (line.kind === "jump" && far.has(line)) {
        const after = place + 3;
        program.push({ code: line.code, jt: 0, jf: 1, k: line.k });
        program.push({ code: Op.ja, jt: 0, jf: 0, k: reach(labels, line.yes, after) + 1 });
        program.push({ code: Op.ja, jt: 0, jf: 0, k: reach(labels, line.no, after) });
      } else if (line.kind === "jump") {
        const next = place + 1;
        const jt = reach(labels, line.yes, next);
        program.push({ code: line.code, jt, jf: reach(labels, line.no, next), k: line.k });
      }
    }
    if (program.length > MAX_INSTRUCTIONS)
      throw new RangeError(`BPF program of ${program.length} instructions`);
    return program;
  }
}

function reach(labels: ReadonlyMap<string, number>, label: string, from: number): number {
  if (label === "") return 0;
  const place = labels.get(label);
  if (place === undefined || place < from) throw new RangeError(`label ${label} does not follow`);
  return place - from;
}

/** As the array of struct sock_filter that setsockopt takes, in little-endian order. */
export function encodeCbpf(program: readonly CbpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  program.forEach((instruction, i) => {
    const at = i * INSTRUCTION_BYTES;
    view.setUint16(at, instruction.code, true);
    view.setUint8(at + 2, instruction.jt);
    view.setUint8(at + 3, instruction.jf);
    view.setUint32(at + 4, instruction.k, true);
  });
  return bytes;
}
