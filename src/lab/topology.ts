/**
 * What the lab looks like: who is where, with which addresses. Plain data and text; lab.ts carries it out.
 *
 *     client ── router ── switch ─┬─ director
 *     10.7.0.0/24   10.0.0.0/24   ├─ rs1        the VIP is on each real server's lo,
 *                                 ├─ rs2        and their gateway is the router:
 *                                 └─ rs3        answers never come back to the director
 *
 * A MAC address spells its interface's IPv4 address (10.0.0.11 is 02:00:0a:00:00:0b), so that a hex dump reads easily.
 */

export const VIP = "10.0.0.100";
export const DIP = "10.0.0.2";
export const ROUTER = "10.0.0.1";
export const ROUTER_CLIENT_SIDE = "10.7.0.1";

/** The same over IPv6, where the lab has it. */
export const VIP6 = "fd00:a::100";
export const DIP6 = "fd00:a::2";
export const ROUTER6 = "fd00:a::1";
export const ROUTER_CLIENT_SIDE6 = "fd00:7::1";

/** Where the lab's servers listen. */
export const HTTP_PORT = 80;
export const ECHO_PORT = 7;
/** Further HTTP ports, so that each scheduler can have a service of its own: 8001, 8002 … */
export const SCHEDULER_PORT = 8001;
export const SCHEDULER_PORTS = 20;

export interface LabOptions {
  /** Real servers rs1 … rsN (default 3, at most 80). */
  realServers?: number;
  /** Addresses that the client namespace has, from 10.7.0.10 on (default 1, at most 200). */
  clientAddresses?: number;
  /**
   * Whether the director's own host has the VIP on its interface, as many guides do. Its kernel then answers ARP
   * for it and would answer our connections too. Default false.
   */
  vipOnHost?: boolean;
  /**
   * How the router finds the VIP: "arp" (default) asks for it on the wire, "route" sends it to the DIP by a host
   * route, for a director that does not answer ARP itself.
   */
  vipBy?: "arp" | "route";
  /** net.ipv4.ip_forward on the director's host. Default false. */
  ipForward?: boolean;
  /** IPv6 addresses besides, and the VIP6 on each real server's lo. Default false. */
  ipv6?: boolean;
  /** Queues of the director's interface, and of the switch's port that leads to it. Default 1. */
  queues?: number;
  /** MTU by host, both ends of its link: `{ rs1: 1400 }`. Default 1500. */
  mtu?: Record<string, number>;
}

export const realServerName = (i: number): string => `rs${i + 1}`;
export const realServerAddress = (i: number): string => `10.0.0.${11 + i}`;
export const realServerAddress6 = (i: number): string => `fd00:a::${11 + i}`;
export const CLIENT6 = "fd00:7::10";
export const clientAddress = (i: number): string => `10.7.0.${10 + i}`;

/** The MAC of the interface that has this address. */
export function macOf(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return `02:00:${bytes.join(":")}`;
}

/** Everybody on the switch, by name, with their address there. */
export function neighboursOnSwitch(realServers: number): Map<string, string> {
  const all = new Map([
    ["router", ROUTER],
    ["director", DIP],
  ]);
  for (let i = 0; i < realServers; i++) all.set(realServerName(i), realServerAddress(i));
  return all;
}

/** `ip` lines that make the switch: a plain learning bridge with one port, named after its host, for each of them. */
export function switchLinks(
  hosts: ReadonlyMap<string, string>,
  pids: ReadonlyMap<string, number>,
  { mtu = {}, queues = 1 }: LabOptions,
): string[] {
  const lines = ["link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set br0 up"];
  for (const [host, address] of hosts) {
    const device = host === "router" ? "eth1" : "eth0";
    const size = mtu[host] ?? 1500;
    const many = host === "director" && queues > 1 ? `numtxqueues ${queues} numrxqueues ${queues} ` : "";
    lines.push(
      `link add ${host} mtu ${size} ${many}type veth peer name ${device} address ${macOf(address)} mtu ${size} ${many}netns ${pids.get(host)}`,
      `link set ${host} master br0 up`,
    );
  }
  return lines;
}

/** `ip` lines that add one more port, and behind it an interface of a host that is there already. */
export function switchPort(port: string, device: string, address: string, pid: number): string[] {
  return [
    `link add ${port} type veth peer name ${device} address ${macOf(address)} netns ${pid}`,
    `link set ${port} master br0 up`,
  ];
}

