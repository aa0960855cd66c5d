/** The few shell commands of the recordings: marks, which are our own rules here, and routes and addresses. */
import { listMarks, type MarkRule, setMarks } from "../../src/control/marks.ts";
import { Setting } from "../../src/table/settings.ts";
import type { World } from "./world.ts";

/** Words of an iptables rule that say nothing to us, with the words that follow them. */
const IGNORED: Readonly<Record<string, number>> = { "-t": 1, "-A": 1, "-I": 1, "-m": 1, "-w": 0, "-j": 1 };
const PROTOCOLS = ["tcp", "udp", "sctp"] as const;

/** Rules of an iptables command that sets a mark: one, or one a port; undefined if there is more to it. */
function rulesOf(words: readonly string[], anywhere: string): MarkRule[] | undefined {
  let destination = anywhere;
  let protocol: MarkRule["protocol"] = "any";
  let mark = 0;
  let ports: MarkRule["ports"][] = [[0, 0xffff]];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = words[i + 1] ?? "";
    if (Object.hasOwn(IGNORED, word)) {
      i += IGNORED[word]!;
      continue;
    }
    i++;
    if (word === "-d") destination = next;
    else if (word === "-p") protocol = PROTOCOLS.find((name) => name === next) ?? "any";
    else if (word === "--set-mark" || word === "--set-xmark") mark = Number(next.split("/")[0]);
    else if (word === "--dport" || word === "--dports") ports = next.split(",").map(rangeOf);
    else return undefined;
  }
  return ports.map((range) => ({ mark, protocol, destination, ports: range }));
}

function rangeOf(text: string): readonly [number, number] {
  const [first, last] = text.split(":");
  return [Number(first), Number(last ?? first)];
}

/** `iptables -j MARK`: the rule comes to the others, or (-D) leaves them; `-F` takes all of the family. */
function runIptables(world: World, six: boolean, said: string): boolean {
  const anywhere = six ? "::/0" : "0.0.0.0/0";
  const before = listMarks(world.region);
  const words = said.split(/\s+/);
  if (words.includes("-F")) {
    setMarks(
      world.region,
      before.filter((rule) => rule.destination.includes(":") !== six),
    );
    return true;
  }
  if (!words.includes("MARK")) return false;
  const deleted = words.indexOf("-D");
  if (deleted >= 0) words[deleted] = "-A";
  const rules = rulesOf(words, anywhere);
  if (rules === undefined) return false;
  setMarks(world.region, deleted < 0 ? [...before, ...rules] : rules);
  if (deleted < 0) return true;
  // Read back, they are written as those that stood there.
  const named = new Set(listMarks(world.region).map((rule) => JSON.stringify(rule)));
  setMarks(
    world.region,
    before.filter((rule) => !named.has(JSON.stringify(rule))),
  );
  return true;
}

/** Does what the command does to us. False when it is nothing to us, or not understood. */
export function runShell(world: World, cmd: string): boolean {
  const iptables = /\bip(6?)tables\S* (.*)$/.exec(cmd);
  if (iptables !== null) return runIptables(world, iptables[1] === "6", iptables[2]!);
  const [, change, address] =
    /^ip (?:-6 )?addr(?:ess)? (add|del) ([^/\s]+)(?:\/\d+)? dev \S+/.exec(cmd) ?? [];
  if (address !== undefined && change === "add") world.addAddress(address);
  if (address !== undefined && change === "del") world.removeAddress(address);
  const neighbour = /^ip (?:-6 )?neigh\w* (?:replace|change|add) (\S+) .*\blladdr (\S+)/.exec(cmd);
  if (neighbour !== null) world.setNeighbour(neighbour[1]!, neighbour[2]!);
  // The narrower link of one real server: we know one MTU only, that of the link.
  const mtu = /^ip (?:-6 )?(?:route|link) .*\bmtu (\d+)$/.exec(cmd)?.[1];
  if (mtu !== undefined) world.region.settings[Setting.mtu] = Number(mtu);
  const known = address !== undefined || neighbour !== null || mtu !== undefined;
  return known || cmd.startsWith("cat ");
}
