/** The page opened as plain files: the director's core runs in the browser, and nothing is asked of anybody. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tcpFrame } from "../../src/wire/frame.ts";
import { concat } from "../../src/wire/netlink.ts";
import { pcapHeader, pcapRecord } from "../../src/wire/pcap.ts";
import { pcapngInterface, pcapngPacket, pcapngSection } from "../../src/wire/pcapng-writer.ts";
import {
  dots,
  launch,
  missing,
  PAGE_FILE,
  PAGE_FOLDER,
  PHONE,
  serious,
  threadSeconds,
  totals,
  type Watched,
  WIDE,
  watchedPage,
} from "./browser.ts";

/** Which row of the list is the one that is explained. */
function pressed(page: Page): Promise<number> {
  return page.$$eval(".frame-row", (rows) =>
    rows.findIndex((row) => row.getAttribute("aria-pressed") === "true"),
  );
}

describe.skipIf(missing !== "")(`the page as files ${missing}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());

  /** With a clock of its own the page lives through half a minute in the time that drawing it takes. */
  async function open(options: Parameters<typeof watchedPage>[1] = {}, ownClock = true): Promise<Watched> {
    const watched = await watchedPage(browser, options);
    if (ownClock) await watched.page.clock.install();
    await watched.page.goto(PAGE_FILE);
    await watched.page.waitForSelector(".topology .node-server");
    return watched;
  }

  const pass = (page: Page, milliseconds: number): Promise<void> => page.clock.runFor(milliseconds);

  /** Lets the page's time pass until `there` is in it, at most so many seconds. */
  async function passUntil(page: Page, there: string, seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      if (await page.evaluate(`(${there}) ?? false`)) return;
      await pass(page, 1000);
    }
    expect(await page.evaluate(`(${there}) ?? false`), there).toBeTruthy();
  }

  const explained = (page: Page): Promise<void> => passUntil(page, "document.querySelector('.why')", 20);

  /** Whatever else a test looks at: no error was told, and nothing but the page's own files was asked for. */
  async function close({ page, errors, requests }: Watched): Promise<void> {
    expect(errors).toEqual([]);
    expect(requests.filter((url) => !url.startsWith("file://") && !url.startsWith("data:"))).toEqual([]);
    await page.context().close();
  }

  it("is under 400 KB in all", () => {
    const sizes = readdirSync(PAGE_FOLDER).map((name) => statSync(join(PAGE_FOLDER, name)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(400 * 1024);
  });

  it("names no address of the world", () => {
    const text = readdirSync(PAGE_FOLDER)
      .map((name) => readFileSync(join(PAGE_FOLDER, name), "utf8"))
      .join("\n");
    const named = [...text.matchAll(/https?:\/\/[\w.-]+/g)].map(([url]) => url);
    // Names of XML vocabularies, which nobody fetches.
    expect(named.filter((url) => url !== "http://www.w3.org")).toEqual([]);
  });

  it("paints first within a second", async () => {
    // The best of five: a machine that is busy elsewhere says nothing about the page.
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 5 && best >= 1000; i++) {
      const watched = await open({}, false);
      const painted = (await watched.page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1",
      )) as number;
      expect(painted).toBeGreaterThan(0);
      best = Math.min(best, painted);
      await close(watched);
    }
    expect(best).toBeLessThan(1000);
  });

  it("moves frames along", async () => {
    const watched = await open({}, false);
    const { page } = watched;
    const places = new Set<string>();
    await expect
      .poll(
        async () => {
          for (const place of await dots(page)) places.add(place);
          return places.size;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(6);
    await page.waitForSelector(".frame-row.frame-answer", { timeout: 20_000 });
    await close(watched);
  });

  it("steps one frame at a time while paused", async () => {
    const watched = await open();
    const { page } = watched;
    await page.click("#play");
    await pass(page, 400);
    const rows = () => page.$$eval(".frame-row", (elements) => elements.length);
    const before = await rows();
    await pass(page, 3000);
    expect(await rows()).toBe(before);
    for (let step = 1; step <= 3; step++) {
      await page.click("#step");
      await pass(page, 200);
      expect(await rows()).toBe(before + step);
      expect(await pressed(page)).toBe(0);
    }
    await close(watched);
  });

  it("explains a frame: its bytes before and after, why, and each field", async () => {
    const watched = await open();
    const { page } = watched;
    await explained(page);
    const changed = await page.$$eval(".bytes-went .changed-went", (cells) =>
      cells.map((cell) => Number(cell.getAttribute("data-at"))),
    );
    expect(changed.length).toBeGreaterThan(0);
    expect(Math.max(...changed)).toBeLessThan(12);
    expect(await page.textContent(".why")).toContain("wrr chose rs");
    expect(await page.$$eval(".members .chosen", (rows) => rows.length)).toBe(1);
    expect(await page.$$eval(".fields tr.changed", (rows) => rows.length)).toBe(2);
    expect(await page.textContent(".fields tr.changed .value-went")).toMatch(/^02:00:0a:00:00:0[bcd]$/);
    // The field under the pointer lights up among the bytes.
    await page.hover(".in-IPv4.header tr:nth-child(9) th");
    expect(
      await page.$$eval(".byte.lit", (cells) => cells.map((cell) => cell.getAttribute("data-at"))),
    ).toEqual(["22"]);
    await close(watched);
  });

  it("shows what another scheduler does", async () => {
    const watched = await open();
    const { page } = watched;
    await page.check("input[name=speed][value=fast]");
    // sh sends a client always to the same real server; fo sends everybody to the heaviest.
    await page.selectOption("#scheduler", "fo");
    await pass(page, 800);
    const before = await totals(page);
    await pass(page, 3000);
    const after = await totals(page);
    const made = Object.fromEntries(
      Object.entries(after).map(([name, total]) => [name, total - before[name]!]),
    );
    expect(made.rs3).toBeGreaterThan(3);
    expect(made).toMatchObject({ rs1: 0, rs2: 0 });
    await page.click("[aria-label^='Quiesce rs3']");
    await pass(page, 800);
    const quiesced = await totals(page);
    await pass(page, 3000);
    const later = await totals(page);
    expect(later.rs3).toBe(quiesced.rs3);
    expect(later.rs2! - quiesced.rs2!).toBeGreaterThan(2);
    await close(watched);
  });

  it("breaks what it is told to break, and mends it", async () => {
    const watched = await open();
    const { page } = watched;
    await page.selectOption("#fault", "vip-missing");
    await page.click("#inject");
    await passUntil(page, "document.querySelector('.fault')", 2);
    await page.check("input[name=speed][value=fast]");
    await passUntil(
      page,
      "[...document.querySelectorAll('.frame-row')].some((row) => row.textContent.includes('lost'))",
      30,
    );
    await page.click(".fault");
    await passUntil(page, "document.querySelector('.fault') === null", 2);
    await close(watched);
  });

  it.each([
    [
      "pcap",
      (frames: Uint8Array[]) =>
        concat([
          pcapHeader(),
          ...frames.map((bytes, i) => pcapRecord({ seconds: 1, nanoseconds: i * 1e6, bytes })),
        ]),
    ],
    [
      "pcapng",
      (frames: Uint8Array[]) =>
        concat([
          pcapngSection("test"),
          pcapngInterface("eth0", 65_535),
          ...frames.map((bytes, i) =>
            pcapngPacket({
              interface: 0,
              seconds: 1,
              nanoseconds: i * 1e6,
              bytes,
              originalLength: bytes.length,
              comments: [],
              direction: "inbound",
            }),
          ),
        ]),
    ],
  ])("plays a dropped %s", async (kind, write) => {
    const watched = await open();
    const { page } = watched;
    const frames = Array.from({ length: 30 }, (_, i) =>
      tcpFrame({
        source: 0xc0000201 + (i >> 1),
        destination: 0xc6336464,
        sourcePort: 5000 + (i >> 1),
        destinationPort: 443,
        flags: i % 2 === 0 ? 0x02 : 0x10,
      }),
    );
    const bytes = Array.from(write(frames));
    await page.evaluate(`{
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(${JSON.stringify(bytes)})], "mine.${kind}"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }`);
    await page.waitForFunction(
      "document.querySelector('#status').textContent.includes('198.51.100.100:443')",
    );
    await page.check("input[name=speed][value=fast]");
    await passUntil(page, "document.querySelector('#verdicts').textContent.includes('Forwarded30')", 20);
    expect(await page.textContent("#where")).toContain(`mine.${kind}`);
    expect(await totals(page)).toEqual({ rs1: 5, rs2: 5, rs3: 5 });
    await close(watched);
  });

  it("says what is wrong with a file that is no capture", async () => {
    const watched = await open();
    await watched.page.setInputFiles("#capture-file", {
      name: "x.pcap",
      mimeType: "",
      buffer: Buffer.from("no capture at all"),
    });
    await watched.page.waitForFunction("document.querySelector('#status').textContent.includes('x.pcap')");
    await close(watched);
  });

  it("plays the recording from the lab through to its end", async () => {
    const watched = await open();
    const { page } = watched;
    await page.selectOption("#source", "recording");
    await page.check("input[name=speed][value=fast]");
    await passUntil(page, "document.querySelector('#status').textContent.includes('over')", 60);
    const made = await totals(page);
    expect(Object.keys(made)).toEqual(["rs1", "rs2", "rs3"]);
    expect(Math.max(...Object.values(made)) - Math.min(...Object.values(made))).toBeLessThanOrEqual(1);
    await close(watched);
  });

  it("shows ten thousand frames a second without freezing, and says that it shows a sample", async () => {
    const watched = await open();
    const { page } = watched;
    await page.check("input[name=speed][value=flood]");
    await pass(page, 500);
    const received = async () => Number((await page.textContent("#verdicts .total td"))!.replaceAll(",", ""));
    const used = await threadSeconds(page);
    const before = { received: await received(), used: await used() };
    await pass(page, 3000);
    expect((await received()) - before.received).toBeGreaterThan(27_000);
    // Three seconds of this page's time may cost its thread two at the most: then it is never late.
    expect((await used()) - before.used).toBeLessThan(2);
    expect(await page.textContent("#frames-count")).toMatch(/frames, \d+ of them shown/);
    await close(watched);
  });

  it("needs no mouse", async () => {
    const watched = await open();
    const { page } = watched;
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.className")).toBe("skip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    expect(await page.textContent("#play")).toBe("Play");
    await page.keyboard.press("ArrowRight");
    await pass(page, 200);
    await page.focus(".frame-row");
    for (let step = 0; step < 6; step++) await page.keyboard.press("Space");
    await page.focus("#step");
    for (let step = 0; step < 6; step++) await page.keyboard.press("Enter");
    await page.focus(".frame-row");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await pressed(page)).toBe(1);
    await close(watched);
  });

  it("speaks Chinese", async () => {
    const watched = await open({ locale: "zh-CN" });
    const { page } = watched;
    expect(await page.textContent("h1")).toBe("一个帧去了哪里？");
    await explained(page);
    // What stays in Latin letters are names: of protocols, servers, fields' values; no English sentence.
    const text = (await page.textContent("main"))!;
    expect(text.match(/\b(?:the|is|of|and|not|which)\b/g)).toBeNull();
    await page.click("#language");
    expect(await page.textContent("h1")).toBe("Where does a frame go?");
    expect(await page.getAttribute("html", "lang")).toBe("en");
    await close(watched);
  });

  it("moves nothing for those who asked for less motion", async () => {
    const watched = await open({ reducedMotion: "reduce" });
    const { page } = watched;
    await passUntil(page, "document.querySelector('.glow .lit')", 20);
    expect(await dots(page)).toEqual([]);
    await close(watched);
  });

  it("has nothing that axe-core calls serious, and nothing wider than the screen: wide and phone, light and dark", async () => {
    const watched = await open();
    const { page } = watched;
    await explained(page);
    await page.click("#play");
    for (const viewport of [WIDE, PHONE]) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await pass(page, 500);
        expect(await serious(watched), `${viewport.width} ${colorScheme}`).toEqual([]);
      }
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(viewport.width);
    }
    await close(watched);
  });
});
