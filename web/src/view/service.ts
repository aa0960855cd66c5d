/** The virtual service: its scheduler, its real servers, what may be changed and what may be broken. */
import { h, setText } from "../dom.ts";
import type { Picture, ServerRow, ServiceRow, Source } from "../model.ts";
import { currentLanguage, n, t, tOr } from "../text/text.ts";
import { serverClass } from "./colours.ts";
import { serversOf } from "./topology.ts";

const WEIGHT_MOST = 20;
/** New connections of so many milliseconds make the share that is shown. */
const SHARE_MS = 20_000;

interface Row {
  readonly element: HTMLElement;
  readonly weight: HTMLElement;
  readonly active: HTMLElement;
  readonly inactive: HTMLElement;
  readonly total: HTMLElement;
  readonly share: HTMLElement;
  readonly bar: SVGRectElement;
  readonly quiesce: HTMLButtonElement;
}

export class ServicePanel {
  readonly #host: HTMLElement;
  readonly #name: HTMLElement;
  #source: Source | undefined;
  #drawn = "";
  #rows = new Map<string, Row>();
  #chosen = "";
  #before = new Map<string, number>();
  #history: { time: number; totals: Map<string, number> }[] = [];
  #scheduler: HTMLSelectElement | undefined;
  #about: HTMLElement | undefined;
  #faults: HTMLElement | undefined;

  constructor(host: HTMLElement, name: HTMLElement) {
    this.#host = host;
    this.#name = name;
  }

  setSource(source: Source): void {
    this.#source = source;
    this.#drawn = "";
    this.#before.clear();
    this.#history = [];
  }

  /** The service that is shown: the one chosen, else the first. */
  chosen(picture: Picture): ServiceRow | undefined {
    return picture.services.find(({ name }) => name === this.#chosen) ?? picture.services[0];
  }

  redraw(): void {
    this.#drawn = "";
  }

  show(picture: Picture): void {
    const service = this.chosen(picture);
    if (service === undefined) {
      this.#host.replaceChildren(h("p", { class: "note" }, t("service.none")));
      this.#drawn = "";
      return;
    }
    const key = `${service.name} ${service.servers.map(({ address }) => address).join(" ")} ${picture.services.map(({ name }) => name).join()}`;
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#history = [];
      this.#draw(service, picture);
    }
    this.#update(service, picture);
  }

