/** Printed listings against recorded ones: byte for byte, but for what time and the hash table leave open. */

function numbersOf(line: string): number[] {
  const columns = line.trim().split(/\s+/).slice(-5);
  return columns.map((text) => {
    const unit = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 }[text.slice(-1)];
    return unit === undefined ? Number(text) : Number(text.slice(0, -1)) * unit;
  });
}

/** "01:05" or "00:01:05" as seconds. */
function secondsOf(text: string): number {
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function compareConnectionLines(got: string, want: string, slack: number): string[] {
  const rows = (text: string): string[] =>
    text
      .split("\n")
      .filter((line) => /^\w+ +\d+:\d\d/.test(line))
      .sort(byFlow);
  const ours = rows(got);
  const theirs = rows(want);
  const differences: string[] = [];
  if (ours.length !== theirs.length) differences.push(`${ours.length} entries, recorded ${theirs.length}`);
  for (const [i, line] of theirs.entries()) {
    const mine = ours[i] ?? "";
    const [, , time = ""] = /^(\w+) +(\S+)/.exec(line) ?? [];
    const [, , mineTime = ""] = /^(\w+) +(\S+)/.exec(mine) ?? [];
    const near = Math.abs(secondsOf(time) - secondsOf(mineTime)) <= slack;
    if (!near || mine.replace(mineTime, "") !== line.replace(time, "")) {
      differences.push(`entry "${mine}", recorded "${line}"`);
    }
  }
  return differences;
}

function byFlow(a: string, b: string): number {
  const key = (line: string): string => line.split(/\s+/).slice(3).join(" ") + line;
  return key(a) < key(b) ? -1 : 1;
}

/** --stats lags behind by up to two seconds in the kernel: until things have settled its numbers may be smaller. */
function compareStats(got: string, want: string, settled: boolean): string[] {
  if (settled) return got === want ? [] : [`printed\n${got}recorded\n${want}`];
  const ours = got.split("\n");
  const theirs = want.split("\n");
  if (ours.length !== theirs.length) return [`printed\n${got}recorded\n${want}`];
  return theirs.flatMap((line, i) => {
    const mine = numbersOf(ours[i]!);
    const behind = numbersOf(line).every((number, c) => Number.isNaN(number) || number <= mine[c]!);
    return behind ? [] : [`"${ours[i]}", recorded "${line}"`];
  });
}

export function compareListing(
  args: readonly string[],
  got: string,
  want: string,
  settled: boolean,
  slack: number,
): string[] {
  // A moving average of two-second samples: compared where the estimator itself is (test/observe).
  if (args.includes("--rate")) return [];
  if (args.includes("--stats")) return compareStats(got, want, settled);
  if (args.some((arg) => /^-L\w*c|^--connection$|^-c$/.test(arg)))
    return compareConnectionLines(got, want, slack);
  return got === want ? [] : [`printed\n${got}recorded\n${want}`];
}
