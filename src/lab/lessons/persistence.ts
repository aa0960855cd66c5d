import { stageConfig } from "../stage.ts";
import { clientAddress, HTTP_PORT, VIP } from "../topology.ts";
import type { Tally } from "../traffic.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";

const CLIENTS = [0, 1, 2].map(clientAddress);
const SECONDS = 300;
const SERVERS = ["rs1", "rs2", "rs3"];

const http = stageConfig(3).services![0]!;

function tell(scene: Scene, answersFrom: Readonly<Record<string, Tally>>): void {
  scene.say(`  ${"".padEnd(12)}${SERVERS.map((name) => name.padStart(6)).join("")}`);
  for (const client of CLIENTS) {
    const counts = SERVERS.map((name) => String(answersFrom[client]?.[name] ?? 0).padStart(6));
    scene.say(`  ${client.padEnd(12)}${counts.join("")}`);
  }
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  await scene.point(async () => {
    await stage.reload({ services: [{ ...http, persistence: SECONDS }] });
    return () => stage.reload({});
  });
  scene.say(`$ dradm -E -t ${VIP}:${HTTP_PORT} -s rr -p ${SECONDS}`, "");
  const order = { from: CLIENTS, requests: CLIENTS.length * 4 };
  const round = await stage.client.request(order);
  scene.say("Three clients, four connections each, scheduler rr:", "");
  tell(scene, round.answersFrom);
  const listing = await stage.dradm("-L", "-c", "-n");
  const templates = listing.split("\n").filter((line) => line.includes(":0 "));
  scene.say(
    "",
    "What the director remembers of them: templates, with client port 0.",
    "",
    ...templates.map((line) => `  ${line}`),
  );
  const first = CLIENTS[0]!;
  const known = Object.keys(round.answersFrom[first] ?? {});
  const again = await stage.client.request({ from: [first], requests: 4 });
  const met = Object.keys(again.answers);
  const problems: string[] = [];
  for (const client of CLIENTS) {
    const different = Object.keys(round.answersFrom[client] ?? {}).length;
    if (different !== 1) problems.push(`${client} met ${different} real servers`);
  }
  if (templates.length < CLIENTS.length)
    problems.push(`${templates.length} templates for ${CLIENTS.length} clients`);
  if (met.join() !== known.join()) problems.push(`${first} met ${met.join(", ")} when it came again`);
  const last = met.length === 1 ? met[0]! : met.join(", ");
  return {
    problems,
    question: {
      text: `${first} comes back with four more connections. Who gets them (rs1, rs2 or rs3)?`,
      accepts: exactly(last),
      answer: last,
      hints: [
        `Look for ${first} in the table.`,
        "The scheduler is asked once for each client, not once for each connection.",
      ],
      because: `All four went to ${last}. The template ties the client's address to a real server for ${SECONDS} s after its last connection, whatever the scheduler would say. Good for shopping carts; bad where a thousand clients share one address, for they all go to one real server.`,
    },
  };
}

export const persistence: Lesson = {
  name: "persistence",
  title: "Persistence",
  idea: "Some services remember their clients, so a client must come back to the same real server. The director then schedules clients instead of connections.",
  show,
};
