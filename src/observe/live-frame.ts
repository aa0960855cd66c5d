/** A frame that a shard showed, as the page is told of it: what came, what went, and what the tables say of it. */
import { serverName, serviceName, stateName } from "../dataplane/naming.ts";
import { ConnectionPart } from "../dataplane/outcome.ts";
import { neighbourPicture } from "../dataplane/pictures.ts";
import { VERDICT_NAMES, Verdict } from "../dataplane/verdict.ts";
import { ServiceView } from "../schedulers/service-view.ts";
import { ConnectionFlag } from "../table/connections.ts";
import type { Region } from "../table/region.ts";
import { NONE, schedulerName } from "../table/services.ts";
import { TapKind, type TapRecord } from "../table/tap.ts";
import type { LiveConnection, LiveFrame } from "./live-events.ts";

/** Members told of one service at the most. */
const MEMBERS = 16;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Puts the records of one shard together to frames: a frame that is sent comes as it came and as it goes, in turn. */
export class FramePairs {
  readonly #region: Region;
  readonly #shard: number;
  #open: Mutable<LiveFrame> | undefined;

  constructor(region: Region, shard: number) {
    this.#region = region;
    this.#shard = shard;
  }

  /** A frame that is complete with this record; undefined while its second half is to come. */
  take(record: Readonly<TapRecord>, id: number, now: number): LiveFrame | undefined {
    if (record.kind === TapKind.Sent) {
      const open = this.#open;
      this.#open = undefined;
      if (open !== undefined) open.after = base64(record.bytes);
      return open;
    }
    const frame = this.#begin(record, id, now);
    const goesOn = record.kind === TapKind.Received && record.verdict === Verdict.Forwarded;
    this.#open = goesOn ? frame : undefined;
    return goesOn ? undefined : frame;
  }

  #begin(record: Readonly<TapRecord>, id: number, now: number): Mutable<LiveFrame> {
    const region = this.#region;
    const { kind, verdict, service, destination } = record;
    const late = kind === TapKind.Late;
    const named = service !== NONE && region.services.live[service] === 1;
    const neighbour = destination === NONE ? NONE : region.destinations.neighbour[destination]!;
    return {
      id,
      time: record.time,
      shard: this.#shard,
      kind: kind === TapKind.Answer ? "icmp" : "request",
      late,
      verdict: VERDICT_NAMES[verdict]!,
      length: record.length,
      before: base64(record.bytes),
      after: late && verdict === Verdict.Forwarded ? base64(record.bytes) : null,
      service: named ? serviceName(region, service).text : null,
      server: destination === NONE ? null : serverName(region, destination).address,
      connection: connectionOf(record),
      scheduling: named && wasScheduled(record) ? schedulingOf(region, service, destination) : null,
      neighbour: neighbour === NONE ? null : neighbourPicture(region, neighbour, now),
    };
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function connectionOf({ connection, protocol, status }: Readonly<TapRecord>): LiveConnection | null {
  if (connection === ConnectionPart.None) return null;
  return {
    what: connection === ConnectionPart.Made ? "made" : "found",
    state: stateName(protocol, status),
    active: (status & ConnectionFlag.Inactive) === 0,
  };
}

function wasScheduled({ connection, verdict, kind }: Readonly<TapRecord>): boolean {
  return (
    kind === TapKind.Received && (connection === ConnectionPart.Made || verdict === Verdict.NoDestination)
  );
}

function schedulingOf(region: Region, service: number, chosen: number): LiveFrame["scheduling"] {
  const view = new ServiceView(region, service);
  view.refresh();
  const members = Array.from(view.members.subarray(0, Math.min(view.count, MEMBERS)), (d) => ({
    server: serverName(region, d),
    weight: view.weight(d),
    active: view.active(d),
    inactive: view.inactive(d),
    overloaded: view.overloaded(d),
    available: view.available(d),
    chosen: d === chosen,
  }));
  return { scheduler: schedulerName(region.services, service), members };
}
