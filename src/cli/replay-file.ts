/** One capture through a director on paper: what became of its frames, and what went out as a capture of its own. */
import type { Config } from "../control/config.ts";
import { Offline } from "../control/offline.ts";
import { offlineSetup, virtualAddresses } from "../control/offline-config.ts";
import { serverName, serviceName } from "../dataplane/naming.ts";
import { endingText } from "../dataplane/outcome.ts";
import { REPLAY_BEGIN, Replay } from "../dataplane/replay.ts";
import { VERDICT_NAMES, type Verdict } from "../dataplane/verdict.ts";
import { STAT_BYTES, STAT_CONNECTIONS, STAT_PACKETS, STATS } from "../table/counters.ts";
import { Life } from "../table/destinations.ts";
import type { Region } from "../table/region.ts";
import { schedulerName } from "../table/services.ts";
import { formatMac } from "../wire/address.ts";
import type { CapturedPacket } from "../wire/capture.ts";
import { pcapngInterface, pcapngPacket, pcapngSection } from "../wire/pcapng-writer.ts";
import { openCapture, PieceWriter } from "./capture-file.ts";
import { directorMacOf } from "./packets.ts";

/** Plain data: it goes to a worker thread. */
export interface ReplayJob {
  readonly file: string;
  readonly config: Config;
  /** Where the frames that go out are written, if anywhere. */
  readonly out?: string;
  /** Write the received frames too, each with its verdict. */
  readonly all: boolean;
  readonly mac?: string;
  readonly version: string;
}

export interface ServerReport {
  readonly server: string;
  readonly connections: number;
  readonly packets: number;
  readonly bytes: number;
}

export interface ServiceReport {
  readonly service: string;
  readonly scheduler: string;
  readonly servers: readonly ServerReport[];
}

export interface ReplayReport {
  readonly file: string;
  /** Frames played: the sum of the verdicts. */
  readonly frames: number;
  /** Packets left out because they are no Ethernet frames. */
  readonly skipped: number;
  /** Of the capture, from its first frame to its last. */
  readonly seconds: number;
  readonly director: { readonly mac: string; readonly from: "option" | "capture" | "nothing" };
  /** By verdict's name, those that are not 0. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly services: readonly ServiceReport[];
  readonly sent: { readonly forwarded: number; readonly answers: number; readonly released: number };
  /** Why the file was read only in part; null when it was read whole. */
  readonly warning: string | null;
}

const PAPER_MAC = "02:00:00:00:00:01";

/** Throws CaptureError, Error of the file system, or Error for a config that cannot be carried out. */
export function replayFile(job: ReplayJob, progress: (share: number) => void = () => {}): ReplayReport {
  const director = directorOf(job);
  const offline = new Offline(offlineSetup(job.config, { mac: director.mac }), { now: REPLAY_BEGIN });
  const capture = openCapture(job.file);
  const writer = job.out === undefined ? undefined : new PieceWriter(job.out);
  try {
    const counts = new Float64Array(VERDICT_NAMES.length);
    const sent = { forwarded: 0, answers: 0, released: 0 };
    const times = { first: undefined as CapturedPacket | undefined, last: 0 };
    writer?.write(pcapngSection(`dr-director ${job.version} replay`));
    writer?.write(pcapngInterface("director"));
    const replay = new Replay(offline.region, {
      packets: capture.packets,
      interfaces: capture.interfaces,
      decided: (packet, ending) => {
        counts[ending.verdict]!++;
        times.first ??= packet;
        times.last = Math.max(times.last, secondsBetween(times.first, packet));
        if (!job.all) return;
        const comments = [endingText(offline.region, ending)];
        writer?.write(pcapngPacket({ ...packet, interface: 0, comments, direction: "inbound" }));
      },
      sent: ({ what, bytes, originalLength, time }, ending) => {
        sent[what === "answer" ? "answers" : what]++;
        if (writer === undefined) return;
        const text = endingText(offline.region, ending);
        const comments = [
          what === "answer" ? `Answer to: ${text}` : what === "released" ? `Had waited. ${text}` : text,
        ];
        const packet = { interface: 0, ...time, bytes, originalLength, comments };
        writer.write(pcapngPacket({ ...packet, direction: "outbound" }));
      },
    });
    for (let n = 0; replay.step(); n++) if ((n & 0x3ff) === 0) progress(capture.read() / capture.bytes);
    return {
      file: job.file,
      frames: counts.reduce((sum, count) => sum + count, 0),
      skipped: replay.skipped,
      seconds: times.last,
      director,
      verdicts: byName(counts),
      services: servicesOf(offline.region),
      sent,
      warning: capture.warning() ?? null,
    };
  } finally {
    writer?.close();
    capture.close();
  }
}

function directorOf(job: ReplayJob): ReplayReport["director"] {
  if (job.mac !== undefined) return { mac: job.mac, from: "option" };
  const capture = openCapture(job.file);
  try {
    const mac = directorMacOf(framesOf(capture.packets), virtualAddresses(job.config));
    return mac === undefined ? { mac: PAPER_MAC, from: "nothing" } : { mac: formatMac(mac), from: "capture" };
  } finally {
    capture.close();
  }
}

function* framesOf(packets: Iterable<CapturedPacket>): Generator<Uint8Array> {
  for (const packet of packets) yield packet.bytes;
}

function secondsBetween(first: CapturedPacket, packet: CapturedPacket): number {
  return packet.seconds - first.seconds + (packet.nanoseconds - first.nanoseconds) / 1e9;
}

function byName(counts: Float64Array): Record<string, number> {
  const entries = VERDICT_NAMES.map((name, v) => [name, counts[v as Verdict]!] as const);
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

/** In the order of the config; each service's servers in the order in which they were added. */
function servicesOf(region: Region): ServiceReport[] {
  const { services, destinations } = region;
  const stats = region.shards[0]!.counters.destination;
  const reports: ServiceReport[] = [];
  for (let s = 0; s < services.capacity; s++) {
    if (services.live[s] !== 1) continue;
    const servers: ServerReport[] = [];
    for (let d = 0; d < destinations.capacity; d++) {
      if (destinations.life[d] !== Life.Live || destinations.service[d] !== s) continue;
      const at = d * STATS;
      servers.push({
        server: serverName(region, d).text,
        connections: stats[at + STAT_CONNECTIONS]!,
        packets: stats[at + STAT_PACKETS]!,
        bytes: stats[at + STAT_BYTES]!,
      });
    }
    reports.push({ service: serviceName(region, s).text, scheduler: schedulerName(services, s), servers });
  }
  return reports;
}
