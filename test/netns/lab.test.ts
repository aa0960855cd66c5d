import { spawn } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { Capture } from "../../src/lab/capture.ts";
import { isAnswer, isForVip } from "../../src/lab/evidence.ts";
import { patternHash } from "../../src/lab/pattern.ts";
import { macOf, VIP } from "../../src/lab/topology.ts";
import { Client, startServers } from "../../src/lab/traffic.ts";
import { eventually, makeLab, needs } from "../helpers/world.ts";

// No director here: the router is told that the VIP is at rs1, so that the lab itself can be looked at alone.
const straightTo = (address: string): string[] => [`neigh replace ${VIP} lladdr ${macOf(address)} dev eth1`];

test("a lab stands within a second and leaves nothing behind", async () => {
  const interfaces = (): string[] => readdirSync("/sys/class/net");
  const before = interfaces();
  const began = performance.now();
  const lab = await makeLab();
  expect(performance.now() - began).toBeLessThan(10_000); // a tenth of it on a machine with nothing else to do
  const pids = [...lab.namespaces.values()].map(({ pid }) => pid);
  await lab.close();
  expect(interfaces()).toEqual(before);
  for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test("two labs with the same addresses know nothing of each other", async () => {
  const [one, other] = await Promise.all([makeLab(), makeLab()]);
  await startServers(one, ["rs1"]);
  for (const lab of [one, other]) await lab.in("router").ip(straightTo("10.0.0.11"));
  const order = { timeout: 1_000 };
  expect((await (await Client.start(one)).request(order)).answers).toEqual({ rs1: 1 });
  expect((await (await Client.start(other)).request(order)).errors.join()).toContain("ECONNREFUSED");
});

test("a real server takes what is sent to its MAC for the VIP, and does not answer ARP for the VIP", async () => {
  const lab = await makeLab();
  const [client] = await Promise.all([Client.start(lab), startServers(lab)]);
  const silent = await client.request({ timeout: 300 });
  expect(silent.failed).toBe(1); // nobody has said where the VIP is
  await lab.in("router").ip(straightTo("10.0.0.12"));
  const round = await client.request({ requests: 4 });
  expect(round).toMatchObject({ answers: { rs2: 4 }, failed: 0 });
});

test("the servers send known bytes, hash what they get, and echo datagrams from the VIP", async (context) => {
  needs(context, "curl", "python3");
  const lab = await makeLab();
  await startServers(lab, ["rs1"]);
  await lab.in("router").ip(straightTo("10.0.0.11"));
  const download = await lab.run("client", ["sh", "-c", `curl -s http://${VIP}/bytes/3000000 | sha256sum`]);
  expect(download.stdout).toContain(patternHash(3_000_000));
  const upload = await lab.run("client", [
    "sh",
    "-c",
    `curl -s http://${VIP}/bytes/3000000 | curl -s --data-binary @- http://${VIP}/upload`,
  ]);
  expect(upload.stdout.trim()).toBe(patternHash(3_000_000));
  const script =
    "import socket; s=socket.socket(2,2); s.settimeout(2); s.sendto(b'hello',('10.0.0.100',7)); print(*s.recvfrom(99))";
  const echo = await lab.run("client", ["python3", "-c", script]);
  expect(echo.stdout).toContain("b'rs1: hello' ('10.0.0.100', 7)");
});

test("a capture on a port of the switch sees both directions, super-frames whole", async () => {
  const lab = await makeLab();
  const [client] = await Promise.all([Client.start(lab), startServers(lab, ["rs1"])]);
  await lab.in("router").ip(straightTo("10.0.0.11"));
  const capture = await Capture.start(lab, "switch", "rs1");
  await client.request({ path: "/bytes/400000" });
  expect(await capture.stop()).toBe(0);
  const towards = capture.frames.filter((frame) => isForVip(frame));
  const answers = capture.frames.filter((frame) => isAnswer(frame));
  expect(towards.length).toBeGreaterThan(3);
  expect(towards.every((frame) => frame.sent)).toBe(true);
  expect(answers.every((frame) => !frame.sent)).toBe(true);
  // Offloads are on: the answer's segments leave the real server in pieces far above the MTU.
  expect(Math.max(...answers.map((frame) => frame.length))).toBeGreaterThan(20_000);
  expect(answers.reduce((sum, frame) => sum + frame.bytes.length, 0)).toBeGreaterThan(400_000);
});

test("the switch's counters and what it has learned tell which way frames went", async () => {
  const lab = await makeLab();
  const [client] = await Promise.all([Client.start(lab), startServers(lab, ["rs1"])]);
  await lab.in("router").ip(straightTo("10.0.0.11"));
  await client.request({ path: "/bytes/100000" });
  const ports = await lab.counters("switch");
  expect(ports.get("rs1")!.rxBytes).toBeGreaterThan(100_000);
  expect(ports.get("router")!.txBytes).toBeGreaterThan(100_000);
  expect(ports.get("director")!.txBytes).toBeLessThan(1_000);
  expect(await lab.portOf(macOf("10.0.0.11"))).toBe("rs1");
  expect(await lab.portOf(macOf("10.0.0.1"))).toBe("router");
});

test("links take the MTU that was asked for, at both ends", async () => {
  const lab = await makeLab({ mtu: { rs1: 1400 } });
  expect(await lab.in("rs1").sh("ip link show eth0")).toContain("mtu 1400");
  expect(await lab.in("switch").sh("ip link show rs1")).toContain("mtu 1400");
  expect(await lab.in("rs2").sh("ip link show eth0")).toContain("mtu 1500");
});

test("a lab killed with -9 takes its namespaces and everything in them along", async () => {
  const script = `
    const { Lab } = await import(${JSON.stringify(built("lab/lab.js"))});
    const { startServers } = await import(${JSON.stringify(built("lab/traffic.js"))});
    const lab = await Lab.create();
    const servers = await startServers(lab);
    const sleeper = lab.spawn("client", ["sleep", "1000"]); // knows nothing of us and reads no stdin
    const holders = [...lab.namespaces.values()].map((namespace) => namespace.pid);
    console.log(JSON.stringify([...holders, ...[...servers.values()].map((server) => server.pid), sleeper.pid]));
  `;
  const victim = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = await new Promise<string>((resolve) =>
    victim.stdout.once("data", (text) => resolve(String(text))),
  );
  const pids = JSON.parse(said) as number[];
  expect(pids).toHaveLength(11);
  expect(pids.every((pid) => existsSync(`/proc/${pid}`))).toBe(true);
  victim.kill("SIGKILL");
  await eventually("all gone", () => pids.every((pid) => !isAlive(pid)) || undefined, 2_000);
});

/** A zombie has left its namespaces already. */
function isAlive(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/ns/net`);
    return true;
  } catch {
    return false;
  }
}
