import { ETH_HEADER } from "../../wire/ethernet.ts";
import { headerLength } from "../../wire/ipv4.ts";
import { TCP_FLAGS } from "../../wire/tcp.ts";
import { HTTP_PORT, realServerAddress, VIP } from "../topology.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { frameHeading, frameLine, hasFlags, receiverOf, SYN, viewOf } from "./telling.ts";

const PORT = 8088;
const servers = [0, 1, 2].map((i) => ({ address: realServerAddress(i) }));
const service = (port: number) => ({
  protocol: "tcp" as const,
  address: VIP,
  port,
  scheduler: "rr",
  servers,
});

/** What the director says to a real server with another port than its service. */
async function refusal(scene: Scene): Promise<string> {
  const mapped = { ...service(PORT), servers: [{ address: realServerAddress(0), port: HTTP_PORT }] };
  try {
    await scene.stage.reload({ services: [mapped] });
    return "";
  } catch (error) {
    return /expected[^"\\]*/.exec((error as Error).message)?.[0] ?? (error as Error).message;
  }
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  const port = scene.choose(PORT, HTTP_PORT);
  const places = { rs1: ["switch", "rs1"], rs2: ["switch", "rs2"], rs3: ["switch", "rs3"] } as const;
  let errors: string[] = [];
  const seen = await scene.listen(
    places,
    async () => {
      errors = (await stage.requests(1, { port })).errors;
    },
    { snap: 128 },
  );
  const frames = [...seen.rs1, ...seen.rs2, ...seen.rs3];
  const syn = frames.find((frame) => frame.sent && hasFlags(frame, SYN));
  const reset = frames.find((frame) => !frame.sent && hasFlags(frame, TCP_FLAGS.RST | TCP_FLAGS.ACK));
  scene.say(
    `A service on ${VIP}:${PORT}. The real servers' programs listen on ${HTTP_PORT}.`,
    "",
    frameHeading,
  );
  if (syn !== undefined) scene.say(frameLine(`at ${receiverOf(syn)}`, syn));
  if (reset !== undefined) scene.say(frameLine("its answer", reset));
  scene.say("", `The client: ${errors[0] ?? "was answered"}`);
  const said = await refusal(scene);
  scene.say(
    "",
    `And \`port: ${HTTP_PORT}\` for a real server of this service? The config says:`,
    `  ${said}`,
  );
  const view = syn === undefined ? undefined : viewOf(syn);
  const arrived = view?.getUint16(ETH_HEADER + headerLength(view, ETH_HEADER) + 2) ?? 0;
  const problems: string[] = [];
  if (syn === undefined) problems.push("no SYN reached a real server");
  if (reset === undefined || errors.length === 0) problems.push("the real server did not refuse the port");
  if (said === "") problems.push("the director took a real server with another port");
  return {
    problems,
    question: {
      text: "On which TCP port must the real servers listen for this service?",
      accepts: exactly(String(arrived)),
      answer: String(arrived),
      hints: [
        "Look at the destination port of the SYN at the real server.",
        "From byte 12 on the director changes nothing: where do ports stand?",
      ],
      because:
        "The ports stand in the TCP header, and direct routing changes nothing there. Were they changed on the way in, somebody would have to change them back on the way out: but the answer does not pass the director. Whoever needs other ports needs masquerading (-m), with the director in both ways.",
    },
  };
}

export const noPortMapping: Lesson = {
  name: "no-port-mapping",
  title: "Why there is no port mapping in direct routing",
  idea: "Masquerading can lead port 80 to port 8080. Direct routing cannot, and not for want of an option.",
  config: { services: [service(PORT), service(HTTP_PORT)] },
  show,
};
