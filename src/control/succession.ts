/**
 * The running director's side of a takeover: a unix socket beside the control socket, for one successor at a time and
 * for nobody but our own user and root, because what goes over it is the whole of our work.
 *
 *     successor: hello → offer, with every descriptor
 *                rest → rested (no shard turns, nothing is written any more)
 *                forwarding → we go
 *
 * If it goes away, or stands still, before it says that it forwards, we go on.
 */
import { existsSync, unlinkSync } from "node:fs";
import { native, Watch } from "../ring/native.ts";
import { Channel, MOST_FDS, type Peer, type Received } from "./channel.ts";
import type { Events } from "./events.ts";
import { type Offer, packOffer } from "./offer.ts";

/** What a director can do for its successor. */
export interface Incumbent {
  readonly events: Events;
  offer(): Offer;
  /** Nothing moves from then on until `goOn` or `letGo`. Rejects, and goes on, when a shard does not end its turn. */
  rest(): Promise<void>;
  goOn(): Promise<void>;
  /** Another process has all of it now. */
  letGo(): Promise<void>;
}

/** A successor that has said hello gets ready for at most so long, ms; then for so long we rest. */
const READY_MS = 30_000;
const TAKE_MS = 15_000;
const DEATH_MS = 2_000;

export class SuccessionDoor {
  readonly #incumbent: Incumbent;
  readonly #path: string;
  readonly #fd: number;
  readonly #watch: Watch;
  #served: Promise<void> | undefined;
  #closed = false;
  /** To whom all was handed over: it sees by this channel's end that we are gone. */
  #successor: Channel | undefined;
  #leave: (successor: number) => void = () => {};
  /** Resolves with the successor's process id once it has everything. */
  readonly handedOver: Promise<number>;

  /** Throws a NativeError when the path cannot be had. */
  constructor(incumbent: Incumbent, path: string) {
    this.#incumbent = incumbent;
    this.#path = path;
    this.handedOver = new Promise((resolve) => {
      this.#leave = resolve;
    });
    // Who has the control socket has this one: what lies here is a dead director's.
    if (existsSync(path)) unlinkSync(path);
    const before = process.umask(0o177);
    try {
      this.#fd = native().listenUnix(path);
    } finally {
      process.umask(before);
    }
    this.#watch = new Watch(this.#fd, () => this.#accept());
  }

  /** Resolves when no successor is being served. */
  get idle(): Promise<void> {
    return this.#served ?? Promise.resolve();
  }

  /** Closes the door. A successor that waits for our end is free to use every name and port from then on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.end();
    native().close(this.#fd);
    if (existsSync(this.#path)) unlinkSync(this.#path);
    this.#successor?.close();
  }

  #accept(): void {
    const fd = native().acceptUnix(this.#fd);
    if (fd < 0) return;
    const channel = new Channel(fd);
    const refusal = this.#refusal(channel.peer);
    if (refusal !== undefined) {
      this.#refuse(channel, refusal);
      return;
    }
    this.#served = this.#serve(channel)
      .catch((error: Error) => this.#failed(channel.peer.pid, error.message))
      .finally(() => {
        this.#served = undefined;
        if (channel !== this.#successor) channel.close();
      });
  }

  #refusal({ uid }: Peer): string | undefined {
    if (uid !== 0 && uid !== process.getuid!()) return "only its own user and root may take over";
    return this.#served === undefined ? undefined : "another takeover is under way";
  }

  #refuse(channel: Channel, reason: string): void {
    try {
      channel.send({ step: "refused", reason });
    } catch {
      // Gone already.
    }
    channel.close();
  }

  async #serve(channel: Channel): Promise<void> {
    if ((await channel.receive(READY_MS))?.message.step !== "hello") return;
    const { pid } = channel.peer;
    const { message, fds } = packOffer(this.#incumbent.offer());
    if (fds.length > MOST_FDS) throw new Error(`${fds.length} descriptors are too many to hand over`);
    channel.send(message, fds);
    const next = await channel.receive(READY_MS);
    if (next?.message.step !== "rest") {
      this.#failed(pid, "it gave up before it took anything");
      return;
    }
    await this.#rest(channel);
    const outcome = await channel.receive(TAKE_MS);
    if (outcome?.message.step === "forwarding") await this.#go(channel, pid);
    else await this.#goOn(channel, pid, outcome);
  }

  async #rest(channel: Channel): Promise<void> {
    try {
      await this.#incumbent.rest();
    } catch (error) {
      channel.send({ step: "refused", reason: (error as Error).message });
      throw error;
    }
    try {
      channel.send({ step: "rested" });
    } catch {
      // It is gone: the next receive() says so, and we go on.
    }
  }

  async #go(channel: Channel, pid: number): Promise<void> {
    this.#successor = channel;
    await this.#incumbent.letGo();
    this.#leave(pid);
  }

  async #goOn(channel: Channel, pid: number, said: Received | undefined): Promise<void> {
    // Two directors on one ring would be worse than none: one that stands still may wake up later.
    const stands = said === undefined && !channel.ended;
    if (stands) {
      kill(pid);
      await channel.receive(DEATH_MS); // until nothing of it can write any more
    }
    await this.#incumbent.goOn();
    this.#failed(pid, stands ? "it stood still and was killed" : "it ended");
  }

  #failed(pid: number, reason: string): void {
    const message = `process ${pid} did not take over (${reason}): goes on`;
    this.#incumbent.events.tell("error", "takeover-failed", message, { pid });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}
