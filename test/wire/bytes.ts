/** What the tests of this folder share: arbitrary values, recorded frames, hex. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import type { Mac, Words } from "../../src/wire/address.ts";

export const u8 = fc.integer({ min: 0, max: 0xff });
export const u16 = fc.integer({ min: 0, max: 0xffff });
export const u32 = fc.integer({ min: 0, max: 0xffffffff });
export const words: fc.Arbitrary<Words> = fc.tuple(u32, u32, u32, u32);
export const mac: fc.Arbitrary<Mac> = fc.record({ hi: u16, lo: u32 });
export const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
/** Header options: a multiple of four bytes, at most 40. */
export const options: fc.Arbitrary<Uint8Array> = fc
  .integer({ min: 0, max: 10 })
  .chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 }));

export function viewOf(array: Uint8Array): DataView {
  return new DataView(array.buffer, array.byteOffset, array.length);
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

export function toHex(array: Uint8Array): string {
  return Buffer.from(array).toString("hex");
}

export const RECORDINGS = new URL("../oracle/recordings/", import.meta.url);

export interface RecordedStep {
  readonly op: string;
  readonly desc?: string;
  readonly proto?: string;
  readonly src?: string;
  readonly sport?: number;
  readonly dst?: string;
  readonly dport?: number;
  readonly flags?: string;
  readonly ttl?: number;
  readonly out?: string | null;
  readonly in_hex?: string;
  readonly out_hex?: string[];
}

/** The steps of a recorded scenario, "icmp/icmp_errors". */
export function recordedSteps(name: string): RecordedStep[] {
  const file = readFileSync(new URL(`${name}.json.gz`, RECORDINGS));
  const parsed: { steps: RecordedStep[] } = JSON.parse(gunzipSync(file).toString());
  return parsed.steps;
}
