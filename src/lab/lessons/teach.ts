/** Gives a lesson on a stage: shows it, takes what it did back, and judges an answer. */
import type { Stage } from "../stage.ts";
import { type Lesson, Scene, type Shown } from "./lesson.ts";

/** What `dr-director lab --lesson NAME --json` prints. */
export interface LessonReport {
  version: 1;
  lesson: string;
  title: string;
  /** What was said, line by line. */
  told: string[];
  /** Whether the lesson's point was seen. */
  held: boolean;
  /** If not, why, a sentence each. */
  problems: string[];
  question: string;
  /** The answer that was given, and whether it is right; null when none was. */
  given: string | null;
  right: boolean | null;
  /** For a wrong answer. */
  hint: string | null;
  /** For a right one. */
  because: string | null;
}

export interface TeachOptions {
  /** Hears each line as it is said. */
  readonly say?: (line: string) => void;
  /** Leaves out the one thing that the lesson is about (lesson.ts): its check must then fail. */
  readonly pointless?: boolean;
}

/** Shows a lesson; the stage is as before when it resolves. */
export async function teach(stage: Stage, lesson: Lesson, options: TeachOptions = {}): Promise<Shown> {
  const scene = new Scene(stage, options.say ?? (() => {}), options.pointless);
  if (lesson.config !== undefined) await stage.reload(lesson.config);
  try {
    return await lesson.show(scene);
  } finally {
    await scene.end();
    if (lesson.config !== undefined) await stage.reload({});
  }
}

export function reportOf(
  lesson: Lesson,
  { problems, question }: Shown,
  told: readonly string[],
  given: string | undefined,
): LessonReport {
  const right = given === undefined ? null : question.accepts(given);
  return {
    version: 1,
    lesson: lesson.name,
    title: lesson.title,
    told: [...told],
    held: problems.length === 0,
    problems: [...problems],
    question: question.text,
    given: given ?? null,
    right,
    hint: right === false ? (question.hints[0] ?? null) : null,
    because: right === true ? question.because : null,
  };
}
