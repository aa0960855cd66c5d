/**
 * Tells a service manager how the daemon is, as sd_notify(3) describes it: a datagram to $NOTIFY_SOCKET for ready,
 * reloading, stopping, and again and again that it is well, when the manager watches ($WATCHDOG_USEC).
 */
import { native } from "../ring/native.ts";

export interface ManagerEnvironment {
  readonly NOTIFY_SOCKET?: string;
  readonly WATCHDOG_USEC?: string;
  readonly WATCHDOG_PID?: string;
}

type Send = (address: Uint8Array, bytes: Uint8Array) => void;

export class ServiceManager {
  readonly #address: Uint8Array | undefined;
  readonly #send: Send;
  readonly #interval: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    env: ManagerEnvironment = process.env,
    send: Send = (address, bytes) => native().sendDatagram(address, bytes),
  ) {
    this.#address = addressOf(env.NOTIFY_SOCKET);
    this.#send = send;
    this.#interval = watchdogInterval(env);
  }

  /** The daemon serves from now on. While `isWell` says so, a manager that watches is told. */
  ready(status: string, isWell: () => boolean): void {
    this.#tell("READY=1", `STATUS=${status}`);
    if (this.#interval === undefined || this.#address === undefined) return;
    this.#timer = setInterval(() => isWell() && this.#tell("WATCHDOG=1"), this.#interval);
    this.#timer.unref();
  }

  /** `now` is the monotonic clock, ms: by it the manager knows this reload's READY=1 from an earlier one's. */
  reloading(now: number): void {
    this.#tell("RELOADING=1", `MONOTONIC_USEC=${Math.floor(now * 1000)}`);
  }

  reloaded(status: string): void {
    this.#tell("READY=1", `STATUS=${status}`);
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#tell("STOPPING=1");
  }

  #tell(...lines: readonly string[]): void {
    if (this.#address === undefined) return;
    try {
      this.#send(this.#address, Buffer.from(lines.join("\n")));
    } catch {
      // A manager that does not listen is its own trouble, not the frames'.
    }
  }
}

/** "/run/systemd/notify", or "@name" for an abstract address, as sun_path. */
function addressOf(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !/^[/@]./.test(text)) return undefined;
  return Buffer.from(text.startsWith("@") ? `\0${text.slice(1)}` : text);
}

/** Half of what the manager waits, so that one late turn is forgiven; undefined when it does not watch this process. */
function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: ManagerEnvironment): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  const forUs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
  return forUs && microseconds > 0 ? Math.max(1, microseconds / 2000) : undefined;
}
