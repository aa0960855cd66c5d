/** The screen as lines of text, from what was seen and the view on it. Pure, for any width and height. */
import type { DirectorCounters } from "../../control/counters.ts";
import type { ServerListing, ServiceListing } from "../../control/model.ts";
import { serviceName } from "../plan-text.ts";
import { type Column, fitting, shortNumber } from "./columns.ts";
import type { Snapshot } from "./snapshot.ts";
import { KEYS, type Sort, type View } from "./view.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Screen {
  readonly lines: readonly string[];
  /** Rows of the table that fit: what PgUp and PgDn move by. */
  readonly page: number;
  /** The furthest the table can be scrolled. */
  readonly most: number;
}

const HEADER = 2;
/** What the table keeps of a low screen before the verdicts get any. */
const LEAST_TABLE = 5;

export function drawScreen(
  now: Snapshot,
  before: Snapshot | undefined,
  view: View,
  size: Size,
  trouble = "",
): Screen {
  if (view.help) return { lines: cut(helpLines(), size), page: 1, most: 0 };
  const columns = fitting(size.width);
  const rows = tableRows(now, view, columns, size.width);
  const room = Math.max(0, size.height - HEADER - 2);
  const verdicts = view.verdicts ? verdictLines(now, before, size.width) : [];
  const below = verdicts.slice(0, Math.max(0, room - Math.min(LEAST_TABLE, rows.length)));
  const page = Math.max(1, room - below.length);
  const most = Math.max(0, rows.length - page);
  const from = Math.min(view.scroll, most);
  const shown = rows.slice(from, from + page);
  const blank = Array.from({ length: Math.max(0, room - shown.length - below.length) }, () => "");
  const lines = [
    titleLine(view, trouble),
    summaryLine(now, before),
    tableHead(columns, size.width),
    ...shown,
    ...below,
    ...blank,
    keysLine(from, most),
  ];
  return { lines: cut(lines, size), page, most };
}

/** Everything, without a terminal's limits. */
export function plainLines(now: Snapshot, before: Snapshot | undefined, view: View): string[] {
  const columns = fitting(200);
  const width = 100;
  return [
    summaryLine(now, before),
    "",
    tableHead(columns, width),
    ...tableRows(now, view, columns, width),
    ...verdictLines(now, before, width),
  ].map((line) => line.trimEnd());
}

function cut(lines: readonly string[], { width, height }: Size): string[] {
  return lines.slice(0, Math.max(0, height)).map((line) => [...line].slice(0, width).join(""));
}

function titleLine({ sort, reverse, paused, interval }: View, trouble: string): string {
  const order = `${sort}${reverse ? ", reversed" : ""}`;
  const state = trouble !== "" ? trouble : paused ? "paused" : `every ${interval} s`;
  return `dr-director top — ${state} — sorted: ${order}`;
}

/** How fast something grows between two looks; undefined when there was only one. */
function growth(now: Snapshot, before: Snapshot | undefined, of: (counters: DirectorCounters) => number) {
  if (before === undefined || now.at <= before.at) return undefined;
  return Math.max(0, ((of(now.counters) - of(before.counters)) * 1000) / (now.at - before.at));
}

function summaryLine(now: Snapshot, before: Snapshot | undefined): string {
  const { counters, services } = now;
  const live = counters.shards.reduce((sum, { counts }) => sum + counts.Live, 0);
  const speed = growth(now, before, ({ received }) => received);
  const frames =
    speed === undefined ? `${shortNumber(counters.received)} frames` : `${shortNumber(speed)} frames/s`;
  const shards = counters.shards.length === 1 ? "1 shard" : `${counters.shards.length} shards`;
  const parts = [`${services.length} services`, frames, `${shortNumber(live)} connections`, shards];
  return [...parts, `${shortNumber(counters.ringDrops)} dropped before the ring`].join(" · ");
}

function nameWidth(columns: readonly Column[], width: number): number {
  return Math.max(1, width - columns.reduce((sum, column) => sum + column.width + 1, 0));
}

function tableHead(columns: readonly Column[], width: number): string {
  return row(
    "service, real servers",
    columns.map(({ title }) => title),
    columns,
    width,
  );
}

function row(name: string, cells: readonly string[], columns: readonly Column[], width: number): string {
  const room = nameWidth(columns, width);
  const shown = name.length > room ? `${name.slice(0, room - 1)}…` : name.padEnd(room);
  return shown + columns.map((column, i) => ` ${(cells[i] ?? "").padStart(column.width)}`).join("");
}

function tableRows(now: Snapshot, view: View, columns: readonly Column[], width: number): string[] {
  return sorted(now.services, view, serviceValue).flatMap((service) => [
    row(
      serviceName(service.key),
      columns.map((column) => column.service(service)),
      columns,
      width,
    ),
    ...sorted(service.servers, view, serverValue).map((server) => {
      const neighbour = now.neighbours.get(server.address) ?? "";
      return row(
        `  ${server.address}`,
        columns.map((column) => column.server(server, neighbour)),
        columns,
        width,
      );
    }),
  ]);
}

function sorted<T>(
  items: readonly T[],
  { sort, reverse }: View,
  value: (item: T, sort: Sort) => number,
): T[] {
  // Listings come newest first.
  const list =
    sort === "as added" ? [...items].reverse() : [...items].sort((a, b) => value(b, sort) - value(a, sort));
  return reverse ? list.reverse() : list;
}

function serviceValue({ rates, servers }: ServiceListing, sort: Sort): number {
  const sum = (of: (server: ServerListing) => number) =>
    servers.reduce((total, server) => total + of(server), 0);
  if (sort === "active") return sum(({ activeConns }) => activeConns);
  return sort === "weight" ? sum(({ weight }) => weight) : rateValue(rates, sort);
}

function serverValue({ rates, activeConns, weight }: ServerListing, sort: Sort): number {
  if (sort === "active") return activeConns;
  return sort === "weight" ? weight : rateValue(rates, sort);
}

function rateValue(rates: ServiceListing["rates"], sort: Sort): number {
  if (sort === "conns/s") return rates.cps;
  return sort === "packets/s" ? rates.inPps : rates.inBps;
}

/** The verdicts that occurred, most frequent first. */
function verdictLines(now: Snapshot, before: Snapshot | undefined, width: number): string[] {
  const occurred = Object.entries(now.counters.verdicts)
    .filter(([, count]) => count !== 0)
    .sort(([, a], [, b]) => b - a);
  const room = Math.max(8, Math.min(30, width - 26));
  const line = (name: string, count: string, speed: string) =>
    `${name.padEnd(room)} ${count.padStart(12)} ${speed.padStart(11)}`;
  const lines = occurred.map(([name, count]) => {
    const speed = growth(now, before, ({ verdicts }) => verdicts[name as keyof typeof verdicts]);
    return line(name, String(count), speed === undefined ? "" : shortNumber(speed));
  });
  return ["", line("verdict", "frames", "frames/s"), ...lines];
}

function keysLine(from: number, most: number): string {
  const keys = "q quit  p pause  s sort  r reverse  v verdicts  +/- interval  h help";
  return most === 0 ? keys : `${keys}  ↑↓ ${from + 1}/${most + 1}`;
}

function helpLines(): string[] {
  const width = Math.max(...KEYS.map(([keys]) => keys.length));
  return [
    "dr-director top",
    "",
    ...KEYS.map(([keys, what]) => `  ${keys.padEnd(width)}  ${what}`),
    "",
    "Rates are the kernel estimator's, as dradm -L --rate shows them; of verdicts, between two looks.",
    "",
    "h goes back",
  ];
}
