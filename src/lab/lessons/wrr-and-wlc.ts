import { realServerAddress, VIP } from "../topology.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { roundText } from "./telling.ts";

const WEIGHTS = [3, 2, 1];
const WRR = 8001;
const WLC = 8002;
const HELD = 6;
const REQUESTS = 12;

const services = (weights: readonly number[]) => {
  const servers = weights.map((weight, i) => ({ address: realServerAddress(i), weight }));
  return [
    { protocol: "tcp" as const, address: VIP, port: WRR, scheduler: "wrr", servers },
    { protocol: "tcp" as const, address: VIP, port: WLC, scheduler: "wlc", servers },
  ];
};

/** Opens connections that stay open on rs1, at both services; resolves when they stand, `ended` when they are closed. */
async function hold(scene: Scene): Promise<{ ended: Promise<unknown> }> {
  const { stage } = scene;
  await stage.reload({ services: services([3, 0, 0]) });
  const order = { requests: HELD * 60, parallel: HELD, keepAlive: true, pause: 30, timeout: 4_000 };
  const ended = scene.beside(Promise.all([WRR, WLC].map((port) => stage.client.request({ ...order, port }))));
  for (let i = 0; !(await stand(scene)); i++) {
    if (i === 200) throw new Error("the connections to be held were not established");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await stage.reload({ services: services(WEIGHTS) });
  return { ended };
}

/** Are all of them established? */
async function stand(scene: Scene): Promise<boolean> {
  const listing = (await scene.stage.director.ask("/v1/services")) as Listing[];
  return listing.every(({ servers }) => servers.some(({ activeConns }) => activeConns >= HELD));
}

interface Listing {
  readonly servers: readonly { readonly activeConns: number }[];
}

async function show(scene: Scene): Promise<Shown> {
  scene.say(
    "Weights 3:2:1. Six connections are open on rs1 and stay so, twelve short",
    "ones come one after the other.",
    "",
  );
  let held: Promise<unknown> = Promise.resolve();
  await scene.point(async () => {
    held = (await hold(scene)).ended;
    return undefined;
  });
  // One after the other: at any moment there is one new connection at the most.
  const order = { requests: REQUESTS };
  const wrr = await scene.stage.client.request({ ...order, port: WRR });
  const wlc = await scene.stage.client.request({ ...order, port: WLC });
  await held;
  scene.say(
    `  wrr gave the twelve to:   ${roundText(wrr)}`,
    "  wlc gave the twelve to:   rs1 ?   rs2 ?   rs3 ?",
    "",
  );
  scene.say("wlc takes the least (256 × active + inactive) / weight:");
  scene.say("  rs1  256 × 6 / 3 = 512     rs2  0 / 2 = 0     rs3  0 / 1 = 0");
  const shares = ["rs1", "rs2", "rs3"].map((name) => wrr.answers[name] ?? 0);
  const problems: string[] = [];
  if (shares.join() !== "6,4,2") problems.push(`wrr did not keep to 6:4:2 but gave ${shares.join(":")}`);
  if ((wlc.answers.rs1 ?? 0) !== 0) problems.push(`wlc gave rs1 ${wlc.answers.rs1} connections`);
  if (wrr.failed + wlc.failed > 0) problems.push("some requests failed");
  return {
    problems,
    question: {
      text: "How many of the twelve did wlc give to rs1?",
      accepts: exactly(String(wlc.answers.rs1 ?? 0)),
      answer: String(wlc.answers.rs1 ?? 0),
      hints: [
        "A finished connection counts 1, an active one 256. Can rs2 and rs3 get to 512 by twelve that finish?",
        "As long as somebody has less than 512, rs1 has to wait.",
      ],
      because: `wlc gave ${roundText(wlc)}. wrr counts turns and is blind to what became of them; wlc counts what is still there. With short equal requests both do the same, with long ones wlc is fairer.`,
    },
  };
}

export const wrrAndWlc: Lesson = {
  name: "wrr-and-wlc",
  title: "wrr and wlc beside each other",
  idea: "wrr deals connections out in turns, three to one, two to the next. wlc looks who has the least to do for its weight.",
  config: { services: services(WEIGHTS) },
  show,
};
