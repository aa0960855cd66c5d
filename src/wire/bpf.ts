/**
 * eBPF programs (Linux: Documentation/bpf/standardization/instruction-set.rst): an assembler with labels for the few
 * instructions that our programs use. The programs themselves are in xdp-program.ts.
 */

/** Registers: R0 is the result, R1…R5 arguments (lost in a call), R6…R9 kept, R10 the end of the stack. */
export const R = { r0: 0, r1: 1, r2: 2, r3: 3, r4: 4, r5: 5, r6: 6, r7: 7, r8: 8, r9: 9, r10: 10 } as const;

/** Bytes a load or store moves. */
export type Size = 1 | 2 | 4 | 8;

/** Conditions of a jump; unsigned. */
export const If = { equal: 0x10, above: 0x20, atLeast: 0x30, anyBit: 0x40, not: 0x50, below: 0xa0 } as const;
/** 64-bit operations on a register. */
export const Do = {
  add: 0x00,
  divide: 0x30,
  or: 0x40,
  and: 0x50,
  shiftLeft: 0x60,
  shiftRight: 0x70,
  modulo: 0x90,
  xor: 0xa0,
  move: 0xb0,
} as const;

/** Helpers of the kernel by number (linux/bpf.h). */
export const Helper = { mapLookup: 1, redirect: 23, redirectMap: 51 } as const;

const SIZE_BITS: Record<Size, number> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };
const LOAD = 0x61;
const STORE_CONSTANT = 0x62;
const STORE = 0x63;
const JUMP = 0x05;
const OPERATE = 0x07;
const FROM_REGISTER = 0x08;
const CALL = 0x85;
const EXIT = 0x95;
const LOAD_64 = 0x18;
/** In the source register of LOAD_64: the constant is a map's descriptor. */
const PSEUDO_MAP = 1;

interface Instruction {
  readonly code: number;
  readonly to: number;
  readonly from: number;
  readonly offset: number;
  readonly constant: number;
  readonly label?: string;
}

export class BpfAssembler {
  readonly #lines: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  #add(line: Partial<Instruction> & { code: number }): this {
    this.#lines.push({ to: 0, from: 0, offset: 0, constant: 0, ...line });
    return this;
  }

  /** to = the `size` bytes at from + offset, in the machine's order */
  load(size: Size, to: number, from: number, offset: number): this {
    return this.#add({ code: LOAD | SIZE_BITS[size], to, from, offset });
  }

  /** the `size` bytes at to + offset = from */
  store(size: Size, to: number, offset: number, from: number): this {
    return this.#add({ code: STORE | SIZE_BITS[size], to, from, offset });
  }

  storeConstant(size: Size, to: number, offset: number, constant: number): this {
    return this.#add({ code: STORE_CONSTANT | SIZE_BITS[size], to, offset, constant });
  }

  /** `Do` with a constant (i32) */
  constant(operation: number, to: number, constant: number): this {
    return this.#add({ code: OPERATE | operation, to, constant });
  }

  /** `Do` with a register */
  register(operation: number, to: number, from: number): this {
    return this.#add({ code: OPERATE | operation | FROM_REGISTER, to, from });
  }

  jumpIf(condition: number, register: number, constant: number, label: string): this {
    return this.#add({ code: JUMP | condition, to: register, constant, label });
  }

  jumpIfRegister(condition: number, register: number, other: number, label: string): this {
    return this.#add({ code: JUMP | condition | FROM_REGISTER, to: register, from: other, label });
  }

  goTo(label: string): this {
    return this.#add({ code: JUMP, label });
  }

  /** to = the map behind a descriptor of this process */
  map(to: number, fd: number): this {
    this.#add({ code: LOAD_64, to, from: PSEUDO_MAP, constant: fd });
    return this.#add({ code: 0 });
  }

  call(helper: number): this {
    return this.#add({ code: CALL, constant: helper });
  }

  exit(): this {
    return this.#add({ code: EXIT });
  }

  label(name: string): this {
    this.#labels.set(name, this.#lines.length);
    return this;
  }

  /** The instructions as bpf(2) takes them on a little-endian machine, 8 bytes each. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#lines.length * 8);
    const view = new DataView(bytes.buffer);
    this.#lines.forEach((line, i) => {
      let offset = line.offset;
      if (line.label !== undefined) {
        const target = this.#labels.get(line.label);
        if (target === undefined) throw new RangeError(`no label ${line.label}`);
        offset = target - i - 1;
      }
      view.setUint8(i * 8, line.code);
      view.setUint8(i * 8 + 1, (line.from << 4) | line.to);
      view.setInt16(i * 8 + 2, offset, true);
      view.setInt32(i * 8 + 4, line.constant | 0, true);
    });
    return bytes;
  }
}
