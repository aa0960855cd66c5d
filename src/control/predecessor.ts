/**
 * The running director as seen by the one that takes over from it (`run --takeover`): found by its socket, asked for
 * what it works with, told to rest, and dismissed. Until it is dismissed it goes on by itself when we let go of it.
 */
import { connect } from "node:net";
import { isNativeError, native } from "../ring/native.ts";
import { Channel } from "./channel.ts";
import { type Offer, unpackOffer } from "./offer.ts";

export class TakeoverError extends Error {
  override readonly name = "TakeoverError";
}

/** Where a director listens for its successor. */
export const takeoverPath = (controlSocket: string): string => `${controlSocket}.takeover`;

const OFFER_MS = 5_000;
/** A shard may take 800 ms to end its turn. */
const REST_MS = 5_000;
const LEAVE_MS = 5_000;

export class Predecessor {
  readonly offer: Offer;
  readonly #channel: Channel;
  #dismissed = false;

  private constructor(channel: Channel, offer: Offer) {
    this.#channel = channel;
    this.offer = offer;
  }

  /** The director behind this control socket; undefined when there is none. Throws TakeoverError when it refuses. */
  static async find(controlSocket: string): Promise<Predecessor | undefined> {
    const fd = dial(takeoverPath(controlSocket));
    if (fd === undefined) {
      if (!(await answers(controlSocket))) return undefined;
      throw new TakeoverError(
        `the director at ${controlSocket} cannot be taken over from: stop it, then start this one without --takeover (its connections go on)`,
      );
    }
    const channel = new Channel(fd);
    try {
      channel.send({ step: "hello", pid: process.pid });
      const answer = await channel.receive(OFFER_MS);
      if (answer === undefined) throw new TakeoverError("the running director does not answer");
      const { message, fds } = answer;
      if (message.step !== "offer")
        throw new TakeoverError(`the running director refuses: ${message["reason"]}`);
      const offer = unpackOffer(message, fds);
      if (typeof offer !== "string") return new Predecessor(channel, offer);
      for (const fd of fds) native().close(fd);
      throw new TakeoverError(`the running director cannot be taken over from: ${offer}`);
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  /** Has it rest: "rested", or "gone" when it died instead, which leaves its work to us all the same. */
  async rest(): Promise<"rested" | "gone"> {
    try {
      this.#channel.send({ step: "rest" });
    } catch {
      return "gone";
    }
    const answer = await this.#channel.receive(REST_MS);
    if (answer?.message.step === "rested") return "rested";
    if (answer !== undefined)
      throw new TakeoverError(`the running director does not rest: ${answer.message["reason"]}`);
    if (this.#channel.ended) return "gone";
    throw new TakeoverError("the running director does not rest");
  }

  /** We forward: it may go. Resolves when it has gone, or after some seconds. */
  async dismiss(): Promise<void> {
    if (this.#dismissed) return;
    this.#dismissed = true;
    try {
      this.#channel.send({ step: "forwarding" });
      await this.#channel.receive(LEAVE_MS);
    } catch {
      // Gone already.
    }
    this.#channel.close();
  }

  get dismissed(): boolean {
    return this.#dismissed;
  }

  /** Gives up: it goes on where it was. Our shards must have ended. */
  close(): void {
    this.#channel.close();
  }
}

function dial(path: string): number | undefined {
  try {
    return native().connectUnix(path);
  } catch (error) {
    if (isNativeError(error, "ENOENT") || isNativeError(error, "ECONNREFUSED")) return undefined;
    throw error;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
