/**
 * Where the end-to-end benches happen: a namespace for the load, and one for each forwarder, joined by a veth pair of
 * their own. One-armed, as direct routing is: frames come back on the interface that they went out by. All namespaces
 * are ours and vanish with us.
 *
 *     load   g0 ── eth0   a forwarder
 *            g1 ── eth0   another one …
 */
import { availableParallelism } from "node:os";
import { Namespace } from "../namespace.ts";
import { must } from "../program.ts";
import { macOf } from "../topology.ts";

export const DIP = "10.0.0.2";
export const DIRECTOR_MAC = macOf(DIP);
export const VIP = 0x0ac8_0001; // 10.200.0.1 …
export const PORT = 80;
/** The generator's core and the forwarder's; with one core they share it, and the numbers say little. */
export const LOAD_CPU = 0;
export const FORWARDER_CPU = availableParallelism() > 1 ? 1 : 0;

export interface Arm {
  readonly namespace: Namespace;
  /** The load's end of the cable. */
  readonly device: string;
}

const settings = (forwards: boolean): (readonly [string, number])[] => [
  ["net/ipv6/conf/all/disable_ipv6", 1],
  ["net/ipv6/conf/default/disable_ipv6", 1],
  ["net/ipv4/ip_forward", forwards ? 1 : 0],
  ["net/ipv4/conf/all/rp_filter", 0],
  ["net/ipv4/conf/default/rp_filter", 0],
  ["net/ipv4/conf/all/send_redirects", 0],
  ["net/ipv4/conf/default/send_redirects", 0],
];

export class Stage {
  readonly load = new Namespace("load");
  #arms = 0;
  readonly #namespaces: Namespace[] = [];

  async prepare(): Promise<void> {
    await this.load.sysctl(settings(false));
    await this.load.ip(["link set lo up"]);
  }

  /** A new namespace with a cable to the load's. */
  async arm(name: string, options: { forwards?: boolean } = {}): Promise<Arm> {
    const namespace = new Namespace(name);
    this.#namespaces.push(namespace);
    await namespace.sysctl(settings(options.forwards === true));
    const device = `g${this.#arms++}`;
    await this.load.ip([
      `link add ${device} type veth peer name eth0 address ${DIRECTOR_MAC} netns ${namespace.pid}`,
      `link set ${device} up`,
    ]);
    await namespace.ip(["link set lo up", `address add ${DIP}/24 dev eth0`, "link set eth0 up"]);
    return { namespace, device };
  }

  /** Runs a program in the load's namespace and reads the JSON it prints. */
  async ask<T>(argv: readonly string[], timeout = 60_000): Promise<T> {
    return JSON.parse(await must([...this.load.enter, ...argv], { timeout })) as T;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#namespaces, this.load].map((each) => each.close()));
  }
}
