/** A bench as an SVG picture: frames a second that came through, and below it what each cost. Needs no script. */
import type { BenchReport, BenchSample } from "../lab/bench/bench.ts";
import { escapeText, niceStep, plotStyle } from "./plot-style.ts";

const WIDTH = 760;
const LEFT = 64;
const RIGHT = 24;
const PANEL_HEIGHT = 150;
const PANEL_TOPS = [70, 270] as const;
const HEIGHT = 450;

const STYLE = plotStyle("--bar:#0072b2", "--bar:#56a8e0", ".bar{fill:var(--bar)}");

function panel(
  top: number,
  label: string,
  samples: readonly BenchSample[],
  value: (s: BenchSample) => number,
): string {
  const most = Math.max(...samples.map(value), 1);
  const step = niceStep(most, 4);
  const height = (n: number): number => (PANEL_HEIGHT * n) / (Math.ceil(most / step) * step);
  const width = (WIDTH - LEFT - RIGHT) / samples.length;
  const grid: string[] = [];
  for (let n = 0; n <= Math.ceil(most / step) * step; n += step) {
    const y = (top + PANEL_HEIGHT - height(n)).toFixed(1);
    grid.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>`);
    grid.push(`<text class="soft" x="${LEFT - 8}" y="${y}" text-anchor="end" dy="4">${n}</text>`);
  }
  const bars = samples.map((sample, second) => {
    const tall = height(value(sample));
    const x = (LEFT + second * width + width * 0.1).toFixed(1);
    const y = (top + PANEL_HEIGHT - tall).toFixed(1);
    return `<rect class="bar" x="${x}" y="${y}" width="${(width * 0.8).toFixed(1)}" height="${tall.toFixed(1)}"><title>${second + 1} s: ${value(sample).toFixed(0)}</title></rect>`;
  });
  return `<text x="${LEFT}" y="${top - 10}">${escapeText(label)}</text>\n${grid.join("\n")}\n${bars.join("\n")}`;
}

export function benchPlot({ samples, how, options, machine, node }: BenchReport): string {
  const { size, flows } = options;
  const what = `${how}, ${size}-byte frames of ${flows} connections`;
  const where = `${machine.cores} × ${machine.cpu}, Linux ${machine.kernel}, Node ${node}; each bar one second`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeText(what)}">
${STYLE}
<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>
<text class="title" x="16" y="24">${escapeText(`dr-director bench: ${what}`)}</text>
<text class="soft" x="16" y="42">${escapeText(where)}</text>
${panel(PANEL_TOPS[0], "thousands of frames a second that came through", samples, ({ rate }) => rate / 1000)}
${panel(PANEL_TOPS[1], "CPU nanoseconds of the forwarding thread for each", samples, ({ cpuPerFrame }) => cpuPerFrame)}
</svg>
`;
}
