/** A capture of what the director receives and sends, as pcapng blocks with a comment on each packet. */
import { z } from "zod";
import { serviceName } from "../dataplane/naming.ts";
import { type Ending, endingText } from "../dataplane/outcome.ts";
import { VERDICT_NAMES, type Verdict } from "../dataplane/verdict.ts";
import { native } from "../ring/native.ts";
import type { Region } from "../table/region.ts";
import { EVERYTHING, type TapFilter, TapKind, type TapRecord } from "../table/tap.ts";
import { isMapped, type Words } from "../wire/address.ts";
import { formatEndpoint, maskOfPrefix, parseCidr, parseEndpoint } from "../wire/network.ts";
import { pcapngInterface, pcapngPacket, pcapngSection, pcapngStatistics } from "../wire/pcapng-writer.ts";
import type { TapSubscriber } from "./taps.ts";

export const captureSchema = z.strictObject({
  service: z
    .string()
    .max(100)
    .optional()
    .describe('Only frames of this service: "tcp 10.0.0.100:80", "fwm 7"'),
  client: z.string().max(100).optional().describe("Only frames of clients in this network: 203.0.113.0/24"),
  verdicts: z
    .array(z.enum(VERDICT_NAMES as readonly [string, ...string[]]))
    .optional()
    .describe("Only frames that ended so"),
  snap: z.int().min(14).max(65_535).default(65_535).describe("Bytes of each frame at the most"),
  count: z
    .int()
    .min(1)
    .max(2 ** 53 - 1)
    .optional()
    .describe("Packets after which the capture ends"),
});
/** As it is sent, and with its defaults filled in. */
export type CaptureRequest = z.input<typeof captureSchema>;
export type CaptureWish = z.output<typeof captureSchema>;

export class CaptureRequestError extends Error {
  override readonly name = "CaptureRequestError";
}

/** What the request asks for, in rows and numbers. Throws CaptureRequestError. */
export function captureFilter(region: Region, wish: CaptureWish): TapFilter {
  const { service, client, verdicts, snap } = wish;
  return {
    ...EVERYTHING,
    snap,
    ...(verdicts === undefined ? {} : { verdicts: verdictBits(verdicts) }),
    ...(service === undefined ? {} : { service: serviceRow(region, service) }),
    ...(client === undefined ? {} : clientNetwork(client)),
  };
}

function verdictBits(names: readonly string[]): number {
  return names.reduce((bits, name) => bits | (1 << VERDICT_NAMES.indexOf(name as keyof typeof Verdict)), 0);
}

/** "tcp 10.0.0.100:80" in one spelling. */
function serviceText(text: string): string | undefined {
  const mark = /^fwm[ :/](\d+)$/.exec(text);
  if (mark !== null) return `fwm ${Number(mark[1])}`;
  const named = /^(tcp|udp|sctp)[ :/](.*)$/.exec(text);
  const endpoint = parseEndpoint(named?.[2] ?? text);
  return endpoint === undefined ? undefined : `${named?.[1] ?? "tcp"} ${formatEndpoint(endpoint)}`;
}

function serviceRow(region: Region, text: string): number {
  const wanted = serviceText(text);
  if (wanted === undefined)
    throw new CaptureRequestError(`"${text}" names no service; write tcp 10.0.0.100:80, or fwm 7`);
  const { live, capacity } = region.services;
  for (let s = 0; s < capacity; s++) if (live[s] === 1 && serviceName(region, s).text === wanted) return s;
  throw new CaptureRequestError(`there is no service ${wanted}`);
}

function clientNetwork(text: string): Pick<TapFilter, "client" | "clientMask"> {
  const network = parseCidr(text);
  if (network === undefined)
    throw new CaptureRequestError(`"${text}" is no network, such as 203.0.113.0/24, and no address`);
  const bits = isMapped(network.address) ? network.prefix + 96 : network.prefix;
  const word = (w: number): number => maskOfPrefix(Math.min(32, Math.max(0, bits - 32 * w)));
  const mask: Words = [word(0), word(1), word(2), word(3)];
  return { client: network.address, clientMask: mask };
}

/** Where blocks go. */
export interface BlockSink {
  /** Takes a block, or says that it has no room for it now: then the block is lost. */
  write(block: Uint8Array): boolean;
  /** The capture is over: as many packets as were wanted. */
  end(): void;
}

const STATISTICS_MS = 1_000;

export class CaptureStream implements TapSubscriber {
  readonly filter: TapFilter;
  /** Packets written, and packets that found no room in a queue or in the sink. */
  packets = 0;
  missed = 0;
  readonly #region: Region;
  readonly #sink: BlockSink;
  readonly #most: number;
  /** Nanoseconds from the shards' clock to 1970's. */
  readonly #epoch: bigint;
  #lost = 0;
  #told = 0;
  #toldAt = 0;

  constructor(region: Region, wish: CaptureWish, sink: BlockSink) {
    this.#region = region;
    this.#sink = sink;
    this.filter = captureFilter(region, wish);
    this.#most = wish.count ?? Number.POSITIVE_INFINITY;
    this.#epoch = BigInt(Date.now()) * 1_000_000n - nanoseconds(native().monotonic());
  }

  see(record: Readonly<TapRecord>, shard: number): void {
    if (this.packets >= this.#most) return;
    const received = record.kind === TapKind.Received;
    const { seconds, nanoseconds } = this.#time(record.time);
    const block = pcapngPacket({
      interface: 0,
      seconds,
      nanoseconds,
      // Another subscriber may have asked for more of each frame.
      bytes: record.bytes.subarray(0, this.filter.snap),
      originalLength: record.length,
      comments: [this.#comment(record, shard)],
      direction: received ? "inbound" : "outbound",
    });
    if (!this.#sink.write(block)) {
      this.#lost++;
      return;
    }
    this.packets++;
    if (this.packets >= this.#most) this.#sink.end();
  }

  emptied(missed: number): void {
    this.missed = missed + this.#lost;
    const now = native().monotonic();
    if (this.missed === this.#told || now - this.#toldAt < STATISTICS_MS) return;
    this.#toldAt = now;
    this.#told = this.missed;
    this.#sink.write(this.statistics());
  }

  /** How many packets there are and how many are missing, as of now. */
  statistics(): Uint8Array {
    const time = this.#time(native().monotonic());
    return pcapngStatistics({
      interface: 0,
      ...time,
      received: this.packets + this.missed,
      dropped: this.missed,
    });
  }

  #comment(record: Readonly<TapRecord>, shard: number): string {
    const text = endingText(this.#region, record as Readonly<Ending>);
    const by = this.#region.shards.length > 1 ? ` (shard ${shard})` : "";
    if (record.kind === TapKind.Answer) return `Answer to: ${text}${by}`;
    return record.kind === TapKind.Late ? `Had waited for its neighbour. ${text}${by}` : `${text}${by}`;
  }

  #time(milliseconds: number): { seconds: number; nanoseconds: number } {
    const at = this.#epoch + nanoseconds(milliseconds);
    return { seconds: Number(at / 1_000_000_000n), nanoseconds: Number(at % 1_000_000_000n) };
  }
}

/** What a capture file begins with. */
export function captureHead(interfaceName: string, snap: number): Uint8Array {
  const section = pcapngSection("dr-director");
  const declared = pcapngInterface(interfaceName, snap);
  const head = new Uint8Array(section.length + declared.length);
  head.set(section);
  head.set(declared, section.length);
  return head;
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1_000_000));
}
