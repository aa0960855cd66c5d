/** What `dr-director lab` does from start to end: stands the cluster up, runs the main job, stays, and cleans up. */
import { rmSync } from "node:fs";
import type { Config } from "../control/config-schema.ts";
import { DirectorProgram } from "./director-program.ts";
import { audienceGone, isKeeper, leaveStanding, onTerminal, tellOver, write } from "./keep.ts";
import { Lab } from "./lab.ts";
import { live, ratesHeading, ratesLine } from "./live.ts";
import { labConfig, mainJob } from "./main-job.ts";
import { serveLabPage } from "./page.ts";
import * as print from "./print.ts";
import { checkNamespaces, isRoot, isRootless, runInUserNamespace } from "./privilege.ts";
import type { LabReport } from "./report.ts";
import { chooseSchedulers } from "./scheduler-choice.ts";
import { makeScratch, sweepScratch } from "./scratch.ts";
import { Stage } from "./stage.ts";
import { stopSignal, unlessStopped } from "./stopping.ts";
import { type Style, styleFor } from "./style.ts";
import { clientAddress, realServerAddress, VIP } from "./topology.ts";
import { Client, startServers } from "./traffic.ts";
import { withRelay } from "./web-relay.ts";

export interface StandOptions {
  once: boolean;
  json: boolean;
  keep: boolean;
  shards: number;
  ring: Config["ring"]["kind"];
  /** Names or module files; none means every one that comes first in a book (rr wrr lc wlc sh). */
  schedulers: readonly string[];
  /** Port of the page while the lab stays, 0 for any; "off" for none. */
  web: number | "off";
}

const CLIENTS = 8;

/** The whole command; returns its exit code. */
export async function runLab(options: StandOptions): Promise<number> {
  try {
    await checkNamespaces();
    if (!isRoot()) {
      const page = !options.once && options.web !== "off";
      return await (page ? withRelay(Number(options.web), runInUserNamespace) : runInUserNamespace());
    }
    if (options.keep && !isKeeper()) return await leaveStanding(options.once);
    return await stand(options);
  } catch (error) {
    write(`dr-director lab: ${(error as Error).message}\n`, "stderr");
    return 1;
  }
}

async function stand(options: StandOptions): Promise<number> {
  const began = performance.now();
  const stopped = stopSignal();
  const { names, modules } = await chooseSchedulers(options.schedulers);
  sweepScratch();
  const folder = makeScratch();
  // AF_XDP has one shard for each queue.
  const queues = options.ring === "packet" ? 1 : options.shards;
  const lab = await Lab.create({ clientAddresses: CLIENTS, queues });
  try {
    const config = labConfig(names, lab.realServers.length, options.shards, options.ring);
    const [client, servers, director] = await Promise.all([
      Client.start(lab),
      startServers(lab),
      DirectorProgram.start(lab, config, { folder, schedulers: modules }),
    ]);
    const { ring } = await director.counters();
    const facts = factsOf(lab, options.shards, ring, performance.now() - began);
    const screen = new Screen(options, styleFor(onTerminal()));
    screen.begin(facts, director.ringWarnings);
    const onScheduler = (report: LabReport["schedulers"][number]): void => screen.scheduler(report);
    const report = await unlessStopped(
      stopped,
      mainJob({ lab, client, director, schedulers: names, facts, onScheduler }),
    );
    if (report === undefined) return 130;
    screen.report(report);
    if (options.keep) screen.kept(lab);
    tellOver(report.held);
    if (!options.once) {
      const stage = Stage.of({ lab, client, servers, director, folder, config });
      const page = options.web === "off" ? undefined : await serveLabPage({ stage, port: options.web });
      if (page !== undefined) screen.say("", `Watch it, and change things: ${page.url}`);
      await stay(lab, client, audienceGone(stopped), screen);
      await page?.close();
    }
    if (options.keep) await unlessStopped(stopped, new Promise(() => {}));
    return report.held ? 0 : 1;
  } finally {
    await lab.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function factsOf(lab: Lab, shards: number, ring: string, milliseconds: number): LabReport["lab"] {
  return {
    vip: VIP,
    realServers: Object.fromEntries(lab.realServers.map((name, i) => [name, realServerAddress(i)])),
    clients: Array.from({ length: CLIENTS }, (_, i) => clientAddress(i)),
    rootless: isRootless(),
    shards,
    ring,
    setupMilliseconds: Math.round(milliseconds),
  };
}

async function stay(lab: Lab, client: Client, stopped: AbortSignal, screen: Screen): Promise<void> {
  screen.say("", "Requests go on through the VIP. Ctrl-C ends the lab.", "");
  screen.say(screen.style.faint(ratesHeading(lab.realServers)));
  await unlessStopped(
    stopped,
    live(lab, client, stopped, (rates) => screen.rates(ratesLine(rates, screen.style))),
  );
  screen.say("");
}

/** Where the lab's words go: text as it happens, or one JSON document at the end. */
class Screen {
  readonly style: Style;
  readonly #json: boolean;
  #realServers: string[] = [];
  #drawn = false;

  constructor({ json }: StandOptions, style: Style) {
    this.#json = json;
    this.style = style;
  }

  say(...lines: string[]): void {
    if (!this.#json) write(lines.map((line) => `${line}\n`).join(""));
  }

  begin(facts: LabReport["lab"], warnings: readonly string[]): void {
    this.#realServers = Object.keys(facts.realServers);
    const where = facts.rootless ? "in a user namespace, without root" : "in network namespaces";
    const title = this.style.bold("dr-director lab");
    this.say(`${title}  ${where}, ready in ${facts.setupMilliseconds} ms, ring ${facts.ring}`);
    this.say(...warnings.map((warning) => this.style.faint(`  ${warning}`)), "");
    this.say(...print.topologyLines(this.#realServers, facts.clients, this.style));
    this.say(...print.schedulerHeading(this.#realServers, this.style));
  }

  scheduler(report: LabReport["schedulers"][number]): void {
    this.say(print.schedulerLine(report, this.style));
  }

  report(report: LabReport): void {
    if (this.#json) write(`${JSON.stringify(report, null, 2)}\n`);
    this.say(...print.wayBackLines(report.wayBack, this.style));
    if (report.frame !== null) this.say(...print.frameLines(report.frame, this.style));
    this.say(...print.verdictLines(report.verdicts, this.style));
    this.say(...print.conclusionLines(report, this.style));
  }

  kept(lab: Lab): void {
    const pids = new Map([...lab.namespaces].map(([name, namespace]) => [name, namespace.pid]));
    const lines = ["The lab stays. To enter a namespace:", ...print.enterLines(pids, isRootless())];
    lines.push(`To end the lab: kill ${process.pid}`);
    // With --json, stdout is one JSON document.
    if (this.#json) write(lines.map((line) => `${line}\n`).join(""), "stderr");
    this.say("", ...lines);
  }

  /** One line a second, drawn over the last one on a terminal. */
  rates(line: string): void {
    if (this.style.terminal) write(`${this.#drawn ? "\x1b[1A\x1b[2K" : ""}${line}\n`);
    else this.say(line);
    this.#drawn = true;
  }
}
