/** The daemon as a process: how it starts, changes, dies, comes back and goes, and what it leaves behind. */
import { existsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { realServerAddress, VIP } from "../../src/lab/topology.ts";
import { clusterConfig, makeCluster, verdictSum } from "../helpers/cluster.ts";
import { eventually, makeFolder, makeLab, needs, sleep } from "../helpers/world.ts";

/** What a director could leave behind in its host's namespace. */
async function traces(lab: Lab): Promise<{ tables: string; sockets: string[]; queues: string }> {
  const director = lab.in("director");
  const sockets = (await director.sh("cat /proc/net/packet")).trim().split("\n").slice(1);
  return {
    tables: await director.sh("nft list ruleset 2>&1 || true"),
    sockets,
    queues: await director.sh("tc qdisc show dev eth0 2>/dev/null || true"),
  };
}

/** GET from the control socket; a path is the same in every network namespace. */
function ask(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => resolve(JSON.parse(text)));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const RUN = [process.execPath, built("cli/dr-director.js"), "run"];

describe("the end", () => {
  test("SIGTERM ends it within a second and leaves the host as it was", async (context) => {
    needs(context, "nft", "tc");
    const lab = await makeLab();
    const before = await traces(lab);
    const folder = makeFolder();
    const director = await DirectorProgram.start(lab, clusterConfig({}), { folder });
    const during = await traces(lab);
    expect(during.tables).toContain("table netdev dr-director-eth0");
    expect(during.sockets.length).toBeGreaterThan(before.sockets.length);
    const begun = performance.now();
    expect(await director.stop()).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000); // a tenth of it on a machine with nothing else to do
    expect(await traces(lab)).toEqual(before);
    expect(existsSync(join(folder, "control.sock"))).toBe(false);
  });

  test("kill -9 leaves no rule, no packet socket", async (context) => {
    needs(context, "nft", "tc");
    const lab = await makeLab();
    const before = await traces(lab);
    const director = await DirectorProgram.start(lab, clusterConfig({ config: { shards: 2 } }), {
      folder: makeFolder(),
    });
    director.program.signal("SIGKILL");
    await director.program.ended;
    const after = await eventually("the rule is gone", async () => {
      const now = await traces(lab);
      return now.tables === before.tables && now.sockets.length === before.sockets.length ? now : undefined;
    });
    expect(after).toEqual(before);
  });

  test("idle or busy, poll or spin: SIGTERM is obeyed at once", async () => {
    const lab = await makeLab();
    for (const wait of ["poll", "busy"] as const) {
      const config = { ...clusterConfig({}), ring: { wait } };
      const director = await DirectorProgram.start(lab, config, { folder: makeFolder() });
      const begun = performance.now();
      await director.stop();
      expect(performance.now() - begun).toBeLessThan(10_000); // a tenth of it on a machine with nothing else to do
    }
  });
});

describe("a change of the config", () => {
  test("SIGHUP takes it over as a difference: connections of servers that stay go on", async () => {
    const { lab, client, director, config } = await makeCluster();
    const rounds = [0, 1, 2].map(() => client.request({ requests: 30, keepAlive: true, pause: 50 }));
    await sleep(500);
    const web = config.services![0]!;
    const servers = [{ address: realServerAddress(0), weight: 7 }, { address: realServerAddress(1) }];
    const three = { address: realServerAddress(2), weight: 0 };
    director.reload({ ...config, services: [{ ...web, scheduler: "wlc", servers: [...servers, three] }] });
    await director.program.line(/took the config over/);
    for (const { failed, answers } of await Promise.all(rounds)) {
      expect(failed).toBe(0);
      expect(Object.keys(answers).length).toBe(1); // one connection, one real server
    }
    const listed = (await ask(director.socket, "/v1/services")) as {
      scheduler: string;
      stats: { conns: number };
      servers: { weight: number }[];
    }[];
    expect(listed.map(({ scheduler }) => scheduler)).toEqual(["wlc"]);
    expect(listed[0]!.servers.map(({ weight }) => weight)).toEqual([0, 1, 7]);
    // Deleted and added again, it would count from zero.
    expect(listed[0]!.stats.conns).toBe(3);
    // What the config no longer names is the host's own business again.
    const rule = await lab.in("director").sh("nft list ruleset 2>/dev/null || true");
    expect(rule).not.toContain("udp");
  });

  test("a wrong config changes nothing and says what is wrong, with its place", async () => {
    const { client, director, config } = await makeCluster();
    director.reload({ ...config, services: [{ address: "10.0.0.999", port: 80 }] });
    const line = await director.program.line(/nothing was changed/);
    expect(line).toMatch(/director\.yaml:\d+:\d+: services\[0\]\.address: expected an IPv4 or IPv6 address/);
    expect(await client.request({ requests: 6 })).toMatchObject({
      failed: 0,
      answers: { rs1: 2, rs2: 2, rs3: 2 },
    });
  });
});

