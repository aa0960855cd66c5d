import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { isRoot } from "../../src/lab/privilege.ts";

const run = promisify(execFile);

/** Slow enough for a busy machine: what is measured is not the machine, but that we measure. */
const bench = (...more: string[]) => {
  const argv = [built("cli/dr-director.js"), "bench", "--json", "--seconds", "1", "--rate", "2000", ...more];
  return run(process.execPath, argv, { timeout: 50_000 });
};

describe.skipIf(!isRoot())("dr-director bench", () => {
  test.each([
    ["packet", /^af_packet, poll$/],
    ["xdp", /^af_(xdp|packet).*, poll$/],
  ])(
    "over ring %s: what was sent comes back once, in order, to a real server",
    async (ring, how) => {
      const { stdout } = await bench("--ring", ring, "--flows", "300", "--size", "512");
      const report = JSON.parse(stdout);
      expect(report.how).toMatch(how);
      expect(report.samples).toHaveLength(1);
      const [{ sent, received, lost, duplicates, reordered, cpuPerFrame }] = report.samples;
      expect(sent).toBeGreaterThan(0);
      expect(received).toBeGreaterThan(0);
      expect(received + lost).toBe(sent);
      expect({ duplicates, reordered }).toEqual({ duplicates: 0, reordered: 0 });
      expect(cpuPerFrame).toBeGreaterThan(0);
      expect(report.summary.sent).toBe(sent);
    },
    60_000,
  );

  test("a size that no frame has is refused before anything is set up", async () => {
    await expect(bench("--size", "59")).rejects.toMatchObject({ code: 1, stderr: /60 to 1514/ });
  });
});
