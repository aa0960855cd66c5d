import { ETH_HEADER } from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import type { CapturedFrame } from "../capture.ts";
import { isForVip } from "../evidence.ts";
import type { Lesson, Scene, Shown } from "./lesson.ts";
import { receiverOf, transportAt, viewOf } from "./telling.ts";

const LARGE = 4_000;
const SMALL = 400;

interface Piece {
  readonly id: number;
  readonly offset: number;
  readonly last: boolean;
  readonly to: string;
  readonly ports: string;
}

const isDatagram = (frame: CapturedFrame): boolean =>
  ipv4.protocol(viewOf(frame), ETH_HEADER) === ipv4.Protocol.Udp;

function pieceOf(frame: CapturedFrame): Piece {
  const view = viewOf(frame);
  const offset = ipv4.fragmentOffset(view, ETH_HEADER);
  const at = transportAt(frame);
  return {
    id: ipv4.identification(view, ETH_HEADER),
    offset,
    last: !ipv4.moreFragments(view, ETH_HEADER),
    to: receiverOf(frame),
    ports: offset > 0 ? "none" : `${view.getUint16(at)} → ${view.getUint16(at + 2)}`,
  };
}

async function show(scene: Scene): Promise<Shown> {
  const bytes = scene.choose(LARGE, SMALL);
  let server: string | null = null;
  const seen = await scene.listen({ director: ["switch", "director"] }, async () => {
    server = (await scene.stage.datagram(bytes)).server;
  });
  const out = seen.director.filter((frame) => !frame.sent && isForVip(frame) && isDatagram(frame));
  const pieces = out.map(pieceOf);
  scene.say(`A datagram of ${bytes} bytes to the echo service (UDP port 7), MTU 1500.`);
  scene.say("The director sent on:", "", "  IP identification   offset   more   UDP ports      to");
  for (const { id, offset, last, to, ports } of pieces) {
    const number = `0x${id.toString(16).padStart(4, "0")}`;
    scene.say(
      `  ${number.padEnd(19)} ${String(offset).padStart(6)}   ${last ? "no " : "yes"}    ${ports.padEnd(14)} ${to}`,
    );
  }
  scene.say("", `The echo came from ${server ?? "nobody"}.`);
  const problems: string[] = [];
  if (pieces.length < 2) problems.push("the datagram was not cut");
  if (new Set(pieces.map(({ to }) => to)).size > 1)
    problems.push("its pieces went to different real servers");
  if (new Set(pieces.map(({ id }) => id)).size > 1)
    problems.push("its pieces have different identifications");
  if (server === null) problems.push("no echo came back");
  return {
    problems,
    question: {
      text: "Only one piece has ports. By which field does the director know where the others belong?",
      accepts: (answer) => pieces.length > 1 && /^(the )?(ip(v4)? )?(ident|id\b)/i.test(answer.trim()),
      answer: "identification",
      hints: [
        "Which column says the same in every line?",
        "RFC 791 has a field for this very purpose: to tell the pieces of one datagram from those of another.",
      ],
      because:
        "Ports stand in the first piece alone. The director schedules that one and remembers (source, destination, protocol, identification); the others follow it. One that comes too early waits. Nothing is put together on the way: that is the real server's work.",
    },
  };
}

export const fragments: Lesson = {
  name: "fragments",
  title: "A fragment's way",
  idea: "A datagram larger than the MTU travels in pieces, and only the first has the ports by which connections are known. All of them must reach the same real server.",
  show,
};
