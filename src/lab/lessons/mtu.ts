import { formatIpv4 } from "../../wire/address.ts";
import { ETH_HEADER } from "../../wire/ethernet.ts";
import * as icmp from "../../wire/icmp.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { CapturedFrame } from "../capture.ts";
import { clientAddress, VIP } from "../topology.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { frameHeading, frameLine, isProtocol, transportAt, viewOf } from "./telling.ts";

const NARROW = 1400;

const isTooBig = (frame: CapturedFrame): boolean =>
  isProtocol(frame, ipv4.Protocol.Icmp) &&
  icmp.type(viewOf(frame), transportAt(frame)) === icmp.IcmpType.DestinationUnreachable &&
  icmp.code(viewOf(frame), transportAt(frame)) === icmp.UnreachableCode.FragmentationNeeded;

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  scene.say(`$ ip link set eth0 mtu ${NARROW}        # on the router, towards the client`, "");
  await scene.point(async () => {
    await stage.lab.in("router").ip([`link set eth0 mtu ${NARROW}`]);
    return async () => {
      await stage.lab.in("router").ip(["link set eth0 mtu 1500"]);
      for (const name of stage.lab.realServers) await stage.lab.in(name).ip(["route flush cache"]);
    };
  });
  let round = { failed: 1, bytes: 0, answers: {} as Record<string, number> };
  const seen = await scene.listen(
    { director: ["switch", "director"] },
    async () => {
      round = await stage.requests(1, { path: "/bytes/40000" });
    },
    { snap: 128 },
  );
  const into = seen.director.find((frame) => frame.sent && isTooBig(frame));
  const out = seen.director.find((frame) => !frame.sent && isTooBig(frame));
  scene.say("The client asks for 40000 bytes. At the director's port:", "", frameHeading);
  if (into !== undefined) scene.say(frameLine("to director", into));
  if (out !== undefined) scene.say(frameLine("from director", out));
  if (out !== undefined) {
    const mtu = icmp.mtu(viewOf(out), transportAt(out));
    scene.say("", `Both say: fragmentation needed, the next link takes ${mtu} bytes.`);
  }
  const [server = "nobody"] = Object.keys(round.answers);
  const learned =
    server === "nobody" ? "" : await stage.lab.in(server).sh(`ip route get ${clientAddress(0)} from ${VIP}`);
  const mtu = Number(/\bmtu (\d+)/.exec(learned)?.[1] ?? 0);
  scene.say(
    `${server} now knows of an MTU of ${mtu === 0 ? "its link's" : mtu} to the client; the client got ${round.bytes} bytes.`,
  );
  const problems: string[] = [];
  if (into === undefined) problems.push("the router did not complain");
  else if (out === undefined) problems.push("the director kept the complaint");
  if (mtu !== NARROW) problems.push(`${server} did not learn the path's MTU`);
  if (round.failed > 0 || round.bytes !== 40_000) problems.push("the answer did not arrive whole");
  const to = into === undefined ? "nobody" : formatIpv4(ipv4.destination(viewOf(into), ETH_HEADER));
  return {
    problems,
    question: {
      text: "To which IP address did the router send its complaint?",
      accepts: exactly(to, ...(to === VIP ? ["vip", "the vip"] : [])),
      answer: to,
      hints: [
        "Look at the line `to director`, behind the arrow.",
        "It complains to the sender of the packet that was too large: whose address did that have as source?",
      ],
      because:
        "The answer's source is the VIP, so the complaint goes to the VIP, and so to the director, though it was a real server who sent too large a packet. The director looks into the quoted packet, finds its connection, and passes the message on to the right one. Without that every client behind a narrow link would hang: a black hole.",
    },
  };
}

export const mtu: Lesson = {
  name: "mtu",
  title: "MTU and path MTU",
  idea: "A router that cannot pass a large packet tells its sender so. With direct routing the sender's address is the VIP, which all real servers share.",
  show,
};
