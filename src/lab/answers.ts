/** Answers on their way from the real servers to the router, seen on the switch: the director never sees them. */
import { formatIpv4 } from "../wire/address.ts";
import { ETH_SOURCE, EtherType, etherType } from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import { built } from "./built.ts";
import type { TapLine } from "./capture.ts";
import type { Lab } from "./lab.ts";
import type { Program } from "./program.ts";
import { DIP, macOf, VIP } from "./topology.ts";

export interface SeenAnswer {
  /** ms of the machine's monotonic clock, as the shards'. */
  readonly time: number;
  /** The real server's address: its MAC spells it. */
  readonly server: string;
  /** Bytes on the wire; `bytes` holds the first of them, in base64. */
  readonly length: number;
  readonly bytes: string;
}

const SNAP = 256;
const TELL_MS = 100;
/** Of each tenth of a second at the most. */
const MOST = 5;

export class AnswerWatch {
  readonly #lab: Lab;
  readonly #tell: (answers: SeenAnswer[]) => void;
  #program: Program | undefined;
  #timer: NodeJS.Timeout | undefined;
  #batch: SeenAnswer[] = [];

  constructor(lab: Lab, tell: (answers: SeenAnswer[]) => void) {
    this.#lab = lab;
    this.#tell = tell;
  }

  start(): void {
    const argv = [process.execPath, built("lab/tap.js"), "router", String(SNAP)];
    this.#program = this.#lab.spawn("switch", argv);
    this.#program.onLine((line) => this.#see(line));
    this.#timer = setInterval(() => {
      if (this.#batch.length === 0) return;
      this.#tell(this.#batch);
      this.#batch = [];
    }, TELL_MS);
  }

  #see(line: string): void {
    if (this.#batch.length >= MOST || !line.startsWith('{"time"')) return;
    const { time, sent, length, hex } = JSON.parse(line) as TapLine;
    const bytes = Buffer.from(hex, "hex");
    const server = sent ? answeringServer(bytes) : undefined;
    if (server !== undefined) this.#batch.push({ time, server, length, bytes: bytes.toString("base64") });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#program?.stdin.end();
    this.#program = undefined;
    this.#batch = [];
  }
}

/** Whose answer in the VIP's name this frame is; undefined for any other frame. */
export function answeringServer(bytes: Uint8Array): string | undefined {
  if (bytes.length < 34) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (etherType(view, 0) !== EtherType.Ipv4 || formatIpv4(ipv4.source(view, 14)) !== VIP) return undefined;
  const address = formatIpv4(view.getUint32(ETH_SOURCE + 2));
  const mac = Array.from(bytes.subarray(6, 12), (byte) => byte.toString(16).padStart(2, "0")).join(":");
  return mac === macOf(address) && address !== DIP ? address : undefined;
}
