/** What a lesson is: one idea, shown on a stage, and a question whose answer was seen there. */
import type { ConfigInput } from "../../control/config-schema.ts";
import { Capture, type CapturedFrame, type CaptureOptions } from "../capture.ts";
import type { Stage } from "../stage.ts";

export interface Question {
  readonly text: string;
  /** By what was seen on the stage. */
  accepts(answer: string): boolean;
  /** The right answer, as one would type it. */
  readonly answer: string;
  /** Told one after the other to wrong answers. */
  readonly hints: readonly string[];
  /** Told to the right answer: why it is so. */
  readonly because: string;
}

export interface Shown {
  /** Why the lesson's point did not show, a sentence each; none when it did. */
  readonly problems: readonly string[];
  readonly question: Question;
}

export interface Lesson {
  /** Also of its page, docs/lessons/NAME.md. */
  readonly name: string;
  readonly title: string;
  /** The idea, in a few sentences. */
  readonly idea: string;
  /** Laid over the stage's config. */
  readonly config?: ConfigInput;
  show(scene: Scene): Promise<Shown>;
}

/** Where a lesson takes place: the stage, and a listener for its words. */
export class Scene {
  readonly stage: Stage;
  readonly #say: (line: string) => void;
  readonly #pointless: boolean;
  readonly #mend: (() => Promise<unknown>)[] = [];

  /** `pointless`: the one thing that the lesson is about is left out, so that its check must fail. */
  constructor(stage: Stage, say: (line: string) => void, pointless = false) {
    this.stage = stage;
    this.#say = say;
    this.#pointless = pointless;
  }

  say(...lines: string[]): void {
    for (const line of lines) this.#say(line.trimEnd());
  }

  /** The one thing that the lesson is about; `make` gives what takes it back, which happens at the lesson's end. */
  async point(make: () => Promise<(() => Promise<unknown>) | undefined>): Promise<void> {
    if (this.#pointless) return;
    const mend = await make();
    if (mend !== undefined) this.#mend.push(mend);
  }

  /** For a point that is a choice: this, or that when it is left out. */
  choose<T>(point: T, without: T): T {
    return this.#pointless ? without : point;
  }

  /** Goes on beside the lesson, which awaits it later. Should the lesson end before, its failure is nobody's. */
  beside<T>(task: Promise<T>): Promise<T> {
    task.catch(() => {});
    return task;
  }

  async end(): Promise<void> {
    for (let mend = this.#mend.pop(); mend !== undefined; mend = this.#mend.pop()) await mend();
  }

  /** Listens at several places while `act` runs; gives what was seen at each, in order of time. */
  async listen<P extends string>(
    places: Readonly<Record<P, readonly [namespace: string, device: string]>>,
    act: () => Promise<unknown>,
    options: CaptureOptions = {},
  ): Promise<Record<P, CapturedFrame[]>> {
    const names = Object.keys(places) as P[];
    const captures = await Promise.all(
      names.map((name) => {
        const [namespace, device] = places[name];
        return Capture.start(this.stage.lab, namespace, device, options);
      }),
    );
    await act();
    await Promise.all(captures.map((capture) => capture.quiet(60, 1_000)));
    await Promise.all(captures.map((capture) => capture.stop()));
    const seen = captures.map(({ frames }, i) => [names[i]!, [...frames].sort((a, b) => a.time - b.time)]);
    return Object.fromEntries(seen) as Record<P, CapturedFrame[]>;
  }
}

/** A question whose answer is one of some words, whatever their case and the blanks around them. */
export function exactly(...words: readonly string[]): (answer: string) => boolean {
  const right = words.map((word) => word.toLowerCase());
  return (answer) => right.includes(answer.trim().toLowerCase());
}
