import { formatIpv4, formatMac } from "../../wire/address.ts";
import { ArpOperation } from "../../wire/arp.ts";
import { ETH_HEADER, EtherType, etherType } from "../../wire/ethernet.ts";
import { parse } from "../../wire/value/arp.ts";
import type { CapturedFrame } from "../capture.ts";
import { findFault } from "../faults.ts";
import { VIP } from "../topology.ts";
import type { Round } from "../traffic.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { nameOf, roundText, viewOf } from "./telling.ts";

/** MACs that said "I am at the VIP", in order. */
function repliesFor(frames: readonly CapturedFrame[]): string[] {
  return frames.flatMap((frame) => {
    const view = viewOf(frame);
    if (etherType(view, 0) !== EtherType.Arp) return [];
    const packet = parse(view, ETH_HEADER, view.byteLength);
    const isReply = packet?.operation === ArpOperation.Reply && formatIpv4(packet.senderIp) === VIP;
    return isReply ? [formatMac(packet.senderMac)] : [];
  });
}

/** The router asks anew, nine requests follow; who answered ARP, and who the requests. */
async function ask(scene: Scene): Promise<{ replies: string[]; round: Round; believed: string }> {
  const { stage } = scene;
  let round: Round | undefined;
  const act = async () => {
    await stage.forgetVip();
    round = await stage.requests(9);
  };
  const seen = await scene.listen({ router: ["switch", "router"] }, act, { snap: 64 });
  const neighbour = await stage.lab.in("router").sh(`ip neigh show ${VIP}`);
  const believed = nameOf(/lladdr (\S+)/.exec(neighbour)?.[1] ?? "nobody");
  return { replies: repliesFor(seen.router.filter(({ sent }) => sent)), round: round!, believed };
}

function tell(scene: Scene, { replies, round }: Awaited<ReturnType<typeof ask>>): void {
  scene.say(`  router asks:  who has ${VIP}?`);
  for (const mac of replies) scene.say(`  ${nameOf(mac).padEnd(9)}says:  ${VIP} is at ${mac}`);
  scene.say(`  nine requests were answered by:  ${roundText(round)}`, "");
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  scene.say("As it should be:");
  tell(scene, await ask(scene));
  scene.say(
    "$ sysctl -w net.ipv4.conf.all.arp_ignore=0 \\",
    "            net.ipv4.conf.all.arp_announce=0        # on rs1",
    "",
  );
  await scene.point(() => findFault("arp-leak").inject(stage));
  let now = await ask(scene);
  // The first answer wins, and now and then that is the director's.
  for (let i = 0; i < 4 && now.replies.length > 1 && now.believed === "director"; i++) now = await ask(scene);
  scene.say("Now:");
  tell(scene, now);
  const problems: string[] = [];
  if (now.replies.length < 2) problems.push("only one station answered ARP for the VIP");
  if (now.believed === "director") problems.push("the router still sends to the director");
  return {
    problems,
    question: {
      text: "Whom does the router take for the owner of the VIP now?",
      accepts: exactly(now.believed),
      answer: now.believed,
      hints: [
        "It believes the first answer. Who answered all nine requests?",
        "A kernel answers ARP sooner than a program can.",
      ],
      because:
        "Nothing failed, and yet nothing is balanced: one real server gets everything, past the director. With another router, or another day, it is another one. arp_ignore=1 answers only for addresses of the interface that was asked; arp_announce=2 keeps the VIP out of the real server's own questions.",
    },
  };
}

export const arpProblem: Lesson = {
  name: "arp-problem",
  title: "The ARP problem",
  idea: "Every real server has the VIP, but on the link it must belong to the director alone. Linux answers ARP for any address it has, on whatever interface: unless it is told not to.",
  show,
};
