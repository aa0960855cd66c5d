/** The few shell commands of the recordings: marks, which are our own rules here, and routes and addresses. */
import { listMarks, setMarks } from "../../src/control/marks.ts";
import { Setting } from "../../src/table/settings.ts";
import type { World } from "./world.ts";

const MARK =
  /iptables\S* -t mangle -A PREROUTING -p (tcp|udp) -d (\S+)(?: --dport (\d+)(?::(\d+))?)? -j MARK --set-mark (\d+)$/;

export function runShell(world: World, cmd: string): void {
  const mark = MARK.exec(cmd);
  if (mark !== null) {
    const [, protocol, destination, first, last, value] = mark;
    const low = Number(first ?? 0);
    const high = first === undefined ? 0xffff : Number(last ?? first);
    setMarks(world.region, [
      ...listMarks(world.region),
      {
        mark: Number(value),
        protocol: protocol as "tcp" | "udp",
        destination: destination!,
        ports: [low, high],
      },
    ]);
    return;
  }
  const address = /^ip addr add (\S+)\/\d+ dev lo$/.exec(cmd)?.[1];
  if (address !== undefined) world.addAddress(address);
  // The narrower link of one real server: we know one MTU only, that of the link.
  const mtu = /^ip route add \S+ dev eth0 mtu (\d+)$/.exec(cmd)?.[1];
  if (mtu !== undefined) world.region.settings[Setting.mtu] = Number(mtu);
}
