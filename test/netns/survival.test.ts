/**
 * The director dies, is killed, is replaced, under load: who talks to the real servers must not notice. Counts are
 * small here; DR_DIRECTOR_KILLS and DR_DIRECTOR_TAKEOVERS make them as large as one has patience for.
 */
import { randomFillSync } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Channel } from "../../src/control/channel.ts";
import type { ConfigInput } from "../../src/control/config-schema.ts";
import { takeoverPath } from "../../src/control/predecessor.ts";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { realServerAddress, VIP } from "../../src/lab/topology.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { native } from "../../src/ring/native.ts";
import { C_TIMER_NEXT, ROW_SHIFT } from "../../src/table/connections.ts";
import { openRegion } from "../../src/table/region.ts";
import { clusterConfig, RINGS, verdictSum } from "../helpers/cluster.ts";
import { Load, type LoadResult } from "../helpers/load.ts";
import { has, makeFolder, makeLab, needs, sleep } from "../helpers/world.ts";

const KILLS = Number(process.env["DR_DIRECTOR_KILLS"] ?? 5);
const TAKEOVERS = Number(process.env["DR_DIRECTOR_TAKEOVERS"] ?? 3);

/** For whoever made the counts large. */
function tell(what: string, { requests, connections, slowest }: LoadResult): void {
  const text = `${what}: ${requests} requests on ${connections} connections, the slowest ${slowest} ms`;
  if (KILLS + TAKEOVERS > 50) process.stdout.write(`${text}\n`);
}

async function stage(shards: number, ring: ConfigInput = {}) {
  const lab = await makeLab();
  await startServers(lab, lab.realServers);
  const folder = makeFolder();
  const config = clusterConfig({ config: { shards, ...ring } });
  return { lab, folder, config };
}

function dradm(lab: Lab, folder: string, ...words: string[]) {
  const socket = ["--socket", join(folder, "control.sock")];
  return lab.run("director", [process.execPath, built("cli/dradm.js"), ...socket, ...words]);
}

/** Every counter that a monitoring system sees of the tables, by name and labels. */
async function totals(director: DirectorProgram): Promise<Map<string, number>> {
  const lines = (await director.text("/metrics")).matchAll(/^(dr_director_\S+_total\{.*\}) (\S+)$/gm);
  return new Map(Array.from(lines, ([, name, value]) => [name!, Number(value)]));
}

/** Those that are less than they were, or gone. */
function fallen(before: Map<string, number>, after: Map<string, number>): string[] {
  return [...before]
    .filter(([name, value]) => !((after.get(name) ?? Number.NaN) >= value))
    .map(([name, value]) => `${name}: ${value}, then ${after.get(name)}`);
}

/** Makes a virtual address active or standby. */
function activate({ socket: socketPath }: DirectorProgram, address: string, active: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request({ socketPath, path: "/v1/vips", method: "POST", headers }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) answer.on("end", resolve);
      else reject(new Error(`POST /v1/vips: ${answer.statusCode}`));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ address, active }));
  });
}

describe("taking over from a running director", () => {
  const cases = RINGS.flatMap(({ ring, config }) =>
    (ring === "AF_XDP" ? [1] : [1, 2]).map((shards) => [ring, shards, config] as const),
  );
  test.each(cases)(
    `${TAKEOVERS} times under load, %s with %i shards: no request fails`,
    async (ring, shards, ringConfig) => {
      const { lab, folder, config } = await stage(shards, ringConfig);
      let director = await DirectorProgram.start(lab, config, { folder });
      const load = await Load.start(lab, { long: 20, short: 4 });
      await sleep(500);
      let counted = 0;
      for (let n = 0; n < TAKEOVERS; n++) {
        const next = await DirectorProgram.start(lab, config, { folder, takeover: true });
        expect(await director.program.ended).toBe(0);
        const { received, sum } = await verdictSum(next);
        expect(received).toBeGreaterThan(counted);
        expect(Math.abs(sum - received)).toBeLessThan(64); // read while frames come in
        counted = received;
        director = next;
        await sleep(100 + Math.random() * 300);
      }
      const result = await load.end();
      expect(result).toMatchObject({ broken: [], strangers: [] });
      expect(result.requests).toBeGreaterThan(100);
      // A SYN that is lost is sent again after one second, and once more after three: nobody lost two.
      expect(result.slowest).toBeLessThan(3_000);
      tell(`${TAKEOVERS} takeovers, ${ring}, ${shards} shards`, result);
    },
    60_000 + TAKEOVERS * 5_000,
  );
});

