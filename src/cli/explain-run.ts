/** What `dr-director explain` does: finds the frame, asks a director on paper or a running one, and prints. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { AskedFrameError, type AskedPacket, buildFrame, parseHex } from "../control/asked-frame.ts";
import { ConfigError, parseConfig } from "../control/config.ts";
import type { ExplainRequest } from "../control/explain-api.ts";
import { Offline } from "../control/offline.ts";
import { offlineSetup, virtualAddresses } from "../control/offline-config.ts";
import { loadSchedulers, SchedulerModuleError } from "../control/scheduler-modules.ts";
import type { Explanation } from "../dataplane/explanation.ts";
import { Player } from "../dataplane/player.ts";
import { REPLAY_BEGIN } from "../dataplane/replay.ts";
import { styleFor } from "../lab/style.ts";
import { formatMac, parseMac } from "../wire/address.ts";
import { type CapturedPacket, CaptureError, LINKTYPE_ETHERNET } from "../wire/capture.ts";
import { readCapture } from "../wire/capture-reader.ts";
import { ApiClient, ApiError } from "./api-client.ts";
import { DirectorUnreachable } from "./director-client.ts";
import { explanationText } from "./explain-text.ts";
import { directorMacOf, wholeFrame } from "./packets.ts";
import { UsageError } from "./usage-error.ts";

export interface ExplainFlags {
  from?: string;
  to?: string;
  protocol?: AskedPacket["protocol"];
  flags?: string;
  payload?: number;
  ttl?: number;
  config?: string;
  socket?: string;
  mac?: string;
  toUs?: true;
  alone?: true;
  scheduler?: string[];
  json?: true;
}

/** The frame asked about, and what came before it in its capture. */
interface Asked {
  readonly frame: Uint8Array | undefined;
  readonly packet: AskedPacket | undefined;
  readonly before: readonly CapturedPacket[];
  /** Every frame of the capture, or the one there is. */
  readonly all: readonly Uint8Array[];
  /** The frame's own time in its capture. */
  readonly at: CapturedPacket | undefined;
}

export async function runExplain(
  what: string | undefined,
  number: number | undefined,
  flags: ExplainFlags,
): Promise<number> {
  try {
    const asked = readAsked(what, number, flags);
    const told = flags.config === undefined ? await askRunning(asked, flags) : await onPaper(asked, flags);
    const style = styleFor(process.stdout.isTTY === true);
    process.stdout.write(
      flags.json === true ? `${JSON.stringify(told, null, 2)}\n` : explanationText(told, style),
    );
    return 0;
  } catch (error) {
    const code = exitCodeOf(error);
    if (code === undefined) throw error;
    const message = (error as Error).message;
    process.stderr.write(error instanceof ConfigError ? `${message}\n` : `dr-director explain: ${message}\n`);
    return code;
  }
}

function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof UsageError) return error.exitCode;
  const expected = [
    AskedFrameError,
    ConfigError,
    CaptureError,
    SchedulerModuleError,
    ApiError,
    DirectorUnreachable,
    RangeError,
  ];
  if (expected.some((type) => error instanceof type)) return 1;
  return error instanceof Error && "code" in error ? 1 : undefined;
}

function readAsked(what: string | undefined, number: number | undefined, flags: ExplainFlags): Asked {
  const described = flags.from !== undefined || flags.to !== undefined;
  if (described) {
    if (what !== undefined) throw new UsageError("either a frame or --from and --to, not both");
    return { frame: undefined, packet: describedPacket(flags), before: [], all: [], at: undefined };
  }
  if (what !== undefined && existsSync(what)) return captured(what, number ?? 1);
  if (number !== undefined) throw new UsageError(`there is no file ${what}`);
  const frame = what === undefined || what === "-" ? parseHex(readFileSync(0, "utf8")) : hexOrFile(what);
  return { frame, packet: undefined, before: [], all: [frame], at: undefined };
}

/** An argument that is no file's name: a frame in hex, or a name that was misspelt. */
function hexOrFile(what: string): Uint8Array {
  try {
    return parseHex(what);
  } catch (error) {
    if (!(error instanceof AskedFrameError)) throw error;
    throw new AskedFrameError(`there is no file "${what}", and as a frame in hex: ${error.message}`);
  }
}

