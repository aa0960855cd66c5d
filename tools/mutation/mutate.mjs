/**
 * node mutate.mjs [--sample N] [--seed N] [--minutes N] [--patience N] [--again] [--fresh] [--tests PATTERN] FILE…
 *
 * Changes FILE (src/schedulers/rr.ts …) in one place after the other and looks whether a test notices. --sample: that
 * many mutants of each file, drawn by --seed. --minutes: for all files together. --again: only those that survived last
 * time. --tests: other tests than the room's own. --patience: a mutant survives that so many seconds of tests did not
 * notice, the quickest first. --fresh: a process for each, for what keeps things in its module (registry.ts).
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Hunt } from "./hunt.mjs";
import { BUILD, mirror, ROOT } from "./mirror.mjs";

const REPORTS = fileURLToPath(new URL("reports/", import.meta.url));

const { values, positionals: sources } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    minutes: { type: "string", default: "14" },
    tests: { type: "string" },
    patience: { type: "string", default: "5" },
    fresh: { type: "boolean", default: false },
    again: { type: "boolean", default: false },
  },
});

/**
 * N of the list (all without N) in an order drawn with a small generator (mulberry32), so that a run can be repeated
 * and what it had time for is a fair sample.
 */
function draw(list, n, seed) {
  let state = seed | 0;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const drawn = [...list];
  for (let i = 0; i < drawn.length; i++) {
    const j = i + Math.floor(random() * (drawn.length - i));
    [drawn[i], drawn[j]] = [drawn[j], drawn[i]];
  }
  return drawn.slice(0, n);
}

const reportOf = (file) => join(REPORTS, `${file.replaceAll("/", ".")}.json`);

/** What a mutant is called from run to run, as long as the file stays as it is. */
function keyOf({ location, mutatorName, replacement, file }) {
  const { start, end } = location;
  const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
  const text =
    start.line === end.line
      ? lines[start.line].slice(start.column, end.column)
      : `${lines[start.line].slice(start.column)} …`;
  return { line: start.line + 1, column: start.column + 1, mutatorName, text, replacement };
}

function chosen(all, file, before) {
  const mutants = all.filter((mutant) => mutant.file === file);
  if (before === undefined)
    return draw(mutants, Number(values.sample ?? mutants.length), Number(values.seed));
  const name = ({ line, column, replacement, mutatorName }) =>
    `${line}:${column} ${mutatorName} ${replacement}`;
  const wanted = new Set(before.survivors.map(name));
  return mutants.filter((mutant) => wanted.has(name(keyOf(mutant))));
}

/** What the last run said of a file, when only its survivors are asked for. */
function lastTime(file) {
  if (!values.again || !existsSync(reportOf(file))) return;
  return JSON.parse(readFileSync(reportOf(file), "utf8"));
}

const end = Date.now() + Number(values.minutes) * 60_000;
mkdirSync(REPORTS, { recursive: true });
const all = await mirror(sources);
const hunt = new Hunt(Number(values.patience) * 1000, values.fresh);
await hunt.begin([...new Set(sources.map((file) => file.split("/")[1]))], values.tests);
for (const [i, file] of sources.entries()) {
  const fileEnd = Date.now() + (end - Date.now()) / (sources.length - i);
  const before = lastTime(file);
  const mutants = chosen(all, file, before);
  const survivors = [];
  let killed = 0;
  let looked = 0;
  for (const mutant of mutants) {
    if (Date.now() > fileEnd) {
      if (before === undefined) break;
      survivors.push(keyOf(mutant));
      continue;
    }
    looked++;
    const result = await hunt.one(mutant, all);
    if (result.killed) killed++;
    else survivors.push({ ...keyOf(mutant), uncovered: result.uncovered });
  }
  const total = all.filter((mutant) => mutant.file === file).length;
  const sum =
    before === undefined
      ? { looked, killed }
      : { looked: before.looked, killed: before.looked - survivors.length };
  if (sum.looked > 0)
    writeFileSync(reportOf(file), `${JSON.stringify({ file, total, ...sum, survivors }, null, 1)}\n`);
  const late = looked < mutants.length ? `, out of time with ${mutants.length - looked} left` : "";
  console.log(`${file}: ${total} mutants, ${sum.looked} tried, ${sum.killed} killed${late}`);
  for (const s of survivors) {
    const how = s.uncovered ? "no test comes here" : "survived";
    console.log(
      `  ${file}:${s.line}:${s.column} ${s.mutatorName} ${how}\n    - ${s.text}\n    + ${s.replacement}`,
    );
  }
}
if (!values.fresh) await hunt.stillGreen();
hunt.end();
rmSync(BUILD, { recursive: true });
