/** Pictures of results as SVG text: bars with their spread, and lines over a logarithmic axis. No library needed. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min?: number;
  readonly max?: number;
  /** Ours stand out. */
  readonly own?: boolean;
}

const WIDTH = 720;
const LEFT = 230;
const RIGHT = 90;
const ROW = 30;
const TOP = 56;
const OWN = "#1f77b4";
const OTHER = "#9aa5b1";

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign] ?? sign);
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped(content)}</text>`;
}

function page(height: number, title: string, note: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(16, 24, title, 'font-size="16" font-weight="bold"'),
    text(16, 42, note, 'fill="#555" font-size="12"'),
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

/** A number with three significant digits, without an exponent. */
export function rounded(value: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 1e-9))));
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(digits, 3) });
}

export function barChart(title: string, note: string, unit: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map((bar) => bar.max ?? bar.value), 1e-9);
  const scale = (WIDTH - LEFT - RIGHT) / most;
  const body = bars.flatMap((bar, i) => {
    const y = TOP + i * ROW;
    const end = LEFT + bar.value * scale;
    const spread =
      bar.min === undefined || bar.max === undefined
        ? []
        : [
            `<line x1="${(LEFT + bar.min * scale).toFixed(1)}" x2="${(LEFT + bar.max * scale).toFixed(1)}" y1="${y + 11}" y2="${y + 11}" stroke="#333"/>`,
          ];
    const far = LEFT + Math.max(bar.max ?? 0, bar.value) * scale;
    return [
      text(LEFT - 8, y + 15, bar.label, 'text-anchor="end"'),
      `<rect x="${LEFT}" y="${y}" width="${Math.max(0, end - LEFT).toFixed(1)}" height="22" fill="${bar.own ? OWN : OTHER}"/>`,
      ...spread,
      text(far + 6, y + 15, `${rounded(bar.value)} ${unit}`),
    ];
  });
  return page(TOP + bars.length * ROW + 12, title, note, body);
}

export interface Line {
  readonly label: string;
  /** x > 0, in rising order. */
  readonly points: readonly (readonly [number, number])[];
  readonly own?: boolean;
}

const PLOT_HEIGHT = 260;
const PLOT_LEFT = 60;

/** Lines over a logarithmic x axis; y begins at 0. */
export function lineChart(
  title: string,
  note: string,
  units: { x: string; y: string },
  lines: readonly Line[],
): string {
  const xs = lines.flatMap((line) => line.points.map(([x]) => Math.log10(x)));
  const most = Math.max(...lines.flatMap((line) => line.points.map(([, y]) => y)), 1e-9) * 1.08;
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const atX = (x: number) =>
    PLOT_LEFT + ((Math.log10(x) - first) / Math.max(last - first, 1e-9)) * (WIDTH - PLOT_LEFT - RIGHT - 60);
  const atY = (y: number) => TOP + PLOT_HEIGHT * (1 - y / most);
  const ticks = [...new Set(lines.flatMap((line) => line.points.map(([x]) => x)))];
  const body = [
    `<line x1="${PLOT_LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(0)}" y2="${atY(0)}" stroke="#333"/>`,
    ...ticks.map((x) => text(atX(x), atY(0) + 18, rounded(x), 'text-anchor="middle" fill="#555"')),
    ...[0.25, 0.5, 0.75, 1].flatMap((share) => {
      const y = most * share;
      return [
        `<line x1="${PLOT_LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(y).toFixed(1)}" y2="${atY(y).toFixed(1)}" stroke="#ddd"/>`,
        text(PLOT_LEFT - 6, atY(y) + 4, rounded(y), 'text-anchor="end" fill="#555"'),
      ];
    }),
    text(PLOT_LEFT, TOP - 4, units.y, 'fill="#555" font-size="12"'),
    text(WIDTH - RIGHT, atY(0) + 36, units.x, 'text-anchor="end" fill="#555" font-size="12"'),
    ...lines.flatMap((line) => {
      const colour = line.own ? OWN : OTHER;
      const path = line.points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(" ");
      const [endX, endY] = line.points.at(-1)!;
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        text(atX(endX) + 8, atY(endY) + 4, line.label, `fill="${colour}"`),
      ];
    }),
  ];
  return page(TOP + PLOT_HEIGHT + 48, title, note, body);
}