  #draw(service: ServiceRow, picture: Picture): void {
    const source = this.#source!;
    const { powers } = source;
    this.#rows.clear();
    const may = powers.schedulers.length > 0;
    const schedulers = may ? powers.schedulers : [service.scheduler];
    this.#scheduler = h(
      "select",
      { id: "scheduler", disabled: !may },
      ...schedulers.map((name) => h("option", { value: name }, name)),
    );
    this.#scheduler.addEventListener("change", () => {
      this.#history = [];
      source.setScheduler(service.name, this.#scheduler!.value);
    });
    this.#about = h("p", { class: "note", id: "scheduler-about" });
    this.#scheduler.setAttribute("aria-describedby", "scheduler-about");
    const rows = service.servers.map((server, i) => this.#row(service, server, i, powers.weights));
    const places = new Map(serversOf(picture).map(({ address }, i) => [address, i]));
    for (const [i, row] of rows.entries())
      row.classList.add(serverClass(places.get(service.servers[i]!.address) ?? i));
    this.#faults = h("div", { class: "faults-on" });
    this.#host.replaceChildren(
      ...(picture.services.length > 1 ? [this.#chooser(service, picture)] : []),
      h(
        "div",
        { class: "scheduler" },
        h("label", { class: "labelled" }, h("span", {}, t("service.scheduler")), this.#scheduler),
        this.#about,
      ),
      this.#table(rows, powers.weights),
      ...(powers.weights
        ? []
        : [h("p", { class: "note" }, t(source.kind === "lab" ? "service.token" : "service.readonly"))]),
      ...(powers.faults.length > 0 ? [this.#breaker(picture)] : []),
    );
  }

  #chooser(service: ServiceRow, picture: Picture): HTMLElement {
    const select = h(
      "select",
      { id: "service-choice" },
      ...picture.services.map(({ name }) =>
        h("option", { value: name, selected: name === service.name }, name),
      ),
    );
    select.addEventListener("change", () => {
      this.#chosen = select.value;
      this.show(picture);
    });
    return h(
      "p",
      { class: "choice" },
      h("label", { class: "labelled" }, h("span", {}, t("service.choose")), select),
    );
  }

  #table(rows: readonly HTMLElement[], weights: boolean): HTMLElement {
    const heads = [
      "service.server",
      "service.weight",
      "service.active",
      "service.inactive",
      "service.total",
      "service.share",
    ] as const;
    return h(
      "table",
      { class: "servers", "aria-label": t("service.servers") },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...heads.map((key) => h("th", { scope: "col", class: key.replace("service.", "col-") }, t(key))),
          weights && h("td", { class: "col-quiesce" }),
        ),
      ),
      h("tbody", {}, ...rows),
    );
  }

  #row(service: ServiceRow, server: ServerRow, _place: number, weights: boolean): HTMLElement {
    const { name, address, shown } = server;
    const weight = h("output", { class: "weight-value" });
    const change = (by: number): void => {
      const now = Number(weight.textContent);
      this.#setWeight(service.name, address, Math.max(0, Math.min(WEIGHT_MOST, now + by)));
    };
    const button = (by: number, key: "service.weight.less" | "service.weight.more"): HTMLElement =>
      h(
        "button",
        { type: "button", class: "small", "aria-label": t(key, { name }), onclick: () => change(by) },
        by < 0 ? "−" : "+",
      );
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    bar.setAttribute("height", "8");
    bar.setAttribute("class", "share-bar");
    const quiesce = h("button", {
      type: "button",
      class: "small wide-button",
      onclick: () => this.#toggle(service.name, address),
    });
    const row: Omit<Row, "element"> = {
      weight,
      active: h("td", { class: "number col-active", "data-label": t("service.active") }),
      inactive: h("td", { class: "number col-inactive" }),
      total: h("td", { class: "number col-total" }),
      share: h("span", { class: "share-number" }),
      bar,
      quiesce,
    };
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "share");
    svg.setAttribute("viewBox", "0 0 100 8");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(bar);
    const element = h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h("span", { class: "swatch", "aria-hidden": "true" }),
        h("span", { class: "server-name" }, name),
        name !== shown && h("small", {}, shown),
      ),
      h(
        "td",
        { class: "weight" },
        h(
          "span",
          { class: "weight-box" },
          weights && button(-1, "service.weight.less"),
          weight,
          weights && button(1, "service.weight.more"),
        ),
      ),
      row.active,
      row.inactive,
      row.total,
      h("td", { class: "share-cell" }, svg, row.share),
      weights && h("td", { class: "col-quiesce" }, quiesce),
    );
    this.#rows.set(address, { ...row, element });
    return element;
  }

  #setWeight(service: string, address: string, weight: number): void {
    this.#history = [];
    this.#source?.setWeight(service, address, weight);
  }

  #toggle(service: string, address: string): void {
    const now = Number(this.#rows.get(address)?.weight.textContent ?? 0);
    if (now > 0) this.#before.set(address, now);
    this.#setWeight(service, address, now > 0 ? 0 : (this.#before.get(address) ?? 1));
  }

  #update(service: ServiceRow, picture: Picture): void {
    setText(this.#name, service.name);
    if (document.activeElement !== this.#scheduler) this.#scheduler!.value = service.scheduler;
    setText(this.#about!, tOr(`about.${service.scheduler}`, ""));
    const shares = this.#shares(service, picture.time);
    for (const server of service.servers) {
      const row = this.#rows.get(server.address);
      if (row === undefined) continue;
      const { weight, active, inactive, connections, name } = server;
      setText(row.weight, String(weight));
      setText(row.active, n(active));
      setText(row.inactive, n(inactive));
      setText(row.total, n(connections));
      const share = shares.get(server.address) ?? 0;
      const percent = Math.round(share * 100);
      row.bar.setAttribute("width", String(percent));
      setText(row.share, `${percent} %`);
      row.share.setAttribute("title", t("service.share.label", { share: percent }));
      row.element.classList.toggle("quiesced", weight === 0);
      setText(row.quiesce, t(weight === 0 ? "service.resume" : "service.quiesce"));
      row.quiesce.setAttribute(
        "aria-label",
        t(weight === 0 ? "service.resume.label" : "service.quiesce.label", { name }),
      );
    }
    this.#showFaults(picture);
  }

  /** Each real server's part of the connections made lately, since the last change at the most. */
  #shares(service: ServiceRow, time: number): Map<string, number> {
    const totals = new Map(service.servers.map(({ address, connections }) => [address, connections]));
    if (this.#history.some(({ time: then }) => then > time)) this.#history = [];
    this.#history.push({ time, totals });
    while (this.#history.length > 1 && time - this.#history[0]!.time > SHARE_MS) this.#history.shift();
    const first = this.#history[0]!.totals;
    const grown = new Map(
      [...totals].map(([address, total]) => [address, total - (first.get(address) ?? 0)]),
    );
    const sum = [...grown.values()].reduce((all, each) => all + each, 0);
    return new Map([...grown].map(([address, each]) => [address, sum === 0 ? 0 : each / sum]));
  }

  #breaker(picture: Picture): HTMLElement {
    const source = this.#source!;
    const { faults } = source.powers;
    const what = h(
      "select",
      { id: "fault" },
      ...faults.map(({ name }) => h("option", { value: name }, tOr(`fault.${name}`, name))),
    );
    const servers = serversOf(picture);
    const where = h(
      "select",
      { id: "fault-where" },
      ...servers.map(({ name, address }) => h("option", { value: address }, name)),
    );
    const about = h("p", { class: "note" });
    const place = h("label", { class: "labelled" }, h("span", {}, t("fault.where")), where);
    const tell = (): void => {
      const offer = faults.find(({ name }) => name === what.value);
      // The lab says in English which host it is about; in Chinese the page says it in general.
      const generally = tOr(`fault.about.${what.value}`, offer?.sentence ?? "");
      setText(about, currentLanguage() === "en" ? (offer?.sentence ?? generally) : generally);
      place.hidden = !(faults.find(({ name }) => name === what.value)?.ofServer ?? true);
    };
    what.addEventListener("change", tell);
    tell();
    const inject = (): void => {
      const offer = faults.find(({ name }) => name === what.value);
      if (offer !== undefined) source.setFault(offer.name, offer.ofServer ? where.value : undefined, true);
    };
    return h(
      "div",
      { class: "breaker" },
      h("h3", {}, t("fault.title")),
      h(
        "div",
        { class: "breaker-row" },
        h("label", { class: "labelled" }, h("span", {}, t("fault.what")), what),
        place,
        h("button", { type: "button", id: "inject", onclick: inject }, t("fault.inject")),
      ),
      about,
      this.#faults,
    );
  }

  #showFaults(picture: Picture): void {
    const host = this.#faults;
    if (host === undefined) return;
    const servers = serversOf(picture);
    // A lab's faults have their places in themselves; this page's own ones of the whole link are the director's.
    const whole = this.#source?.kind === "lab" ? "" : t("node.director");
    const on = [
      ...picture.faults.map((fault) => ({
        fault,
        address: undefined as string | undefined,
        name: whole,
      })),
      ...servers.flatMap(({ faults, address, name }) =>
        faults.map((fault) => ({ fault, address: address as string | undefined, name })),
      ),
    ];
    const key = on.map(({ fault, name }) => `${fault} ${name}`).join("|") + document.documentElement.lang;
    if (host.dataset.key === key) return;
    host.dataset.key = key;
    host.replaceChildren(
      ...on.map(({ fault, address, name }) => {
        const words = tOr(`fault.${fault}`, fault);
        const told = name === "" ? words : t("fault.on", { fault: words, name });
        return h(
          "button",
          {
            type: "button",
            class: "fault",
            "aria-label": `${told}. ${t("fault.undo", { fault: words })}`,
            onclick: () => this.#source?.setFault(fault, address, false),
          },
          told,
          h("span", { "aria-hidden": "true" }, "✕"),
        );
      }),
    );
  }
}
