/** The page of a daemon: `run --web` on a director's own host, looked at from that host by Chromium. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { Injector } from "../../src/lab/enter.ts";
import { Lab } from "../../src/lab/lab.ts";
import { clientAddress, DIP, ECHO_PORT, macOf, ROUTER, VIP } from "../../src/lab/topology.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { parseIpv4, parseMac } from "../../src/wire/address.ts";
import { udpFrame } from "../../src/wire/frame.ts";
import { clusterConfig } from "../helpers/cluster.ts";
import {
  dots,
  launchIn,
  missing,
  serious,
  threadSeconds,
  turns,
  type Watched,
  watchedPage,
} from "./browser.ts";

const PORT = 8099;
const OWN = `http://127.0.0.1:${PORT}`;

describe.skipIf(missing !== "")(`the page of a daemon ${missing}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "dr-director-test-"));
  const stop = new AbortController();
  let lab: Lab;
  let director: DirectorProgram;
  let browser: Browser;
  let traffic: Promise<unknown>;

  beforeAll(async () => {
    lab = await Lab.create({ clientAddresses: 4 });
    await startServers(lab, lab.realServers);
    director = await DirectorProgram.start(lab, clusterConfig({}), { folder, web: `127.0.0.1:${PORT}` });
    traffic = requests(await Client.start(lab), stop.signal);
    browser = await launchIn(
      lab.in("director"),
      folder,
      `--host-resolver-rules=MAP evil.example:80 127.0.0.1:${PORT}`,
    );
  });

  afterAll(async () => {
    stop.abort();
    await traffic;
    await browser?.close();
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function requests(client: Client, { aborted }: AbortSignal): Promise<void> {
    const from = [0, 1, 2, 3].map(clientAddress);
    while (!aborted && !stop.signal.aborted)
      await client.request({ path: "/bytes/2000", parallel: 2, pause: 100, requests: 6, from });
  }

  async function open(): Promise<Watched> {
    const watched = await watchedPage(browser);
    await watched.page.goto(OWN);
    await watched.page.waitForSelector(".topology .node-server");
    return watched;
  }

  async function close({ page, errors, requests: asked }: Watched): Promise<void> {
    expect(errors).toEqual([]);
    expect(asked.filter((url) => !url.startsWith(`${OWN}/`) && !url.startsWith("data:"))).toEqual([]);
    await page.context().close();
  }

  const received = async (page: Page) =>
    Number((await page.textContent("#verdicts .total td"))!.replaceAll(",", ""));

  it("shows a director at work: frames move, are explained, and the tables say what the director says", async () => {
    const watched = await open();
    const { page } = watched;
    await page.waitForSelector(".dots > .dot");
    const places = new Set<string>();
    await expect
      .poll(async () => {
        for (const place of await dots(page)) places.add(place);
        return places.size;
      })
      .toBeGreaterThan(6);
    await page.waitForSelector(".why .members .chosen");
    const told = (await page.textContent(".why"))!;
    expect(told).toContain("rr chose rs");
    expect(told).toContain("a moment after the choice");
    await page.waitForSelector("#connections tbody tr");
    const row = (await page.textContent("#connections tbody tr"))!;
    expect(row).toMatch(/^10\.7\.0\.1[0-3]:\d+[A-Z_]+rs[123]\d+ s$/);
    const neighbours = (await page.textContent("#neighbours tbody"))!;
    expect(neighbours).toContain("02:00:0a:00:00:0b");
    const sums = await page.$$eval("#verdicts tbody td", (cells) =>
      cells.map((cell) => Number(cell.textContent!.replaceAll(",", ""))),
    );
    expect(sums.slice(0, -1).reduce((sum, count) => sum + count, 0)).toBe(sums.at(-1));
    // The director cannot see answers, and the page says that it shows none.
    expect(await page.$(".frame-answer")).toBeNull();
    expect(await page.textContent("#status")).toContain("Answers are not seen");
    await close(watched);
  });

  it("has nothing to change anything with", async () => {
    const watched = await open();
    const { page } = watched;
    expect(await page.textContent("#service-panel")).toContain("To look at only");
    expect(await page.$eval("#scheduler", (select) => select.hasAttribute("disabled"))).toBe(true);
    for (const control of ["#inject", "#fault", "#restart", "#source", "[name=speed]", ".servers button"])
      expect(await page.$(control), control).toBeNull();
    expect(await serious(watched)).toEqual([]);
    expect(await page.evaluate("fetch('command', { method: 'POST' }).then(({ status }) => status)")).toBe(
      404,
    );
    // Chromium tells of every answer of 404: the one that was asked for here.
    expect(watched.errors.splice(0)).toEqual([expect.stringContaining("404")]);
    await close(watched);
  });

  it("is given to nobody under another name", async () => {
    const { page } = await watchedPage(browser);
    const answer = (await page.goto("http://evil.example/"))!;
    expect(answer.status()).toBe(421);
    expect(await page.content()).not.toContain("topology");
    const events = (await page.goto("http://evil.example/events"))!;
    expect(events.status()).toBe(421);
    await page.context().close();
  });

  it("runs nothing but its own script, and can speak to nobody else", async () => {
    const { page } = await open();
    const done = await page.evaluate(`(async () => {
      const script = document.createElement("script");
      script.textContent = "window.strange = true";
      document.head.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.strange = true'>");
      const elsewhere = await fetch("http://127.0.0.1:1/").catch((error) => error.name);
      const framed = document.createElement("iframe");
      framed.src = "/";
      document.body.append(framed);
      await new Promise((resolve) => { framed.onload = resolve; });
      const inner = (() => { try { return framed.contentDocument?.title ?? ""; } catch { return ""; } })();
      return { strange: window.strange ?? false, elsewhere, inner };
    })()`);
    expect(done).toEqual({ strange: false, elsewhere: "TypeError", inner: "" });
    await page.context().close();
  });

  it("looks at ten thousand frames a second without freezing, and says that it shows a sample", async () => {
    const watched = await open();
    const { page } = watched;
    const used = await threadSeconds(page);
    const still = await turns(page, 2);
    const before = { received: (await director.counters()).received, thread: await used() };
    const flood = startFlood(lab);
    const gaps = await turns(page, 4);
    const thread = (await used()) - before.thread;
    const sent = flood.stop();
    const { received: truth } = await director.counters();
    // As fast as this machine lets us; what the director received is what the page must show.
    expect(sent).toBeGreaterThan(10_000);
    expect(truth - before.received).toBeGreaterThan(10_000);
    await expect.poll(() => received(page), { timeout: 10_000 }).toBeGreaterThanOrEqual(truth);
    expect(await page.textContent("#frames-count")).toMatch(/sampled: [\d,]+ of them are shown/);
    // Half of its thread's time would be much; and it goes on drawing as before the flood, or nearly.
    expect(thread).toBeLessThan(2);
    expect(gaps.length / 4).toBeGreaterThan(still.length / 2 / 4);
    await close(watched);
  });
});

/** Datagrams of four hundred flows from beyond the router, ten thousand a second. */
function startFlood(lab: Lab): { stop(): number } {
  const injector = new Injector(lab.in("router"), "eth1");
  const frames = Array.from({ length: 400 }, (_, i) =>
    udpFrame({
      source: parseIpv4(clientAddress(i % 4))!,
      destination: parseIpv4(VIP)!,
      sourcePort: 20_000 + i,
      destinationPort: ECHO_PORT,
      sourceMac: parseMac(macOf(ROUTER))!,
      destinationMac: parseMac(macOf(DIP))!,
      pad: true,
    }),
  );
  const begun = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    // After a pause of this process the next turn does not send all that was missed: that would be another rate.
    const due = Math.min(sent + 500, Math.floor((performance.now() - begun) * 10));
    for (; sent < due; sent++) injector.send(frames[sent % frames.length]!);
  }, 5);
  return {
    stop() {
      clearInterval(timer);
      injector.close();
      return sent;
    },
  };
}
