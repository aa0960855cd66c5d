/** Why the director did what it did: explain's data, told step by step in the reader's language. */
import type { MemberTold, SchedulingTold } from "../../../src/dataplane/explanation.ts";
import { h, scrolling } from "../dom.ts";
import type { Told } from "../model.ts";
import { n, t, tOr } from "../text/text.ts";
import { serverClass } from "./colours.ts";

export interface Names {
  nameOf(address: string): string;
  /** The address; the name of a host whose address nobody told. */
  addressOf(address: string): string;
  indexOf(address: string): number;
}

export function whyView(told: Told, names: Names): HTMLElement {
  const connection = step("why.connection", connectionText(told, names));
  const known = told.connection.what === "found";
  const steps = [
    step("why.read", readText(told)),
    known && connection,
    told.flow !== null && step("why.service", serviceText(told)),
    told.template !== null && step("why.template", templateText(told, names)),
    told.flow !== null && schedulerStep(told, names),
    !known && connection,
    told.neighbour !== null && step("why.neighbour", neighbourText(told, names)),
    step("why.verdict", `${told.verdict.name}: ${t(`verdict.${told.verdict.name}`)}`),
  ];
  return h("ol", { class: "why" }, ...steps);
}

type StepKey =
  | "why.read"
  | "why.connection"
  | "why.service"
  | "why.template"
  | "why.scheduler"
  | "why.neighbour"
  | "why.verdict";

function step(key: StepKey, text: string, ...more: HTMLElement[]): HTMLElement {
  return h("li", {}, h("h4", {}, t(key)), h("div", {}, h("p", {}, text), ...more));
}

function readText({ flow }: Told): string {
  if (flow === null) return t("why.read.other");
  const { protocol, client, clientPort, virtual, virtualPort } = flow;
  return t("why.read.flow", {
    protocol: protocol.toUpperCase(),
    client: endpoint(client, clientPort),
    virtual: endpoint(virtual, virtualPort),
  });
}

function connectionText({ connection }: Told, names: Names): string {
  const { what, before, after } = connection;
  if (what === "none" || after === null) return t("why.connection.none");
  const server = names.nameOf(after.server.address);
  if (what === "made") {
    return t("why.connection.made", {
      after: after.state,
      count: t(after.active ? "why.active" : "why.inactive"),
    });
  }
  if (before === null) return t("why.connection.known", { server, after: after.state });
  if (what === "replaced") return t("why.connection.replaced", { before: before.state, after: after.state });
  if (before.state === after.state) return t("why.connection.stays", { server, after: after.state });
  return t("why.connection.found", { server, before: before.state, after: after.state });
}

function serviceText({ service }: Told): string {
  if (!service.decides) return t("why.service.undecided");
  if (service.found === null || service.by === null) return t("why.service.none");
  const name = { service: service.found.text };
  if (service.by === "mark") return t("why.service.mark", name);
  if (service.by === "ftp") return t("why.service.ftp", name);
  if (service.by === "port-zero") return t("why.service.port-zero", name);
  return t("why.service.found", name);
}

function templateText({ template }: Told, names: Names): string {
  const { what, client, server } = template!;
  const values = { client, server: names.nameOf(server.address) };
  return what === "made" ? t("why.template.made", values) : t("why.template.found", values);
}

function schedulerStep({ scheduling }: Told, names: Names): HTMLElement {
  if (scheduling === null) return step("why.scheduler", t("why.scheduler.unasked"));
  const { scheduler, chose, fault, memory } = scheduling;
  const text =
    fault !== null
      ? t("why.scheduler.fault", { scheduler, fault })
      : chose === null
        ? t("why.scheduler.nobody", { scheduler })
        : t("why.scheduler.chose", { scheduler, server: names.nameOf(chose.address) });
  // A director that was only looked at does not tell what its scheduler remembered.
  const lookedAt = memory.before.length === 0;
  const how = lookedAt ? tOr(`about.${scheduler}`, "") : howText(scheduling, names);
  const later = lookedAt ? [h("p", { class: "note" }, t("why.members.later"))] : [];
  return step("why.scheduler", `${text} ${how}`, membersTable(scheduling, names), ...later);
}

/** How it came to that, with the numbers that it read. */
function howText({ scheduler, memory, buckets }: SchedulingTold, names: Names): string {
  const home = buckets[0];
  const values = {
    before: memory.before[2] ?? 0,
    after: memory.after[2] ?? 0,
    top: memory.after[3] ?? 0,
    step: memory.after[4] ?? 0,
    place: home?.place ?? 0,
    of: home?.of ?? 0,
    server:
      home?.server === null || home === undefined ? "–" : names.nameOf(home.server.replace(/:\d+$/, "")),
  };
  const hashed = scheduler === "sh" || scheduler === "mh" || scheduler === "dh";
  if (hashed && home === undefined) return "";
  const same = scheduler === "wrr" && values.before === values.after;
  return tOr(same ? "how.wrr.same" : `how.${scheduler}`, "", values);
}

const LOADS: Readonly<Record<string, (member: MemberTold) => number>> = {
  lc: ({ active, inactive }) => 257 * active + inactive,
  wlc: ({ active, inactive, weight }) => (257 * active + inactive) / weight,
  sed: ({ active, weight }) => (active + 1) / weight,
  nq: ({ active, weight }) => (active + 1) / weight,
};

function membersTable({ members, scheduler }: SchedulingTold, names: Names): HTMLElement {
  const load = LOADS[scheduler];
  const head = [
    "why.member.server",
    "why.member.weight",
    "why.member.active",
    "why.member.inactive",
  ] as const;
  const rows = members.map((member) => {
    const { server, weight, active, inactive, chosen, available } = member;
    return h(
      "tr",
      { class: `${chosen ? "chosen " : ""}${serverClass(names.indexOf(server.address))}` },
      h(
        "th",
        { scope: "row" },
        h("span", { class: "swatch", "aria-hidden": "true" }),
        names.nameOf(server.address),
      ),
      h("td", {}, n(weight)),
      h("td", {}, n(active)),
      h("td", {}, n(inactive)),
      load !== undefined && h("td", {}, available ? n(load(member)) : "–"),
      h(
        "td",
        { class: "chosen-mark" },
        chosen ? t("why.member.chosen") : available ? "" : t("why.member.out"),
      ),
    );
  });
  const table = h(
    "table",
    { class: "members", "aria-label": t("why.members") },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...head.map((key) => h("th", { scope: "col" }, t(key))),
        load !== undefined && h("th", { scope: "col" }, t("why.member.load")),
        h("td"),
      ),
    ),
    h("tbody", {}, ...rows),
  );
  return scrolling(t("why.members"), table);
}

function neighbourText({ neighbour }: Told, names: Names): string {
  const { mac, state, usable } = neighbour!;
  const address = names.addressOf(neighbour!.address);
  const named = tOr(`state.${state}`, state);
  if (usable && mac !== null) return t("why.neighbour.usable", { address, mac, state: named });
  return t("why.neighbour.unusable", { address, state: named });
}

function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
