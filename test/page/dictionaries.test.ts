/** The page's two dictionaries say the same things. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { FAULTS } from "../../src/lab/faults.ts";
import { NOT_HERE } from "../../src/lab/page.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { NEIGHBOUR_STATE_NAMES } from "../../src/table/neighbours.ts";
import { readCapture } from "../../src/wire/capture-reader.ts";
import { icmpFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { describeFrame } from "../../src/wire/value/frame.ts";
import { en } from "../../web/src/text/en.ts";
import { zh } from "../../web/src/text/zh.ts";

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort();
const keys = Object.keys(en) as (keyof typeof en)[];

describe("the dictionaries", () => {
  it("have the same keys", () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(keys.map((key) => [key]))("%s leaves the same places open", (key) => {
    expect(holes(zh[key])).toEqual(holes(en[key]));
  });

  it("say something under every key, in Chinese in Chinese", () => {
    const empty = keys.filter((key) => en[key] === "").sort();
    expect(keys.filter((key) => zh[key] === "").sort()).toEqual(empty);
    expect(empty).toEqual(["fate.why.arrived", "notice.none"]);
    const names = /^[\p{ASCII}→–]*$/u;
    const untranslated = keys.filter(
      (key) => names.test(zh[key]) && zh[key] !== "" && /[a-z]{4}/.test(zh[key]),
    );
    // Names stay as they are.
    expect(untranslated).toEqual(["language", "rates.now"]);
  });

  it("know every verdict, scheduler and neighbour state", () => {
    for (const name of VERDICT_NAMES) expect(en).toHaveProperty([`verdict.${name}`]);
    for (const name of NEIGHBOUR_STATE_NAMES) expect(en).toHaveProperty([`state.${name}`]);
    for (const { name } of BUILT_IN) {
      expect(en).toHaveProperty([`about.${name}`]);
      expect(en).toHaveProperty([`how.${name}`]);
    }
  });

  it("know every fault that the page of a lab offers, and what it is about", () => {
    const missing = FAULTS.map(({ name }) => name)
      .filter((name) => !NOT_HERE.has(name))
      .filter((name) => !(`fault.${name}` in zh && `fault.about.${name}` in zh));
    expect(missing).toEqual([]);
  });

  it("know every field of the common headers", () => {
    const ends = { source: 1, destination: 2, vlan: 7, options: new Uint8Array(4), pad: true };
    const six = { source: [1, 2, 3, 4], destination: [5, 6, 7, 8] } as const;
    const ports = { sourcePort: 1, destinationPort: 2 };
    const frames = [
      tcpFrame({ ...ends, ...ports, tcpOptions: new Uint8Array(4), payload: new Uint8Array(3) }),
      udpFrame({ ...ends, ...ports }),
      icmpFrame({ ...ends, type: 3, code: 4, rest: 1400 }),
      icmpFrame({ ...ends, type: 8, code: 0 }),
      icmpFrame({ ...ends, type: 11, code: 0 }),
      tcpFrame({ ...six, ...ports }),
      icmpFrame({ ...six, type: 128, code: 0 }),
    ];
    const fields = frames.flatMap((frame) =>
      describeFrame(frame).flatMap((header) => header.fields.map(({ key }) => `field.${key}`)),
    );
    expect([...new Set(fields)].filter((key) => !(key in en))).toEqual([]);
  });

  it("say what every field of the bundled recording means: no English is left out in Chinese", () => {
    const recording = new Uint8Array(readFileSync(join(import.meta.dirname, "../../web/recording.pcap")));
    const fields = readCapture(recording).packets.flatMap(({ bytes }) =>
      describeFrame(bytes).flatMap((header) => header.fields),
    );
    const unsaid = fields.filter(
      ({ key, meaning }) =>
        /[a-z]{3}/.test(meaning) &&
        !/^(?:header of )?\d+ bytes$/.test(meaning) &&
        !(`mean.${meaning}` in zh) &&
        !(`say.${key}` in zh),
    );
    expect([...new Set(unsaid.map(({ key, meaning }) => `${key}: ${meaning}`))]).toEqual([]);
  });

  it("hold no key that the page never uses", () => {
    const folder = join(import.meta.dirname, "../../web");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
      (name) => /\.(ts|html)$/.test(name) && !/text\/(en|zh)\.ts$/.test(name),
    );
    const code = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
    const families =
      /^(field|say|mean|verdict|state|about|how|header|fate|fault|speed|theme|where|legend|rates|why\.member)\./;
    const unused = keys.filter((key) => !families.test(key) && !code.includes(`"${key}"`));
    expect(unused).toEqual([]);
  });
});
