/** Where the nodes stand and how the lines between them run, for a wide and for a narrow page. */
import type { NodeId } from "../model.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A cubic Bézier curve. */
export type Curve = readonly [Point, Point, Point, Point];

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly narrow: boolean;
  readonly nodes: ReadonlyMap<NodeId, Point>;
  /** Half the size of a node's box. */
  readonly half: (node: NodeId) => Point;
  /** The line that a frame takes from one node to another. */
  line(from: NodeId, to: NodeId, answer: boolean): Curve;
}

const point = (x: number, y: number): Point => ({ x, y });

/** As many real servers as have room; the others are counted. */
export const SHOWN_WIDE = 7;
export const SHOWN_NARROW = 4;

export function wideLayout(servers: readonly NodeId[]): Layout {
  const gap = Math.max(72, 104 - Math.max(0, servers.length - 3) * 8);
  const height = Math.max(350, servers.length * gap + 70);
  const middle = height / 2 - 8;
  const nodes = new Map<NodeId, Point>([
    ["client", point(76, middle)],
    ["router", point(296, middle)],
    ["director", point(560, Math.max(74, middle - 104))],
  ]);
  servers.forEach((server, i) => {
    nodes.set(server, point(916, middle + (i - (servers.length - 1) / 2) * gap));
  });
  const half = (node: NodeId): Point =>
    node === "client"
      ? point(52, 34)
      : node === "router"
        ? point(52, 34)
        : node === "director"
          ? point(76, 38)
          : point(100, 29);
  const bottom = height - 26;
  return { width: 1040, height, narrow: false, nodes, half, line: wideLine(nodes, half, bottom) };
}

function wideLine(nodes: ReadonlyMap<NodeId, Point>, half: Layout["half"], bottom: number): Layout["line"] {
  const at = (node: NodeId): Point => nodes.get(node) ?? point(0, 0);
  const right = (node: NodeId, dy = 0): Point => point(at(node).x + half(node).x, at(node).y + dy);
  const left = (node: NodeId, dy = 0): Point => point(at(node).x - half(node).x, at(node).y + dy);
  const straight = (a: Point, b: Point): Curve => {
    const third = (b.x - a.x) / 3;
    return [a, point(a.x + third, a.y), point(b.x - third, b.y), b];
  };
  /** All lines are written from left to right. */
  const forward = (from: NodeId, to: NodeId, answer: boolean): Curve => {
    if (from === "client")
      return straight(right("client", answer ? 11 : -9), left("router", answer ? 11 : -9));
    if (from === "router" && to === "director") {
      const [a, b] = [right("router", -9), left("director", 2)];
      return [a, point(a.x + 90, a.y), point(b.x - 90, b.y), b];
    }
    if (from === "director") {
      const [a, b] = [right("director", 2), left(to, -8)];
      return [a, point(a.x + 100, a.y), point(b.x - 110, b.y), b];
    }
    // Between router and real server, below the director: the way back, and the way past it.
    const [a, b] = [right("router", 12), left(to, 11)];
    const deep = Math.max(b.y, bottom - 40);
    return [a, point(a.x + 120, deep + 26), point(b.x - 250, deep + 16), b];
  };
  return (from, to, answer) => {
    if (at(from).x <= at(to).x) return forward(from, to, answer);
    const [a, b, c, d] = forward(to, from, answer);
    return [d, c, b, a];
  };
}

export function narrowLayout(servers: readonly NodeId[]): Layout {
  const nodes = new Map<NodeId, Point>([
    ["client", point(180, 34)],
    ["router", point(180, 136)],
    ["director", point(116, 262)],
  ]);
  const room = 352 / Math.max(1, servers.length);
  servers.forEach((server, i) => {
    nodes.set(server, point(4 + room * (i + 0.5), 412));
  });
  const half = (node: NodeId): Point =>
    node === "director"
      ? point(70, 32)
      : node === "client" || node === "router"
        ? point(46, 28)
        : point(Math.min(54, room / 2 - 4), 32);
  return { width: 360, height: 462, narrow: true, nodes, half, line: narrowLine(nodes, half) };
}

function narrowLine(nodes: ReadonlyMap<NodeId, Point>, half: Layout["half"]): Layout["line"] {
  const at = (node: NodeId): Point => nodes.get(node) ?? point(0, 0);
  const below = (node: NodeId, dx = 0): Point => point(at(node).x + dx, at(node).y + half(node).y);
  const above = (node: NodeId, dx = 0): Point => point(at(node).x + dx, at(node).y - half(node).y);
  const bend = (a: Point, b: Point, by: number): Curve => [a, point(a.x, a.y + by), point(b.x, b.y - by), b];
  const forward = (from: NodeId, to: NodeId, answer: boolean): Curve => {
    if (from === "client")
      return bend(below("client", answer ? 10 : -10), above("router", answer ? 10 : -10), 15);
    if (from === "router" && to === "director") return bend(below("router", -12), above("director", 0), 30);
    if (from === "director") return bend(below("director"), above(to, -9), 45);
    const [a, b] = [below("router", 14), above(to, 10)];
    return [a, point(Math.max(300, b.x + 30), a.y + 90), point(Math.max(270, b.x + 20), b.y - 100), b];
  };
  return (from, to, answer) => {
    if (at(from).y <= at(to).y) return forward(from, to, answer);
    const [a, b, c, d] = forward(to, from, answer);
    return [d, c, b, a];
  };
}

export function pathText([a, b, c, d]: Curve): string {
  return `M${a.x} ${a.y}C${b.x} ${b.y} ${c.x} ${c.y} ${d.x} ${d.y}`;
}

/** The point that lies `part` (0…1) of the way along. */
export function along([a, b, c, d]: Curve, part: number): Point {
  const rest = 1 - part;
  const [wa, wb, wc, wd] = [rest ** 3, 3 * rest ** 2 * part, 3 * rest * part ** 2, part ** 3];
  return point(a.x * wa + b.x * wb + c.x * wc + d.x * wd, a.y * wa + b.y * wb + c.y * wc + d.y * wd);
}
