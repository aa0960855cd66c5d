/** An explanation in words: the frame's way from its headers to its verdict, a line each. */
import { Setting } from "../table/settings.ts";
import { formatMac } from "../wire/address.ts";
import * as ethernet from "../wire/ethernet.ts";
import { flagNames } from "../wire/value/tcp.ts";
import type { Context } from "./context.ts";
import type { ConnectionPicture, Explanation } from "./explanation.ts";
import { NO_FLAGS } from "./frames.ts";
import { endpointText } from "./naming.ts";
import { isMartian } from "./schedule.ts";
import { Verdict } from "./verdict.ts";

export type Told = Omit<Explanation, "notes" | "words">;

export interface Happened {
  readonly running: boolean;
  readonly evicted: boolean;
  readonly rateLimited: boolean;
}

/** What cannot be seen from where explain stands, or would be missed. */
export function explanationNotes(told: Told, { running, evicted, rateLimited }: Happened): string[] {
  const notes: string[] = [];
  if (told.kind === "fragment") {
    notes.push(
      "A shard remembers datagrams in its own memory: only the pieces given here are known, not those that it has seen.",
    );
  }
  const scheduler = told.scheduling?.scheduler ?? "";
  if (running && /^lblcr?$/.test(scheduler)) {
    notes.push(
      `${scheduler} remembers addresses in each shard's own memory, which cannot be read: the choice may differ.`,
    );
  }
  if (running && told.sent.some(({ what }) => what === "answer"))
    notes.push("The running director may be at its limit of ICMP errors and then send no answer.");
  if (evicted) notes.push("The table was full: the connection that was half-open longest made room.");
  if (rateLimited) notes.push("An answer was due and not sent: the limit of ICMP errors was reached.");
  return notes;
}

/** `context` is that of the shard after the frame's turn: frame 0 of its burst. */
export function explanationWords(told: Told, context: Context): string[] {
  return [
    `Frame: ${told.frame.summary || "nothing readable"} (${told.frame.length} bytes).`,
    ...shardWords(told),
    ...connectionWords(told),
    ...serviceWords(told),
    ...schedulingLines(told),
    ...templateWords(told),
    ...serverWords(told),
    `Verdict ${told.verdict.name}: ${told.verdict.sentence}`,
    ...reasonWords(told, context),
    ...sentWords(told),
  ];
}

function shardWords({ shards, flow }: Told): string[] {
  if (shards.of === 1) return [];
  const home = shards.way.at(-1);
  const way = shards.way.length > 1 ? `, by way of ${shards.way.slice(0, -1).join(", ")}` : "";
  const why = flow === null ? "" : ` (flow hash ${flow.hash})`;
  return [`Shard: ${home} of ${shards.of}${way}${why}.`];
}

function serviceWords({ service, flow }: Told): string[] {
  if (flow === null || !service.decides) return [];
  if (service.found === null && service.candidates.length === 0) return ["Service: there is none at all."];
  const by = {
    mark: `by firewall mark ${flow.mark}`,
    exact: "by address, protocol and port",
    ftp: "as FTP's data connection",
    "port-zero": "as the service of every other port",
  };
  const lines = [
    service.found === null
      ? `Service: none for ${flow.protocol} ${endpointText(flow.virtual, flow.virtualPort)}.`
      : `Service: ${service.found.text}, found ${by[service.by ?? "exact"]}.`,
  ];
  for (const { service: other, found, words } of service.candidates.slice(0, 4))
    if (!found) lines.push(`  not ${other.text}: ${words}.`);
  return lines;
}

function connectionWords({ connection, flow }: Told): string[] {
  const { what, before, after } = connection;
  if (flow === null) return [];
  if (before === null || after === null) {
    return [
      after === null
        ? "Connection: none is known."
        : `Connection: made now, in state ${after.state}, ${timeWords(after)}.`,
    ];
  }
  if (what === "replaced") {
    const old = `one to ${before.server.text} in state ${before.state} had ended`;
    return [`Connection: ${old}; a new one to ${after.server.text} is in state ${after.state}.`];
  }
  const moved =
    before.state === after.state
      ? `stays in state ${after.state}`
      : `goes from ${before.state} to ${after.state}`;
  return [`Connection: known, to ${after.server.text}; it ${moved}, ${timeWords(after)}.`];
}

function timeWords({ expiresIn, active }: ConnectionPicture): string {
  return `counted ${active ? "active" : "inactive"}, ends after ${Math.round(expiresIn / 1000)} s of silence`;
}

