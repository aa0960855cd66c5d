/** What the moving shapes mean. */
import { h, s } from "../dom.ts";
import { t } from "../text/text.ts";

const SHAPES = [
  ["legend.request", () => s("circle", { class: "dot-shape", cx: 12, cy: 10, r: 5.5 }), "request"],
  [
    "legend.opens",
    () =>
      s(
        "g",
        {},
        s("circle", { class: "dot-halo", cx: 12, cy: 10, r: 9.5 }),
        s("circle", { class: "dot-shape", cx: 12, cy: 10, r: 6 }),
      ),
    "request",
  ],
  ["legend.answer", () => s("circle", { class: "dot-shape", cx: 12, cy: 10, r: 5 }), "answer"],
  ["legend.arp", () => s("path", { class: "dot-shape", d: "M12 4L18 10L12 16L6 10Z" }), "arp"],
  ["legend.lost", () => s("path", { class: "dot-cross", d: "M6 4L18 16M18 4L6 16" }), "lost"],
] as const;

export function drawLegend(host: HTMLElement): void {
  host.replaceChildren(
    ...SHAPES.map(([key, shape, kind]) =>
      h(
        "span",
        {},
        s(
          "svg",
          { viewBox: "0 0 24 20", width: 24, height: 20, "aria-hidden": "true", class: `dot dot-${kind}` },
          shape(),
        ),
        t(key),
      ),
    ),
  );
}
