import { realServerAddress, SCHEDULER_PORT, VIP } from "../topology.ts";
import type { Lesson, Scene, Shown } from "./lesson.ts";
import { roundText } from "./telling.ts";

/** A service of its own: in the table nothing but what the lesson does. */
const PORT = SCHEDULER_PORT + 2;
const SERVICE = `${VIP}:${PORT}`;

interface Row {
  readonly state: string;
  readonly vport: number;
  readonly server: string;
}

const serverName = (rip: string): string => `rs${Number(rip.split(".")[3]) - 10}`;
const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Real server of the one established connection. */
async function holder(scene: Scene): Promise<string> {
  for (let i = 0; i < 100; i++) {
    const rows = (await scene.stage.director.ask("/v1/connections")) as Row[];
    const row = rows.find(({ state, vport }) => state === "ESTABLISHED" && vport === PORT);
    if (row !== undefined) return row.server;
    await sleep(10);
  }
  throw new Error("no connection was established");
}

/** dradm's table of the service, and the active connections of one real server. */
async function table(scene: Scene, rip: string): Promise<{ lines: string[]; active: number }> {
  const text = await scene.stage.dradm("-L", "-n", "-t", SERVICE);
  const lines = text.trimEnd().split("\n");
  const row = lines.find((line) => line.includes(`${rip}:`));
  return { lines, active: Number(row?.trim().split(/\s+/)[4] ?? Number.NaN) };
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  const service = ["-t", SERVICE];
  const order = { port: PORT, requests: 60, keepAlive: true, pause: 20, timeout: 4_000 };
  const long = scene.beside(stage.client.request(order));
  const rip = await holder(scene);
  const name = serverName(rip);
  scene.say(`A client keeps a connection to ${name} and asks again and again.`, "");
  scene.say(`$ dradm -e -t ${SERVICE} -r ${rip} -g -w 0`, "");
  await scene.point(async () => {
    await stage.dradm("-e", ...service, "-r", rip, "-g", "-w", "0");
    return () => stage.dradm("-e", ...service, "-r", rip, "-g", "-w", "1");
  });
  const fresh = await stage.requests(6, { port: PORT });
  const during = await table(scene, rip);
  scene.say(`Six new connections:   ${roundText(fresh)}`, "", ...during.lines, "");
  const kept = await long;
  scene.say(`The old one was answered 60 times: ${roundText(kept)}`, "");
  let after = await table(scene, rip);
  for (let i = 0; i < 50 && after.active > 0; i++) {
    await sleep(20);
    after = await table(scene, rip);
  }
  scene.say("Then the client closed it:", "", ...after.lines);
  const problems: string[] = [];
  if ((fresh.answers[name] ?? 0) > 0)
    problems.push(`${name} was given ${fresh.answers[name]} new connections`);
  if (kept.answers[name] !== 60) problems.push("the old connection did not stay where it was");
  if (during.active < 1) problems.push("the old connection was not counted as active");
  if (after.active !== 0) problems.push("the old connection never ended");
  return {
    problems,
    question: {
      text: `Which column had to become 0 before ${name} could be switched off unnoticed?`,
      accepts: (answer) => /^active(conn)?s?$/i.test(answer.trim()),
      answer: "ActiveConn",
      hints: [
        "Compare the two tables: what changed when the client closed its connection?",
        "InActConn counts connections that are over; the director only remembers them for a while.",
      ],
      because:
        "Weight 0 is no off switch: it asks the scheduler to give no new connection, and the table keeps the old ones. When ActiveConn is 0, nobody talks to it any more; then `dradm -d`, or pull the plug.",
    },
  };
}

export const drain: Lesson = {
  name: "drain",
  title: "Quiesce and drain",
  idea: "A real server is taken out of service without breaking anything: weight 0 stops new connections, those that exist go on to their end.",
  config: {
    services: [
      {
        protocol: "tcp",
        address: VIP,
        port: PORT,
        scheduler: "rr",
        servers: [0, 1, 2].map((i) => ({ address: realServerAddress(i) })),
      },
    ],
  },
  show,
};