describe("a takeover", () => {
  test("keeps the rule, the socket and every command: nobody finds a director missing", async (context) => {
    needs(context, "nft");
    const { lab, folder, config } = await stage(1);
    let director = await DirectorProgram.start(lab, config, { folder });
    const rule = () => lab.in("director").sh("nft list ruleset");
    const before = await rule();
    expect(before).toContain("table netdev dr-director-eth0");
    let asking = true;
    const outcomes: unknown[] = [];
    const administrator = (async () => {
      for (let n = 0; asking; n++) {
        const server = `10.0.0.${150 + (n % 50)}`;
        const words = n % 100 < 50 ? ["-a", "-r", server, "-g"] : ["-d", "-r", server];
        const { code, stderr } = await dradm(lab, folder, ...words, "-t", `${VIP}:80`);
        if (code !== 0) outcomes.push([n, code, stderr]);
      }
    })();
    for (let n = 0; n < 3; n++) {
      const next = await DirectorProgram.start(lab, config, { folder, takeover: true });
      expect(await director.program.ended).toBe(0);
      expect(await rule()).toBe(before);
      director = next;
    }
    asking = false;
    await administrator;
    expect(outcomes).toEqual([]);
    expect(await director.stop()).toBe(0);
    expect(await rule()).not.toContain("dr-director");
    expect(readdirSync(folder).sort()).toEqual(["director.yaml", "state"]);
  });

  test("that is given up half-way, or whose process dies, changes nothing: the running director goes on", async () => {
    const { lab, folder, config } = await stage(2);
    const director = await DirectorProgram.start(lab, config, { folder });
    const load = await Load.start(lab, { long: 10, short: 2 });
    for (const steps of [["hello"], ["hello", "rest"], ["nonsense"], []]) {
      const channel = new Channel(native().connectUnix(takeoverPath(director.socket)));
      for (const step of steps) {
        channel.send({ step });
        const answer = await channel.receive(5_000);
        for (const fd of answer?.fds ?? []) native().close(fd);
      }
      channel.close();
      await sleep(200);
      expect((await verdictSum(director)).received).toBeGreaterThan(0);
    }
    await director.program.line(/did not take over \(it ended\): goes on/);
    expect(await load.end()).toMatchObject({ broken: [], strangers: [] });
    // And it can be taken over from still.
    const next = await DirectorProgram.start(lab, config, { folder, takeover: true });
    expect(await director.program.ended).toBe(0);
    expect((await next.counters()).received).toBeGreaterThan(0);
  });

  test("applies its own config as a difference; what was changed by command stays when the config is the same", async () => {
    const { lab, folder, config } = await stage(1);
    const first = await DirectorProgram.start(lab, config, { folder });
    const drained = ["-e", "-t", `${VIP}:80`, "-r", realServerAddress(1), "-g", "-w", "0"];
    expect(await dradm(lab, folder, ...drained)).toMatchObject({ code: 0 });
    await activate(first, VIP, false);
    const second = await DirectorProgram.start(lab, config, { folder, takeover: true });
    expect((await dradm(lab, folder, "-S", "-n")).stdout).toContain(`-r ${realServerAddress(1)}:80 -g -w 0`);
    expect(await second.ask("/v1/vips")).toMatchObject([{ address: VIP, active: false }]);
    expect(second.program.lines.join()).not.toContain("vip-activated");
    const [web, echo] = config.services!;
    const services = [{ ...web!, scheduler: "wlc" }, echo!];
    await DirectorProgram.start(lab, { ...config, services }, { folder, takeover: true });
    expect((await dradm(lab, folder, "-S", "-n")).stdout).toContain(`-A -t ${VIP}:80 -s wlc`);
    expect((await dradm(lab, folder, "-S", "-n")).stdout).toContain(`-r ${realServerAddress(1)}:80 -g -w 1`);
  });

  test("with nobody there is a start like any other; with other shards it is refused, and the running one goes on", async () => {
    const { lab, folder, config } = await stage(1);
    const alone = await DirectorProgram.start(lab, config, { folder, takeover: true });
    await alone.program.line(/nobody to take over from at .*: starts by itself/);
    const other = DirectorProgram.start(lab, { ...config, shards: 2 }, { folder, takeover: true });
    await expect(other).rejects.toThrow(
      /has 1 shards, this one is to have 2, and a takeover keeps its tables: stop it/,
    );
    expect((await alone.counters()).received).toBeGreaterThanOrEqual(0);
    expect(await alone.stop()).toBe(0);
  });
});

