/** How a scheduler came to its choice, in a sentence made from what it was seen to read. */
import type { MemberTold, SchedulingTold } from "./explanation.ts";

type Told = Omit<SchedulingTold, "words">;
type ServerText = (row: number) => string;

/** `serverText` names a destination's row. */
export function schedulingWords(told: Told, serverText: ServerText): string {
  if (told.fault !== null) return `it threw "${told.fault}", which counts as nobody`;
  const chose = told.chose === null ? nobody(told) : `it chose ${told.chose.text}`;
  const how = WORDS[told.scheduler]?.(told, serverText) ?? "";
  return how === "" ? chose : `${how}; ${chose}`;
}

function nobody({ members }: Told): string {
  if (members.length === 0) return "the service has no real server";
  const free = members.filter((member) => member.available);
  if (free.length === 0) return "every real server is quiesced (weight 0) or overloaded: it chose nobody";
  return "it chose nobody";
}

/** rr keeps the destination it chose last, row + 1, in word 0. */
function roundRobin({ memory }: Told, serverText: ServerText): string {
  const last = memory.before[0]!;
  return last === 0
    ? "the turn begins at the head of the list"
    : `the last turn was ${serverText(last - 1)}'s`;
}

/** wrr's words: last destination, its place, threshold, greatest threshold, step. */
function weightedRoundRobin(told: Told, serverText: ServerText): string {
  const { before, after } = told.memory;
  const threshold =
    before[2] === after[2]
      ? `the threshold stayed at ${after[2]}`
      : `the threshold went from ${before[2]} to ${after[2]}`;
  return `${roundRobin(told, serverText)}, ${threshold} (steps of ${after[4]} from ${after[3]} down)`;
}

function loads(measure: (member: MemberTold) => string, what: string): (told: Told) => string {
  return ({ members }) => {
    const told = members
      .filter((member) => member.available)
      .slice(0, 8)
      .map((member) => `${member.server.text} ${measure(member)}`);
    return told.length === 0 ? "" : `${what}: ${told.join(", ")}`;
  };
}

const counts = (member: MemberTold): string => `${member.active} active + ${member.inactive} inactive`;

function hashed(of: string): (told: Told) => string {
  return ({ buckets }) => {
    const [home, ...others] = buckets;
    if (home === undefined) return "";
    const owner = home.server ?? "nobody";
    const further = others.length === 0 ? "" : `, then fell back over ${others.length} more`;
    return `${of} falls into place ${home.place} of ${home.of}, which is ${owner}'s${further}`;
  };
}

const WORDS: Readonly<Record<string, (told: Told, serverText: ServerText) => string>> = {
  rr: roundRobin,
  wrr: weightedRoundRobin,
  lc: loads(counts, "the least loaded is wanted, an active connection counting as 256 and more"),
  wlc: loads(
    (member) => `${counts(member)} by weight ${member.weight}`,
    "the least loaded for its weight is wanted",
  ),
  sed: loads(
    (member) => `(${member.active} + 1) / ${member.weight}`,
    "the shortest expected delay is wanted",
  ),
  nq: loads(
    (member) => `${member.active} active, weight ${member.weight}`,
    "an idle one is wanted, else the shortest expected delay",
  ),
  sh: hashed("the client's address"),
  mh: hashed("the client's address"),
  dh: hashed("the virtual address"),
  lblc: () => "the virtual address stays with its real server while that is not overloaded",
  lblcr: () => "the virtual address stays with its set of real servers",
  fo: loads((member) => `weight ${member.weight}`, "the heaviest available one is wanted"),
  ovf: loads(
    (member) => `${member.active} active of weight ${member.weight}`,
    "the heaviest one that is not full is wanted",
  ),
  twos: () => "two were drawn by weight, the less loaded one wins",
};
