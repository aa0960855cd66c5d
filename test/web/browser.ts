/** Debian's Chromium, driven by playwright-core; every page is watched for errors and for requests that leave. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { Namespace } from "../../src/lab/namespace.ts";

export const CHROMIUM = "/usr/bin/chromium";
export const PAGE_FOLDER = fileURLToPath(new URL("../../dist/web/", import.meta.url));
export const PAGE_FILE = pathToFileURL(`${PAGE_FOLDER}index.html`).href;

/** Why the page cannot be opened here; empty when it can. */
export const missing = !existsSync(CHROMIUM)
  ? "skipped: apt-get install chromium"
  : existsSync(PAGE_FILE.replace("file://", ""))
    ? ""
    : "skipped: npm run build";

export interface Watched {
  readonly page: Page;
  /** Console errors and uncaught exceptions. */
  readonly errors: string[];
  /** Every address that was asked for. */
  readonly requests: string[];
}

export function launch(...more: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", ...more] });
}

/** A browser that sees only what a host of the lab sees: its loopback, its link. `folder` gets the way in. */
export function launchIn(namespace: Namespace, folder: string, ...more: string[]): Promise<Browser> {
  const executablePath = join(folder, "chromium-inside");
  const enter = namespace.enter.map((word) => `'${word}'`).join(" ");
  writeFileSync(executablePath, `#!/bin/sh\nexec ${enter} ${CHROMIUM} "$@"\n`, { mode: 0o755 });
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", ...more] });
}

/** Milliseconds between the page's turns at drawing, over so many seconds: a page that freezes has a long one. */
export function turns(page: Page, seconds: number): Promise<number[]> {
  return page.evaluate(`new Promise((done) => {
    const gaps = []; let last = performance.now(); const end = last + ${seconds * 1000};
    const look = (now) => { gaps.push(now - last); last = now; now < end ? requestAnimationFrame(look) : done(gaps); };
    requestAnimationFrame(look);
  })`);
}

/** Seconds of processor time that the page's own thread has used: what others do on the machine is not in it. */
export async function threadSeconds(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")!.value;
  };
}

export const WIDE = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 780 };

/** A new page in a context of its own, not yet anywhere. */
export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: WIDE, locale: "en-GB", ...options });
  const page = await context.newPage();
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
  page.on("request", (request) => requests.push(request.url()));
  return { page, errors, requests };
}

/** Places of all dots that move in the picture now. */
export function dots(page: Page): Promise<string[]> {
  return page.$$eval(".dots > .dot", (elements) =>
    elements.map((element) => element.getAttribute("transform") ?? ""),
  );
}

/** How many new connections the service panel says each real server has had. */
export function totals(page: Page): Promise<Record<string, number>> {
  return page.$$eval(".servers tbody tr", (rows) =>
    Object.fromEntries(
      rows.map((row) => [
        row.querySelector(".server-name")?.textContent ?? "",
        Number(row.querySelector(".col-total")?.textContent?.replaceAll(",", "")),
      ]),
    ),
  );
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe-core calls serious or critical. */
export async function serious({ page }: Watched): Promise<string[]> {
  await page.evaluate(AXE);
  const found = (await page.evaluate(
    "axe.run(document, { preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => r.violations)",
  )) as Finding[];
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`);
}
