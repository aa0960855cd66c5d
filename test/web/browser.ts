/** Debian's Chromium, driven by playwright-core; every page is watched for errors and for requests that leave. */
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

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

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
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
