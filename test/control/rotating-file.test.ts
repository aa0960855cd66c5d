/** A bounded capture file: what is in which file, what is refused, what is left when it is closed. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSize, RotatingFile } from "../../src/control/rotating-file.ts";
import { makeFolder } from "../helpers/world.ts";

const HEAD = Uint8Array.of(0xff, 0xfe);

async function open(size: number, files: number) {
  const folder = makeFolder();
  const path = join(folder, "cap");
  const told = { full: 0, failed: [] as string[] };
  const file = await RotatingFile.open({
    path,
    size,
    files,
    head: HEAD,
    full: () => void told.full++,
    failed: (error) => void told.failed.push(error.message),
  });
  return { folder, path, file, told };
}

describe("a rotating file", () => {
  it("one file: what fits, and then the end", async () => {
    const { path, file, told } = await open(10, 1);
    expect([1, 2, 3].map((n) => file.write(new Uint8Array(3).fill(n)))).toEqual([true, true, false]);
    expect([told.full, file.write(Uint8Array.of(9))]).toEqual([1, false]);
    await file.close(Uint8Array.of(8));
    expect([...readFileSync(path)]).toEqual([0xff, 0xfe, 1, 1, 1, 2, 2, 2]);
  });

  it("a ring of files holds the newest blocks, in order, each file with its head and none too large", async () => {
    const blocks = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(blocks, fc.integer({ min: 2, max: 12 }), async (lengths, files) => {
        const { folder, file, told } = await open(24, files);
        for (const [n, length] of lengths.entries()) {
          expect(file.write(new Uint8Array(length).fill(n))).toBe(true);
        }
        await file.close();
        const last = file.current;
        expect(told).toEqual({ full: 0, failed: [] });
        const names = readdirSync(folder).sort();
        const at = names.indexOf(last.slice(folder.length + 1));
        const inOrder = [...names.slice(at + 1), ...names.slice(0, at + 1)];
        const seen = inOrder.flatMap((name) => {
          const bytes = [...readFileSync(join(folder, name))];
          expect(bytes.length).toBeLessThanOrEqual(24);
          expect(bytes.slice(0, 2)).toEqual([...HEAD]);
          return bytes.slice(2);
        });
        const all = lengths.flatMap((length, n) => new Array<number>(length).fill(n));
        expect(seen).toEqual(seen.length === 0 ? [] : all.slice(-seen.length));
        expect(names.length).toBeLessThanOrEqual(files);
      }),
      { numRuns: 30 },
    );
  });

  it("writes what came last, and says once when the disk fails", async () => {
    const { path, file } = await open(1000, 1);
    file.write(Uint8Array.of(1));
    await file.close(Uint8Array.of(2));
    expect([...readFileSync(path)]).toEqual([...HEAD, 1, 2]);
    if (!existsSync("/dev/full")) return;
    const failed: string[] = [];
    const full = await RotatingFile.open({
      path: "/dev/full",
      size: 1000,
      files: 1,
      head: HEAD,
      full: () => {},
      failed: (error) => void failed.push((error as NodeJS.ErrnoException).code ?? ""),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(full.write(Uint8Array.of(1))).toBe(false);
    await full.close();
    expect(failed).toEqual(["ENOSPC"]);
  });

  it.each([
    ["1", 1_000_000],
    ["64k", 65_536],
    ["10M", 10 * 2 ** 20],
    ["1g", 2 ** 30],
    ["1k", undefined],
    ["", undefined],
    ["x", undefined],
    ["-5", undefined],
  ])("a size of %s is %s bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});
