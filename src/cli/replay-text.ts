/** A replay's report as a table. Pure text. */
import type { ReplayReport } from "./replay-file.ts";

function rows(lines: readonly (readonly [string, ...string[]])[]): string[] {
  const widths = lines.reduce<number[]>(
    (widest, line) => line.map((cell, i) => Math.max(widest[i] ?? 0, cell.length)),
    [],
  );
  return lines.map((line) =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

const WHENCE = {
  option: "as given",
  capture: "whom frames to a virtual address are sent to",
  nothing: "a guess: no frame goes to a virtual address (--mac says otherwise)",
};

export function replayText(report: ReplayReport): string {
  const { file, frames, seconds, director, verdicts, services, sent, skipped, warning } = report;
  const lines = [
    `${file}: ${frames} frames in ${seconds.toFixed(3)} s, the director is ${director.mac} (${WHENCE[director.from]})`,
    ...rows([
      ...Object.entries(verdicts).map(([name, count]): [string, string] => [`  ${name}`, String(count)]),
      ["  frames", String(frames)],
    ]),
    `  sent: ${sent.forwarded} forwarded, ${sent.answers} answers, ${sent.released} that had waited`,
  ];
  const table: [string, ...string[]][] = [["  service", "connections", "packets", "bytes"]];
  for (const { service, scheduler, servers } of services) {
    table.push([`  ${service} ${scheduler}`, "", "", ""]);
    for (const { server, connections, packets, bytes } of servers)
      table.push([`    → ${server}`, String(connections), String(packets), String(bytes)]);
  }
  if (services.length > 0) lines.push(...rows(table));
  if (skipped > 0) lines.push(`  ${skipped} packets are no Ethernet frames and were left out`);
  if (warning !== null) lines.push(`  warning: read only in part: ${warning}`);
  return `${lines.join("\n")}\n`;
}
