/**
 * The traffic that stands in the command-line recordings as a sentence, such as
 * "12 SYN VIP:80 from client(0..11); ACK 0..2; FIN 0; 4 UDP VIP:53; 3 SYN6". Client i has an address and a port of its
 * own; flags without a service go to the one named last with SYN.
 */
import { frameOf } from "./packets.ts";
import type { Packet } from "./scenario.ts";
import type { World } from "./world.ts";

const VIPS: Readonly<Record<string, string>> = {
  VIP: "10.0.0.100",
  VIP2: "10.0.0.101",
  VIP6: "2001:db8::100",
};
const FLAGS: Readonly<Record<string, string>> = { SYN: "S", ACK: "A", FIN: "FA", RST: "R" };
const NEW = /^(\d+) (SYN|UDP) (VIP2?):(\d+)/;
const NEW6 = /^(\d+) SYN6/;
const MORE = /^(ACK|FIN|RST) (\d+)(?:\.\.(\d+))?$/;

/** The recorder's i-th client, as the listings show it. */
function client(i: number, family: 4 | 6): { src: string; sport: number } {
  const third = (31 * i) % 256;
  const last = 1 + ((97 * i) % 254);
  const sport = 10_000 + 1237 * i;
  if (family === 6) return { src: `2001:db8:1:${third.toString(16)}::${last.toString(16)}`, sport };
  return { src: `10.${1 + ((2 * i) % 5)}.${third}.${last}`, sport };
}

/** Sends it; false when a part of it is not understood. */
export function sendTraffic(world: World, sentence: string): boolean {
  let to = { dst: VIPS.VIP!, dport: 80 };
  const send = (i: number, proto: "tcp" | "udp", flags: string): void => {
    const packet: Packet = {
      op: "pkt",
      t: 0,
      proto,
      ...client(i, to.dst.includes(":") ? 6 : 4),
      ...to,
      flags,
    };
    world.inject(frameOf(packet));
  };
  const each = (first: number, last: number, proto: "tcp" | "udp", flags: string): void => {
    for (let i = first; i <= last; i++) send(i, proto, flags);
  };
  for (const part of sentence.split("; ")) {
    const fresh = NEW.exec(part);
    const fresh6 = NEW6.exec(part);
    const more = MORE.exec(part);
    if (fresh !== null) {
      to = { dst: VIPS[fresh[3]!]!, dport: Number(fresh[4]) };
      each(0, Number(fresh[1]) - 1, fresh[2] === "UDP" ? "udp" : "tcp", FLAGS[fresh[2]!] ?? "");
    } else if (fresh6 !== null) {
      to = { dst: VIPS.VIP6!, dport: 80 };
      each(0, Number(fresh6[1]) - 1, "tcp", "S");
    } else if (more !== null) {
      each(Number(more[2]), Number(more[3] ?? more[2]), "tcp", FLAGS[more[1]!]!);
    } else {
      return false;
    }
  }
  return true;
}
