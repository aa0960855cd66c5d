/** Gentle traffic that never ends, and what it looks like second by second. */
import { difference, type InterfaceCounters } from "./counters.ts";
import type { Lab } from "./lab.ts";
import { bytesText, type Style } from "./style.ts";
import { clientAddress } from "./topology.ts";
import type { Client, Round } from "./traffic.ts";

/** One second of live traffic. */
export interface Rates {
  /** Answers a second by real server. */
  answers: Record<string, number>;
  failed: number;
  framesToDirector: number;
  framesFromDirector: number;
  /** Bytes a second from the switch to the router: the answers. */
  bytesToRouter: number;
}

const LANES = 4;
const PAUSE = 100;

export function ratesHeading(realServers: readonly string[]): string {
  return `${realServers.map((name) => name.padStart(7)).join("")}   director in     out   answers past it`;
}

/** One line below the heading. */
export function ratesLine(rates: Rates, style: Style): string {
  const perSecond = (rate: number): string => `${rate.toFixed(0)}/s`;
  const servers = Object.values(rates.answers).map((rate) => perSecond(rate).padStart(7));
  const director = `${perSecond(rates.framesToDirector).padStart(14)}${perSecond(rates.framesFromDirector).padStart(8)}`;
  const answers = `${bytesText(rates.bytesToRouter)}/s`.padStart(18);
  const failed = rates.failed > 0 ? style.bad(`   ${rates.failed} failed`) : "";
  return `${servers.join("")}${director}${answers}${failed}`;
}

type Ports = Map<string, InterfaceCounters>;

function ratesOf(
  rounds: readonly Round[],
  names: readonly string[],
  before: Ports,
  after: Ports,
  seconds: number,
): Rates {
  const director = difference(after.get("director")!, before.get("director")!);
  const router = difference(after.get("router")!, before.get("router")!);
  const total = (name: string): number => rounds.reduce((sum, round) => sum + (round.answers[name] ?? 0), 0);
  return {
    answers: Object.fromEntries(names.map((name) => [name, total(name) / seconds])),
    failed: rounds.reduce((sum, round) => sum + round.failed, 0),
    framesToDirector: director.txPackets / seconds,
    framesFromDirector: director.rxPackets / seconds,
    bytesToRouter: router.txBytes / seconds,
  };
}

/** Sends requests until `stopped` says so, and tells the rates about every second. */
export async function live(
  lab: Lab,
  client: Client,
  stopped: AbortSignal,
  onRates: (rates: Rates) => void,
): Promise<void> {
  const from = Array.from({ length: lab.options.clientAddresses ?? 1 }, (_, i) => clientAddress(i));
  let before = await lab.counters("switch");
  let began = performance.now();
  while (!stopped.aborted) {
    const order = { path: "/bytes/20000", parallel: LANES, pause: PAUSE, requests: 36, from, timeout: 2_000 };
    const round = await client.request(order);
    if (stopped.aborted) return;
    const after = await lab.counters("switch");
    const now = performance.now();
    onRates(ratesOf([round], lab.realServers, before, after, (now - began) / 1000));
    before = after;
    began = now;
  }
}
