import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { attachCommands } from "../../src/control/commands.ts";
import type { CommandExecutor, ConnectionListing } from "../../src/control/model.ts";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { createRegion, regionBytes } from "../../src/table/region.ts";
import { apiOver } from "../cli/server.ts";
import { newCommands } from "../cli/world.ts";

/** The programs as a user runs them, over a socket. */

const ROOT = new URL("../../", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "dradm-"));
const socket = join(folder, "control.sock");
let close: (() => Promise<unknown>) | undefined;

interface Ended {
  rc: number | null;
  stdout: string;
  stderr: string;
}

function run(
  program: string,
  argv: string[],
  given: { stdin?: string | Buffer; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  return shell(process.execPath, [join(ROOT, `dist/cli/${program}.js`), ...argv], given);
}

function shell(
  program: string,
  argv: string[],
  given: { stdin?: string | Buffer; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const child = spawn(program, argv, { env: { ...process.env, DR_DIRECTOR_SOCKET: socket, ...given.env } });
  const ended: Ended = { rc: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (ended.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (ended.stderr += text));
  child.stdin.on("error", () => {});
  child.stdin.end(given.stdin ?? "");
  return new Promise((resolve) => child.on("close", (rc) => resolve({ ...ended, rc })));
}

async function listen(director: CommandExecutor): Promise<void> {
  const api = apiOver(director);
  await api.listen({ path: socket });
  close = () => api.close();
}

/** A director that misbehaves. */
function answerWith(listener: RequestListener): Promise<void> {
  const broken: Server = createServer(listener);
  close = () =>
    new Promise((resolve) => {
      broken.closeAllConnections();
      broken.close(resolve);
    });
  return new Promise((resolve) => broken.listen(socket, resolve));
}

beforeAll(() => {
  try {
    execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", join(ROOT, "tsconfig.json")]);
  } catch {
    // errors elsewhere do not stop it from writing
  }
});
afterEach(async () => {
  await close?.();
  close = undefined;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("dradm, as typed", () => {
  beforeEach(() => listen(newCommands()));

  it("does what ipvsadm's examples do", async () => {
    expect(await run("dradm", ["-A", "-t", "192.168.10.100:80", "-s", "wlc"])).toEqual({
      rc: 0,
      stdout: "",
      stderr: "",
    });
    expect(
      (await run("dradm", ["-a", "-t", "192.168.10.100:80", "-r", "192.168.10.11", "-g", "-w", "2"])).rc,
    ).toBe(0);
    const listed = await run("dradm", ["-L", "-n", "--stats"]);
    expect(listed.stdout).toBe(
      "IP Virtual Server version 1.2.1 (size=4096)\n" +
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n" +
        "  -> RemoteAddress:Port\n" +
        "TCP  192.168.10.100:80                   0        0        0        0        0\n" +
        "  -> 192.168.10.11:80                    0        0        0        0        0\n",
    );
  });

  it("refuses what this director cannot do, with a sentence and exit code 2", async () => {
    await run("dradm", ["-A", "-t", "192.168.10.100:80"]);
    for (const argv of [
      ["-a", "-t", "192.168.10.100:80", "-r", "192.168.10.11", "-m"],
      ["-e", "-t", "192.168.10.100:80", "-r", "192.168.10.11", "-i"],
      ["--start-daemon", "master"],
      ["--stop-daemon", "backup"],
    ]) {
      const { rc, stdout, stderr } = await run("dradm", argv);
      expect({ rc, stdout }).toEqual({ rc: 2, stdout: "" });
      expect(stderr).toMatch(/^dr-director .* not supported.*\n$/);
    }
    expect((await run("dradm", ["-Ln"])).stdout).not.toContain("192.168.10.11");
  });

  it("finds its socket by --socket, wherever it stands, before the environment", async () => {
    const env = { DR_DIRECTOR_SOCKET: "/nonexistent/socket" };
    expect((await run("dradm", ["--socket", socket, "-Ln"], { env })).rc).toBe(0);
    expect((await run("dradm", ["-Ln", `--socket=${socket}`], { env })).rc).toBe(0);
    expect((await run("dradm", ["-Ln", "--socket"], { env })).stderr).toBe("--socket: missing argument\n");
  });

  it("saves and restores, names and numbers, and skips comments", async () => {
    const rules =
      "-A -t 127.0.0.1:80 -s rr\n-a -t 127.0.0.1:80 -r 127.0.0.1:80 -g -w 1\n-A -f 3 -s sh -p 50 -b sh-port\n";
    const restored = await run("dradm-restore", [], { stdin: `# mine\n${rules}` });
    expect(restored).toEqual({ rc: 0, stdout: "", stderr: "" });
    expect((await run("dradm-save", ["-n"])).stdout).toBe(rules);
    expect((await run("dradm-save", [])).stdout).toContain("-A -t localhost:http -s rr\n");
    expect((await run("dradm", ["-Sn"])).stdout).toBe(rules);
    const wrong = await run("dradm-save", ["-x"]);
    expect({ rc: wrong.rc, stdout: wrong.stdout }).toEqual({ rc: 1, stdout: "" });
  });

  it("dies quietly when nobody reads its output", async () => {
    const rules = Array.from({ length: 60 }, (_, i) => `-A -t 10.1.${i >> 8}.${i & 255}:80\n`).join("");
    expect((await run("dradm", ["-R"], { stdin: rules })).rc).toBe(0);
    const line = `${process.execPath} ${ROOT}dist/cli/dradm.js -Ln | head -1`;
    expect(await shell("sh", ["-c", line])).toMatchObject({ rc: 0, stderr: "" });
  });

  it("answers bytes that are no text with a complaint", async () => {
    const dradm = `${process.execPath} ${ROOT}dist/cli/dradm.js`;
    for (const argv of [
      "-A -t $(printf '\\377\\376'):80",
      "$(printf '\\377')",
      "-A -t 1.1.1.1:$(printf '\\200')",
      "-A -f $(printf '\\300\\200')",
    ]) {
      const { rc, stderr } = await shell("sh", ["-c", `${dradm} ${argv}`]);
      expect([2, 255]).toContain(rc);
      expect(stderr).toMatch(/^.+\n$/);
      expect(stderr).not.toMatch(/ at /);
    }
    const noise = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 131 + 7) & 255));
    const { rc, stderr } = await run("dradm", ["-R"], { stdin: noise });
    expect([2, 255]).toContain(rc);
    expect(stderr).not.toMatch(/ at /);
    const long = await run("dradm", ["-R"], { stdin: "-A ".repeat(1_000_000) });
    expect(long).toMatchObject({ rc: 2, stderr: "a line is longer than 1048576 characters\n" });
  });
});

describe("a director that is not there or not well", () => {
  it("is told in one sentence, with ipvsadm's exit code", async () => {
    const { rc, stdout, stderr } = await run("dradm", ["-Ln"]);
    expect({ rc, stdout }).toEqual({ rc: 2, stdout: "" });
    expect(stderr).toBe(
      `Can't initialize ipvs: the director at ${socket} is out of reach (there is no such socket); ` +
        "start it with `dr-director run', or name another socket by --socket PATH or DR_DIRECTOR_SOCKET\n",
    );
  });

  it("does not look for it when the command line is wrong", async () => {
    expect(await run("dradm", ["-A"])).toMatchObject({
      rc: 2,
      stderr: "You need to supply the 'service-address' option for the 'add-service' command\n",
    });
  });

  it.each<[string, RequestListener, RegExp]>([
    [
      "breaks off",
      (_, response) => {
        response.write('{"kind":"services","info":{"version":"1.2.1","size":1}}\n');
        setTimeout(() => response.destroy(), 20);
      },
      /aborted|broke off/,
    ],
    [
      "ends too early",
      (_, response) => response.end('{"kind":"services","info":{"version":"1.2.1","size":1}}\n'),
      /broke off/,
    ],
    ["says nothing", (_, response) => response.end(), /broke off|no listing/],
    ["talks of something else", (_, response) => response.end("<html>hello</html>\n"), /JSON|token/],
    ["fails", (_, response) => response.writeHead(500).end("out of cheese"), /500: out of cheese/],
    ["is another program", (request) => request.socket.end("SSH-2.0-OpenSSH\r\n"), /Parse Error/],
  ])("that %s", async (_, listener, reason) => {
    await answerWith(listener);
    const { rc, stderr } = await run("dradm", ["-Ln"]);
    expect(rc).toBe(2);
    expect(stderr).toMatch(/^Can't initialize ipvs: .*\n$/);
    expect(stderr).toMatch(reason);
  });
});

describe("much", () => {
  const SERVICES = 2000;
  const SERVERS = 50;
  const sizes = {
    shards: 1,
    services: 2048,
    destinations: 131_072,
    connections: 64,
    templates: 64,
    neighbours: 131_072,
  };

  it("is loaded in under a tenth of one call each, and listed", { timeout: 120_000 }, async () => {
    const region = createRegion(new ArrayBuffer(regionBytes(sizes)), sizes, 1, 0);
    const schedulers = (name: string) => BUILT_IN.find((one) => one.name === name);
    await listen(attachCommands(region, { now: () => 0, schedulers }));
    let rules = "";
    for (let s = 0; s < SERVICES; s++) {
      const service = `10.1.${s >> 8}.${s & 255}:80`;
      rules += `-A -t ${service} -s wrr\n`;
      for (let d = 0; d < SERVERS; d++)
        rules += `-a -t ${service} -r 10.2.${s >> 8}.${d}:80 -g -w ${d + 1}\n`;
    }
    let from = performance.now();
    const few = 10;
    for (let i = 0; i < few; i++) await run("dradm", ["-A", "-t", `10.9.9.${i}:80`]);
    const each = (performance.now() - from) / few;
    await run("dradm", ["-C"]);
    from = performance.now();
    expect(await run("dradm", ["-R"], { stdin: rules })).toEqual({ rc: 0, stdout: "", stderr: "" });
    const loaded = performance.now() - from;
    expect(loaded).toBeLessThan((each * SERVICES * (SERVERS + 1)) / 10);
    from = performance.now();
    const saved = await run("dradm", ["-Sn"]);
    console.log(
      `one call ${each.toFixed(0)} ms, ${SERVICES}x${SERVERS} loaded in ${loaded.toFixed(0)} ms, saved in ${(performance.now() - from).toFixed(0)} ms`,
    );
    expect(saved.stdout).toBe(rules);
    expect((await run("dradm", ["-Ln", "--stats"])).stdout.split("\n")).toHaveLength(
      SERVICES * (SERVERS + 1) + 4,
    );
  });

  it("connections are listed in little memory", { timeout: 120_000 }, async () => {
    const rows = 500_000;
    function* connections(): Generator<ConnectionListing> {
      for (let i = 0; i < rows; i++) {
        const client = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
        yield {
          protocol: "TCP",
          expiresSeconds: i % 900,
          state: "ESTABLISHED",
          client,
          cport: 1024,
          virtual: "10.0.0.100",
          vport: 80,
          server: "10.0.0.11",
          rport: 80,
        };
      }
    }
    await listen({
      execute: () => ({ ok: true, listing: { kind: "connections", connections: connections() } }),
    });
    const line = `${process.execPath} --max-old-space-size=40 ${ROOT}dist/cli/dradm.js -Lnc | wc -l`;
    expect(await shell("sh", ["-c", line])).toEqual({ rc: 0, stdout: `${rows + 2}\n`, stderr: "" });
  });
});
