import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DRADM_HELP } from "../../src/cli/dradm-help.ts";
import { WORDS } from "../../src/cli/ipvsadm-options.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";

/** Every word of the command line is in the help, the man page and both completions. */

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
/** Refused by this director; the man page names them as a group. */
const REFUSED = /^(ipip|masquerading|tun-(?!info)|mcast-|syncid|sync-maxlen|start-daemon|stop-daemon)/;

const words = WORDS.filter(({ name }) => !REFUSED.test(name) && !name.includes("\0"));
const escaped = (text: string): string => text.replace(/[-]/g, "\\-");

describe.each([
  [
    "dradm --help",
    DRADM_HELP,
    (name: string) => new RegExp(`--${escaped(name)}\\b`),
    (short: string) => new RegExp(`-${short}\\b`),
  ],
  [
    "docs/man/dradm.8",
    read("docs/man/dradm.8"),
    (name: string) => new RegExp(`(?:Fl|,) -${escaped(name)}\\b`),
    (short: string) => new RegExp(`Fl (?:[A-Za-z] , )?${short}\\b`),
  ],
  [
    "packaging/completion/dradm.bash",
    read("packaging/completion/dradm.bash"),
    (name: string) => new RegExp(`--${escaped(name)}\\b`),
    (short: string) => new RegExp(`-${short}\\b`),
  ],
  [
    "packaging/completion/_dradm",
    read("packaging/completion/_dradm"),
    (name: string) => new RegExp(`--${escaped(name)}\\b`),
    (short: string) => new RegExp(`-${short}\\b`),
  ],
])("%s", (_, text, long, short) => {
  it.each(words)("has --$name", (word) => {
    expect(text).toMatch(long(word.name));
    if (word.short !== undefined) expect(text).toMatch(short(word.short));
  });

  it("names every scheduler", () => {
    const said =
      text.split("\n").find((line) => /\bovf\b/.test(line))! +
      text.split("\n").find((line) => /wrr/.test(line))!;
    for (const { name } of BUILT_IN) expect(said).toMatch(new RegExp(`\\b${name}\\b`));
  });
});

describe("docs/man/dr-director.yaml.5", () => {
  it("names every scheduler", () => {
    const [, said = ""] = /It Cm scheduler : No text\n([\s\S]*?)\n\.It/.exec(
      read("docs/man/dr-director.yaml.5"),
    )!;
    for (const { name } of BUILT_IN) expect(said).toMatch(new RegExp(`\\b${name}\\b`));
  });
});
