/** The lab's main job: requests through the VIP by each scheduler, and the proof of how they went. */
import type { Config, ConfigInput, ServiceConfig } from "../control/config-schema.ts";
import { Capture } from "./capture.ts";
import { difference, type InterfaceCounters } from "./counters.ts";
import type { DirectorProgram, VerdictCounters } from "./director-program.ts";
import { forwardedFrame, isAnswer } from "./evidence.ts";
import { expectation, requestsFor, weightOf } from "./expectations.ts";
import type { Lab } from "./lab.ts";
import type { FrameReport, LabReport, SchedulerReport, VerdictReport, WayBackReport } from "./report.ts";
import {
  clientAddress,
  ECHO_PORT,
  HTTP_PORT,
  macOf,
  realServerAddress,
  realServerName,
  SCHEDULER_PORT,
  SCHEDULER_PORTS,
  VIP,
} from "./topology.ts";
import type { Client } from "./traffic.ts";

/** Long enough that the answers would be seen at once, were they to pass the director. */
const ANSWER = "/bytes/20000";
const LEAST_REQUESTS = 24;

type ServiceInput = NonNullable<ConfigInput["services"]>[number];

function service(
  scheduler: string,
  port: number,
  realServers: number,
  protocol: ServiceConfig["protocol"],
): ServiceInput {
  const { weights } = expectation(scheduler);
  const servers = Array.from({ length: realServers }, (_, i) => ({
    address: realServerAddress(i),
    weight: weightOf(weights, i),
  }));
  return { protocol, address: VIP, port, scheduler, servers };
}

/** One service for each scheduler (8001, 8002 …), one on port 80 with the first of them, and a UDP echo. */
export function labConfig(
  schedulers: readonly string[],
  realServers: number,
  shards: number,
  ring: Config["ring"]["kind"] = "packet",
): ConfigInput {
  if (schedulers.length > SCHEDULER_PORTS)
    throw new RangeError(`the lab tries ${SCHEDULER_PORTS} schedulers at most`);
  const first = schedulers[0]!;
  return {
    shards,
    ring: { kind: ring },
    state: "none", // nothing of a lab is to outlive it
    vips: [{ address: VIP, own: true }],
    services: [
      service(first, HTTP_PORT, realServers, "tcp"),
      service(first, ECHO_PORT, realServers, "udp"),
      ...schedulers.map((name, i) => service(name, SCHEDULER_PORT + i, realServers, "tcp")),
    ],
  };
}

/** One scheduler's requests, each on a connection of its own, the client's addresses in turn. */
export async function tryScheduler(
  lab: Lab,
  client: Client,
  scheduler: string,
  port: number,
): Promise<SchedulerReport> {
  const { realServers, options } = lab;
  const { weights, words, holds } = expectation(scheduler);
  const clients = Array.from({ length: options.clientAddresses ?? 1 }, (_, i) => clientAddress(i));
  const requests = requestsFor(weights, realServers.length, LEAST_REQUESTS);
  const round = await client.request({
    port,
    path: ANSWER,
    requests,
    from: clients,
    timeout: 3_000,
    giveUp: 2,
  });
  const answers = Object.fromEntries(realServers.map((name) => [name, round.answers[name] ?? 0]));
  return {
    scheduler,
    service: `${VIP}:${port}`,
    weights: Object.fromEntries(realServers.map((name, i) => [name, weightOf(weights, i)])),
    requests,
    failed: round.failed,
    errors: round.errors,
    answers,
    answersByClient: round.answersFrom,
    expected: words,
    held: round.failed === 0 && holds(Object.values(answers), round),
  };
}

type Ports = Map<string, InterfaceCounters>;

