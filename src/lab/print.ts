/** A lab's report for people. Each function gives lines; who prints them decides where to. */
import { hexDifference } from "./hexdump.ts";
import type { FrameReport, LabReport, SchedulerReport, VerdictReport, WayBackReport } from "./report.ts";
import { bytesText, type Style } from "./style.ts";
import { DIP, ROUTER, realServerAddress, VIP } from "./topology.ts";

const mark = (held: boolean, style: Style): string => (held ? style.good("✓") : style.bad("✗"));

/** The picture of who is where. Like everything printed here it fits into 80 columns. */
export function topologyLines(
  realServers: readonly string[],
  clients: readonly string[],
  style: Style,
): string[] {
  const client = clients.length > 1 ? `${clients[0]} … ${clients.at(-1)}` : clients[0]!;
  const hosts = [`director ${DIP}`.padEnd(20) + style.faint(`answers ARP for the VIP ${VIP}`)];
  for (const [i, name] of realServers.entries()) {
    const note = style.faint("has the VIP on lo; its gateway is the router");
    hosts.push(`${name} ${realServerAddress(i)}`.padEnd(20) + note);
  }
  const bend = (i: number): string => (i === 0 ? "┬" : i === hosts.length - 1 ? "└" : "├");
  const left = (i: number): string => (i === 0 ? "  switch ─" : "          ");
  const above = [`  client ${client}`, "    │", `  router ${ROUTER}`, "    │"];
  return [...above, ...hosts.map((host, i) => `${left(i)}${bend(i)}─ ${host}`)];
}

export function schedulerHeading(realServers: readonly string[], style: Style): string[] {
  const names = realServers.map((name) => name.padStart(5)).join("");
  return ["", style.bold("Who answered"), style.faint(`  scheduler  weights  requests ${names}`)];
}

export function schedulerLine(report: SchedulerReport, style: Style): string {
  const weights = Object.values(report.weights).join(":");
  const answers = Object.values(report.answers).map((count) => String(count).padStart(5));
  const failed = report.failed > 0 ? style.bad(`  ${report.failed} failed`) : "";
  const head = `  ${report.scheduler.padEnd(10)} ${weights.padEnd(8)} ${String(report.requests).padStart(8)} `;
  return `${head}${answers.join("")}  ${mark(report.held, style)} ${style.faint(report.expected)}${failed}`;
}

export function wayBackLines(back: WayBackReport, style: Style): string[] {
  const line = (what: string, frames: number, bytes: number): string =>
    `  ${what.padEnd(44)} ${String(frames).padStart(7)} frames  ${bytesText(bytes).padStart(9)}`;
  const passed =
    back.answersAtDirector === 0
      ? "no answer was received or sent by the director"
      : `${back.answersAtDirector} answers passed the director`;
  return [
    "",
    style.bold("The way back: not through the director"),
    line("into the director (requests)", back.framesToDirector, back.bytesToDirector),
    line("out of the director (the same requests)", back.framesFromDirector, back.bytesFromDirector),
    line("from the real servers to the router (answers)", back.framesToRouter, back.bytesToRouter),
    `  ${mark(back.held, style)} ${passed}`,
  ];
}

export function frameLines(frame: FrameReport, style: Style): string[] {
  const before = Buffer.from(frame.before, "hex");
  const after = Buffer.from(frame.after, "hex");
  const only = `only the MAC addresses (bytes 0 to 11) changed, the other ${after.length - 12} bytes did not`;
  const finished = "the MAC addresses changed, and the checksum that its sender had left half done";
  const said = frame.held
    ? frame.checksumFinished
      ? finished
      : only
    : "more than the MAC addresses changed";
  return [
    "",
    style.bold(`One frame, before and after: ${frame.what}, sent on to ${frame.realServer}`),
    ...hexDifference(before, after, frame.changed, style),
    `  ${mark(frame.held, style)} ${said}`,
  ];
}

export function verdictLines(report: VerdictReport, style: Style): string[] {
  const rows = Object.entries(report.verdicts).map(
    ([name, count]) => `  ${name.padEnd(18)} ${String(count).padStart(9)}`,
  );
  return [
    "",
    style.bold("What became of each frame that the director received"),
    ...rows,
    `  ${"together".padEnd(18)} ${String(report.sum).padStart(9)}   of ${report.received} received  ${mark(report.held, style)}`,
  ];
}

export function conclusionLines(report: LabReport, style: Style): string[] {
  if (report.held) return ["", style.good(style.bold("Everything held."))];
  return [
    "",
    style.bad(style.bold("Not everything held:")),
    ...report.problems.map((problem) => `  ${problem}`),
  ];
}

/** How to go into each namespace by hand. */
export function enterLines(pids: ReadonlyMap<string, number>, rootless: boolean): string[] {
  const user = (pid: number): string =>
    rootless ? `--preserve-credentials --user=/proc/${pid}/ns/user ` : "";
  const sudo = rootless ? "" : "sudo ";
  return [...pids].map(
    ([name, pid]) => `  ${name.padEnd(9)} ${sudo}nsenter ${user(pid)}--net=/proc/${pid}/ns/net`,
  );
}