/** `ip` lines of the client's link, made in the router's namespace. */
export function clientLink(clientPid: number, mtu: Record<string, number>): string[] {
  const size = mtu.client ?? 1500;
  const near = macOf(ROUTER_CLIENT_SIDE);
  const far = macOf(clientAddress(0));
  return [
    `link add eth0 address ${near} mtu ${size} type veth peer name eth0 address ${far} mtu ${size} netns ${clientPid}`,
  ];
}

/** `ip` lines that give a host its addresses and routes. */
export function hostAddresses(host: string, address: string, options: LabOptions): string[] {
  return [...hostAddresses4(host, address, options), ...(options.ipv6 === true ? hostAddresses6(host) : [])];
}

/** Nobody else is there: no address needs to be probed for before it is used. */
const add6 = (address: string, device: string): string => `address add ${address} dev ${device} nodad`;

function hostAddresses6(host: string): string[] {
  switch (host) {
    case "client":
      return [add6(`${CLIENT6}/64`, "eth0"), `route add ::/0 via ${ROUTER_CLIENT_SIDE6}`];
    case "router":
      return [add6(`${ROUTER_CLIENT_SIDE6}/64`, "eth0"), add6(`${ROUTER6}/64`, "eth1")];
    case "director":
      return [add6(`${DIP6}/64`, "eth0"), `route add ::/0 via ${ROUTER6}`];
    default: {
      const own = `${realServerAddress6(Number(host.slice(2)) - 1)}/64`;
      return [add6(own, "eth0"), add6(`${VIP6}/128`, "lo"), `route add ::/0 via ${ROUTER6}`];
    }
  }
}

function hostAddresses4(host: string, address: string, options: LabOptions): string[] {
  const up = ["link set lo up"];
  switch (host) {
    case "client": {
      const addresses = Array.from({ length: options.clientAddresses ?? 1 }, (_, i) => clientAddress(i));
      const add = addresses.map((each) => `address add ${each}/24 dev eth0`);
      return [...up, ...add, "link set eth0 up", `route add default via ${ROUTER_CLIENT_SIDE}`];
    }
    case "router": {
      const sides = [`address add ${ROUTER_CLIENT_SIDE}/24 dev eth0`, `address add ${ROUTER}/24 dev eth1`];
      const route = options.vipBy === "route" ? [`route add ${VIP}/32 via ${DIP}`] : [];
      return [...up, ...sides, "link set eth0 up", "link set eth1 up", ...route];
    }
    case "director": {
      const vip = options.vipOnHost ? [`address add ${VIP}/32 dev eth0`] : [];
      return [
        ...up,
        `address add ${address}/24 dev eth0`,
        ...vip,
        "link set eth0 up",
        `route add default via ${ROUTER}`,
      ];
    }
    default:
      return [
        ...up,
        `address add ${address}/24 dev eth0`,
        `address add ${VIP}/32 dev lo`,
        "link set eth0 up",
        `route add default via ${ROUTER}`,
      ];
  }
}

const ip4 = (key: string, value: number): readonly [string, number] => [`net/ipv4/${key}`, value];

function hostSettings6(host: string, on: boolean): (readonly [string, number])[] {
  const conf = (key: string, value: number) =>
    ["all", "default"].map((where) => [`net/ipv6/conf/${where}/${key}`, value] as const);
  if (!on) return conf("disable_ipv6", 1);
  const forwards = conf("forwarding", host === "router" ? 1 : 0);
  return [...conf("disable_ipv6", 0), ...conf("accept_dad", 0), ...conf("accept_ra", 0), ...forwards];
}

/**
 * What a host's kernel is told before it has any address. Values a new namespace may inherit from the machine are
 * set explicitly. Real servers get the two ARP settings that every guide to direct routing begins with: do not
 * answer for an address that is not on the asked interface, do not announce it either (kernel doc ip-sysctl).
 */
export function hostSettings(host: string, options: LabOptions): (readonly [string, number])[] {
  const forwards = host === "router" || (host === "director" && options.ipForward === true);
  const settings = [
    ...hostSettings6(host, options.ipv6 === true),
    ip4("ip_forward", forwards ? 1 : 0),
    ip4("conf/all/rp_filter", 0),
    ip4("conf/default/rp_filter", 0),
  ];
  if (!/^rs\d+$/.test(host)) return settings;
  for (const where of ["all", "lo"]) {
    settings.push(ip4(`conf/${where}/arp_ignore`, 1), ip4(`conf/${where}/arp_announce`, 2));
  }
  return settings;
}
