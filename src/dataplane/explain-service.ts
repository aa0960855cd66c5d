/** Which service a flow's frame finds, by the data path's own look-up, and what keeps the others from matching. */
import type { Region } from "../table/region.ts";
import type { Context } from "./context.ts";
import { CANDIDATES, type CandidateTold, type ServiceSearch } from "./explanation.ts";
import { markOf } from "./mark.ts";
import { addressText, protocolText, serviceName } from "./naming.ts";
import { findService } from "./schedule.ts";

type Part = "family" | "protocol" | "address" | "port" | "mark";

/** `context.flow` describes the frame; `decides` says whether the data path looked for a service at all. */
export function searchService(context: Context, protocol: number, decides: boolean): ServiceSearch {
  const { region } = context;
  const s = findService(context, protocol);
  const mark = markOf(context, protocol);
  const rows = liveServices(region);
  const candidates = rows
    .map((row) => candidate(context, row, protocol, mark, s))
    .sort((a, b) => Number(b.found) - Number(a.found) || closeness(b) - closeness(a))
    .slice(0, CANDIDATES);
  return {
    found: s < 0 ? null : serviceName(region, s),
    by: s < 0 ? null : foundBy(context, s),
    decides,
    candidates,
    omitted: rows.length - candidates.length,
  };
}

/** Every service, for a frame of which no flow was read. */
export function noSearch(region: Region): ServiceSearch {
  return { found: null, by: null, decides: false, candidates: [], omitted: liveServices(region).length };
}

function liveServices({ services }: Region): number[] {
  const rows: number[] = [];
  for (let s = 0; s < services.capacity; s++) if (services.live[s] === 1) rows.push(s);
  return rows;
}

function foundBy({ region, flow }: Context, s: number): ServiceSearch["by"] {
  if (region.services.mark[s] !== 0) return "mark";
  const port = region.services.port[s]!;
  if (port === flow.virtualPort) return "exact";
  return port === 0 ? "port-zero" : "ftp";
}

/** An equal address says more than an equal port, and that more than the rest. */
function closeness({ equal }: CandidateTold): number {
  const worth: Readonly<Record<string, number>> = { address: 8, mark: 8, port: 4, protocol: 2, family: 1 };
  return equal.reduce((sum, part) => sum + (worth[part] ?? 0), 0);
}

function candidate(
  context: Context,
  row: number,
  protocol: number,
  mark: number,
  found: number,
): CandidateTold {
  const { services } = context.region;
  const { flow } = context;
  const marked = services.mark[row] !== 0;
  const parts: [Part, boolean][] = marked
    ? [
        ["mark", services.mark[row] === mark],
        ["family", services.family[row] === flow.family],
      ]
    : [
        ["family", services.family[row] === flow.family],
        ["address", sameAddress(context, row)],
        ["protocol", services.protocol[row] === protocol],
        ["port", services.port[row] === flow.virtualPort],
      ];
  const equal = parts.filter(([, same]) => same).map(([part]) => part);
  const differs = parts.filter(([, same]) => !same).map(([part]) => part);
  const words = row === found ? "this one" : whyNot(context, row, equal, differs, protocol, mark);
  return { service: serviceName(context.region, row), found: row === found, equal, differs, words };
}

function sameAddress({ region, flow }: Context, row: number): boolean {
  const { address } = region.services;
  for (let w = 0; w < 4; w++) if (address[row * 4 + w] !== flow.words[4 + w]! >>> 0) return false;
  return true;
}

function whyNot(
  context: Context,
  row: number,
  equal: readonly Part[],
  differs: readonly Part[],
  protocol: number,
  mark: number,
): string {
  const { services } = context.region;
  const { flow } = context;
  if (differs.length === 0) return "it matches too, but another one goes before it";
  if (differs.length === 1 && differs[0] === "port" && services.port[row] === 0)
    return "it takes every port, but a service with the exact port, or a mark, goes before it";
  const told = differs.map((part) => {
    if (part === "port") return `port ${services.port[row]} is not ${flow.virtualPort}`;
    if (part === "protocol")
      return `protocol ${protocolText(services.protocol[row]!)} is not ${protocolText(protocol)}`;
    if (part === "mark") return `mark ${services.mark[row]} is not the frame's ${mark}`;
    if (part === "family") return `IPv${services.family[row]} is not IPv${flow.family}`;
    return `${addressText(services.family[row]!, services.address, row * 4)} is not ${addressText(flow.family, flow.words, 4)}`;
  });
  return `${equal.length === 0 ? "" : `${equal.join(" and ")} equal, but `}${told.join(", ")}`;
}
