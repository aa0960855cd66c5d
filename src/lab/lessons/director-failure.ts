import type { CapturedFrame } from "../capture.ts";
import { isForVip } from "../evidence.ts";
import { exactly, type Lesson, type Scene, type Shown } from "./lesson.ts";
import { roundText } from "./telling.ts";

const REQUESTS = 60;
const DARK = 400;
const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The longest time, ms, in which the client sent the VIP nothing that came through to a real server. */
function longestSilence(frames: readonly CapturedFrame[]): number {
  const times = frames.filter((frame) => !frame.sent && isForVip(frame)).map(({ time }) => time);
  return times.reduce((longest, time, i) => (i === 0 ? 0 : Math.max(longest, time - times[i - 1]!)), 0);
}

async function show(scene: Scene): Promise<Shown> {
  const { stage } = scene;
  const before = stage.director.program.pid;
  let round = { answers: {} as Record<string, number>, failed: REQUESTS };
  const seen = await scene.listen(
    { director: ["switch", "director"] },
    async () => {
      const order = { requests: REQUESTS, keepAlive: true, pause: 20, timeout: 20_000 };
      const long = scene.beside(stage.client.request(order));
      await sleep(200);
      await scene.point(async () => {
        await stage.kill();
        await sleep(DARK);
        await stage.restart();
        return undefined;
      });
      round = await long;
    },
    { snap: 96 },
  );
  const silence = Math.round(longestSilence(seen.director));
  const resets = seen.director.filter(
    ({ bytes }) => bytes.length > 47 && bytes[23] === 6 && (bytes[47]! & 4) !== 0,
  );
  scene.say("A client asks again and again on one connection. In the midst of it:", "");
  scene.say(`$ kill -9 ${before}        # the director`);
  scene.say(
    `… ${DARK} ms nobody forwards; then it is started again, with pid ${stage.director.program.pid}`,
    "",
  );
  scene.say(`  longest pause at the director's port    ${silence} ms`);
  scene.say(`  resets seen there                       ${resets.length}`);
  scene.say(`  requests on that one connection         ${roundText(round)}`);
  const servers = Object.keys(round.answers);
  const problems: string[] = [];
  if (stage.director.program.pid === before) problems.push("the director did not die");
  if (silence < DARK)
    problems.push(`frames were forwarded all the time, the longest pause was ${silence} ms`);
  if (servers.length !== 1) problems.push(`the connection moved: ${servers.join(", ")}`);
  return {
    problems: round.failed > 0 ? [...problems, `${round.failed} requests failed`] : problems,
    question: {
      text: "How many of the client's requests failed?",
      accepts: exactly(String(round.failed), ...(round.failed === 0 ? ["none", "no"] : [])),
      answer: String(round.failed),
      hints: [
        `There were ${REQUESTS} requests. How many were answered?`,
        "TCP sends again what is not acknowledged; who must still know the connection then?",
      ],
      because:
        "For TCP a dead director is a lost packet or two: the client sends again. What it must find is a director that knows its connection. Ours keeps its tables in a file under /run, mapped as its memory, so that whoever is started next goes on with the next frame. With `state: none` the scheduler would be asked nothing and the segment belong to no connection: dropped.",
    },
  };
}

export const directorFailure: Lesson = {
  name: "director-failure",
  title: "When the director dies",
  idea: "The director is in nobody's connection: it only passes frames on. When it is killed, clients and real servers notice a pause.",
  show,
};
