import { findFault } from "../faults.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { frameHeading, frameLine, hasFlags, receiverOf, roundText, SYN, SYN_ACK } from "./telling.ts";

const COUNTERS = ["InReceives", "InHdrErrors", "InAddrErrors", "InDiscards", "InDelivers"] as const;

/** The kernel's own counters of IP (RFC 4293 names), /proc/net/snmp. */
export function ipCounters(snmp: string): Record<string, number> {
  const [names, values] = snmp.split("\n").filter((line) => line.startsWith("Ip: "));
  const numbers = values!.split(" ").slice(1).map(Number);
  return Object.fromEntries(
    names!
      .split(" ")
      .slice(1)
      .map((name, i) => [name, numbers[i]!]),
  );
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  const read = async () => ipCounters(await stage.lab.in("rs2").sh("cat /proc/net/snmp"));
  scene.say(`Nine requests while all is well:     ${roundText(await stage.requests(9))}`, "");
  await scene.point(() => findFault("vip-missing").inject(stage));
  scene.say("$ ip address del 10.0.0.100/32 dev lo        # on rs2", "");
  const before = await read();
  let round = { answers: {}, failed: 0 };
  const seen = await scene.listen(
    { rs2: ["switch", "rs2"] },
    async () => {
      round = await stage.requests(9, { timeout: 700 });
    },
    { snap: 128 },
  );
  const after = await read();
  scene.say(`Nine requests now:                   ${roundText(round)}`, "");
  const syn = seen.rs2.find((frame) => frame.sent && hasFlags(frame, SYN));
  const answered = seen.rs2.some((frame) => !frame.sent && hasFlags(frame, SYN_ACK));
  if (syn !== undefined) scene.say("What rs2 was sent:", frameHeading, frameLine("at rs2", syn), "");
  scene.say("What rs2's kernel counted meanwhile:");
  for (const name of COUNTERS) scene.say(`  ${name.padEnd(14)} + ${after[name]! - before[name]!}`);
  const problems: string[] = [];
  if (syn === undefined || receiverOf(syn) !== "rs2") problems.push("rs2 was sent no frame");
  if (answered) problems.push("rs2 answered");
  if (after.InAddrErrors === before.InAddrErrors) problems.push("rs2 found nothing wrong with the address");
  return {
    problems,
    question: {
      text: "The frame had rs2's MAC and a good checksum. Which counter says why rs2 threw the packet away?",
      accepts: exactly("InAddrErrors", "IpInAddrErrors"),
      answer: "InAddrErrors",
      hints: [
        "Frames are for a MAC, packets for an IP address. Whose address is 10.0.0.100 on rs2 now?",
        "RFC 4293: packets discarded because their destination address was not one to be received here.",
      ],
      because:
        "The packet is still addressed to the VIP: direct routing changes no IP address. A host takes only packets for its own addresses, so each real server must have the VIP. On lo, so that it has it without showing it on the link.",
    },
  };
}

export const vipOnLo: Lesson = {
  name: "vip-on-lo",
  title: "Why the real server needs the VIP on lo",
  idea: "The MAC brings the frame to the real server. The packet inside is for the VIP, and its kernel keeps only what is for one of its own addresses.",
  show,
};
