/** The daemon as a service: an ordinary user with two capabilities, watched by a manager. */
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { Program } from "../../src/lab/program.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { clusterConfig } from "../helpers/cluster.ts";
import { eventually, makeFolder, makeLab, needs } from "../helpers/world.ts";

const PROGRAM = [process.execPath, built("cli/dr-director.js")];
const DRADM = [process.execPath, built("cli/dradm.js")];
/** Nobody's numbers. */
const UID = 47_110;
const GID = 47_111;
const OTHER = 47_112;

/** What a unit with User= and AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN gives a process. */
function ordinary(uid: number, gid: number, capabilities = ""): string[] {
  const groups = ["--clear-groups", `--reuid=${uid}`, `--regid=${gid}`, "--no-new-privs"];
  const sets = ["--inh-caps", "--ambient-caps", "--bounding-set"].map((set) => `${set}=-all${capabilities}`);
  return ["setpriv", ...groups, ...sets, "--"];
}

const BOTH = ",+net_raw,+net_admin";

/** Prints each datagram that comes to a Unix socket, its lines joined by blanks. */
const MANAGER = `$| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un($ARGV[0])) or die "$!";
  chmod(0777, $ARGV[0]); print "listens\\n";
  while (defined recv(S, $m, 4096, 0)) { $m =~ s/\\n/ /g; print "told: $m\\n" }`;

async function startManager(lab: Lab, path: string): Promise<Program> {
  const program = lab.spawn("director", ["perl", "-MSocket", "-e", MANAGER, path]);
  await program.line(/listens/);
  return program;
}

function serviceFolder(): string {
  const folder = makeFolder();
  chmodSync(folder, 0o755);
  const run = join(folder, "run");
  mkdirSync(run);
  chownSync(run, UID, GID);
  return folder;
}

/** In a user namespace of an ordinary user's there is nobody but root. */
const onlyRoot = process.env.DR_DIRECTOR_LAB_USER_NAMESPACE === "1";

describe.skipIf(onlyRoot)("as an ordinary user with CAP_NET_RAW and CAP_NET_ADMIN alone", () => {
  test("it forwards, tells its manager how it is, and keeps strangers out of its socket", async (context) => {
    needs(context, "setpriv", "perl");
    const lab = await makeLab();
    const folder = serviceFolder();
    const socket = join(folder, "run", "control.sock");
    const state = join(folder, "run", "state");
    const file = join(folder, "director.yaml");
    const config = { ...clusterConfig({ config: { shards: 2 } }), interface: "eth0", socket, state };
    writeFileSync(file, JSON.stringify(config));
    const manager = await startManager(lab, join(folder, "notify"));
    const env = { NOTIFY_SOCKET: join(folder, "notify"), WATCHDOG_USEC: "400000" };
    await startServers(lab, lab.realServers);
    const director = lab.spawn("director", [...ordinary(UID, GID, BOTH), ...PROGRAM, "run", "-c", file], env);
    await director.line(/"event":"ready"/, 15_000);
    await manager.line(/told: READY=1 STATUS=forwards on eth0/);
    await manager.line(/told: WATCHDOG=1/);

    const status = (await lab.run("director", ["cat", `/proc/${director.pid}/status`])).stdout;
    expect(status).toMatch(new RegExp(`^Uid:\\s${UID}\\s`, "m"));
    for (const set of ["CapPrm", "CapEff", "CapBnd"])
      expect(status).toMatch(new RegExp(`^${set}:\\s0{12}3000$`, "m"));
    expect(director.lines.filter((line) => /"level":(40|50)/.test(line))).toEqual([]);

    const client = await Client.start(lab);
    expect(await client.request({ requests: 30 })).toMatchObject({
      failed: 0,
      answers: { rs1: 10, rs2: 10, rs3: 10 },
    });
    // The host's own stack keeps silent: it has the rule that needs CAP_NET_ADMIN.
    expect(await lab.in("director").sh("nft list ruleset 2>/dev/null || true")).toContain("dr-director-eth0");

    expect(statSync(socket)).toMatchObject({ uid: UID, gid: GID });
    const list = (...who: string[]) =>
      lab.run("director", [...who, ...DRADM, "--socket", socket, "-L", "-n"]);
    expect((await list()).code).toBe(0);
    expect((await list(...ordinary(UID, GID))).code).toBe(0);
    expect(await list(...ordinary(OTHER, OTHER))).toMatchObject({ code: 2, stdout: "" });

    // Even where the socket's mode lets everybody in.
    chmodSync(socket, 0o666);
    const stranger = await list(...ordinary(OTHER, OTHER));
    expect(stranger).toMatchObject({ stdout: "" });
    expect(stranger.code).not.toBe(0);
    expect(stranger.stderr).toMatch(/denied|neither root nor in the control socket's group/);

    director.signal("SIGHUP");
    await manager.line(/told: RELOADING=1 MONOTONIC_USEC=\d+/);
    await manager.next(/told: READY=1/);
    expect(await director.stop()).toBe(0);
    await manager.line(/told: STOPPING=1/);
  });

  test("an abstract address of the manager's is as good", async (context) => {
    needs(context, "setpriv", "perl");
    const lab = await makeLab();
    const folder = serviceFolder();
    const manager = await startManagerAbstract(lab, `dr-director-test-${process.pid}`);
    const env = { NOTIFY_SOCKET: `@dr-director-test-${process.pid}` };
    const words = ["-i", "eth0", "--state", "none", "--socket", join(folder, "run", "s")];
    const director = lab.spawn("director", [...ordinary(UID, GID, BOTH), ...PROGRAM, "run", ...words], env);
    await manager.line(/told: READY=1/);
    await eventually("the socket", () => statSync(join(folder, "run", "s"), { throwIfNoEntry: false }));
    expect(await director.stop()).toBe(0);
  });
});

async function startManagerAbstract(lab: Lab, name: string): Promise<Program> {
  const script = MANAGER.replace("$ARGV[0]", '"\\0$ARGV[0]"');
  const program = lab.spawn("director", ["perl", "-MSocket", "-e", script, name]);
  await program.line(/listens/);
  return program;
}
