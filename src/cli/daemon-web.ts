/** The daemon's live events, on its control socket and, with `run --web`, for the page. */
import type { FastifyInstance } from "fastify";
import type { Director } from "../control/director.ts";
import { parseListenAddress } from "../control/listen-address.ts";
import type { Taps } from "../control/taps.ts";
import { Live } from "../observe/live.ts";
import { LIVE_STREAM } from "../observe/live-schema.ts";
import { addEvents, eventsOf, serveWeb, WebError } from "../observe/web.ts";
import { native } from "../ring/native.ts";
import type { Logger } from "./log.ts";

const LOOPBACK = /^(127\.|::1$)/;

/** GET /v1/live on the control socket; close what it returns. */
export function addLive(api: FastifyInstance, director: Director, taps: Taps): Live {
  const label = director.config.interface ?? "";
  const live = new Live({ source: director, taps, label, now: () => native().monotonic() });
  addEvents(api, LIVE_STREAM.path, eventsOf(live));
  return live;
}

/** The page at `asked`, an address and port; returns what closes it. Throws WebError. */
export async function openDaemonWeb(live: Live, asked: string, logger: Logger): Promise<() => Promise<void>> {
  const where = parseListenAddress(asked);
  if (where === undefined) throw new WebError(`--web: "${asked}" is no address and port`);
  const web = await serveWeb({ ...where, mode: "live", events: eventsOf(live) });
  logger.info({ event: "web", url: web.url }, `the page is at ${web.url}`);
  if (!LOOPBACK.test(where.host))
    logger.warn({ event: "web" }, `everybody who reaches ${where.host} can see this director's connections`);
  return web.close;
}
