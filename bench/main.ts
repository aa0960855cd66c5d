/**
 * `npm run bench`: measures, says what it does on stderr, and leaves results.json, a report and pictures in a folder.
 *
 *   --quick         the ratios only, under four minutes
 *   --json          the ratios as one JSON object on stdout (with --quick or without)
 *   --only LIST     of path, cost, growth, zeroloss, latency, bulk, web, micro, memory
 *   --rounds N      interleaved rounds, 7 by default
 *   --out FOLDER    bench/results/local by default
 *   --merge          parts that are not measured now keep what stands in the folder already
 *   --compare BEFORE AFTER   two results.json side by side, measures nothing
 *   --check BEFORE   measures, then ends with 1 when a ratio is worse than before beyond both spreads
 *   --quote          writes README.md's table and bench/results/README.md anew from bench/results/results.json
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compareResults, showChanges } from "./compare.ts";
import { describeMachine } from "./machine.ts";
import { memorySection } from "./memory.ts";
import { microSection } from "./micro/section.ts";
import { bulkSection } from "./netns/bulk.ts";
import { costPart, growthPart, latencyPart, zeroLossPart } from "./netns/section.ts";
import { webSection } from "./netns/web.ts";
import { pathSection } from "./path/section.ts";
import { ROOT } from "./places.ts";
import { markdownReport, quoted, ratioTable } from "./report.ts";
import { GOALS, isMissing, mergeResults, type Results, readResults } from "./results.ts";
import { attempt, type Effort, joinSections, type Section } from "./section.ts";

const PARTS: Readonly<Record<string, { run: (effort: Effort) => Promise<Section>; quick: boolean }>> = {
  path: { run: pathSection, quick: true },
  cost: { run: costPart, quick: true },
  growth: { run: growthPart, quick: true },
  zeroloss: { run: zeroLossPart, quick: true },
  latency: { run: latencyPart, quick: false },
  bulk: { run: bulkSection, quick: true },
  web: { run: webSection, quick: false },
  micro: { run: microSection, quick: false },
  memory: { run: memorySection, quick: false },
};

/** What README.md quotes. */
const COMMITTED = join(ROOT, "bench", "results");

const { values, positionals } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string", default: "7" },
    out: { type: "string", default: join(COMMITTED, "local") },
    merge: { type: "boolean", default: false },
    compare: { type: "boolean", default: false },
    check: { type: "string" },
    quote: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const say = (line: string) => process.stderr.write(`${line}\n`);

async function runPart(name: string, effort: Effort): Promise<Section> {
  const began = Date.now();
  const section = await attempt(name, effort, () => PARTS[name]!.run(effort));
  say(`${name}: ${Math.round((Date.now() - began) / 1000)} s`);
  return section;
}

async function measure(): Promise<{ results: Results; pictures: Section["pictures"]; failed: boolean }> {
  const began = Date.now();
  const machine = describeMachine();
  const effort = { rounds: Number(values.rounds), quick: values.quick, say };
  const wanted =
    values.only?.split(",") ?? Object.keys(PARTS).filter((name) => !values.quick || PARTS[name]!.quick);
  const sections: Section[] = [];
  for (const name of wanted) {
    if (PARTS[name] === undefined)
      throw new Error(`--only: "${name}" is none of ${Object.keys(PARTS).join(", ")}`);
    sections.push(await runPart(name, effort));
  }
  const { ratios, tables, pictures, raw } = joinSections(sections);
  const seconds = Math.round((Date.now() - began) / 1000);
  const results: Results = { format: 1, machine, quick: values.quick, seconds, ratios, tables, raw };
  return { results, pictures, failed: Object.keys(raw).some((name) => name.endsWith("Failed")) };
}

function write(results: Results, pictures: Section["pictures"]): void {
  mkdirSync(values.out, { recursive: true });
  for (const [name, svg] of Object.entries(pictures)) writeFileSync(join(values.out, name), svg);
  writeFileSync(join(values.out, "results.json"), `${JSON.stringify(results)}\n`);
  writeReport(values.out, results);
}

/** What was measured now, and of what was measured before in the same folder all else. */
function merged(now: Results): Results {
  const file = join(values.out, "results.json");
  return values.merge && existsSync(file) ? mergeResults(readResults(file), now) : now;
}

/** The short form for machines: the ratios, without samples. */
function summary(results: Results): string {
  const { ratios, machine, quick, seconds } = results;
  const shown = Object.fromEntries(
    Object.entries(ratios).map(([name, ratio]) => {
      if (isMissing(ratio)) return [name, { median: null, min: null, max: null, rounds: 0, ...ratio }];
      const round = (value: number) => Number(value.toFixed(4));
      const { median, min, max, rounds } = ratio;
      return [name, { median: round(median), min: round(min), max: round(max), rounds }];
    }),
  );
  return JSON.stringify({ quick, seconds, machine, ratios: shown, goals: GOALS }, null, 2);
}

/** Ratios only: absolute times are another machine's, or another day's. */
function isWorse(before: Results, now: Results): boolean {
  const changes = compareResults(before, now).filter(({ after }) => after !== undefined);
  say(showChanges(changes));
  return changes.some(({ verdict }) => verdict === "worse");
}

function quote(results: Results): void {
  const file = join(ROOT, "README.md");
  writeFileSync(file, quoted(readFileSync(file, "utf8"), results));
  writeReport(COMMITTED, results);
}

function writeReport(folder: string, results: Results): void {
  const drawn = readdirSync(folder).filter((name) => name.endsWith(".svg"));
  writeFileSync(join(folder, "README.md"), markdownReport(results, drawn));
}

async function main(): Promise<void> {
  if (values.compare) {
    const [before, after] = positionals;
    if (before === undefined || after === undefined) throw new Error("--compare wants two results.json");
    process.stdout.write(`${showChanges(compareResults(readResults(before), readResults(after)))}\n`);
    return;
  }
  if (values.quote) {
    quote(readResults(join(COMMITTED, "results.json")));
    return;
  }
  const { results: measured, pictures, failed } = await measure();
  const results = merged(measured);
  write(results, pictures);
  say(`written to ${values.out}`);
  process.stdout.write(`${values.json ? summary(results) : ratioTable(results)}\n`);
  if (failed || (values.check !== undefined && isWorse(readResults(values.check), measured)))
    process.exitCode = 1;
}

await main();