describe("after a takeover of AF_XDP rings", () => {
  test("what enters them follows the services still", async (context) => {
    const xdp = RINGS.find(({ ring }) => ring === "AF_XDP");
    context.skip(xdp === undefined, "no AF_XDP here");
    const { lab, folder, config } = await stage(1, xdp!.config);
    const first = await DirectorProgram.start(lab, config, { folder });
    const client = await Client.start(lab);
    expect(await client.request({ requests: 6 })).toMatchObject({ failed: 0 });
    // The successor's config has no web service: its key must leave a map that another process has filled.
    const other = { ...config, services: config.services!.slice(1) };
    const second = await DirectorProgram.start(lab, other, { folder, takeover: true });
    expect(await first.program.ended).toBe(0);
    expect((await second.counters()).ring).toMatch(/^af_xdp/);
    const before = (await verdictSum(second)).received;
    await client.request({ requests: 3, timeout: 300 });
    expect((await verdictSum(second)).received).toBe(before);
    expect(await dradm(lab, folder, "-A", "-t", `${VIP}:80`)).toMatchObject({ code: 0 });
    expect(await dradm(lab, folder, "-a", "-t", `${VIP}:80`, "-r", realServerAddress(0))).toMatchObject({
      code: 0,
    });
    expect(await client.request({ requests: 3 })).toMatchObject({ failed: 0, answers: { rs1: 3 } });
  });
});

/** wrk until `end`, which gives what it says went wrong. */
function startWrk(lab: Lab): { end: () => Promise<string[]> } {
  const words = ["-t1", "-c10", "-d1h", "--timeout", "60s", `http://${VIP}/`];
  const wrk = lab.spawn("client", ["wrk", ...words]);
  return {
    end: async () => {
      wrk.signal("SIGINT");
      await wrk.ended;
      expect(wrk.lines.join("\n")).toMatch(/[1-9]\d* requests in/);
      return wrk.lines.filter((line) => /Socket errors|Non-2xx/.test(line));
    },
  };
}

describe("kill -9", () => {
  test.each([1, 2])(
    `${KILLS} times at random moments under load, with %i shards: no connection breaks`,
    async (shards) => {
      const { lab, folder, config } = await stage(shards);
      let director = await DirectorProgram.start(lab, config, { folder });
      const load = await Load.start(lab, { long: 20, short: 4 });
      const wrk = has("wrk") ? startWrk(lab) : undefined;
      let longest = 0;
      for (let n = 0; n < KILLS; n++) {
        await load.well();
        await sleep(Math.random() * 500);
        const before = await totals(director);
        expect(before.size).toBeGreaterThan(20);
        await sleep(Math.random() * 50);
        director.program.signal("SIGKILL");
        const killed = performance.now();
        await director.program.ended;
        director = await DirectorProgram.start(lab, config, { folder });
        longest = Math.max(longest, Math.round(performance.now() - killed));
        expect(fallen(before, await totals(director))).toEqual([]);
        expect(director.program.lines.join("\n")).not.toContain("was damaged");
      }
      const result = await load.end();
      expect(result).toMatchObject({ broken: [], strangers: [] });
      expect(await wrk?.end()).toEqual(wrk && []);
      tell(`${KILLS} kills, ${shards} shards, the longest start ${longest} ms`, result);
    },
    60_000 + KILLS * 5_000,
  );

  test("and somebody writes over the state file: what was whole goes on, and the administrator is told", async () => {
    const { lab, folder, config } = await stage(2);
    let director = await DirectorProgram.start(lab, config, { folder });
    const load = await Load.start(lab, { long: 20, short: 2 });
    await load.well();
    director.program.signal("SIGKILL");
    await director.program.ended;
    spoil(join(folder, "state"));
    director = await DirectorProgram.start(lab, config, { folder });
    await director.program.line(/was damaged \(.*real servers.*\): the director goes on with what was whole/);
    await load.well();
    expect(await load.end()).toMatchObject({ broken: [], strangers: [] });
    await expect.poll(() => verdictSum(director)).toSatisfy(({ received, sum }) => received === sum);
  });
});

/** Chains, timers, lists, counts and counters become noise; rows of connections stay as they are. */
function spoil(file: string): void {
  const bytes = readFileSync(file);
  const { shards, services, destinations } = openRegion(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const noise = (column: Int32Array | Float64Array) => {
    randomFillSync(bytes, column.byteOffset, column.byteLength);
  };
  for (const { connections, counters } of shards) {
    noise(connections.heads);
    for (const column of Object.values(counters)) noise(column as Int32Array);
    for (let row = 0; row < connections.high; row++) {
      const links = connections.rows.subarray((row << ROW_SHIFT) + C_TIMER_NEXT, (row + 1) << ROW_SHIFT);
      noise(links);
    }
  }
  for (const column of [services.first, services.lock, destinations.next, destinations.neighbour])
    noise(column);
  writeFileSync(file, bytes);
}
