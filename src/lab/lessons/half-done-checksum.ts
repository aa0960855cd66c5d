import { tcpSegment } from "../../control/doctor/probes.ts";
import { parseIpv4, parseMac } from "../../wire/address.ts";
import { checksum, fold, pseudoHeaderSum } from "../../wire/checksum.ts";
import { ETH_HEADER } from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import { TCP_CHECKSUM, TCP_FLAGS } from "../../wire/tcp.ts";
import type { CapturedFrame } from "../capture.ts";
import { Injector } from "../enter.ts";
import { pairFrames } from "../evidence.ts";
import { clientAddress, HTTP_PORT, macOf, ROUTER_CLIENT_SIDE, VIP } from "../topology.ts";
import type { Lesson, Scene, Shown } from "./lesson.ts";
import { hasFlags, SYN, transportAt, viewOf } from "./telling.ts";

const hex = (value: number): string => `0x${value.toString(16).padStart(4, "0")}`;

/** What stands in the checksum field, what the pseudo-header alone gives, and what the whole segment would. */
export function checksumsOf(frame: CapturedFrame): { field: number; pseudo: number; whole: number } {
  const copy = { ...frame, bytes: Uint8Array.from(frame.bytes) };
  const view = viewOf(copy);
  const at = transportAt(copy);
  const length = ipv4.totalLength(view, ETH_HEADER) - (at - ETH_HEADER);
  const [from, to] = [ipv4.source(view, ETH_HEADER), ipv4.destination(view, ETH_HEADER)];
  const pseudo = pseudoHeaderSum(from, to, ipv4.Protocol.Tcp, length);
  const field = view.getUint16(at + TCP_CHECKSUM);
  view.setUint16(at + TCP_CHECKSUM, 0);
  return { field, pseudo: fold(pseudo), whole: checksum(view, at, length, pseudo) };
}

/** A SYN as a machine without offloads would send it: its checksum is finished. */
async function finishedSyn(scene: Scene): Promise<void> {
  const injector = new Injector(scene.stage.lab.in("client"), "eth0");
  const way = {
    from: parseMac(macOf(clientAddress(0)))!,
    to: parseMac(macOf(ROUTER_CLIENT_SIDE))!,
    source: parseIpv4(clientAddress(0))!,
    destination: parseIpv4(VIP)!,
  };
  injector.send(tcpSegment(way, 40_000, HTTP_PORT, TCP_FLAGS.SYN, 1));
  injector.close();
}

async function show(scene: Scene): Promise<Shown> {
  const act = scene.choose<() => Promise<unknown>>(
    () => scene.stage.requests(1),
    () => finishedSyn(scene),
  );
  const seen = await scene.listen({ director: ["switch", "director"] }, act);
  const pair = pairFrames(seen.director).pairs.find(({ before }) => hasFlags(before, SYN));
  const problems: string[] = [];
  if (pair === undefined) problems.push("no SYN went through the director");
  const before = pair === undefined ? undefined : checksumsOf(pair.before);
  const after = pair === undefined ? undefined : checksumsOf(pair.after);
  if (before !== undefined && after !== undefined) {
    scene.say("A client's SYN, as it came to the director and as it left it:", "");
    scene.say(`  checksum field as it came       ${hex(before.field)}`);
    scene.say(`  checksum field as it left       ${hex(after.field)}`);
    scene.say(`  sum over the pseudo-header      ${hex(before.pseudo)}   (addresses, protocol, length)`);
    scene.say(`  checksum over the whole segment ${hex(before.whole)}`, "");
    scene.say("The real server took the segment, and answered.");
    if (before.field !== before.pseudo) problems.push("its checksum was not half done");
    if (after.field !== before.field) problems.push("the director changed the checksum");
  }
  const unfinished = after !== undefined && after.field === after.pseudo;
  return {
    problems,
    question: {
      text: "Was the checksum right when the frame left the director (yes or no)?",
      accepts: (answer) => (unfinished ? /^no\b/i : /^yes\b/i).test(answer.trim()),
      answer: unfinished ? "no" : "yes",
      hints: [
        "A right field equals the checksum over the whole segment. Which of the other two does it equal?",
        "Compare the second line with the third and the fourth.",
      ],
      because:
        "It was half done, and that is no error: the sender left the rest to its network card, and on one machine no card ever came. Beside each frame the kernel keeps a note of what is missing. The director passes it on (PACKET_VNET_HDR), because it changes neither lengths nor addresses. A program that drops the note sends frames that every receiver throws away; ping works all the same, for ICMP has no such offload.",
    },
  };
}

export const halfDoneChecksum: Lesson = {
  name: "half-done-checksum",
  title: "The half-done checksum",
  idea: "Senders leave the TCP checksum to the network card: in the field stands the sum of the pseudo-header, and the card adds the rest. Between virtual machines and containers the card never comes.",
  show,
};
