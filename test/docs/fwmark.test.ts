/** docs/fwmark.md: each iptables rule and the config line beside it give the same mark to the same packets. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { configSchema } from "../../src/control/config-schema.ts";
import { listMarks, setMarks } from "../../src/control/marks.ts";
import { markRule } from "../../src/control/region-config.ts";
import { runShell } from "../oracle/shell.ts";
import { World } from "../oracle/world.ts";

const text = readFileSync(new URL("../../docs/fwmark.md", import.meta.url), "utf8");
const rows = [
  ...text.matchAll(
    /^\| `(?:…|iptables -t mangle -A PREROUTING|ip6tables …) (-d .*?)` \| `(- \{.*?\})` \|$/gm,
  ),
];

it("has five pairs", () => expect(rows).toHaveLength(5));

for (const [line, iptables, yaml] of rows) {
  it(iptables!, () => {
    const six = line!.includes("ip6tables");
    const theirs = new World("6.1.192");
    expect(runShell(theirs, `${six ? "ip6tables" : "iptables"} -t mangle -A PREROUTING ${iptables}`)).toBe(
      true,
    );
    const ours = new World("6.1.192");
    const { marks } = configSchema.parse({ marks: parse(yaml!) });
    setMarks(ours.region, marks.map(markRule));
    expect(listMarks(ours.region)).toEqual(listMarks(theirs.region));
    expect(listMarks(ours.region)).toHaveLength(1);
  });
}

it("has a service that the config takes", () => {
  const [, service] = /or in the config: `(- .*)`\.$/m.exec(text)!;
  expect(configSchema.parse({ services: parse(service!) }).services).toMatchObject([
    { mark: 1, persistence: 300 },
  ]);
});
