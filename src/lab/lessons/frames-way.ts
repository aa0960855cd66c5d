import { changedBytes, isAnswer, pairFrames } from "../evidence.ts";
import { hexDifference } from "../hexdump.ts";
import { styleFor } from "../style.ts";
import { realServerAddress, VIP } from "../topology.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { frameHeading, frameLine, hasFlags, receiverOf, SYN, SYN_ACK } from "./telling.ts";

const PLACES = {
  client: ["client", "eth0"],
  router: ["switch", "router"],
  director: ["switch", "director"],
  rs1: ["switch", "rs1"],
  rs2: ["switch", "rs2"],
  rs3: ["switch", "rs3"],
} as const;

async function show(scene: Scene): Promise<Shown> {
  // Left out, the request goes straight to a real server's own address, and the director is nobody.
  const host = scene.choose(VIP, realServerAddress(0));
  const seen = await scene.listen(PLACES, () => scene.stage.requests(1, { host }), { snap: 128 });
  const servers = [...seen.rs1, ...seen.rs2, ...seen.rs3];
  const way = [
    ["at the client", seen.client.find((frame) => frame.sent && hasFlags(frame, SYN))],
    // At a port of the switch, "sent" is what goes to the host behind it.
    ["to director", seen.director.find((frame) => frame.sent && hasFlags(frame, SYN))],
    ["from director", seen.director.find((frame) => !frame.sent && hasFlags(frame, SYN))],
    ["from server", servers.find((frame) => !frame.sent && hasFlags(frame, SYN_ACK))],
    ["at the client", seen.client.find((frame) => !frame.sent && hasFlags(frame, SYN_ACK))],
  ] as const;
  scene.say("One request to the VIP. Its first packet, and the answer's:", "", frameHeading);
  for (const [place, frame] of way) if (frame !== undefined) scene.say(frameLine(place, frame));

  const pair = pairFrames(seen.director).pairs.find(({ before }) => hasFlags(before, SYN));
  const answers = seen.director.filter(isAnswer).length;
  const problems: string[] = [];
  if (pair === undefined) problems.push("no frame went through the director");
  else {
    const changed = changedBytes(pair.before.bytes, pair.after.bytes);
    scene.say("", "The same frame, before the director and after it:");
    scene.say(...hexDifference(pair.before.bytes, pair.after.bytes, changed, styleFor(false)));
    if (!changed.every((at) => at < 12)) problems.push("more than the MAC addresses changed");
  }
  scene.say("", `Answers that passed the director's port: ${answers}.`);
  if (answers > 0) problems.push(`${answers} answers passed the director`);
  const next = way[3][1] === undefined ? "nobody" : receiverOf(way[3][1]);
  return {
    problems,
    question: {
      text: "The answer leaves the real server: whose MAC is its destination?",
      accepts: exactly(next, `the ${next}`),
      answer: next,
      hints: [
        "Look at the line `from server`, in the column of the MACs.",
        "It is the real server's default gateway.",
      ],
      because:
        "The real server knows the client's address from the packet itself, for the director changed only MACs. So it answers by its own route, past the director. That is why one director carries the requests of a crowd: answers are the larger part.",
    },
  };
}

export const framesWay: Lesson = {
  name: "frames-way",
  title: "The frame's way",
  idea: "A request goes client, router, director, real server. The director rewrites twelve bytes, the two MAC addresses, and sends the frame out again by the same port. The answer does not come back to it.",
  show,
};
