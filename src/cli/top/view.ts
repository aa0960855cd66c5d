/** What the user has chosen to see, and the keys that change it. Pure: no terminal here. */

export const SORTS = ["as added", "conns/s", "packets/s", "bytes/s", "active", "weight"] as const;
export type Sort = (typeof SORTS)[number];

export interface View {
  readonly sort: Sort;
  readonly reverse: boolean;
  readonly paused: boolean;
  readonly verdicts: boolean;
  readonly help: boolean;
  /** First row of the table that is shown. */
  readonly scroll: number;
  /** Seconds between two looks. */
  readonly interval: number;
}

export const FIRST_VIEW: View = {
  sort: "as added",
  reverse: false,
  paused: false,
  verdicts: true,
  help: false,
  scroll: 0,
  interval: 2,
};

export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["q", "quit"],
  ["p", "pause"],
  ["s", "sort by the next column"],
  ["r", "reverse"],
  ["↑ ↓ PgUp PgDn", "scroll"],
  ["+ -", "slower, faster"],
  ["v", "verdicts"],
  ["h", "help"],
];

/** Seconds between looks that + and - go through. */
const INTERVALS = [0.5, 1, 2, 5, 10, 30, 60];

/** The view after a key, as the terminal sends it; "quit", or the same view when the key means nothing. */
export function pressed(view: View, key: string, page: number): View | "quit" {
  switch (key) {
    case "q":
    case "Q":
    case "\x03":
      return "quit";
    case "p":
    case " ":
      return { ...view, paused: !view.paused };
    case "s":
      return { ...view, sort: SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length]!, scroll: 0 };
    case "r":
      return { ...view, reverse: !view.reverse, scroll: 0 };
    case "v":
      return { ...view, verdicts: !view.verdicts };
    case "h":
    case "?":
      return { ...view, help: !view.help };
    case "+":
      return { ...view, interval: INTERVALS.find((each) => each > view.interval) ?? view.interval };
    case "-":
      return { ...view, interval: INTERVALS.findLast((each) => each < view.interval) ?? view.interval };
    default:
      return scrolled(view, key, page);
  }
}

function scrolled(view: View, key: string, page: number): View {
  const steps: Readonly<Record<string, number>> = {
    "\x1b[A": -1,
    "\x1bOA": -1,
    "\x1b[B": 1,
    "\x1bOB": 1,
    "\x1b[5~": -page,
    "\x1b[6~": page,
    "\x1b[H": Number.NEGATIVE_INFINITY,
    "\x1b[F": Number.MAX_SAFE_INTEGER,
  };
  const step = steps[key];
  return step === undefined ? view : { ...view, scroll: Math.max(0, view.scroll + step) };
}

/** An escape sequence (CSI or SS3), or one character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal sends them
const KEY = /\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[\s\S]/gu;

/** A terminal sends keys typed fast in one piece. */
export function keysIn(text: string): string[] {
  return text.match(KEY) ?? [];
}
