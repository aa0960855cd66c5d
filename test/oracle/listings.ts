/** Printed listings against recorded ones: byte for byte, but for what time and the hash table leave open. */

export interface Leave {
  /** No packet came in the last two seconds: the kernel's counters have caught up. */
  readonly settled: boolean;
  /** Fragments that came twice: we count each of them. */
  readonly doubled: number;
  /** Seconds by which an entry's time may be off. */
  readonly slack: number;
  /** Flows whose entry is not ours to say. */
  readonly unsaid: ReadonlySet<string>;
}

const UNITS: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** Conns, InPkts, OutPkts, InBytes, OutBytes. */
function numbersOf(line: string): number[] {
  const columns = line.trim().split(/\s+/).slice(-5);
  return columns.map((text) => Number.parseFloat(text) * (UNITS[text.slice(-1)] ?? 1));
}

/** "01:05" or "00:01:05" as seconds. */
function secondsOf(text: string): number {
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

const CONNECTION = /^(\w+) +(\d+:\d\d\S*) +(\w+) +(\S+) +(\S+) +(\S+)/;

/** The table's order is as good as random, in the kernel as here. */
function compareConnectionLines(got: string, want: string, leave: Leave): string[] {
  const rows = (text: string): RegExpExecArray[] =>
    text
      .split("\n")
      .map((line) => CONNECTION.exec(line))
      .filter((row) => row !== null)
      .filter((row) => !leave.unsaid.has(`${row[4]} ${row[5]}`));
  const ours = rows(got);
  const differences: string[] = [];
  for (const row of rows(want)) {
    const [line, protocol, time, ...rest] = row;
    const at = ours.findIndex(
      (mine) =>
        mine[1] === protocol &&
        mine.slice(3).join() === rest.join() &&
        Math.abs(secondsOf(mine[2]!) - secondsOf(time!)) <= leave.slack,
    );
    if (at < 0) differences.push(`no entry like "${line}"`);
    else ours.splice(at, 1);
  }
  return [...differences, ...ours.map(([line]) => `entry "${line}", recorded none`)];
}

/**
 * --stats lags behind by up to two seconds in the kernel: until things have settled its numbers may be smaller. Its
 * out columns, 0 in direct routing, count ICMP errors that the kernel makes itself; ours do not.
 */
function compareStats(got: string, want: string, leave: Leave): string[] {
  const ours = got.split("\n");
  const theirs = want.split("\n");
  const whole = `printed\n${got}recorded\n${want}`;
  if (ours.length !== theirs.length) return [whole];
  const equal = theirs.every((line, i) => {
    const mine = ours[i]!;
    if (line === mine) return true;
    const [conns, packets, out, bytes] = numbersOf(line);
    const [myConns, myPackets, , myBytes] = numbersOf(mine);
    if (Number.isNaN(conns) || mine.slice(0, 32) !== line.slice(0, 32)) return false;
    if (!leave.settled) return conns! <= myConns! && packets! <= myPackets! && bytes! <= myBytes!;
    const more = myPackets! - packets!;
    const forgiven = out! > 0 || leave.doubled > 0;
    return forgiven && conns === myConns && more >= 0 && more <= leave.doubled;
  });
  return equal ? [] : [whole];
}

export function compareListing(args: readonly string[], got: string, want: string, leave: Leave): string[] {
  // A moving average of two-second samples: compared where the estimator itself is (test/observe).
  if (args.includes("--rate")) return [];
  if (args.includes("--stats")) return compareStats(got, want, leave);
  if (want.startsWith("IPVS connection entries")) return compareConnectionLines(got, want, leave);
  return got === want ? [] : [`printed\n${got}recorded\n${want}`];
}
