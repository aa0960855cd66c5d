/** Verdicts, neighbours and connections, as they stand. */
import { fitRows, h, scrolling, setText } from "../dom.ts";
import type { Picture } from "../model.ts";
import { type Key, n, t, tOr } from "../text/text.ts";
import { serverClass } from "./colours.ts";
import type { Names } from "./why.ts";

class Table {
  readonly #body = h("tbody");
  readonly #empty = h("p", { class: "note" });
  readonly #frame: HTMLElement;
  readonly #columns: readonly string[];

  constructor(
    host: HTMLElement,
    label: string,
    heads: readonly Key[],
    columns: readonly string[],
    empty: string,
  ) {
    this.#columns = columns;
    const head = h("tr", {}, ...heads.map((key, i) => h("th", { scope: "col", class: columns[i] }, t(key))));
    this.#frame = scrolling(label, h("table", { class: "plain-table" }, h("thead", {}, head), this.#body));
    this.#empty.textContent = empty;
    host.replaceChildren(this.#frame, this.#empty);
  }

  fill(rows: readonly (readonly string[])[], decorate?: (row: Element, i: number) => void): void {
    fitRows(this.#body, rows.length, () =>
      h(
        "tr",
        {},
        ...this.#columns.map((name, i) =>
          i === 0 ? h("th", { scope: "row", class: name }) : h("td", { class: name }),
        ),
      ),
    );
    rows.forEach((cells, r) => {
      const row = this.#body.children[r]!;
      for (const [c, cell] of cells.entries()) setText(row.children[c]!, cell);
      decorate?.(row, r);
    });
    this.#empty.hidden = rows.length > 0;
    this.#frame.hidden = rows.length === 0;
  }
}

export interface TableHosts {
  readonly verdicts: HTMLElement;
  readonly neighbours: HTMLElement;
  readonly connections: HTMLElement;
  readonly connectionsNote: HTMLElement;
}

export class Tables {
  readonly #hosts: TableHosts;
  readonly #names: Names;
  #verdicts!: Table;
  #neighbours!: Table;
  #connections!: Table;

  constructor(hosts: TableHosts, names: Names) {
    this.#hosts = hosts;
    this.#names = names;
    this.redraw();
  }

  redraw(): void {
    const { verdicts, neighbours, connections } = this.#hosts;
    this.#verdicts = new Table(
      verdicts,
      t("verdicts.title"),
      ["verdicts.verdict", "verdicts.frames"],
      ["", "number"],
      "",
    );
    this.#neighbours = new Table(
      neighbours,
      t("neighbours.title"),
      ["neighbours.address", "neighbours.mac", "neighbours.state", "neighbours.age"],
      ["", "mono", "", "number"],
      t("neighbours.none"),
    );
    this.#connections = new Table(
      connections,
      t("connections.title"),
      ["connections.client", "connections.state", "connections.server", "connections.expires"],
      ["mono", "mono", "", "number"],
      t("connections.none"),
    );
  }

  show(picture: Picture): void {
    const occurred = Object.entries(picture.verdicts)
      .filter(([, count]) => count !== 0)
      .sort(([, a], [, b]) => b - a);
    this.#verdicts.fill(
      [...occurred.map(([name, count]) => [name, n(count)]), [t("verdicts.received"), n(picture.received)]],
      (row, i) => {
        row.classList.toggle("total", i === occurred.length);
        row.setAttribute("title", i < occurred.length ? tOr(`verdict.${occurred[i]![0]}`, "") : "");
      },
    );
    this.#neighbours.fill(
      picture.neighbours.map(({ address, mac, state, age }) => [
        this.#names.nameOf(address),
        mac ?? "–",
        tOr(`state.${state}`, state),
        t("seconds", { seconds: n(age) }),
      ]),
      (row, i) => row.classList.toggle("bad", picture.neighbours[i]!.state === "failed"),
    );
    const { connections, connectionCount } = picture;
    const some = connections.length < connectionCount;
    setText(
      this.#hosts.connectionsNote,
      some
        ? t("connections.note.some", { count: n(connectionCount), shown: n(connections.length) })
        : t("connections.note", { count: n(connectionCount) }),
    );
    this.#connections.fill(
      connections.map(({ client, cport, state, server, expiresSeconds }) => [
        `${client}:${cport}`,
        state,
        this.#names.nameOf(server),
        t("seconds", { seconds: n(expiresSeconds) }),
      ]),
      (row, i) => {
        row.children[2]!.className =
          `with-swatch ${serverClass(this.#names.indexOf(connections[i]!.server))}`;
      },
    );
  }
}