function describedPacket(flags: ExplainFlags): AskedPacket {
  const { from, to, protocol, flags: letters, payload, ttl } = flags;
  if (from === undefined || to === undefined) throw new UsageError("--from and --to belong together");
  return {
    from,
    to,
    ...(protocol === undefined ? {} : { protocol }),
    ...(letters === undefined ? {} : { flags: letters }),
    ...(payload === undefined ? {} : { payload }),
    ...(ttl === undefined ? {} : { ttl }),
  };
}

function captured(file: string, number: number): Asked {
  const { packets, interfaces, warning } = readCapture(readFileSync(file));
  if (warning !== undefined) process.stderr.write(`${file}: ${warning}\n`);
  const at = packets[number - 1];
  if (at === undefined) throw new UsageError(`${file} has ${packets.length} packets, there is no ${number}`);
  if (interfaces[at.interface]?.linkType !== LINKTYPE_ETHERNET)
    throw new UsageError(`packet ${number} of ${file} is no Ethernet frame`);
  const ethernet = (packet: CapturedPacket): boolean =>
    interfaces[packet.interface]?.linkType === LINKTYPE_ETHERNET;
  return {
    frame: wholeFrame(at),
    packet: undefined,
    before: packets.slice(0, number - 1).filter(ethernet),
    all: packets.filter(ethernet).map((packet) => packet.bytes),
    at,
  };
}

async function askRunning({ frame, packet }: Asked, flags: ExplainFlags): Promise<Explanation> {
  if (flags.mac !== undefined)
    throw new UsageError("--mac goes with --config: a running director has its own");
  const body: ExplainRequest =
    packet !== undefined
      ? { packet }
      : { frame: Buffer.from(frame!).toString("hex"), toUs: flags.toUs === true };
  return new ApiClient(flags.socket).post<Explanation>("/v1/explain", body);
}

const PAPER_MAC = "02:00:00:00:00:01";

async function onPaper(asked: Asked, flags: ExplainFlags): Promise<Explanation> {
  const file = flags.config!;
  await loadSchedulers((flags.scheduler ?? []).map((path) => resolve(path)));
  const config = parseConfig(readFileSync(file, "utf8"), file);
  if (flags.mac !== undefined && parseMac(flags.mac) === undefined)
    throw new UsageError(`--mac ${flags.mac}: no MAC address, such as 02:00:00:00:00:01`);
  const guessed = directorMacOf(asked.all, virtualAddresses(config));
  const mac = flags.mac ?? (guessed === undefined ? PAPER_MAC : formatMac(guessed));
  const offline = new Offline(offlineSetup(config, { mac }), { now: REPLAY_BEGIN });
  const player = new Player(offline.region);
  const assumed = [...offline.assumed, ...macNote(flags, guessed !== undefined, mac, asked)];
  let now = REPLAY_BEGIN;
  if (flags.alone !== true) {
    for (const packet of asked.before) {
      now = Math.max(now, REPLAY_BEGIN + since(asked.before[0]!, packet));
      player.play(wholeFrame(packet), now);
    }
    if (asked.at !== undefined && asked.before[0] !== undefined)
      now = Math.max(now, REPLAY_BEGIN + since(asked.before[0], asked.at));
  }
  const frame = asked.frame ?? buildFrame(asked.packet!, parseMac(mac)!);
  const told = player.play(frame, now, { explain: true }).explanation!;
  const earlier = flags.alone === true ? 0 : asked.before.length;
  const played = earlier === 0 ? [] : [`The ${earlier} packets before it in the capture were played first.`];
  return { ...told, notes: [...assumed, ...played, ...told.notes] };
}

function macNote(flags: ExplainFlags, guessed: boolean, mac: string, asked: Asked): string[] {
  if (flags.mac !== undefined || asked.packet !== undefined) return [];
  return guessed
    ? [
        `The director is taken to be ${mac}, whom frames to a virtual address are sent to (--mac says otherwise).`,
      ]
    : [`No frame goes to a virtual address: the director is taken to be ${mac} (--mac says otherwise).`];
}

function since(first: CapturedPacket, packet: CapturedPacket): number {
  return (packet.seconds - first.seconds) * 1000 + (packet.nanoseconds - first.nanoseconds) / 1e6;
}
