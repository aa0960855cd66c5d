/** The page over a real lab: live frames, and commands by whoever has the token. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, missing, totals, type Watched, watchedPage } from "./browser.ts";

const PROGRAM = fileURLToPath(new URL("../../dist/cli/dr-director.js", import.meta.url));

describe.skipIf(missing !== "")(`the page of a lab ${missing}`, () => {
  let browser: Browser;
  let lab: ChildProcess;
  let url = "";

  beforeAll(async () => {
    // Within an ordinary user's own network namespace nothing is up yet.
    spawnSync("ip", ["link", "set", "lo", "up"]);
    lab = spawn(process.execPath, [PROGRAM, "lab", "--scheduler", "rr", "--web", "0"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    url = await new Promise<string>((resolve, reject) => {
      let said = "";
      lab.stdout!.on("data", (text: Buffer) => {
        said += text;
        const found = /http:\/\/\S+/.exec(said);
        if (found !== null) resolve(found[0]);
      });
      lab.once("exit", () => reject(new Error(`the lab ended: ${said}`)));
    });
    browser = await launch();
  });

  afterAll(async () => {
    await browser?.close();
    const ended = new Promise((resolve) => lab.once("exit", resolve));
    lab.kill("SIGTERM");
    await ended;
  });

  async function open(at = url): Promise<Watched> {
    const watched = await watchedPage(browser);
    await watched.page.goto(at);
    await watched.page.waitForSelector(".topology .node-server");
    return watched;
  }

  async function close({ page, errors, requests }: Watched): Promise<void> {
    expect(errors).toEqual([]);
    const own = new URL(url).origin;
    expect(requests.filter((each) => !each.startsWith(`${own}/`) && !each.startsWith("data:"))).toEqual([]);
    // The token stays in the browser: behind the # nothing is sent, and it is taken out of sight.
    expect(requests.filter((each) => each.includes("token="))).toEqual(
      requests.filter((each) => each.includes("#token=")),
    );
    expect(page.url()).not.toContain("token");
    await page.context().close();
  }

  it("shows frames as they pass, with answers that go past the director", async () => {
    const watched = await open();
    const { page } = watched;
    await page.waitForSelector(".dots > .dot");
    await page.waitForSelector(".frame-row.frame-request");
    await page.waitForSelector(".frame-row.frame-answer");
    await page.waitForSelector(".why");
    expect(await page.textContent(".why")).toContain("rr chose rs");
    const changed = await page.$$eval(".bytes-went .changed-went", (cells) =>
      cells.map((cell) => Number(cell.getAttribute("data-at"))),
    );
    expect(changed.length).toBeGreaterThan(0);
    expect(Math.max(...changed)).toBeLessThan(12);
    expect(await page.textContent("#neighbours")).toContain("02:00:0a:00:00:0b");
    await close(watched);
  });

  it("stands still when paused, and steps", async () => {
    const watched = await open();
    const { page } = watched;
    await page.waitForSelector(".frame-row");
    await page.click("#play");
    const first = () => page.$eval(".frame-row", (row) => row.getAttribute("data-frame"));
    // What was on its way to the list when it was told to stop still comes.
    let stood: string | null = null;
    await expect
      .poll(async () => stood === (stood = await first()), { interval: 500, timeout: 20_000 })
      .toBe(true);
    await page.waitForTimeout(1000);
    expect(await first()).toBe(stood);
    for (let step = 0; step < 2; step++) {
      const before = await first();
      await page.click("#step");
      await expect.poll(first, { timeout: 10_000 }).not.toBe(before);
    }
    await close(watched);
  });

  it("changes the director's scheduler and weights", async () => {
    const watched = await open();
    const { page } = watched;
    await page.waitForSelector("#scheduler:not([disabled])");
    await page.selectOption("#scheduler", "wrr");
    await page.waitForSelector("[aria-label^='Quiesce rs1']");
    await page.click("[aria-label^='Quiesce rs1']");
    await page.waitForSelector(".servers tr.quiesced");
    await page.waitForTimeout(1500);
    const before = await totals(page);
    await expect
      .poll(async () => (await totals(page)).rs2, { timeout: 30_000 })
      .toBeGreaterThan(before.rs2! + 5);
    expect((await totals(page)).rs1).toBe(before.rs1);
    await page.click("[aria-label^='Give rs1']");
    await page.waitForSelector(".servers tr.quiesced", { state: "detached" });
    await close(watched);
  });

  it("breaks the lab and mends it", async () => {
    const watched = await open();
    const { page } = watched;
    await page.waitForSelector("#fault");
    await page.selectOption("#fault", "vip-missing");
    await page.click("#inject");
    await page.waitForSelector(".fault", { timeout: 10_000 });
    await page.click(".fault");
    await page.waitForSelector(".fault", { state: "detached", timeout: 10_000 });
    await close(watched);
  });

  it("is to look at only without the token", async () => {
    const watched = await open(new URL(url).origin);
    const { page } = watched;
    await page.waitForSelector(".frame-row");
    expect(await page.$eval("#scheduler", (select) => select.hasAttribute("disabled"))).toBe(true);
    expect(await page.$("#inject")).toBeNull();
    expect(await page.textContent("#service-panel")).toContain("token");
    await close(watched);
  });
});
