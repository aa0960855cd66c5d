/** `dr-director` with words that make no sense: a sentence and an exit code, never a crash, whatever the command. */
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { run } from "../../src/lab/program.ts";

const LONG = "9".repeat(5000);
const BYTES = "$(printf '\\377\\376')";
const SOCKET = "--socket /nonexistent/socket";
/** Words that every command gets, and those that only some know. */
const ALL = ["--nope", BYTES, LONG, `--socket ${BYTES} -1`];
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  apply: ["", `${SOCKET} -`, `a b ${SOCKET}`],
  capture: ["", `-w x ${SOCKET}`, `-w /nonexistent/x -c -1 ${SOCKET}`, `-w x -s ${LONG}`, `-w x -C -1`],
  check: ["", "/nonexistent"],
  convert: ["", "/nonexistent", "--from nothing /dev/null"],
  doctor: [`${SOCKET} --fault ${LONG}`, "--interface"],
  explain: ["", "xyz", `--config /nonexistent 00`, `${SOCKET} ${LONG}`],
  export: [SOCKET, `--state ${LONG}`, "--state /nonexistent"],
  import: [
    "",
    "/nonexistent --state /nonexistent/state",
    `/dev/null --shards -1`,
    `/dev/null --state ${LONG}`,
  ],
  lab: [
    "--shards -1",
    "--shards 65",
    `--web ${LONG}`,
    `--fault ${BYTES}`,
    `--lesson ${LONG}`,
    `--scheduler ${LONG}`,
  ],
  plan: ["", `/nonexistent ${SOCKET}`],
  proc: ["", `nothing ${SOCKET}`, `ip_vs ${SOCKET}`],
  replay: ["", "--config /dev/null", "--config /dev/null /nonexistent"],
  run: [
    "--interface",
    `--interface ${LONG}`,
    "--shards -1",
    `--shards ${LONG} -i lo`,
    "-i lo --ring none",
    "-i lo --rules /nonexistent",
  ],
  simulate: ["", `-s ${LONG}`, "-s rr -s", "-s rr --clients -1"],
  top: [`--once ${SOCKET}`, "--interval -1"],
};

describe.each(Object.entries(COMMANDS))("dr-director %s", (command, own) => {
  test("with words that make no sense", async () => {
    const program = `${process.execPath} ${built("cli/dr-director.js")} ${command}`;
    const outcomes = await Promise.all(
      [...ALL, ...own].map(async (words) => ({
        words: words.slice(0, 60),
        ...(await run(["sh", "-c", `${program} ${words} </dev/null`], { timeout: 50_000 })),
      })),
    );
    for (const { words, code, stdout, stderr } of outcomes) {
      expect([words, code]).toEqual([words, expect.toSatisfy((rc: number) => rc === 1 || rc === 2)]);
      expect([words, stderr]).toEqual([words, expect.stringMatching(/^\S.*\n/)]);
      expect(`${words}: ${stdout}${stderr}`).not.toMatch(/TypeError|undefined|\[object|\n {4}at /);
    }
  });
});
