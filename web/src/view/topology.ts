/** The picture of the cluster: nodes, lines, and the frames on them. */
import { s, setText } from "../dom.ts";
import type { Frame, NodeId, Picture, ServerRow } from "../model.ts";
import { t } from "../text/text.ts";
import { Animation } from "./animation.ts";
import { type Layout, narrowLayout, pathText, SHOWN_NARROW, SHOWN_WIDE, wideLayout } from "./geometry.ts";
import { DETAIL_SIZE, fit, ServerNode } from "./server-node.ts";

const NARROW = 640;

export class Topology {
  readonly animation: Animation;
  readonly #svg: SVGSVGElement;
  readonly #title = s("title");
  readonly #lines = s("g", { class: "lines" });
  readonly #nodes = s("g", { class: "nodes" });
  readonly #host: HTMLElement;
  #layout: Layout | undefined;
  #drawn = "";
  #servers = new Map<string, ServerNode>();
  #picture: Picture | undefined;

  constructor(host: HTMLElement) {
    this.#host = host;
    const glow = s("g", { class: "glow" });
    const dots = s("g", { class: "dots" });
    this.#svg = s(
      "svg",
      { class: "topology", role: "img", "aria-labelledby": "topology-title" },
      this.#title,
      this.#lines,
      glow,
      this.#nodes,
      dots,
    );
    this.#title.id = "topology-title";
    this.animation = new Animation(glow, dots);
    host.append(this.#svg);
    new ResizeObserver(() => this.redraw()).observe(host);
  }

  /** All real servers of all services, each address once. */
  show(picture: Picture): void {
    this.#picture = picture;
    const servers = serversOf(picture);
    const narrow = this.#host.clientWidth < NARROW;
    const key = `${narrow} ${document.documentElement.lang} ${picture.vip} ${servers.map(({ shown, name }) => shown + name).join(" ")}`;
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#draw(servers, picture, narrow);
    }
    this.#update(servers);
  }

  redraw(): void {
    if (this.#picture !== undefined) this.show(this.#picture);
  }

  play(frame: Frame): void {
    this.animation.play(frame);
  }

  #draw(servers: readonly ServerRow[], picture: Picture, narrow: boolean): void {
    const shown = servers.slice(0, narrow ? SHOWN_NARROW : SHOWN_WIDE);
    const addresses = shown.map(({ address }) => address);
    const layout = narrow ? narrowLayout(addresses) : wideLayout(addresses);
    this.#layout = layout;
    const more = servers.length > shown.length;
    const height = layout.height + (more && narrow ? 16 : 0);
    this.#svg.setAttribute("viewBox", `0 0 ${layout.width} ${height}`);
    setText(this.#title, t("stage.picture", { count: servers.length }));
    this.#drawLines(addresses);
    this.#servers.clear();
    this.#nodes.replaceChildren(
      this.#host_("client", t("node.client"), ""),
      this.#host_("router", t("node.router"), ""),
      this.#host_("director", t("node.director"), t("node.vip", { vip: picture.vip })),
      ...shown.map((server, i) => this.#server(server, i)),
    );
    if (more) {
      const place = { x: layout.width - 20, y: height - 8, "text-anchor": "end" };
      const count = servers.length - shown.length;
      this.#nodes.append(s("text", { class: "node-more", ...place }, t("node.more", { count })));
    }
    const places = new Map(servers.map(({ address }, i) => [address, i]));
    this.animation.setLayout(layout, (address) => places.get(address) ?? -1);
  }

  #drawLines(servers: readonly NodeId[]): void {
    const { line } = this.#layout!;
    const draw = (from: NodeId, to: NodeId, answer: boolean): SVGPathElement =>
      s("path", {
        class: answer ? "line line-answer" : "line line-request",
        d: pathText(line(from, to, answer)),
        "marker-end": "url(#line-head)",
      });
    this.#lines.replaceChildren(
      lineHead(),
      draw("client", "router", false),
      draw("router", "director", false),
      ...servers.map((server) => draw("director", server, false)),
      ...servers.map((server) => draw(server, "router", true)),
      draw("router", "client", true),
    );
  }

  #host_(node: NodeId, name: string, detail: string): SVGGElement {
    const { x, y } = this.#layout!.nodes.get(node)!;
    const { x: w, y: hh } = this.#layout!.half(node);
    const box = s("rect", { class: "node-box", x: -w, y: -hh, width: 2 * w, height: 2 * hh, rx: 12 });
    const title = s("text", { class: "node-name", y: detail === "" ? 5 : -2, "text-anchor": "middle" }, name);
    const under = s("text", { class: "node-detail", y: 16, "text-anchor": "middle" }, detail);
    fit(under, DETAIL_SIZE, 2 * w - 12);
    return s("g", { class: `node node-${node}`, transform: `translate(${x} ${y})` }, box, title, under);
  }

  #server(server: ServerRow, i: number): SVGGElement {
    const { nodes, half, narrow } = this.#layout!;
    const { address } = server;
    const node = new ServerNode(server, i, nodes.get(address)!, half(address), narrow);
    this.#servers.set(address, node);
    return node.group;
  }

  #update(servers: readonly ServerRow[]): void {
    const most = Math.max(1, ...servers.map(({ active }) => active));
    for (const server of servers) this.#servers.get(server.address)?.update(server, most);
  }
}

/** Which way a line goes, for those who see the picture stand still. */
function lineHead(): SVGMarkerElement {
  return s(
    "marker",
    {
      id: "line-head",
      viewBox: "0 0 8 8",
      refX: 7.5,
      refY: 4,
      markerWidth: 8,
      markerHeight: 8,
      markerUnits: "userSpaceOnUse",
      orient: "auto",
    },
    s("path", { class: "line-head", d: "M1 0.8L7.5 4L1 7.2z" }),
  );
}

export function serversOf(picture: Picture): readonly ServerRow[] {
  const seen = new Map<string, ServerRow>();
  for (const { servers } of picture.services) {
    for (const server of servers) if (!seen.has(server.address)) seen.set(server.address, server);
  }
  return [...seen.values()];
}
