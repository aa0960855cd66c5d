/** `dr-director doctor` from its flags to its exit code. */
import { readFileSync } from "node:fs";
import { type Config, ConfigError, parseConfig } from "../control/config.ts";
import { diagnose } from "../control/doctor/doctor.ts";
import { doctorLines } from "../control/doctor/lines.ts";
import { type Patient, patientOf, type Running } from "../control/doctor/patient.ts";
import type { DoctorReport } from "../control/doctor/report.ts";
import { ApiClient } from "./api-client.ts";
import { DirectorUnreachable } from "./director-client.ts";

export interface DoctorFlags {
  config?: string;
  socket?: string;
  interface?: string;
  patience: number;
  json?: true;
}

const EXIT_SOUND = 0;
const EXIT_ILL = 1;
const EXIT_UNABLE = 2;

interface Asked {
  readonly running?: Running;
  readonly config?: Config;
  /** Why there was no answer. */
  readonly unreachable?: string;
}

async function ask(socket: string | undefined): Promise<Asked> {
  const client = new ApiClient(socket);
  try {
    const [services, neighbours, vips, config] = await Promise.all([
      client.json<Running["services"]>("/v1/services"),
      client.json<Running["neighbours"]>("/v1/neighbours"),
      client.json<Running["vips"]>("/v1/vips"),
      client.json<Config>("/v1/config"),
    ]);
    return { running: { services, neighbours, vips }, config };
  } catch (error) {
    if (error instanceof DirectorUnreachable) return { unreachable: error.message };
    throw error;
  }
}

async function findPatient(flags: DoctorFlags): Promise<{ patient: Patient; unreachable?: string }> {
  const written =
    flags.config === undefined ? undefined : parseConfig(readFileSync(flags.config, "utf8"), flags.config);
  const { running, config, unreachable } = await ask(flags.socket ?? written?.socket);
  if (config === undefined && written === undefined)
    throw new RangeError(`${unreachable}; or give --config FILE`);
  // What is in force counts; a file may have been edited since.
  const patient = patientOf(config ?? written, running, flags.interface);
  // Who gives only a config wants to know whether it could run; who names a socket wants to know why it does not.
  const missed = flags.socket !== undefined || written === undefined ? unreachable : undefined;
  return { patient, ...(missed === undefined ? {} : { unreachable: missed }) };
}

export async function runDoctor(flags: DoctorFlags): Promise<number> {
  let report: DoctorReport;
  try {
    const { patient, unreachable } = await findPatient(flags);
    report = await diagnose(patient, { patience: flags.patience }, unreachable);
  } catch (error) {
    const expected =
      error instanceof ConfigError || error instanceof RangeError || "code" in (error as object);
    process.stderr.write(
      `dr-director doctor: ${expected ? (error as Error).message : (error as Error).stack}\n`,
    );
    return EXIT_UNABLE;
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else
    process.stdout.write(
      doctorLines(report)
        .map((line) => `${line}\n`)
        .join(""),
    );
  return report.sound ? EXIT_SOUND : EXIT_ILL;
}
