/**
 * The lab needs to be root over network namespaces. Root is; an ordinary user becomes it in a user namespace, where
 * the lab starts itself once more. Nothing of the machine outside can be touched from there.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { environment, run } from "./program.ts";

/** Set in the process that already runs in a user namespace of ours. */
const MARK = "DR_DIRECTOR_LAB_USER_NAMESPACE";

export const isRootless = (): boolean => process.env[MARK] === "1";

export const isRoot = (): boolean => process.getuid?.() === 0;

function setting(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** One sentence why no network namespace can be made here and what to do, from what `unshare` said. */
export function refusal(said: string, root = isRoot()): string {
  const first = said.trim().split("\n")[0] ?? "";
  if (/ENOENT/.test(said)) return "the program `unshare` was not found: install the package util-linux";
  if (root) {
    return `this machine lets us make no network namespace (${first}): in a container, start it with --privileged`;
  }
  const instead = "(or run the lab as root)";
  if (setting("/proc/sys/kernel/unprivileged_userns_clone") === "0") {
    return `this kernel keeps user namespaces for root: sudo sysctl -w kernel.unprivileged_userns_clone=1 ${instead}`;
  }
  if (setting("/proc/sys/user/max_user_namespaces") === "0") {
    return `this machine allows no user namespaces: sudo sysctl -w user.max_user_namespaces=10000 ${instead}`;
  }
  if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1") {
    return (
      "AppArmor keeps ordinary users from network namespaces: " +
      `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 ${instead}`
    );
  }
  return `this machine lets us make no user namespace (${first}): run the lab as root`;
}

/** The words before a command that make an ordinary user root in namespaces of their own. */
export const USER_NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"] as const;

/** Throws a sentence when the lab cannot be made on this machine; costs a few milliseconds. */
export async function checkNamespaces(): Promise<void> {
  const unshare = isRoot() ? ["unshare", "--net"] : USER_NAMESPACE;
  const trial = await run([...unshare, "ip", "link", "set", "lo", "up"]);
  if (trial.code === 0) return;
  if (/failed to execute ip/.test(trial.stderr)) {
    throw new Error("the program `ip` was not found: install the package iproute2");
  }
  throw new Error(refusal(trial.stderr));
}

/**
 * Runs this very command line again as root of a user namespace and returns its exit code. Signals that reach us are
 * passed on; should we be killed, the kernel tells the other one to stop.
 */
export async function runInUserNamespace(): Promise<number> {
  const [first, ...rest] = USER_NAMESPACE;
  // The death signal is set behind unshare: becoming root of a new user namespace clears it (prctl(2)).
  const guarded = ["setpriv", "--pdeathsig", "TERM", "--", process.execPath, ...process.execArgv];
  const child = spawn(first, [...rest, ...guarded, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: environment({ [MARK]: "1" }),
  });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ignore = (): void => {}; // a terminal's Ctrl-C reaches both of us
  process.on("SIGTERM", pass).on("SIGHUP", pass).on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Error(refusal(error.message))));
    child.on("close", (code) => resolve(code ?? 1));
  });
}
