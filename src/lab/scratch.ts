/**
 * A folder for the lab's sockets and config files, named after the process that made it so that a later lab can
 * tell a dead one's from a living one's.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "dr-director-lab";

/**
 * When a living process started, in clock ticks since boot (proc(5), stat field 22): with its id, a name for one
 * process only.
 */
function startTime(pid: number | "self"): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? undefined : fields[18]; // a zombie is dead, only its parent has not looked yet
  } catch {
    return undefined;
  }
}

export function makeScratch(folder = tmpdir()): string {
  return mkdtempSync(join(folder, `${PREFIX}.${process.pid}.${startTime("self")}.`));
}

/** Removes the folders of labs whose process is gone (kill -9); returns their names. */
export function sweepScratch(folder = tmpdir()): string[] {
  const swept: string[] = [];
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const [prefix, pid, started, tail] = name.split(".");
    if (prefix !== PREFIX || tail === undefined || !/^\d+$/.test(pid ?? "")) continue;
    if (startTime(Number(pid)) === started) continue;
    try {
      rmSync(join(folder, name), { recursive: true });
      swept.push(name);
    } catch {
      // another user's: theirs to sweep
    }
  }
  return swept;
}
