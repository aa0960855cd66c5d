/** A director that is just being replaced answers 503 and has done nothing: its successor is asked the same. */
import type { IncomingMessage } from "node:http";

const PAUSE_MS = 50;
const TRIES = 100;

/** What `send` gets, asked again for as long as a takeover lasts. */
export async function askAgain(send: () => Promise<IncomingMessage>): Promise<IncomingMessage> {
  for (let tries = 1; ; tries++) {
    const answer = await send();
    if (answer.statusCode !== 503 || tries === TRIES) return answer;
    answer.resume();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
