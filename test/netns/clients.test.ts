/** Clients that a director must not disturb: those that use their ports again at once, and those that ask meanwhile. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { built } from "../../src/lab/built.ts";
import { HTTP_PORT, realServerAddress, VIP } from "../../src/lab/topology.ts";
import { type Cluster, makeCluster, verdictSum } from "../helpers/cluster.ts";
import { eventually, makeFolder, needs } from "../helpers/world.ts";

async function reload(cluster: Cluster, config: ConfigInput): Promise<void> {
  const heard = cluster.director.program.next(/"event":"reloaded"/);
  cluster.director.reload(config);
  await heard;
}

/**
 * One request after another from the same few ports in turn; prints who answered each. The server closes first; the
 * client ends with a FIN of its own, or with RST.
 */
const SAME_PORTS = `
import errno, socket, struct, sys, time
first, ports, rounds = map(int, sys.argv[1:])
def connect(port):
    while True:
        s = socket.socket(); s.settimeout(5); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("", port)); s.connect(("${VIP}", ${HTTP_PORT})); return s
        except OSError as error: # our own kernel has not quite done with the last one
            s.close()
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EADDRINUSE): raise
            time.sleep(0.002)
def ask(port, reset):
    s = connect(port)
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    text = b""
    while part := s.recv(4096): text += part
    if reset: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return text.decode().split("X-Real-Server: ")[1].split("\\r\\n")[0]
for reset in False, True:
    for round in range(rounds): print(*[ask(first + reset * ports + p, reset) for p in range(ports)])
`;

const PORTS = 4;
const ROUNDS = 4;

