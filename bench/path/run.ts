/** Runs cases of the path bench, each in a process of its own, whose rounds take turns. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { BENCH_BUILD } from "../places.ts";
import type { Round } from "./case.ts";

export interface CaseRounds {
  readonly rounds: readonly Round[];
  /** Resident bytes of the process once its world was made. */
  readonly resident: number;
}

class CaseProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly rounds: Round[] = [];
  resident = 0;

  constructor(name: string) {
    this.name = name;
    this.#child = spawn(process.execPath, [join(BENCH_BUILD, "path.js"), name], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#reader = createInterface({ input: this.#child.stdout! });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    this.resident = ((await this.#answer()) as { resident: number }).resident;
  }

  async round(): Promise<void> {
    this.#child.stdin!.write("round\n");
    this.rounds.push((await this.#answer()) as Round);
  }

  async end(): Promise<void> {
    this.#child.stdin!.end("end\n");
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    this.#reader.close();
  }

  async #answer(): Promise<unknown> {
    const next = await this.#lines.next();
    if (next.done) throw new Error(`the path bench's case ${this.name} ended early, see above`);
    return JSON.parse(next.value);
  }
}

/** `rounds` of each case; the cases are ready at the same time and take turns round by round. */
export async function runCases(
  names: readonly string[],
  rounds: number,
  say: (line: string) => void,
): Promise<Record<string, CaseRounds>> {
  const cases: CaseProcess[] = [];
  try {
    for (const name of names) {
      say(`path: ${name}`);
      const its = new CaseProcess(name);
      cases.push(its);
      // One at a time: making a world takes a core.
      await its.ready();
    }
    for (let round = 0; round < rounds; round++) {
      for (const its of cases) await its.round();
    }
  } finally {
    await Promise.all(cases.map((its) => its.end()));
  }
  return Object.fromEntries(cases.map(({ name, rounds, resident }) => [name, { rounds, resident }]));
}
