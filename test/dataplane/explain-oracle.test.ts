/**
 * What explain says of a frame is what the data path then does with it: the frames of the recordings. Of the uniform
 * ones (the same scheduler and story with other weights or another seed) one, and of its frames one in seven; of the
 * others each. DR_DIRECTOR_EXPLAIN_ALL=1 takes every frame of all, which needs some minutes.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { explain, hexText } from "../../src/dataplane/explain.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { describeFrame } from "../../src/wire/value/frame.ts";
import { replayFile } from "../oracle/files.ts";
import { filesOf, isRecording, shortName } from "../oracle/scenario.ts";
import { World } from "../oracle/world.ts";

const RECORDINGS = fileURLToPath(new URL("../oracle/recordings/", import.meta.url));
const inject = World.prototype.inject;

let seen = 0;
let differences: string[] = [];
let pieces: Uint8Array[] = [];

/** A fragment's datagram, as text; undefined for a whole packet. */
function datagramOf(frame: Uint8Array): string | undefined {
  const fields = describeFrame(frame).flatMap((header) => header.fields);
  const value = (key: string) => fields.find((field) => field.key.endsWith(key))?.value ?? "";
  const piece = value(".moreFragments") === "1" || !["", "0"].includes(value(".fragmentOffset"));
  return piece ? value(".identification") : undefined;
}

/** Schedulers that remember in the thread's own memory, of which a copy of the region knows nothing. */
const FORGETFUL = /^lblc/;

const ALL = process.env.DR_DIRECTOR_EXPLAIN_ALL === "1";
const UNIFORM = /^(?:sched|fuzz|persist_fuzz|overhead|misc|state)\//;
/** 115,000 like datagrams of one connection, for its counters: a quarter of this file's time, and no news. */
const LONG = "misc/stats_large";
let every = 1;

/** Recordings of one kind: what is left of their name without weights, seed, run and kernel. */
const kindOf = (name: string): string =>
  UNIFORM.test(name) ? name.replace(/_(?:w\d[\d-]*|seed\d+|run\d+|k[\d.]+|securetcp\d)/g, "") : name;

/** All of them, or the last of each kind: its weights differ most. */
function recordings(): { file: string; name: string }[] {
  const all = filesOf(RECORDINGS)
    .filter(isRecording)
    .map((file) => ({ file, name: shortName(RECORDINGS, file) }));
  if (ALL) return all;
  const kinds = new Map(all.map((recording) => [kindOf(recording.name), recording]));
  return [...kinds.values()].filter(({ name }) => !name.startsWith(LONG));
}

function compare(world: World, frame: Uint8Array): ReturnType<typeof inject> {
  const datagram = datagramOf(frame);
  const before = datagram === undefined ? [] : pieces.filter((piece) => datagramOf(piece) === datagram);
  if (datagram !== undefined) pieces.push(frame);
  if (datagram === undefined && seen++ % every !== 0) return inject.call(world, frame);
  const told = explain(world.region, frame, { now: world.now, before });
  const done = inject.call(world, frame);
  const forgetful = FORGETFUL.test(told.scheduling?.scheduler ?? "");
  if (told.verdict.number !== done.verdict && !forgetful)
    differences.push(
      `explain ${told.verdict.name}, data path ${VERDICT_NAMES[done.verdict]}: ${told.frame.summary}`,
    );
  const out = told.sent.map(({ bytes }) => bytes).join("\n");
  // Our own ICMP is numbered by the thread; pieces that waited go out with the one that was waited for.
  const comparable =
    !forgetful && datagram === undefined && told.sent.every(({ what }) => what === "forwarded");
  if (comparable && out !== done.sent.map(hexText).join("\n"))
    differences.push(`explain sends ${out}, data path ${done.sent.map(hexText).join("\n")}`);
  return done;
}

describe("explain and the data path", () => {
  beforeAll(() => {
    World.prototype.inject = function (frame) {
      return compare(this, frame);
    };
  });
  afterAll(() => {
    World.prototype.inject = inject;
  });

  it("takes every scheduler and every story", () => {
    const schedulers = recordings().flatMap(({ name }) => /^sched\/([a-z]+)/.exec(name)?.slice(1) ?? []);
    expect([...new Set(schedulers)].sort()).toEqual(
      BUILT_IN.map(({ name }) => name)
        .filter((name) => name !== "twos")
        .sort(),
    );
  });

  for (const { file, name } of recordings()) {
    it.each(UNIFORM.test(name) && !ALL ? [1] : [1, 3])(`agree on ${name} with shards: %i`, async (count) => {
      differences = [];
      pieces = [];
      seen = 0;
      every = ALL || !UNIFORM.test(name) ? 1 : name.startsWith("misc/") ? 997 : 7;
      await replayFile(file, count);
      expect(differences).toEqual([]);
    });
  }
});