/** By round, who answered on each port: the rounds that end with FIN, then those with RST. */
async function samePorts({ lab }: Cluster, first: number): Promise<string[]> {
  const words = [first, PORTS, ROUNDS].map(String);
  const { stdout, stderr } = await lab.run("client", ["python3", "-c", SAME_PORTS, ...words]);
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

test("a client that uses its ports again at once: no request fails, and conn_reuse_mode decides who gets it", async (context) => {
  needs(context, "python3");
  const cluster = await makeCluster({ config: { shards: 2 } });
  let taken = 0;
  const round = (): string =>
    Array.from({ length: PORTS }, () => ["rs3", "rs2", "rs1"][taken++ % 3]!).join(" ");
  /** Every connection has its turn in rr, or only the first of each port. */
  const anew = (): string[] => Array.from({ length: ROUNDS }, round);
  const kept = (): string[] => Array<string>(ROUNDS).fill(round());
  for (const [mode, fin, rst] of [
    [0, kept, kept],
    [1, kept, anew],
    [2, anew, anew],
  ] as const) {
    await reload(cluster, { ...cluster.config, settings: { conn_reuse_mode: mode } });
    const answered = await samePorts(cluster, 20_000 + 100 * mode);
    expect(answered, `conn_reuse_mode ${mode}`).toEqual([...fin(), ...rst()]);
  }
});

test("curl in a loop while servers come, go, are quiesced and weighed anew: no request fails", async (context) => {
  needs(context, "curl");
  const cluster = await makeCluster({
    lab: { realServers: 4 },
    config: { shards: 2, services: [service([0, 1, 2])] },
  });
  const curl = startCurl(cluster);
  await curl.answers(10);
  await dradm(cluster, "-a", "-r", realServerAddress(3), "-w", "1");
  await curl.until("rs4");
  await dradm(cluster, "-e", "-r", realServerAddress(3), "-w", "3");
  // One each and three of six: half of them, give or take what the turn had begun with.
  const half = (await curl.answers(36)).filter((name) => name === "rs4").length;
  expect(half).toBeGreaterThan(13);
  expect(half).toBeLessThan(23);
  // One that is in the midst of an answer.
  const quiesced = await eventually("a slow answer has begun", () => curl.slow.from, 20_000);
  const server = realServerAddress(Number(quiesced.slice(2)) - 1);
  await dradm(cluster, "-e", "-r", server, "-w", "0");
  await curl.answers(LANES); // asked before
  expect(await curl.answers(30)).not.toContain(quiesced);
  await eventually("none is left", async () => (await active(cluster, server)) === 0 || undefined, 20_000);
  await dradm(cluster, "-d", "-r", server);
  expect(await curl.answers(20)).not.toContain(quiesced);
  await dradm(cluster, "-a", "-r", server, "-w", "2");
  await curl.until(quiesced);
  await curl.end();
  expect(curl.failures).toEqual([]);
  expect(curl.slow.answers).toBeGreaterThan(0);
  const { received, sum } = await verdictSum(cluster.director);
  expect(sum).toBe(received);
});

const service = (servers: readonly number[]) => ({
  protocol: "tcp" as const,
  address: VIP,
  port: HTTP_PORT,
  scheduler: "wrr",
  servers: servers.map((i) => ({ address: realServerAddress(i), weight: 1 })),
});

/** `dradm` about the service; -a and -e with direct routing. */
async function dradm({ lab, director }: Cluster, command: string, ...words: string[]): Promise<void> {
  const method = command === "-d" ? [] : ["-g"];
  const program = [process.execPath, built("cli/dradm.js"), "--socket", director.socket];
  const all = [...program, command, "-t", `${VIP}:${HTTP_PORT}`, ...words, ...method];
  expect(await lab.run("director", all)).toEqual({ code: 0, stdout: "", stderr: "" });
}

/** Active connections of a real server, as listed. */
async function active({ lab, director }: Cluster, server: string): Promise<number> {
  const list = [process.execPath, built("cli/dradm.js"), "--socket", director.socket, "-Ln"];
  const { stdout } = await lab.run("director", list);
  const line = new RegExp(`-> ${server}:80 +Route +\\d+ +(\\d+) `).exec(stdout);
  return Number(line![1]);
}

const LANES = 2;
const SLOW_BYTES = 2_000_000;

/** Lanes of curl, one request after the other, and one more whose requests take two seconds each. */
function startCurl({ lab }: Cluster) {
  const go = join(makeFolder(), "go");
  writeFileSync(go, "");
  const lane = (curl: string): string =>
    `(while [ -e ${go} ]; do curl -sS --max-time 9 ${curl} || echo failed; done) &`;
  const quick = lane(`http://${VIP}/`);
  const form = "'slow %{http_code} %{size_download}\\n'";
  const slow = lane(`--limit-rate 1M -D - -o /dev/null -w ${form} http://${VIP}/bytes/${SLOW_BYTES}`);
  const program = lab.spawn("client", ["sh", "-c", [quick, quick, slow, "wait"].join("\n")]);
  const names: string[] = [];
  const failures: string[] = [];
  /** `from` is the real server of the slow answer under way. */
  const state: { answers: number; from: string | undefined } = { answers: 0, from: undefined };
  program.onLine((line) => {
    if (/^rs\d$/.test(line)) names.push(line);
    else if (line.startsWith("X-Real-Server: ")) state.from = line.slice(15).trim();
    else if (line === `slow 200 ${SLOW_BYTES}`) {
      state.answers++;
      state.from = undefined;
    } else if (!/^$|^HTTP.1.1 200 OK|^[\w-]+: /.test(line) || /^curl: /.test(line)) failures.push(line);
  });
  return {
    failures,
    slow: state,
    /** The next so many answers. */
    async answers(count: number): Promise<string[]> {
      const from = names.length;
      await eventually(`${count} answers`, () => names.length >= from + count || undefined, 30_000);
      return names.slice(from, from + count);
    },
    async until(name: string): Promise<void> {
      const from = names.length;
      await eventually(name, () => names.includes(name, from) || undefined, 30_000);
    },
    async end(): Promise<void> {
      rmSync(go);
      expect(await program.ended).toBe(0);
    },
  };
}
