/** `dr-director lab --lesson NAME`: shows it, asks, and answers to the answer. */
import { createInterface } from "node:readline";
import { wrap } from "../control/doctor/lines.ts";
import { write } from "./keep.ts";
import type { Lesson, Question, Shown } from "./lessons/lesson.ts";
import { findLesson, LESSONS } from "./lessons/lessons.ts";
import { reportOf, teach } from "./lessons/teach.ts";
import { EXIT_STOPPED, onStage } from "./on-stage.ts";
import type { Stage } from "./stage.ts";
import { unlessStopped } from "./stopping.ts";
import { type Style, styleFor } from "./style.ts";

export interface LessonOptions {
  name: string;
  /** Instead of asking. */
  answer?: string;
  /** Do not ask. */
  once: boolean;
  json: boolean;
}

export function lessonList(): string {
  const width = Math.max(...LESSONS.map(({ name }) => name.length));
  return LESSONS.map(({ name, title }) => `${name.padEnd(width + 2)}${title}\n`).join("");
}

export async function runLesson(options: LessonOptions): Promise<number> {
  if (options.name === "list") {
    write(lessonList());
    return 0;
  }
  let lesson: Lesson | undefined;
  const check = (): void => void (lesson = findLesson(options.name));
  return onStage(
    check,
    async (stage, stopped) =>
      (await unlessStopped(stopped, play(stage, lesson!, options, stopped))) ?? EXIT_STOPPED,
  );
}

async function play(
  stage: Stage,
  lesson: Lesson,
  options: LessonOptions,
  stopped: AbortSignal,
): Promise<number> {
  const style = styleFor(process.stdout.isTTY === true);
  const told: string[] = [];
  const print = (...lines: string[]): void => {
    if (!options.json) write(lines.map((line) => `${line}\n`).join(""));
  };
  print(style.bold(lesson.title), "", ...wrap(lesson.idea), "");
  const say = (line: string): void => {
    told.push(line);
    print(line);
  };
  const shown = await teach(stage, lesson, { say });
  const report = reportOf(lesson, shown, told, options.answer);
  if (options.json) {
    write(`${JSON.stringify(report, null, 2)}\n`);
    return report.held && report.right !== false ? 0 : 1;
  }
  if (!report.held) {
    print("", style.bad("This did not go as it should:"), ...shown.problems.map((problem) => `  ${problem}`));
    return 1;
  }
  const right = await dialogue(shown, options, { print, style, stopped });
  print("", `More: docs/lessons/${lesson.name}.md`);
  return right === false ? 1 : 0;
}

interface Voice {
  print(...lines: string[]): void;
  style: Style;
  stopped: AbortSignal;
}

/** Asks until the answer is right or the hints are at their end; undefined when nobody was asked. */
async function dialogue(
  { question }: Shown,
  { answer, once }: LessonOptions,
  voice: Voice,
): Promise<boolean | undefined> {
  voice.print("", ...wrap(question.text));
  if (answer !== undefined) return judge(question, answer, 0, voice);
  if (once || process.stdin.isTTY !== true) {
    voice.print("", "Answer with --answer TEXT.");
    return undefined;
  }
  const lines = new Lines(voice.stopped);
  try {
    for (let i = 0; i <= question.hints.length; i++) {
      const line = await lines.ask("> ");
      if (line === undefined) return undefined;
      if (judge(question, line, i, voice)) return true;
    }
    voice.print("", `It is: ${question.answer}.`, "", ...wrap(question.because));
    return false;
  } finally {
    lines.close();
  }
}

/** Lines from the keyboard; what is typed ahead is not lost. */
class Lines {
  readonly #reader = createInterface({ input: process.stdin, output: process.stdout });
  readonly #typed: string[] = [];
  #ended = false;
  #heard: () => void = () => {};

  constructor(stopped: AbortSignal) {
    this.#reader.on("line", (line) => {
      this.#typed.push(line);
      this.#heard();
    });
    this.#reader.on("close", () => {
      this.#ended = true;
      this.#heard();
    });
    // On a terminal readline takes Ctrl-C for itself.
    this.#reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
    stopped.addEventListener("abort", () => this.close(), { once: true });
  }

  /** The next line; undefined at the end (Ctrl-D). */
  async ask(prompt: string): Promise<string | undefined> {
    this.#reader.setPrompt(prompt);
    if (!this.#ended) this.#reader.prompt();
    while (this.#typed.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#typed.shift();
  }

  close(): void {
    this.#reader.close();
  }
}

function judge(question: Question, answer: string, attempt: number, { print, style }: Voice): boolean {
  if (question.accepts(answer)) {
    print(style.good("Right."), "", ...wrap(question.because));
    return true;
  }
  const hint = question.hints[attempt];
  print(style.bad("No."), ...(hint === undefined ? [] : wrap(`A hint: ${hint}`)));
  return false;
}
