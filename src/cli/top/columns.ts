/** The table's columns: what each shows, how wide it is, and which go first when the terminal is narrow. */
import type { ServerListing, ServiceListing } from "../../control/model.ts";

export interface Column {
  readonly title: string;
  readonly width: number;
  /** The highest goes first. */
  readonly expendable: number;
  service(service: ServiceListing): string;
  server(server: ServerListing, neighbour: string): string;
}

const SUFFIXES = ["", "k", "M", "G", "T", "P"];

/** "9999", "12.3k", "4.56M": at most six characters. */
export function shortNumber(value: number): string {
  let scaled = value;
  let suffix = 0;
  while (scaled >= 9_999.5 && suffix < SUFFIXES.length - 1) {
    scaled /= 1000;
    suffix++;
  }
  if (suffix === 0) return String(Math.round(scaled));
  return `${scaled >= 999.5 ? scaled.toFixed(0) : scaled.toPrecision(3)}${SUFFIXES[suffix]}`;
}

const total = (service: ServiceListing, of: (server: ServerListing) => number): string =>
  shortNumber(service.servers.reduce((sum, server) => sum + of(server), 0));

function rate(title: string, name: "cps" | "inPps" | "inBps", expendable: number): Column {
  return {
    title,
    width: 9,
    expendable,
    service: ({ rates }) => shortNumber(rates[name]),
    server: ({ rates }) => shortNumber(rates[name]),
  };
}

function count(title: string, name: "activeConns" | "inactiveConns", expendable: number): Column {
  return {
    title,
    width: 8,
    expendable,
    service: (service) => total(service, (server) => server[name]),
    server: (server) => shortNumber(server[name]),
  };
}

export const COLUMNS: readonly Column[] = [
  { title: "sched", width: 6, expendable: 6, service: ({ scheduler }) => scheduler, server: () => "" },
  { title: "weight", width: 6, expendable: 4, service: () => "", server: ({ weight }) => String(weight) },
  count("active", "activeConns", 2),
  count("inactive", "inactiveConns", 5),
  rate("conns/s", "cps", 1),
  rate("packets/s", "inPps", 3),
  rate("bytes/s", "inBps", 7),
  {
    title: "neighbour",
    width: 10,
    expendable: 8,
    service: () => "",
    server: (_, neighbour) => neighbour,
  },
];

/** Narrower than this, and names are cut instead of columns dropped. */
export const LEAST_NAME = 20;

/** The columns that fit beside a name. */
export function fitting(width: number): readonly Column[] {
  let columns = COLUMNS;
  const needed = () => LEAST_NAME + columns.reduce((sum, column) => sum + column.width + 1, 0);
  while (columns.length > 0 && needed() > width) {
    const last = Math.max(...columns.map(({ expendable }) => expendable));
    columns = columns.filter(({ expendable }) => expendable !== last);
  }
  return columns;
}