describe("state that outlives the process", () => {
  test.each([
    [1, 1],
    [1, 3],
    [2, 1],
  ])(
    "kill -9 and a new start, with %i and then %i shards: connections, turns and counters go on",
    async (before, after) => {
      const lab = await makeLab();
      const folder = makeFolder();
      const first = await DirectorProgram.start(lab, clusterConfig({ config: { shards: before } }), {
        folder,
      });
      const { Client, startServers } = await import("../../src/lab/traffic.ts");
      await startServers(lab, lab.realServers);
      const client = await Client.start(lab);
      await client.request({ requests: 2 });
      const long = [0, 1].map(() =>
        client.request({ requests: 40, keepAlive: true, pause: 50, timeout: 60_000 }),
      );
      await sleep(500);
      const counted = (await verdictSum(first)).received;
      first.program.signal("SIGKILL");
      await first.program.ended;
      const second = await DirectorProgram.start(lab, clusterConfig({ config: { shards: after } }), {
        folder,
      });
      await second.program.line(/goes on with the state/);
      for (const { failed, answers } of await Promise.all(long)) {
        expect(failed).toBe(0);
        expect(Object.keys(answers).length).toBe(1);
      }
      const { received, sum } = await verdictSum(second);
      expect(received).toBeGreaterThanOrEqual(counted);
      expect(sum).toBe(received);
      expect(await client.request({ requests: 30 })).toMatchObject({
        failed: 0,
        answers: { rs1: 10, rs2: 10, rs3: 10 },
      });
    },
  );

  test("a server that was quiesced by command stays so when the same config starts again", async () => {
    const lab = await makeLab();
    const folder = makeFolder();
    const config = clusterConfig({});
    const first = await DirectorProgram.start(lab, config, { folder });
    const dradm = (...words: string[]) =>
      lab.run("director", [process.execPath, built("cli/dradm.js"), "--socket", first.socket, ...words]);
    const edit = await dradm("-e", "-t", `${VIP}:80`, "-r", realServerAddress(1), "-g", "-w", "0");
    expect(edit).toMatchObject({ code: 0, stderr: "" });
    first.program.signal("SIGKILL");
    await first.program.ended;
    await DirectorProgram.start(lab, config, { folder });
    expect((await dradm("-S", "-n")).stdout).toContain(`-r ${realServerAddress(1)}:80 -g -w 0`);
  });
});

describe("a shard that dies", () => {
  test("is started again with its table, and the event is told", async () => {
    const folder = makeFolder();
    const flag = join(folder, "die");
    const module = join(folder, "brittle.mjs");
    // Dies while it prepares, once, when the flag file is there: outside the places where a scheduler's faults are caught.
    writeFileSync(
      module,
      `import { existsSync, unlinkSync } from "node:fs";
       export const brittle = {
         name: "brittle",
         get prepare() {
           if (existsSync(${JSON.stringify(flag)})) { unlinkSync(${JSON.stringify(flag)}); process.exit(3); }
           return (service) => service.count;
         },
         schedule: (service) => (service.count === 0 ? -1 : service.members[0]),
       };`,
    );
    const lab = await makeLab();
    const { Client, startServers } = await import("../../src/lab/traffic.ts");
    await startServers(lab, lab.realServers);
    const client = await Client.start(lab);
    const config = clusterConfig({ scheduler: "brittle" });
    const director = await DirectorProgram.start(lab, config, { folder, schedulers: [module] });
    const long = client.request({ requests: 40, keepAlive: true, pause: 50, timeout: 60_000 });
    await sleep(300);
    writeFileSync(flag, "");
    director.reload({
      ...config,
      services: config.services!.map((service) => ({ ...service, persistence: 60 })),
    });
    await director.program.line(/shard 0 died .* started again/);
    expect(await long).toMatchObject({ failed: 0, answers: { rs3: 40 } });
    const { shards } = (await ask(director.socket, "/v1/counters")) as {
      shards: { counts: { Starts: number } }[];
    };
    expect(shards[0]!.counts.Starts).toBe(2);
    expect(await client.request({ requests: 5 })).toMatchObject({ failed: 0 });
  });
});

