/** Runs a classic BPF program as the kernel would (filter.rst): a load beyond the frame ends it with 0. */
import type { CbpfInstruction } from "../../src/wire/cbpf.ts";

export function runCbpf(program: readonly CbpfInstruction[], frame: Uint8Array): number {
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  const load = (at: number, size: number): number | undefined => {
    if (at < 0 || at + size > frame.length) return undefined;
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + frame[at + i]!;
    return value;
  };
  const sizes: Record<number, number> = { 0: 4, 8: 2, 16: 1 };
  for (let pc = 0; pc < program.length; pc++) {
    const { code, jt, jf, k } = program[pc]!;
    if (jt > 255 || jf > 255) throw new Error("a comparison reaches 255 instructions");
    const kind = code & 7;
    const operand = code & 8 ? x : k;
    if (kind === 0 || kind === 1) {
      const mode = code & 0xe0;
      const size = sizes[code & 0x18]!;
      let value: number | undefined;
      if (mode === 0x00) value = k;
      else if (mode === 0x20) value = load(k, size);
      else if (mode === 0x40) value = load(x + k, size);
      else if (mode === 0x60) value = memory[k];
      else if (mode === 0xa0) {
        const byte = load(k, 1);
        value = byte === undefined ? undefined : (byte & 15) * 4;
      } else throw new Error(`load ${code}`);
      if (value === undefined) return 0;
      if (kind === 0) a = value;
      else x = value;
    } else if (kind === 2) memory[k] = a;
    else if (kind === 4) {
      const operation = code & 0xf0;
      if (operation === 0x00) a = (a + operand) >>> 0;
      else if (operation === 0x20) a = Math.imul(a, operand) >>> 0;
      else if (operation === 0x50) a = (a & operand) >>> 0;
      else if (operation === 0x70) a >>>= operand;
      else if (operation === 0xa0) a = (a ^ operand) >>> 0;
      else throw new Error(`operation ${code}`);
    } else if (kind === 5) {
      const test = code & 0xf0;
      if (test === 0) pc += k;
      else {
        const holds =
          test === 0x10
            ? a === operand
            : test === 0x20
              ? a > operand
              : test === 0x30
                ? a >= operand
                : (a & operand) !== 0;
        pc += holds ? jt : jf;
      }
    } else if (kind === 6) return code & 0x10 ? a : k;
    else if (code === 0x07) x = a;
    else throw new Error(`code ${code}`);
  }
  throw new Error("ran off the end");
}