function schedulingLines({ scheduling }: Told): string[] {
  if (scheduling === null) return [];
  const flags = scheduling.flags.length === 0 ? "" : ` (${scheduling.flags.join(", ")})`;
  return [
    `Scheduler: ${scheduling.scheduler}${flags}: ${scheduling.words}.`,
    ...scheduling.members.slice(0, 16).map((member) => {
      const { server, weight, active, inactive, available, overloaded, chosen } = member;
      const why = available ? "" : overloaded ? ", overloaded" : ", quiesced";
      const mark = chosen ? "→" : " ";
      return ` ${mark} ${server.text} weight ${weight}, ${active} active, ${inactive} inactive${why}`;
    }),
  ];
}

function templateWords({ template }: Told): string[] {
  if (template === null) return [];
  const { what, client, server, connections } = template;
  const verb = what === "found" ? "known: clients of" : "made: from now on clients of";
  return [`Persistence: template ${verb} ${client} go to ${server.text} (${connections} connections on it).`];
}

function serverWords({ destination, neighbour }: Told): string[] {
  if (destination === null) return [];
  const { server, weight, deleted } = destination;
  const lines = [`Real server: ${server.text}, weight ${weight}${deleted ? ", deleted" : ""}.`];
  if (neighbour === null) return lines;
  const { address, mac, state, usable } = neighbour;
  const where = mac === null ? "its MAC address is not known" : `at ${mac}`;
  const may = usable ? "" : ": nothing can be sent there now";
  return [...lines, `Neighbour: ${address} ${where}, ${state}${may}.`];
}

/** What in this frame or these tables led to the verdict, where the verdict's own sentence does not say it. */
function reasonWords(told: Told, context: Context): string[] {
  const { settings, frames, directory } = context;
  const bytes = bytesOf(told.frame.bytes);
  switch (told.verdict.number) {
    case Verdict.OtherHost: {
      const own = formatMac({ hi: directory.station.macHi, lo: directory.station.macLo >>> 0 });
      return [`  It is addressed to ${macText(bytes, 0)}, the director is ${own}.`];
    }
    case Verdict.Loop:
      return [`  It was sent by ${macText(bytes, ethernet.ETH_SOURCE)}.`];
    case Verdict.NoConnection:
      return [`  Its TCP flags are ${flagsText(frames.tcpFlags[0]!)}: only a SYN opens a connection.`];
    case Verdict.TooBig:
      return [`  The packet has ${frames.bytes[0]} bytes, the link takes ${settings[Setting.mtu]}.`];
    case Verdict.Malformed:
      return told.flow !== null && isMartian(context) ? ["  No host may send from its source address."] : [];
    case Verdict.NotScheduled:
      return [
        told.destination?.method === "local"
          ? "  The real server is this very host: its stack takes the packet itself."
          : "  Its source port is 20, FTP's data port.",
      ];
    case Verdict.Waiting:
      return told.kind === "fragment" && told.destination === null
        ? ["  It carries no ports: who gets it is known when the first fragment has come."]
        : ["  It goes out as soon as the real server has answered ARP."];
    default:
      return [];
  }
}

function flagsText(flags: number): string {
  return flags === NO_FLAGS ? "cut off" : flagNames(flags);
}

function bytesOf(hex: string): DataView {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return new DataView(bytes.buffer);
}

function macText(frame: DataView, at: number): string {
  if (frame.byteLength < at + 6) return "nobody";
  return formatMac({ hi: ethernet.macHi(frame, at), lo: ethernet.macLo(frame, at) });
}

function sentWords({ sent, frame }: Told): string[] {
  return sent.map(({ what, changed, headers, summary }) => {
    if (what === "answer") return `Answer: ${summary}.`;
    if (changed.length === 0) return "Sent: not a byte was changed.";
    const fields = headers
      .flatMap((header, h) =>
        header.fields.map((field) => ({
          field,
          before: frame.headers[h]?.fields.find((f) => f.key === field.key),
        })),
      )
      .filter(({ field, before }) => before !== undefined && before.value !== field.value)
      .map(({ field, before }) => `${field.name} ${before!.value} → ${field.value}`);
    const rest = changed.every((at) => at < 12) ? "; nothing from byte 12 on" : "";
    return `Sent: changed ${fields.join(", ")}${rest}.`;
  });
}
