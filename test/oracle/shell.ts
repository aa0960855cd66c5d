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

/** Does what the command does to us. False when it is not understood. */
export function runShell(world: World, cmd: string): boolean {
  const iptables = /\bip(6?)tables\S* (.*-j MARK .*)$/.exec(cmd);
  if (iptables !== null) {
    const rules = rulesOf(iptables[2]!.split(/\s+/), iptables[1] === "6" ? "::/0" : "0.0.0.0/0");
    if (rules !== undefined) setMarks(world.region, [...listMarks(world.region), ...rules]);
    return rules !== undefined;
  }
  const address = /^ip (?:-6 )?addr add ([^/\s]+)\/\d+ dev lo$/.exec(cmd)?.[1];
  if (address !== undefined) world.addAddress(address);
  // The narrower link of one real server: we know one MTU only, that of the link.
  const mtu = /^ip (?:route|link) .*\bmtu (\d+)$/.exec(cmd)?.[1];
  if (mtu !== undefined) world.region.settings[Setting.mtu] = Number(mtu);
  return address !== undefined || mtu !== undefined || cmd.startsWith("cat ");
}
