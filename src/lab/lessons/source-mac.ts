import { isAnswer, isForVip } from "../evidence.ts";
import { findFault } from "../faults.ts";
import { macOf, ROUTER } from "../topology.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { frameLine } from "./telling.ts";

/**
 * One datagram through the VIP: what came back, what the director's port saw, and where the switch took the router to
 * be. That is asked at once: the router's next frame, for an ARP question of somebody's, say, puts it right again.
 */
async function exchange(scene: Scene) {
  const { stage } = scene;
  let server: string | null = null;
  let port = "none";
  const act = async () => {
    let open = true;
    const echo = stage.datagram(32).finally(() => {
      open = false;
    });
    while (open && port !== "director") port = (await stage.lab.portOf(macOf(ROUTER))) ?? "none";
    server = (await echo).server;
  };
  const seen = await scene.listen({ director: ["switch", "director"] }, act, { snap: 128 });
  return { server: server as string | null, port, frames: seen.director };
}

function tell(scene: Scene, { server, port, frames }: Awaited<ReturnType<typeof exchange>>): void {
  // Both directions are read by sockets of their own, so they are told in the order in which they must have gone.
  const told = [
    ["to director", frames.find((frame) => frame.sent && isForVip(frame))],
    ["from director", frames.find((frame) => !frame.sent && isForVip(frame))],
    ["to director", frames.find((frame) => frame.sent && isAnswer(frame))],
  ] as const;
  for (const [place, frame] of told) if (frame !== undefined) scene.say(frameLine(place, frame));
  scene.say(`  echo: ${server === null ? "none came back" : `from ${server}`}`);
  scene.say(`  the switch has learned: ${macOf(ROUTER)} (router) is at port "${port}"`, "");
}

async function show(scene: Scene): Promise<Shown> {
  await scene.stage.requests(6); // everybody knows everybody's MAC now: no ARP will tell the switch anything
  scene.say("sourceMac: interface. One datagram, and its echo:");
  tell(scene, await exchange(scene));
  await scene.point(() => findFault("mac-moves").inject(scene.stage));
  scene.say("sourceMac: preserve. The same again:");
  const now = await exchange(scene);
  // What the learner is to find out is not told yet.
  tell(scene, { ...now, port: "?" });
  const strays = now.frames.filter((frame) => frame.sent && isAnswer(frame)).length;
  const problems: string[] = [];
  if (now.port !== "director") problems.push(`the switch looked for the router at port ${now.port}`);
  if (now.server !== null) problems.push("the echo came back");
  if (strays === 0) problems.push("no answer for the router came to the director's port");
  return {
    problems,
    question: {
      text: 'At which of its ports did the switch then look for the router ("router", "director", "rs1" …)?',
      accepts: exactly(now.port),
      answer: now.port,
      hints: [
        "A switch learns from source addresses: who sent the last frame with the router's MAC as source?",
        "The answer to the router went `to director`: look at its MACs.",
      ],
      because:
        "A frame sent with another's source MAC teaches every switch on its way that the other one lives here. The answer followed that lesson and was lost at the director's port. Hence the director stamps its own MAC, as every router does. `preserve` is for a link that ends at one machine.",
    },
  };
}

export const sourceMac: Lesson = {
  name: "source-mac",
  title: "Why the source MAC matters",
  idea: "For the real server only the destination MAC matters. For the switch between them it is the source MAC: it learns from it where everybody is.",
  show,
};
