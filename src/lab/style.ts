/** Colour for terminals; none when the output is not one, or when NO_COLOR is set (no-color.org). */

export interface Style {
  bold(text: string): string;
  faint(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  marked(text: string): string;
  /** True when lines may be drawn over. */
  readonly terminal: boolean;
}

const wrap =
  (code: number, end: number) =>
  (text: string): string =>
    `\x1b[${code}m${text}\x1b[${end}m`;

const same = (text: string): string => text;

export function styleFor(terminal: boolean, env: NodeJS.ProcessEnv = process.env): Style {
  const colour = terminal && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  if (!colour) return { bold: same, faint: same, good: same, bad: same, marked: same, terminal };
  return {
    bold: wrap(1, 22),
    faint: wrap(2, 22),
    good: wrap(32, 39),
    bad: wrap(31, 39),
    marked: wrap(7, 27),
    terminal,
  };
}

/** Bytes for people: 1.5 kB, 20.3 MB. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (bytes >= 999.95 && i < units.length - 1) {
    bytes /= 1000;
    i++;
  }
  return `${i === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`;
}