function wayBack(
  before: Ports,
  after: Ports,
  answersAtDirector: number,
  bytesOfAnswers: number,
): WayBackReport {
  // What the switch sends is what the host behind the port receives.
  const director = difference(after.get("director")!, before.get("director")!);
  const router = difference(after.get("router")!, before.get("router")!);
  return {
    framesToDirector: director.txPackets,
    bytesToDirector: director.txBytes,
    framesFromDirector: director.rxPackets,
    bytesFromDirector: director.rxBytes,
    answersAtDirector,
    framesToRouter: router.txPackets,
    bytesToRouter: router.txBytes,
    held: answersAtDirector === 0 && router.txBytes >= bytesOfAnswers && director.txBytes < bytesOfAnswers,
  };
}

export function verdictReport({
  received,
  verdicts,
}: Pick<VerdictCounters, "received" | "verdicts">): VerdictReport {
  const seen = Object.entries(verdicts).filter(([, count]) => count > 0);
  const sum = seen.reduce((total, [, count]) => total + count, 0);
  const forwarded = verdicts.Forwarded ?? 0;
  return { received, verdicts: Object.fromEntries(seen), sum, held: received === sum && forwarded > 0 };
}

function problemsOf(
  schedulers: readonly SchedulerReport[],
  back: WayBackReport,
  frame: FrameReport | null,
  verdicts: VerdictReport,
  missed: number,
): string[] {
  const problems: string[] = [];
  for (const { scheduler, held, failed, requests, errors, expected } of schedulers) {
    if (failed > 0)
      problems.push(`${scheduler}: ${failed} of ${requests} requests failed (${errors.join("; ")})`);
    else if (!held) problems.push(`${scheduler}: the answers were not spread as expected (${expected})`);
  }
  if (back.answersAtDirector > 0) problems.push(`${back.answersAtDirector} answers passed the director`);
  else if (!back.held)
    problems.push("the ports' counters do not show the answers going straight to the router");
  if (frame === null) problems.push("no forwarded frame was seen at the director's port");
  else if (!frame.held) problems.push("a forwarded frame changed beyond its MAC addresses");
  if (!verdicts.held)
    problems.push(`verdicts sum to ${verdicts.sum}, frames received are ${verdicts.received}`);
  if (missed > 0) problems.push(`the witness missed ${missed} frames`);
  return problems;
}

export interface MainJob {
  lab: Lab;
  client: Client;
  director: DirectorProgram;
  schedulers: readonly string[];
  facts: LabReport["lab"];
  /** Told of each scheduler's round as it ends. */
  onScheduler?: (report: SchedulerReport) => void;
}

export async function mainJob({
  lab,
  client,
  director,
  schedulers,
  facts,
  onScheduler,
}: MainJob): Promise<LabReport> {
  const witness = await Capture.start(lab, "switch", "director");
  const before = await lab.counters("switch");
  const reports: SchedulerReport[] = [];
  let answered = 0;
  for (const [i, scheduler] of schedulers.entries()) {
    const report = await tryScheduler(lab, client, scheduler, SCHEDULER_PORT + i);
    answered += report.requests - report.failed;
    reports.push(report);
    onScheduler?.(report);
  }
  const after = await lab.counters("switch");
  const missed = await witness.stop();
  const answersAtDirector = witness.frames.filter(isAnswer).length;
  const back = wayBack(before, after, answersAtDirector, answered * 20_000);
  const names = new Map(lab.realServers.map((_, i) => [macOf(realServerAddress(i)), realServerName(i)]));
  const frame = forwardedFrame(witness.frames, (mac) => names.get(mac));
  const verdicts = verdictReport(await settled(director));
  const problems = problemsOf(reports, back, frame, verdicts, missed);
  return {
    version: 1,
    lab: facts,
    schedulers: reports,
    wayBack: back,
    frame,
    verdicts,
    held: problems.length === 0,
    problems,
  };
}

/** The counters when no frame is on its way any more: twice the same. */
async function settled(director: DirectorProgram): Promise<VerdictCounters> {
  let last = await director.counters();
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = await director.counters();
    if (JSON.stringify(now) === JSON.stringify(last)) return now;
    last = now;
  }
  return last;
}
