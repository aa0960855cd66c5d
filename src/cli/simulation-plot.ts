/**
 * Simulations as an SVG picture: for each scheduler the servers' active connections over time, and below it the
 * fairness. Follows the viewer's light or dark theme; needs no script.
 */
import type { Sample, SimulationReport } from "../dataplane/simulation/simulate.ts";
import { escapeText, niceStep, plotStyle } from "./plot-style.ts";

const WIDTH = 760;
const LEFT = 56;
const RIGHT = 24;
const LOAD_TOP = 76;
const LOAD_HEIGHT = 180;
const FAIR_TOP = LOAD_TOP + LOAD_HEIGHT + 34;
const FAIR_HEIGHT = 56;
const PANEL = FAIR_TOP + FAIR_HEIGHT + 48;
const LEGEND_STEP = 64;

/** Eight hues, the first ones after Okabe and Ito (2008) for colour-blind eyes; each for a light and a dark ground. */
const HUES = [
  ["#0072b2", "#56a8e0"],
  ["#d55e00", "#f08a3c"],
  ["#009e73", "#2fc79b"],
  ["#b0518f", "#dd8fbf"],
  ["#a67c00", "#e0b030"],
  ["#b3263a", "#ff8a94"],
  ["#5b3fa8", "#b8a2ff"],
  ["#6b6b6b", "#b5b5b5"],
] as const;
/** From the ninth server on the hues come again with other dashes. */
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];

function style(): string {
  const hues = (i: 0 | 1): string => HUES.map((pair, n) => `--s${n}:${pair[i]}`).join(";");
  const rules = `.line{fill:none;stroke-width:2;stroke-linejoin:round}
.fair{stroke:var(--ink);stroke-width:1.5}.gone{stroke:var(--soft);stroke-dasharray:4 4}`;
  return plotStyle(hues(0), hues(1), rules);
}

function number(value: number): string {
  return `${Number(value.toFixed(2))}`;
}

interface Scale {
  x(ms: number): number;
  load(connections: number): number;
  fair(index: number): number;
}

function scaleOf(end: number, top: number): Scale {
  const inner = WIDTH - LEFT - RIGHT;
  return {
    x: (ms) => LEFT + (end === 0 ? 0 : (ms / end) * inner),
    load: (connections) => LOAD_TOP + LOAD_HEIGHT * (1 - connections / top),
    fair: (index) => FAIR_TOP + FAIR_HEIGHT * (1 - index),
  };
}

function points(samples: readonly Sample[], x: Scale["x"], y: (sample: Sample) => number): string {
  return samples.map((sample) => `${number(x(sample.at))},${number(y(sample))}`).join(" ");
}

function grid(scale: Scale, top: number, step: number, end: number): string {
  const right = WIDTH - RIGHT;
  const parts: string[] = [];
  const horizontal = (y: number, label: string): void => {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${right}" y1="${number(y)}" y2="${number(y)}"/>`);
    parts.push(`<text class="soft" x="${LEFT - 8}" y="${number(y + 4)}" text-anchor="end">${label}</text>`);
  };
  for (let value = 0; value <= top; value += step) horizontal(scale.load(value), number(value));
  for (const value of [0, 1]) horizontal(scale.fair(value), number(value));
  const seconds = end / 1000;
  const tick = niceStep(seconds, 10);
  for (let value = 0; value <= seconds; value += tick) {
    const x = number(scale.x(value * 1000));
    parts.push(
      `<text class="soft" x="${x}" y="${FAIR_TOP + FAIR_HEIGHT + 18}" text-anchor="middle">${number(value)}</text>`,
    );
  }
  parts.push(
    `<text class="soft" x="${right}" y="${FAIR_TOP + FAIR_HEIGHT + 34}" text-anchor="end">seconds</text>`,
  );
  return parts.join("\n");
}

function colour(i: number): string {
  const dash = DASHES[Math.floor(i / HUES.length) % DASHES.length]!;
  return `stroke="var(--s${i % HUES.length})"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
}

function legend({ servers }: SimulationReport): string {
  const room = Math.floor((WIDTH - LEFT - RIGHT) / LEGEND_STEP);
  const shown = servers.slice(0, servers.length > room ? room - 1 : room).map(({ name }, i) => {
    const x = LEFT + i * LEGEND_STEP;
    const line = `<line class="line" x1="${x}" x2="${x + 18}" y1="40" y2="40" ${colour(i)}/>`;
    return `${line}<text x="${x + 24}" y="44">${escapeText(name)}</text>`;
  });
  if (servers.length > room)
    shown.push(`<text x="${LEFT + (room - 1) * LEGEND_STEP}" y="44">and more</text>`);
  return shown.join("\n");
}

function panel(report: SimulationReport, at: number, end: number, removalAt: number | undefined): string {
  const { scheduler, samples, servers, fairness } = report;
  const peak = Math.max(1, ...samples.flatMap(({ active }) => active));
  const step = Math.max(1, niceStep(peak, 5));
  const top = Math.ceil(peak / step) * step;
  const scale = scaleOf(end, top);
  const lines = servers.map((_, i) => {
    const load = points(samples, scale.x, (sample) => scale.load(sample.active[i]!));
    return `<polyline class="line" ${colour(i)} points="${load}"/>`;
  });
  const fair = points(samples, scale.x, (sample) => scale.fair(sample.fairness));
  const gone = removalAt === undefined ? "" : number(scale.x(removalAt));
  const mark =
    removalAt === undefined
      ? ""
      : `<line class="gone" x1="${gone}" x2="${gone}" y1="${LOAD_TOP}" y2="${FAIR_TOP + FAIR_HEIGHT}"/>
<text class="soft" x="${gone}" y="${LOAD_TOP - 4}" text-anchor="middle">removal</text>`;
  return `<g transform="translate(0 ${at})">
<text class="title" x="${LEFT}" y="22">${escapeText(scheduler)}: active connections</text>
${legend(report)}
${grid(scale, top, step, end)}
${lines.join("\n")}
<text class="soft" x="${LEFT}" y="${FAIR_TOP - 8}">fairness (Jain's index of active / weight), ${fairness.mean.toFixed(3)} on average</text>
<polyline class="line fair" points="${fair}"/>
${mark}
</g>`;
}

/** A whole SVG document, one panel a report. `end` and `removalAt` in ms. */
export function plot(reports: readonly SimulationReport[], end: number, removalAt?: number): string {
  const height = PANEL * reports.length;
  const names = escapeText(reports.map(({ scheduler }) => scheduler).join(", "));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title desc">
<title id="title">Simulation of ${names}</title>
<desc id="desc">Active connections of each real server over time, and how fair they are shared out.</desc>
${style()}
<rect class="ground" width="${WIDTH}" height="${height}"/>
${reports.map((report, i) => panel(report, i * PANEL, end, removalAt)).join("\n")}
</svg>
`;
}
