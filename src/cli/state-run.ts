/** `dr-director export` and `import`: the state as JSON lines, for people, bug reports and tests. */
import { closeSync, createReadStream, existsSync, statSync, unlinkSync } from "node:fs";
import { attachCommands } from "../control/commands.ts";
import { heal } from "../control/heal.ts";
import { rebaseClock } from "../control/recover.ts";
import { bootWord, openState } from "../control/region-file.ts";
import { loadSchedulers } from "../control/scheduler-modules.ts";
import { asText } from "../control/state-api.ts";
import { dumpState } from "../control/state-dump.ts";
import { type StateLine, stateLine } from "../control/state-lines.ts";
import { type Loaded, StateLineError, StateLoader } from "../control/state-load.ts";
import { mapFile, native } from "../ring/native.ts";
import { TICK } from "../table/connections.ts";
import { Header, openRegion, type Region, type Sizes } from "../table/region.ts";
import { ApiClient } from "./api-client.ts";
import { pipe, write } from "./client-program.ts";
import { textLines } from "./text-lines.ts";

export interface ExportFlags {
  socket?: string;
  state?: string;
}

/** Of the running director, or of a state file that nobody runs with. */
export async function runExport({ socket, state }: ExportFlags): Promise<undefined> {
  if (state === undefined) return pipe(await new ApiClient(socket).get("/v1/state"));
  await loadSchedulers([]);
  const region = copyOf(state);
  const commands = attachCommands(region, { now: () => native().monotonic() });
  const listing = commands.list("services");
  const services = listing.kind === "services" ? listing.services : [];
  const lines = dumpState({ region, services, timeouts: commands.timeouts(), now: native().monotonic() });
  for (const text of asText(lines)) await write(text);
}

/** The file's tables in memory of our own: whatever is looked at, the file stays as it is. */
function copyOf(path: string): Region {
  const bytes = statSync(path).size;
  const { memory, fd } = mapFile(path, bytes, { create: false, lock: false });
  try {
    const region = openRegion(memory.slice(0));
    const now = native().monotonic();
    heal(region, now); // a copy, of a file that anything may have written to
    // Of an earlier boot: its moments are counted by another clock.
    if (region.header[Header.Boot] !== bootWord()) rebaseClock(region, now, Math.floor(now / TICK) | 0);
    return region;
  } finally {
    closeSync(fd);
  }
}

export interface ImportFlags {
  state: string;
  shards?: number;
  scheduler?: string[];
}

/** Makes a new state file of JSON lines; a director that starts with it goes on from there. */
export async function runImport(file: string, flags: ImportFlags): Promise<undefined> {
  const { state } = flags;
  if (existsSync(state)) throw new StateLineError(`${state} is there already: import makes a new file`);
  await loadSchedulers(flags.scheduler ?? []);
  const name = file === "-" ? "standard input" : file;
  const source = file === "-" ? process.stdin : createReadStream(file);
  const loaded = await load(source, name, flags);
  const { services, servers, connections, templates } = loaded;
  await write(
    `${state}: ${services} services, ${servers} real servers, ${connections} connections, ${templates} templates\n`,
  );
}

async function load(
  source: AsyncIterable<Uint8Array>,
  name: string,
  { state, shards }: ImportFlags,
): Promise<Loaded> {
  const now = native().monotonic();
  let number = 0;
  let opened: ReturnType<typeof openState> | undefined;
  try {
    let loader: StateLoader | undefined;
    for await (const text of textLines(source)) {
      number++;
      const line = parseLine(text);
      if (loader === undefined) {
        opened = openState(state, { ...sizesOf(line), ...(shards === undefined ? {} : { shards }) }, now);
        loader = new StateLoader(opened.region, now);
      }
      loader.take(line);
    }
    if (loader === undefined) throw new StateLineError("it is empty");
    const loaded = loader.finish();
    opened?.close();
    return loaded;
  } catch (error) {
    opened?.letGo();
    if (opened !== undefined) unlinkSync(state);
    if (error instanceof StateLineError) throw new StateLineError(`${name}:${number}: ${error.message}`);
    throw error;
  }
}

function parseLine(text: string): StateLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StateLineError((error as Error).message);
  }
  const parsed = stateLine.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StateLineError(`${issue?.path.join(".") || "line"}: ${issue?.message}`);
}

function sizesOf(line: StateLine): Sizes {
  if (line.kind !== "state") throw new StateLineError("the first line tells no sizes: it is no dump");
  const { kind: _kind, format: _format, ...sizes } = line;
  return sizes;
}
