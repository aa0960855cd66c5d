/** `dr-director top`: looks at the director again and again, on a screen or as plain text. */
import { ApiClient } from "../api-client.ts";
import { write } from "../client-program.ts";
import { drawScreen, plainLines, type Screen } from "./screen.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";
import { FIRST_VIEW, keysIn, pressed, type View } from "./view.ts";

export interface TopFlags {
  socket?: string;
  once?: true;
  interval?: number;
  count?: number;
}

export function runTop(flags: TopFlags): Promise<number> {
  const director = new ApiClient(flags.socket);
  const terminal = process.stdout.isTTY === true && process.stdin.isTTY === true && flags.once !== true;
  return terminal ? new Top(director, flags).run() : plain(director, flags);
}

/** One look, or one each interval. */
async function plain(director: ApiClient, { once, interval, count }: TopFlags): Promise<number> {
  const looks = once === true || interval === undefined ? 1 : (count ?? Number.POSITIVE_INFINITY);
  let before: Snapshot | undefined;
  for (let look = 0; look < looks; look++) {
    if (look > 0) await new Promise((resolve) => setTimeout(resolve, interval! * 1000));
    const now = await takeSnapshot(director);
    const lines = plainLines(now, before, FIRST_VIEW);
    await write(`${look > 0 ? "\n" : ""}${lines.join("\n")}\n`);
    before = now;
  }
  return 0;
}

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

class Top {
  readonly #director: ApiClient;
  #view: View;
  #now: Snapshot | undefined;
  #before: Snapshot | undefined;
  #screen: Screen = { lines: [], page: 1, most: 0 };
  #trouble = "";
  #timer: NodeJS.Timeout | undefined;
  #left: number;
  #end = (): void => {};

  constructor(director: ApiClient, { interval, count }: TopFlags) {
    this.#director = director;
    this.#view = interval === undefined ? FIRST_VIEW : { ...FIRST_VIEW, interval };
    this.#left = count ?? Number.POSITIVE_INFINITY;
  }

  /** Until q, a signal, or so many looks. What cannot be asked at the first look is an error; later it is shown. */
  async run(): Promise<number> {
    this.#now = await takeSnapshot(this.#director);
    const { stdin, stdout } = process;
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    const end = (): void => this.#end();
    const draw = (): void => this.#draw();
    const key = (text: string): void => {
      for (const each of keysIn(text)) this.#press(each);
    };
    stdout.write(ENTER);
    try {
      stdin.setRawMode(true).setEncoding("utf8").on("data", key).resume();
      stdout.on("resize", draw);
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, end);
      this.#draw();
      this.#wait();
      await ended;
    } finally {
      clearTimeout(this.#timer);
      stdout.off("resize", draw);
      stdin.off("data", key).pause().setRawMode(false);
      stdout.write(LEAVE);
    }
    return 0;
  }

  #press(key: string): void {
    // From where the table really stands, not from how far a key wanted it.
    const view = { ...this.#view, scroll: Math.min(this.#view.scroll, this.#screen.most) };
    const after = pressed(view, key, this.#screen.page);
    if (after === "quit") {
      this.#end();
      return;
    }
    this.#view = after;
    if (after.interval !== view.interval) this.#wait();
    this.#draw();
  }

  /** Looks again after the interval, and so on. */
  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.#look();
      if (--this.#left <= 0) this.#end();
      else this.#wait();
    }, this.#view.interval * 1000);
  }

  async #look(): Promise<void> {
    if (this.#view.paused) return;
    try {
      const now = await takeSnapshot(this.#director);
      this.#before = this.#now;
      this.#now = now;
      this.#trouble = "";
    } catch (error) {
      this.#trouble = (error as Error).message;
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#now === undefined) return;
    const { columns = 80, rows = 24 } = process.stdout;
    const size = { width: columns, height: rows };
    this.#screen = drawScreen(this.#now, this.#before, this.#view, size, this.#trouble);
    // Each line ends with "erase to its end", so nothing flickers and nothing of a wider screen stays.
    process.stdout.write(`\x1b[H${this.#screen.lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`);
  }
}
