/** Results as Markdown: the goals with what was reached, then every table. The project's README quotes it. */
import { REASONS } from "./reasons.ts";
import { GOALS, hasGoal, isMet, isMissing, type Results, type Table } from "./results.ts";

function goalText(name: string): string {
  const goal = GOALS[name];
  if (goal?.above !== undefined) return `≥ ${goal.above}`;
  return goal?.below === undefined ? "–" : `≤ ${goal.below}`;
}

function markdownTable(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

const why = (name: string): string => `no: ${REASONS[name] ?? "not looked into yet"}`;

/**
 * @param which the ratios that are wanted, all by default
 * @param missed what to say of a goal that was not reached; why, by default
 */
export function ratioTable(
  results: Results,
  which: (name: string) => boolean = () => true,
  missed: (name: string) => string = why,
): string {
  const wanted = Object.entries(results.ratios).filter(([name]) => which(name));
  const rows = wanted.map(([name, ratio]) => {
    const what = GOALS[name]?.what ?? "";
    if (isMissing(ratio))
      return [`\`${name}\``, what, goalText(name), "–", ratio.missing ?? "not measured", ""];
    const spread = `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)} of ${ratio.rounds}`;
    const met = isMet(name, ratio);
    const mark = met === undefined ? "" : met ? "yes" : missed(name);
    return [`\`${name}\``, what, goalText(name), ratio.median.toFixed(2), spread, mark];
  });
  return markdownTable(["ratio", "what", "goal", "median", "least–most of rounds", "met"], rows);
}

function section(table: Table): string {
  return `## ${table.title}\n\n${table.note}\n\n${markdownTable(table.columns, table.rows)}`;
}

const BEGIN = "<!-- bench: begin (npm run bench -- --quote) -->";
const END = "<!-- bench: end -->";

/** A text with the table of ratios between its two marks. */
export function quoted(text: string, results: Results): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin)
    throw new Error(`there is no "${BEGIN}" … "${END}" to write the table between`);
  const { machine } = results;
  const where = `Measured ${machine.date.slice(0, 10)} at commit ${machine.commit} on ${machine.cores} × ${machine.cpu}, Linux ${machine.kernel}, Node ${machine.node}:`;
  const table = ratioTable(results, hasGoal, () => "[no, why](bench/results/README.md)");
  const body = `${where}\n\n${table}`;
  return `${text.slice(0, begin)}${BEGIN}\n${body}\n${text.slice(end)}`;
}

export function markdownReport(results: Results, pictures: readonly string[]): string {
  const { machine } = results;
  const programs = Object.entries(machine.programs)
    .map(([name, version]) => `${name}: ${version}`)
    .join("; ");
  return [
    "# Results",
    `Measured by \`npm run bench\`${results.quick ? " -- --quick" : ""} on ${machine.date.slice(0, 10)} at commit ${machine.commit}: ${machine.cores} × ${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, Node ${machine.node}; ${programs}. Load average when it began: ${machine.load}. Raw samples: \`results.json\`.`,
    ratioTable(results),
    ...pictures.map((name) => `![${name}](${name})`),
    ...results.tables.map(section),
    "",
  ].join("\n\n");
}
