/**
 * The region on its file: made, found again, set aside when it is not ours, moved into another size. The file is
 * reserved byte by byte when it is made, so that a full /run is an error here and not a SIGBUS in a shard later.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { isNativeError, mapFile, mapOpenFile, native } from "../ring/native.ts";
import { TICK } from "../table/connections.ts";
import {
  createRegion,
  Header,
  openRegion,
  type Region,
  RegionError,
  readSizes,
  regionBytes,
  type Sizes,
} from "../table/region.ts";
import { ServiceFlag } from "../table/services.ts";
import { heal } from "./heal.ts";
import { boundTimers } from "./heal-flows.ts";
import { rebaseClock, recoverRegion } from "./recover.ts";
import { rehome } from "./rehome.ts";

export const DEFAULT_STATE = "/run/dr-director/state";

export interface OpenRegion {
  readonly region: Region;
  /** Maps the region into another thread: native().mapShared(fd, bytes, 0). */
  readonly fd: number;
  readonly bytes: number;
  /** Was there state of an earlier director? */
  readonly restored: boolean;
  /** What the administrator should know: a file set aside, connections without room. */
  readonly warnings: readonly string[];
  /** Marks the end in order and lets go of the file. */
  close(): void;
  /** Lets go of the file only: another process works on it. */
  letGo(): void;
}

export class StateError extends Error {
  override readonly name = "StateError";
}

/** A word that differs between boots: CLOCK_MONOTONIC, in which the region counts, starts anew with each. */
export function bootWord(): number {
  const id = readFileSync("/proc/sys/kernel/random/boot_id", "utf8");
  return createHash("sha256").update(id).digest().readInt32LE(0) | 1;
}

/**
 * Opens the state file, or makes it. `path` "none" keeps the region in anonymous memory. `now` is CLOCK_MONOTONIC in
 * ms. Throws StateError when the file is in use or cannot be made.
 */
export function openState(path: string, sizes: Sizes, now: number): OpenRegion {
  if (path === "none") return anonymous(sizes, now);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    return existsSync(path) ? restore(path, sizes, now) : begin(path, sizes, now, []);
  } catch (error) {
    throw explain(error, path);
  }
}

const tickOf = (now: number): number => Math.floor(now / TICK) | 0;
const newSeed = (): number => randomBytes(4).readInt32LE(0);

function anonymous(sizes: Sizes, now: number): OpenRegion {
  const bytes = regionBytes(sizes);
  const fd = native().memfd("dr-director", bytes);
  const region = createRegion(native().mapShared(fd, bytes, 0), sizes, newSeed(), tickOf(now));
  return opened(region, fd, false, [], () => native().close(fd));
}

/** A new file under its final name, only once it is whole. */
function begin(path: string, sizes: Sizes, now: number, warnings: readonly string[]): OpenRegion {
  const { region, fd } = make(path, sizes, newSeed(), now);
  renameSync(`${path}.new`, path);
  return opened(region, fd, false, warnings, () => closeSync(fd));
}

function make(path: string, sizes: Sizes, seed: number, now: number): { region: Region; fd: number } {
  const fresh = `${path}.new`;
  const bytes = regionBytes(sizes);
  // What an interrupted start left under this name is overwritten, once the lock says that it was interrupted.
  const { memory, fd } = mapFile(fresh, bytes, { create: true, lock: true });
  try {
    ftruncateSync(fd, bytes);
    reserve(fd, bytes);
    return { region: createRegion(memory, sizes, seed, tickOf(now)), fd };
  } catch (error) {
    closeSync(fd);
    unlinkSync(fresh);
    throw error;
  }
}

/** Writes every page once: what is missing is missing now (ENOSPC), not when a shard first touches it. */
function reserve(fd: number, bytes: number): void {
  const zeros = new Uint8Array(1 << 20);
  for (let at = 0; at < bytes; ) {
    at += writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - at), at);
  }
}

