/** `npm run oracle -- PATH…`: replays every recording under the paths and says what came of each. */
import { replayFile } from "./files.ts";
import type { Result } from "./replay.ts";
import { filesOf, isRecording, shortName } from "./scenario.ts";

/** Mismatches shown of one file, unless --all is given. */
const SHOWN = 3;

async function main(argv: readonly string[]): Promise<number> {
  const all = argv.includes("--all");
  const shards = Number(argv.find((arg) => arg.startsWith("--shards="))?.slice(9) ?? 1);
  const paths = argv.filter((arg) => !arg.startsWith("--"));
  if (paths.length === 0) {
    console.error("usage: npm run oracle -- [--all] [--shards=N] PATH…");
    return 2;
  }
  const files = paths.flatMap((root) => filesOf(root).map((file) => ({ file, name: shortName(root, file) })));
  const recordings = files.filter(({ file }) => isRecording(file));
  if (recordings.length === 0) {
    console.error(`there is no recording under ${paths.join(", ")}`);
    return 2;
  }
  let decisions = 0;
  let mismatches = 0;
  for (const { file, name } of recordings) {
    const result = await replayed(file, shards);
    if (result.notCovered !== undefined) console.log(`not covered: ${name}: ${result.notCovered}`);
    if (result.decisions === 0 && result.mismatches.length === 0) continue;
    decisions += result.decisions;
    mismatches += result.mismatches.length;
    print(name, result, all ? Number.POSITIVE_INFINITY : SHOWN);
  }
  console.log(`decisions ${decisions}, mismatches ${mismatches}`);
  return mismatches === 0 ? 0 : 1;
}

/** One file that cannot be read must not hide what the others say. */
async function replayed(file: string, shards: number): Promise<Result> {
  try {
    return await replayFile(file, shards);
  } catch (error) {
    const mismatches = [`the replay broke off: ${error instanceof Error ? error.stack : error}`];
    return { decisions: 0, mismatches, skipped: 0, notCovered: undefined };
  }
}

function print(name: string, { decisions, mismatches, skipped }: Result, most: number): void {
  const aside = skipped > 0 ? ` (${skipped} steps are not a tap's business)` : "";
  console.log(`${name}: decisions ${decisions}, mismatches ${mismatches.length}${aside}`);
  for (const mismatch of mismatches.slice(0, most)) console.log(`    ${mismatch}`);
  if (mismatches.length > most) console.log(`    … and ${mismatches.length - most} more (--all shows them)`);
}

process.exitCode = await main(process.argv.slice(2));
