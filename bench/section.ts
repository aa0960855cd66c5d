/** A part of the benches: what it measures, in ratios, tables, pictures and raw samples. */
import type { Ratio, Table } from "./results.ts";

export interface Section {
  readonly ratios: Readonly<Record<string, Ratio>>;
  readonly tables: readonly Table[];
  /** SVG text by file name. */
  readonly pictures: Readonly<Record<string, string>>;
  readonly raw: Readonly<Record<string, unknown>>;
}

export interface Effort {
  /** Rounds that are interleaved; a median is of so many. */
  readonly rounds: number;
  readonly quick: boolean;
  readonly say: (line: string) => void;
}

export const NOTHING: Section = { ratios: {}, tables: [], pictures: {}, raw: {} };

export function joinSections(sections: readonly Section[]): Section {
  return {
    ratios: Object.assign({}, ...sections.map((section) => section.ratios)),
    tables: sections.flatMap((section) => section.tables),
    pictures: Object.assign({}, ...sections.map((section) => section.pictures)),
    raw: Object.assign({}, ...sections.map((section) => section.raw)),
  };
}

/** One measurement of several: when it fails the others still count, and the results say why it is not there. */
export async function attempt(name: string, { say }: Effort, run: () => Promise<Section>): Promise<Section> {
  try {
    return await run();
  } catch (error) {
    say(`${name}: ${(error as Error).stack}`);
    return { ...NOTHING, raw: { [`${name}Failed`]: (error as Error).message } };
  }
}