function restore(path: string, sizes: Sizes, now: number): OpenRegion {
  const length = statSync(path).size;
  if (length === 0) return setAside(path, "it is empty", sizes, now);
  const { memory, fd } = mapFile(path, length, { create: false, lock: true });
  let kept = false;
  try {
    const found = readSizes(memory);
    const region = openRegion(memory);
    const warnings = takeOver(path, region, now);
    const same = (Object.keys(sizes) as (keyof Sizes)[]).every((name) => sizes[name] === found[name]);
    kept = same;
    return same
      ? opened(region, fd, true, warnings, () => closeSync(fd))
      : resize(path, region, sizes, now, warnings);
  } catch (error) {
    if (!(error instanceof RegionError)) throw error;
    return setAside(path, error.message, sizes, now);
  } finally {
    if (!kept) closeSync(fd);
  }
}

/** Brings a found region in order: whoever worked on it is gone, the file's lock says so. Returns what to tell. */
function takeOver(path: string, region: Region, now: number): string[] {
  const findings = heal(region, now);
  if (region.header[Header.Boot] !== bootWord()) rebaseClock(region, now, tickOf(now));
  boundTimers(region, tickOf(now));
  recoverRegion(region, tickOf(now));
  if (!findings.any) return [];
  return [`the state in ${path} was damaged (${findings.text}): the director goes on with what was whole`];
}

function resize(
  path: string,
  region: Region,
  sizes: Sizes,
  now: number,
  found: readonly string[],
): OpenRegion {
  const { region: next, fd } = make(path, sizes, region.header[Header.Seed]!, now);
  try {
    const { connections, lost } = rehome(region, next);
    recoverRegion(next, tickOf(now));
    renameSync(`${path}.new`, path);
    const warnings =
      lost === 0 ? [] : [`${lost} connections had no room in the smaller tables, ${connections} go on`];
    return opened(next, fd, true, [...found, ...warnings], () => closeSync(fd));
  } catch (error) {
    closeSync(fd);
    unlinkSync(`${path}.new`);
    throw error;
  }
}

function setAside(path: string, reason: string, sizes: Sizes, now: number): OpenRegion {
  let n = 1;
  while (existsSync(`${path}.aside-${n}`)) n++;
  renameSync(path, `${path}.aside-${n}`);
  const warning = `the state in ${path} cannot be used (${reason}): it is kept as ${path}.aside-${n}, the director starts empty`;
  return begin(path, sizes, now, [warning]);
}

/**
 * A region that another process has open still: its descriptor carries the file's lock. Nothing is written to it
 * before `own`. Throws RegionError when it is not of our layout.
 */
export function inheritState(fd: number, bytes: number): OpenRegion {
  const region = openRegion(mapOpenFile(fd, bytes));
  return handle(region, fd, true, [], () => closeSync(fd));
}

/** From now on the region is this process's; schedulers that were given up get another chance. */
export function own({ header, services }: Region): void {
  for (let s = 0; s < services.capacity; s++) services.flags[s]! &= ~ServiceFlag.Suspended;
  header[Header.Clean] = 0;
  header[Header.Owner] = process.pid;
  header[Header.Boot] = bootWord();
}

function opened(...what: Parameters<typeof handle>): OpenRegion {
  own(what[0]);
  return handle(...what);
}

function handle(
  region: Region,
  fd: number,
  restored: boolean,
  warnings: readonly string[],
  close: () => void,
): OpenRegion {
  const { header } = region;
  return {
    region,
    fd,
    bytes: region.bytes,
    restored,
    warnings,
    close() {
      header[Header.Clean] = 1;
      header[Header.Owner] = 0;
      close();
    },
    letGo: close,
  };
}

function explain(error: unknown, path: string): Error {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (isNativeError(error) && (code === "EAGAIN" || code === "EWOULDBLOCK")) {
    return new StateError(
      `${path} is in use: another director runs with it. Stop that one, or give --state another path.`,
    );
  }
  if (code === "ENOSPC") {
    return new StateError(
      `no room for ${path}: make ${dirname(path)} larger, or make the tables smaller (\`sizes\`).`,
    );
  }
  if (
    code === "EACCES" ||
    code === "EPERM" ||
    code === "EROFS" ||
    code === "ENOTDIR" ||
    code === "EEXIST" ||
    code === "EISDIR"
  ) {
    return new StateError(
      `${path} cannot be used as state file: ${(error as Error).message}. Give --state another path.`,
    );
  }
  return error as Error;
}
