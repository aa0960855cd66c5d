/** Simulations as text for a terminal. */
import type { SimulationReport } from "../dataplane/simulation/simulate.ts";

/** Rows of the table over time. */
const SLICES = 10;

export function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Lines of equally wide columns: the first left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

function serversText({ servers }: SimulationReport): string {
  const head = ["server", "weight", "connections", "share", "by weight", "active", "at most"];
  const rows = servers.map((server) => [
    server.name,
    `${server.weight}`,
    `${server.connections}`,
    percent(server.share),
    percent(server.shareByWeight),
    server.meanActive.toFixed(1),
    `${server.peakActive}`,
  ]);
  return table([head, ...rows]);
}

function overTimeText({ samples, servers }: SimulationReport): string {
  const step = Math.max(1, Math.ceil(samples.length / SLICES));
  const shown = samples.filter((_, i) => (i + 1) % step === 0);
  const head = ["time", "fairness", ...servers.map(({ name }) => name)];
  const rows = shown.map(({ at, fairness, active }) => [
    seconds(at),
    fairness.toFixed(3),
    ...active.map(String),
  ]);
  return table([head, ...rows]);
}

function disruptionText({ disruption, servers }: SimulationReport): string {
  if (disruption === undefined) return "";
  const { server, broken, returning, displaced, movedNeedlessly } = disruption;
  const stayed = Math.max(1, returning - displaced);
  return `\nremoval of ${servers[server]!.name}: ${broken} connections broken; ${returning} clients came again, \
${displaced} of them had been with it;\nof the other ${returning - displaced}, ${movedNeedlessly} \
(${percent(movedNeedlessly / stayed)}) got another server all the same\n`;
}

export function reportText(report: SimulationReport): string {
  const { scheduler, connections, refused, fairness } = report;
  const said = refused === 0 ? "" : `, ${refused} refused`;
  return `${scheduler}: ${connections} connections${said}; fairness ${fairness.mean.toFixed(3)} on average, \
${fairness.least.toFixed(3)} at the least (${seconds(fairness.leastAt)})

${serversText(report)}
active connections over time
${overTimeText(report)}${disruptionText(report)}`;
}

/** Several schedulers beside each other. */
export function comparisonText(reports: readonly SimulationReport[]): string {
  const removal = reports.some(({ disruption }) => disruption !== undefined);
  const head = [
    "scheduler",
    "refused",
    "fairness",
    "at least",
    ...(removal ? ["broken", "moved needlessly"] : []),
  ];
  const rows = reports.map(({ scheduler, refused, fairness, disruption }) => {
    const cells = [scheduler, `${refused}`, fairness.mean.toFixed(3), fairness.least.toFixed(3)];
    if (disruption === undefined) return cells;
    const stayed = Math.max(1, disruption.returning - disruption.displaced);
    return [...cells, `${disruption.broken}`, percent(disruption.movedNeedlessly / stayed)];
  });
  return table([head, ...rows]);
}
