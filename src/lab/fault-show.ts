/** `dr-director lab --fault NAME`: breaks it, shows what clients notice, has the doctor look, and mends it. */
import { doctorLines, wrap } from "../control/doctor/lines.ts";
import type { DoctorReport } from "../control/doctor/report.ts";
import { FAULTS, type Fault, findFault } from "./faults.ts";
import { write } from "./keep.ts";
import { EXIT_STOPPED, onStage } from "./on-stage.ts";
import { enterLines } from "./print.ts";
import { isRootless } from "./privilege.ts";
import type { Stage } from "./stage.ts";
import { unlessStopped } from "./stopping.ts";
import { type Style, styleFor } from "./style.ts";
import type { Round } from "./traffic.ts";

export interface FaultOptions {
  name: string;
  doctor: boolean;
  once: boolean;
  json: boolean;
}

/** What `--json` prints. */
export interface FaultReport {
  version: 1;
  fault: string;
  sentence: string;
  /** Twelve requests each: while all is well, while it is broken (null when the director cannot run), and after. */
  before: Round;
  during: Round | null;
  after: Round;
  /** With --doctor. */
  doctor: DoctorReport | null;
  /** All is well before and after, and the doctor named this fault and no other. */
  held: boolean;
}

const REQUESTS = 12;

export function faultList(): string {
  const width = Math.max(...FAULTS.map(({ name }) => name.length));
  const lines = FAULTS.flatMap(({ name, sentence }) => {
    const [first, ...rest] = wrap(sentence, " ".repeat(width + 2));
    return [name.padEnd(width + 2) + first!.trimStart(), ...rest];
  });
  return `${lines.join("\n")}\n`;
}

export async function runFault(options: FaultOptions): Promise<number> {
  if (options.name === "list") {
    write(faultList());
    return 0;
  }
  let fault: Fault | undefined;
  const check = (): void => void (fault = findFault(options.name));
  return onStage(check, (stage, stopped) => play(stage, fault!, options, stopped));
}

interface Broken {
  readonly before: Round;
  readonly during: Round | null;
  readonly doctor: DoctorReport | null;
  readonly mend: () => Promise<unknown>;
}

async function play(
  stage: Stage,
  fault: Fault,
  options: FaultOptions,
  stopped: AbortSignal,
): Promise<number> {
  const screen = new Screen(options.json, styleFor(process.stdout.isTTY === true));
  const broken = await unlessStopped(stopped, breakIt(stage, fault, options.doctor, screen));
  if (broken === undefined) return EXIT_STOPPED;
  if (!options.once && !options.json) await screen.stay(stage, stopped);
  const { mend, ...found } = broken;
  await mend();
  const after = await stage.requests(REQUESTS);
  screen.round("mended", after);
  const named = found.doctor?.findings.map((finding) => finding.fault) ?? [fault.name];
  const held = found.before.failed === 0 && after.failed === 0 && named.join() === fault.name;
  const { name, sentence } = fault;
  screen.end({ version: 1, fault: name, sentence, ...found, after, held });
  return held ? 0 : 1;
}

async function breakIt(stage: Stage, fault: Fault, withDoctor: boolean, screen: Screen): Promise<Broken> {
  screen.begin(fault);
  const before = await stage.requests(REQUESTS);
  screen.round("while all is well", before);
  const mend = await fault.inject(stage);
  const during = stage.director.program.running ? await stage.requests(REQUESTS, { timeout: 1_000 }) : null;
  screen.round("now", during);
  screen.watch(fault);
  const doctor = withDoctor ? (await stage.doctor()).report : null;
  if (doctor !== null) screen.doctor(doctor);
  return { before, during, doctor, mend };
}

class Screen {
  readonly #json: boolean;
  readonly #style: Style;

  constructor(json: boolean, style: Style) {
    this.#json = json;
    this.#style = style;
  }

  #say(...lines: string[]): void {
    if (!this.#json) write(lines.map((line) => `${line}\n`).join(""));
  }

  begin({ name, sentence }: Fault): void {
    this.#say(this.#style.bold(`dr-director lab  fault ${name}`), "", ...wrap(sentence), "");
  }

  round(when: string, round: Round | null): void {
    if (round === null) {
      this.#say(`  ${when.padEnd(18)} the director does not run`);
      return;
    }
    const names = ["rs1", "rs2", "rs3"].map(
      (name) => `${name} ${String(round.answers[name] ?? 0).padStart(2)}`,
    );
    const failed = round.failed === 0 ? "" : this.#style.bad(`   ${round.failed} failed: ${round.errors[0]}`);
    this.#say(`  ${when.padEnd(18)} ${names.join("   ")}${failed}`);
  }

  watch({ watch }: Fault): void {
    this.#say("", ...wrap(`What to look at: ${watch}.`), "");
  }

  doctor(report: DoctorReport): void {
    this.#say(...doctorLines(report), "");
  }

  async stay(stage: Stage, stopped: AbortSignal): Promise<void> {
    const pids = new Map([...stage.lab.namespaces].map(([name, { pid }]) => [name, pid]));
    this.#say("It stays broken until Ctrl-C. To enter a namespace:", ...enterLines(pids, isRootless()), "");
    await new Promise((resolve) => stopped.addEventListener("abort", resolve, { once: true }));
  }

  end(report: FaultReport): void {
    if (this.#json) write(`${JSON.stringify(report, null, 2)}\n`);
  }
}
