/** `dr-director plan` and `apply`: a whole config against the running director. */
import { readFileSync } from "node:fs";
import type { DirectorCommand, ServiceListing, Timeouts } from "../control/model.ts";
import { ApiClient, ApiError } from "./api-client.ts";
import { write } from "./client-program.ts";
import { planLines, planText } from "./plan-text.ts";

export interface PlanFlags {
  socket?: string;
  json?: true;
  color?: boolean;
  dryRun?: true;
}

/** There is something to change: the exit code that `terraform plan -detailed-exitcode` has made usual. */
export const EXIT_CHANGES = 2;

interface Plan {
  readonly commands: readonly DirectorCommand[];
  readonly refused?: readonly { readonly message: string }[];
}

/** 0 when there is nothing to change, 2 when there is. */
export async function runPlan(file: string, flags: PlanFlags): Promise<number> {
  const director = new ApiClient(flags.socket);
  const [services, timeouts] = await present(director);
  const { commands } = await ask(director, "/v1/plan", file);
  await show({ commands }, services, timeouts, flags);
  return commands.length === 0 ? 0 : EXIT_CHANGES;
}

/** 0 when all of it was done, 1 when something was refused. */
export async function runApply(file: string, flags: PlanFlags): Promise<number> {
  if (flags.dryRun === true) return runPlan(file, flags);
  const director = new ApiClient(flags.socket);
  const [services, timeouts] = await present(director);
  const done = await ask(director, "/v1/apply", file);
  await show(done, services, timeouts, flags);
  const refused = done.refused ?? [];
  for (const { message } of refused) process.stderr.write(`refused: ${message}\n`);
  return refused.length === 0 ? 0 : 1;
}

async function ask(director: ApiClient, path: string, file: string): Promise<Plan> {
  const name = file === "-" ? "standard input" : file;
  const text = readFileSync(file === "-" ? 0 : file, "utf8");
  try {
    return await director.post<Plan>(path, { text, file: name });
  } catch (error) {
    // A config's errors name its lines themselves.
    if (error instanceof ApiError && error.status === 400) throw new ConfigRefused(error.message);
    throw error;
  }
}

/** The config is wrong: each error with its file, line and column. */
export class ConfigRefused extends Error {
  override readonly name = "ConfigRefused";
}

/** How things are, to show what a change changes. */
async function present(director: ApiClient): Promise<[ServiceListing[], Timeouts | undefined]> {
  const services = await director.json<ServiceListing[]>("/v1/services");
  const format = { numeric: true, columns: "plain", exact: false, nosort: false };
  const rows = director.rows<{ timeouts?: Timeouts }>("/v1/ipvsadm", {
    command: { kind: "list", what: "timeouts", format },
  });
  let timeouts: Timeouts | undefined;
  for await (const row of rows) timeouts ??= row.timeouts;
  return [services, timeouts];
}

async function show(
  plan: Plan,
  services: readonly ServiceListing[],
  timeouts: Timeouts | undefined,
  { json, color }: PlanFlags,
): Promise<void> {
  if (json === true) return write(`${JSON.stringify(plan, null, 2)}\n`);
  const colour = color ?? (process.stdout.isTTY === true && process.env.NO_COLOR === undefined);
  await write(planText(planLines(plan.commands, services, timeouts), colour));
}
