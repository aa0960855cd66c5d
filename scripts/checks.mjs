// What this machine must have before `npm start` or `npm test` begins. Every missing thing is one sentence and the
// command that cures it; nothing here changes anything. Plain JavaScript: it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const OLDEST_NODE = [20, 19];

/** Where a program is, or undefined. */
export function programPath(name) {
  const places = `${process.env.PATH ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`;
  for (const folder of places.split(delimiter)) {
    if (folder === "") continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here: look in the next folder
    }
  }
  return undefined;
}

function installCommand(packages) {
  const root = process.getuid?.() === 0 ? "" : "sudo ";
  const { debian, fedora, alpine, arch } = packages;
  if (programPath("apt-get")) return `${root}apt-get install -y ${debian}`;
  if (programPath("dnf")) return `${root}dnf install -y ${fedora ?? debian}`;
  if (programPath("apk")) return `${root}apk add ${alpine ?? debian}`;
  if (programPath("pacman")) return `${root}pacman -S ${arch ?? debian}`;
  return `install the package ${debian}`;
}

export function missingNode() {
  if (process.platform !== "linux") {
    return `dr-director needs Linux (this is ${process.platform}): run it in a Linux machine or virtual machine.`;
  }
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return undefined;
  return (
    `Node ${process.versions.node} is too old, dr-director needs ${OLDEST_NODE.join(".")} or newer: ` +
    "install one from https://nodejs.org/en/download or with `nvm install 22`."
  );
}

/** The compiler and the headers that the native part includes; asked only when the native part must be built. */
export function missingCompiler() {
  const cc = process.env.CC ?? "cc";
  const cure = installCommand({
    debian: "build-essential",
    fedora: "gcc glibc-devel",
    alpine: "build-base linux-headers",
    arch: "base-devel",
  });
  if (!programPath(cc) && !cc.includes("/")) {
    return `No C compiler (\`${cc}\`) was found, and the native part must be compiled: ${cure}`;
  }
  const probe = "#include <stdio.h>\n#include <linux/if_packet.h>\n";
  const run = spawnSync(cc, ["-E", "-x", "c", "-o", "/dev/null", "-"], { input: probe, encoding: "utf8" });
  if (run.status === 0) return undefined;
  return `The C compiler \`${cc}\` cannot find the system's headers (stdio.h, linux/if_packet.h): ${cure}`;
}

const PROGRAMS = [
  ["ip", { debian: "iproute2", fedora: "iproute" }],
  ["unshare", { debian: "util-linux" }],
  ["nsenter", { debian: "util-linux" }],
  ["setpriv", { debian: "util-linux", alpine: "setpriv" }],
];

export function missingPrograms() {
  const missing = [];
  for (const [name, packages] of PROGRAMS) {
    if (!programPath(name))
      missing.push(`The program \`${name}\` was not found: ${installCommand(packages)}`);
  }
  return missing;
}

function setting(path) {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Why an ordinary user may not make a user namespace here, in one sentence, or undefined when no reason is known. */
function userNamespaceRefusal() {
  const instead = "(or run the command as root).";
  if (setting("/proc/sys/kernel/unprivileged_userns_clone") === "0") {
    return `This kernel keeps user namespaces for root: sudo sysctl -w kernel.unprivileged_userns_clone=1 ${instead}`;
  }
  if (setting("/proc/sys/user/max_user_namespaces") === "0") {
    return `This machine allows no user namespaces: sudo sysctl -w user.max_user_namespaces=10000 ${instead}`;
  }
  if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1") {
    return `AppArmor keeps ordinary users from network namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 ${instead}`;
  }
  return undefined;
}

/** Tries, in a namespace of its own that is gone at once, everything the lab will ask of the kernel. */
export function missingKernelFeature() {
  const root = process.getuid?.() === 0;
  const namespace = root ? ["--net"] : ["--user", "--map-root-user", "--net"];
  const steps = [
    "ip link set lo up",
    "ip link add drv0 type veth peer name drv1",
    "ip link add drb0 type bridge",
    "ip link set drv0 master drb0",
    "test -e /proc/net/packet",
  ];
  const script = steps.map((step) => `${step} || { echo "failed: ${step}" >&2; exit 3; }`).join("\n");
  const run = spawnSync("unshare", [...namespace, "sh", "-c", script], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  if (run.status === 0) return undefined;
  const said = `${run.stderr ?? ""}${run.error?.message ?? ""}`.trim();
  const failed = /failed: (.*)$/m.exec(said)?.[1];
  if (failed === undefined) {
    const known = root ? undefined : userNamespaceRefusal();
    if (known) return known;
    const cure = root
      ? "in a container, start it with --privileged or --cap-add SYS_ADMIN --cap-add NET_ADMIN."
      : "run the command as root, or allow unprivileged user namespaces.";
    return `This machine lets us make no network namespace (${said.split("\n")[0]}): ${cure}`;
  }
  if (failed.includes("veth")) return "The kernel has no veth interfaces: sudo modprobe veth";
  if (failed.includes("bridge")) return "The kernel has no bridge: sudo modprobe bridge";
  if (failed.includes("packet"))
    return "The kernel has no packet sockets (AF_PACKET): sudo modprobe af_packet";
  return `A network namespace could be made, but in it \`${failed}\` failed (${said.split("\n")[0]}): run the command as root on a full Linux kernel.`;
}