describe("what it cannot do, it says in one sentence", () => {
  const CASES: [string, string[], RegExp][] = [
    ["no interface given", [], /no interface given: --interface/],
    ["there is none such", ["-i", "eth7"], /^dr-director: there is no interface eth7 here, only eth0/],
    ["it is the loopback", ["-i", "lo"], /interface lo is not Ethernet/],
    ["a config that is not there", ["-c", "/nowhere.yaml"], /^dr-director: .*\/nowhere\.yaml/],
    [
      "a scheduler that is not there",
      ["-i", "eth0", "--scheduler", "/nowhere.js"],
      /--scheduler \/nowhere\.js: /,
    ],
    [
      "AF_XDP and not a shard for each queue",
      ["-i", "eth0", "--ring", "xdp!", "--shards", "3"],
      /^dr-director: ring xdp!: no AF_XDP on eth0: .*shards: 1/,
    ],
  ];

  test("and ends with exit code 1", async () => {
    const lab = await makeLab();
    const before = await traces(lab);
    for (const [what, words, said] of CASES) {
      const outcome = await lab.run("director", [
        ...RUN,
        "--state",
        "none",
        "--socket",
        join(makeFolder(), "s"),
        ...words,
      ]);
      expect(outcome.stderr.trim().split("\n").at(-1), what).toMatch(said);
      expect(outcome.code, what).toBe(1);
    }
    await lab.in("director").ip(["link set eth0 down"]);
    const down = await lab.run("director", [...RUN, "-i", "eth0", "--state", "none"]);
    expect(down).toMatchObject({ code: 1 });
    expect(down.stderr).toMatch(/interface eth0 is down: `ip link set eth0 up` first/);
    expect((await traces(lab)).sockets).toEqual(before.sockets);
  });

  test("missing capabilities are named, with the cure", async (context) => {
    needs(context, "setpriv");
    const lab = await makeLab();
    const argv = [
      "setpriv",
      "--bounding-set=-net_raw,-net_admin",
      "--inh-caps=-all",
      "--ambient-caps=-all",
      ...RUN,
    ];
    const outcome = await lab.run("director", [...argv, "-i", "eth0", "--state", "none"]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/missing CAP_NET_RAW and CAP_NET_ADMIN: run as root, or/);
  });

  test("a service in the config that cannot be made is named", async () => {
    const lab = await makeLab();
    const folder = makeFolder();
    const file = join(folder, "d.yaml");
    writeFileSync(file, "interface: eth0\nservices: [{address: 10.0.0.100, port: 80, scheduler: rrr}]\n");
    const outcome = await lab.run("director", [
      ...RUN,
      "-c",
      file,
      "--state",
      "none",
      "--socket",
      join(folder, "s"),
    ]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(
      /addService tcp 10\.0\.0\.100:80: there is no scheduler "rrr" \(known: .*wlc/,
    );
  });

  test("a second director with the same state or socket is refused, and the first goes on", async () => {
    const { lab, client, director } = await makeCluster();
    const socket = ["--socket", director.socket];
    const state = ["--state", join(director.socket, "..", "state")];
    const other = join(makeFolder(), "s");
    const one = await lab.run("director", [...RUN, "-i", "eth0", ...state, "--socket", other]);
    expect(one.stderr).toMatch(/in use: another director runs with it/);
    const two = await lab.run("director", [...RUN, "-i", "eth0", "--state", "none", ...socket]);
    expect(two.stderr).toMatch(/control\.sock is in use: a director runs already/);
    expect([one.code, two.code]).toEqual([1, 1]);
    expect(await client.request({ requests: 3 })).toMatchObject({ failed: 0 });
  });
});

describe("the rootless way", () => {
  test("a full file system under the state is a clear error, with nothing left behind", async () => {
    const lab = await makeLab();
    const folder = makeFolder();
    const script = `mount -t tmpfs -o size=1m none ${folder} && ${RUN.join(" ")} -i eth0 --state ${folder}/state; echo "code $?"; ls ${folder}`;
    const outcome = await lab.run("director", ["unshare", "--mount", "sh", "-c", script]);
    expect(outcome.stderr).toMatch(/no room for .*\/state: make .* larger, or make the tables smaller/);
    expect(outcome.stdout).toBe("code 1\n");
  });
});
