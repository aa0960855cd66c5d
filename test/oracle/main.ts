/** `npm run oracle -- PATH…`: replays every recording under the paths and says what came of each. */
import { replayFile } from "./files.ts";
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
  let decisions = 0;
  let mismatches = 0;
  for (const root of paths) {
    for (const file of filesOf(root).filter(isRecording)) {
      const name = shortName(root, file);
      const result = await replayFile(file, shards);
      decisions += result.decisions;
      mismatches += result.mismatches.length;
      if (result.notCovered !== undefined) {
        console.log(`not covered: ${name}: ${result.notCovered}`);
        continue;
      }
      const skipped = result.skipped > 0 ? ` (${result.skipped} steps are not a tap's business)` : "";
      console.log(`${name}: decisions ${result.decisions}, mismatches ${result.mismatches.length}${skipped}`);
      const shown = all ? result.mismatches : result.mismatches.slice(0, SHOWN);
      for (const mismatch of shown) console.log(`    ${mismatch}`);
      const left = result.mismatches.length - shown.length;
      if (left > 0) console.log(`    … and ${left} more (--all shows them)`);
    }
  }
  console.log(`decisions ${decisions}, mismatches ${mismatches}`);
  return mismatches === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
