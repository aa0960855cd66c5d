import { describe, expect, it } from "vitest";
import { ServiceNames, SystemNames } from "../../src/cli/names.ts";
import { parseRules, ruleWords } from "../../src/cli/rules.ts";
import { textLines } from "../../src/cli/text-lines.ts";
import { newCommands, run } from "./world.ts";

const LOOKUP = { host: () => null, port: () => null };

describe("a rules file", () => {
  it("gives its commands with their lines, and all its errors", () => {
    const text = [
      "# saved yesterday",
      "-A -t 10.0.0.100:80 -s rr",
      "",
      "ipvsadm -a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 1\r",
      "-a -t 10.0.0.100:80 -r 10.0.0.12:8080 -m -w 1",
      "-A -t 10.0.0.100:81 -q",
      "-L -n",
      "-A -t",
    ].join("\n");
    const { rules, errors } = parseRules(text, LOOKUP);
    expect(rules.map(({ line, command }) => [line, command.kind])).toEqual([
      [2, "addService"],
      [4, "addServer"],
    ]);
    expect(errors).toEqual([
      { line: 5, message: expect.stringContaining("masquerading (-m) is not supported") },
      { line: 6, message: "-q: unknown option" },
      { line: 7, message: "a rules file holds changes only: `list' does not belong in it" },
      { line: 8, message: "-t: missing argument" },
    ]);
  });

  it("is split at blanks only", () => {
    expect(ruleWords(' -A\t-t "1.1.1.1:1"  ipvsadm \r')).toEqual(["-A", "-t", '"1.1.1.1:1"']);
    expect(ruleWords("-C\v-n")).toEqual(["-C\v-n"]);
    expect(ruleWords("-C\0 -n")).toEqual(["-C"]);
  });
});

describe("--restore, as the real one was seen to do it", () => {
  const good = "-A -t 10.0.0.1:1\n";

  it("goes on after a line that the director refuses; the last line's exit code counts", async () => {
    const director = newCommands();
    expect(await run(director, ["-R"], `${good}${good}-A -t 10.0.0.1:2\n`)).toEqual({
      rc: 0,
      stdout: "",
      stderr: "Service already exists\n",
    });
    expect((await run(director, ["-R"], `-A -t 10.0.0.1:3\n${good}\n`)).rc).toBe(255);
    expect((await run(director, ["-Sn"])).stdout.split("\n")).toHaveLength(4);
  });

  it("goes on after an option that popt does not know", async () => {
    const director = newCommands();
    expect(await run(director, ["-R"], `-A -z\n${good}`)).toEqual({
      rc: 0,
      stdout: "",
      stderr: "-z: unknown option\n",
    });
    expect((await run(director, ["-Sn"])).stdout).toBe("-A -t 10.0.0.1:1 -s wlc\n");
  });

  it("ends at any other bad line; the lines before it stay", async () => {
    const director = newCommands();
    expect(await run(director, ["-R"], `${good}-A -t bad\n-A -t 10.0.0.1:2\n`)).toMatchObject({ rc: 2 });
    expect(await run(director, ["-R"], "-R\n")).toMatchObject({ rc: 255 });
    expect(await run(director, ["-R"], "-L -t 10.0.0.9:9\n-A -t 10.0.0.1:2\n")).toMatchObject({ rc: 1 });
    expect((await run(director, ["-Sn"])).stdout).toBe("-A -t 10.0.0.1:1 -s wlc\n");
  });

  it("says so and never exits with 0 when a line needs what this director has not", async () => {
    const director = newCommands();
    const rules = `${good}-a -t 10.0.0.1:1 -r 10.0.0.11 -m\n-a -t 10.0.0.1:1 -r 10.0.0.12 -g\n`;
    const { rc, stderr } = await run(director, ["-R"], rules);
    expect(rc).toBe(2);
    expect(stderr).toMatch(/masquerading \(-m\) is not supported, use -g\n$/);
    expect((await run(director, ["-Sn"])).stdout).toContain("10.0.0.12");
  });

  it("lists in between what stands by then", async () => {
    const { stdout } = await run(newCommands(), ["-R"], `${good}-S\n-A -t 10.0.0.1:2\n`);
    expect(stdout).toBe("-A -t 10.0.0.1:1 -s wlc\n");
  });
});

describe("names", () => {
  it("of services: the first line that fits, aliases too", () => {
    const names = new ServiceNames(
      "# x\nhttp 80/tcp www # web\nweb\t80/tcp\ndomain 53/udp\nbroken\nworse x/tcp\n",
    );
    expect(names.port("www", "tcp")).toBe(80);
    expect(names.name(80, "tcp")).toBe("http");
    expect(names.port("domain", "tcp")).toBeNull();
    expect(names.port("constructor", "tcp")).toBeNull();
  });

  it("of hosts: asked of the resolver once, and the parser runs again when they are known", async () => {
    const names = new SystemNames();
    let runs = 0;
    const parse = () =>
      names.withLookup((lookup) => {
        runs++;
        return [lookup.host("localhost"), lookup.host("no such host, surely")];
      });
    expect(await parse()).toEqual(["127.0.0.1", null]);
    expect(runs).toBe(2);
    await parse();
    expect(runs).toBe(3);
    expect((await names.namesFor(["127.0.0.1"])).host("127.0.0.1")).toBe("localhost");
  });
});

describe("lines of a stream", () => {
  async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
    yield* parts;
  }
  const lines = async (...parts: (string | Uint8Array)[]): Promise<string[]> => {
    const found: string[] = [];
    for await (const line of textLines(chunks(...parts), 8)) found.push(line);
    return found;
  };

  it("are found across chunks and characters", async () => {
    expect(await lines("a\nb", "c\n\nd")).toEqual(["a", "bc", "", "d"]);
    expect(await lines(Uint8Array.of(0xc3), Uint8Array.of(0xa4, 0x0a))).toEqual(["ä"]);
    expect(await lines("a\n")).toEqual(["a"]);
    await expect(lines("123456789")).rejects.toThrow("longer than 8");
  });
});
