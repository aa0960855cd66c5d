/** A doctor's report for people, in 80 columns. */
import type { DoctorReport, Finding } from "./report.ts";

const WIDTH = 78;

/** Words in lines of at most `width`, each behind `indent`; a longer word stands alone. */
export function wrap(text: string, indent = "", width = WIDTH): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

function findingLines({ fault, says, seen, cure }: Finding): string[] {
  const cures = cure.flatMap(({ on, commands }) => [
    `    on ${on}:`,
    ...commands.map((command) => `        ${command}`),
  ]);
  const [first, ...rest] = wrap(says, "  ");
  return ["", `✗ ${fault}`, first!, ...rest, ...wrap(`seen: ${seen}`, "  "), "  cure:", ...cures];
}

export function doctorLines(report: DoctorReport): string[] {
  const { findings, looked, notLooked, dip } = report;
  const head = `dr-director doctor  ${report.interface}${dip === "" ? "" : `, asking from ${dip}`}`;
  const checks = looked.map(({ name, subjects }) => `  ${String(subjects).padStart(5)}  ${name}`);
  const not = notLooked.flatMap((what) =>
    wrap(what, "         ").map((line, i) => (i === 0 ? `      –${line.slice(7)}` : line)),
  );
  const lines = [head, "", "looked at:", ...checks];
  if (not.length > 0) lines.push("not looked at:", ...not);
  lines.push(...findings.flatMap(findingLines), "");
  const things = findings.length === 1 ? "1 thing is wrong." : `${findings.length} things are wrong.`;
  return [...lines, report.sound ? "All is well." : things];
}
