/** What can be broken on purpose, by name. Each is injected into a stage that stands, and undone. */
import type { Stage } from "./stage.ts";
import { DIP, macOf, ROUTER, realServerAddress, switchPort, VIP } from "./topology.ts";

export interface Fault {
  readonly name: string;
  /** What is broken. */
  readonly sentence: string;
  /** What to look at. */
  readonly watch: string;
  /** Breaks it; what comes back mends it. */
  inject(stage: Stage): Promise<() => Promise<unknown>>;
}

const OTHER_MAC = "02:00:0a:00:00:ee";
const STRANGER_MAC = "02:00:0a:00:00:63";
/** The real server's second interface, for `rp-filter`. */
const SECOND = "10.0.0.111";
const FAR_SERVER = "10.7.0.50";

const arpSettings = (ignore: number, announce: number) =>
  ["all", "lo"].flatMap((where) => [
    [`net/ipv4/conf/${where}/arp_ignore`, ignore] as const,
    [`net/ipv4/conf/${where}/arp_announce`, announce] as const,
  ]);

/** Runs `ip` lines in a namespace now, and others to mend. */
async function change(stage: Stage, where: string, now: string[], mend: string[]) {
  await stage.lab.in(where).ip(now);
  return () => stage.lab.in(where).ip(mend);
}

/** Gives an interface a MAC, and has its host tell the link: an ARP for its own address (arp_notify, ip-sysctl). */
async function announce(stage: Stage, host: string, device: string, mac: string): Promise<void> {
  const there = stage.lab.in(host);
  await there.sysctl([[`net/ipv4/conf/${device}/arp_notify`, 1]]);
  await there.ip([`link set ${device} address ${mac}`]);
  await there.sysctl([[`net/ipv4/conf/${device}/arp_notify`, 0]]);
}

const NO_NET_RAW = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"];

export const FAULTS: readonly Fault[] = [
  {
    name: "arp-leak",
    sentence: "rs1 has arp_ignore and arp_announce off: it answers ARP for the VIP.",
    watch: "who answers the requests; ip neigh on the router",
    async inject(stage) {
      await stage.lab.in("rs1").sysctl(arpSettings(0, 0));
      await stage.forgetVip();
      return async () => {
        await stage.lab.in("rs1").sysctl(arpSettings(1, 2));
        await stage.forgetVip();
      };
    },
  },
  {
    name: "vip-missing",
    sentence: "rs2 does not have the VIP on lo.",
    watch: "requests that go to rs2; nstat -a on rs2 (IpInAddrErrors)",
    inject: (stage) =>
      change(stage, "rs2", [`address del ${VIP}/32 dev lo`], [`address add ${VIP}/32 dev lo`]),
  },
  {
    name: "dead-server",
    sentence: "The server program on rs3 has ended; the host is well.",
    watch: "requests that go to rs3 are refused at once",
    async inject(stage) {
      await stage.servers.get("rs3")!.stop();
      return () => stage.startServer("rs3");
    },
  },
  {
    name: "mac-change",
    sentence: "rs2 got another network card and did not announce its new MAC.",
    watch: "requests to rs2, until the director asks again: less than a minute",
    async inject(stage) {
      // Only a MAC that the director knows can be wrong.
      await stage.requests(stage.lab.realServers.length);
      await stage.lab.in("rs2").ip([`link set eth0 address ${OTHER_MAC}`]);
      return () => announce(stage, "rs2", "eth0", macOf(realServerAddress(1)));
    },
  },
  {
    name: "rip-twice",
    sentence: "A forgotten machine on the link has rs3's address as well, and has just come up.",
    watch: "requests that go to rs3; ip neigh on the router, for 10.0.0.13",
    async inject(stage) {
      const there = stage.lab.in("switch");
      const address = `${realServerAddress(2)}/24`;
      await stage.requests(stage.lab.realServers.length);
      await there.ip([`address add ${address} dev br0`]);
      await announce(stage, "switch", "br0", STRANGER_MAC);
      return async () => {
        await there.ip([`address del ${address} dev br0`]);
        await announce(stage, "rs3", "eth0", macOf(realServerAddress(2)));
      };
    },
  },
  {
    name: "neighbour-unresolved",
    sentence: "rs3's cable is pulled: it does not answer ARP.",
    watch: "requests that go to rs3; the director's neighbour-failed event",
    inject: (stage) => change(stage, "switch", ["link set rs3 down"], ["link set rs3 up"]),
  },
  {
    name: "off-link",
    sentence: "The config has a real server beyond the router, 10.7.0.50.",
    watch: "every fourth request fails: no switch leads there",
    async inject(stage) {
      const services = stage.config.services!.map((service) => ({
        ...service,
        servers: [...(service.servers ?? []), { address: FAR_SERVER }],
      }));
      await stage.reload({ services });
      return () => stage.reload({});
    },
  },
  {
    name: "narrow-mtu",
    sentence: "The switch's port to rs2 passes 1400 bytes; rs2 believes in 1500.",
    watch: "ping -M do -s 1472 10.0.0.12 on the director; small requests work",
    inject: (stage) => change(stage, "switch", ["link set rs2 mtu 1400"], ["link set rs2 mtu 1500"]),
  },
  {
    name: "mtu-mismatch",
    sentence: "rs3 has an MTU of 1400, everybody else of 1500.",
    watch: "the MSS in rs3's SYN+ACK: 1360",
    inject: (stage) => change(stage, "rs3", ["link set eth0 mtu 1400"], ["link set eth0 mtu 1500"]),
  },
  {
    name: "rp-filter",
    sentence: "rs1 answers by a second interface, and strict rp_filter drops what comes in by the first.",
    watch: "requests that go to rs1; nstat -a on rs1 (IPReversePathFilter)",
    async inject(stage) {
      await stage.lab.in("switch").ip(switchPort("rs1b", "eth1", SECOND, stage.lab.in("rs1").pid));
      await stage.lab.in("rs1").sysctl([["net/ipv4/conf/eth0/rp_filter", 1]]);
      await stage.lab
        .in("rs1")
        .ip([
          `address add ${SECOND}/32 dev eth1`,
          "link set eth1 up",
          `route replace default via ${ROUTER} dev eth1 onlink`,
        ]);
      return async () => {
        await stage.lab.in("switch").ip(["link del rs1b"]);
        await stage.lab.in("rs1").sysctl([["net/ipv4/conf/eth0/rp_filter", 0]]);
        await stage.lab.in("rs1").ip([`route replace default via ${ROUTER}`]);
      };
    },
  },
  {
    name: "wrong-gateway",
    sentence: "rs2's default gateway is the director.",
    watch: "requests that go to rs2: their answers end at the director",
    inject: (stage) =>
      change(stage, "rs2", [`route replace default via ${DIP}`], [`route replace default via ${ROUTER}`]),
  },
  {
    name: "host-answers",
    sentence: "The VIP is on the director's host too, and `silence` is off.",
    watch: "resets at the client, out of the director's own stack",
    async inject(stage) {
      await stage.lab.in("director").ip([`address add ${VIP}/32 dev eth0`]);
      await stage.restart({ silence: "off" });
      return async () => {
        await stage.lab.in("director").ip([`address del ${VIP}/32 dev eth0`]);
        await stage.restart();
      };
    },
  },
  {
    name: "vip-twice",
    sentence: "A forgotten machine on the link has the VIP as well.",
    watch: "ip neigh on the router; requests are refused by a stranger",
    async inject(stage) {
      const there = stage.lab.in("switch");
      await there.ip([`link set br0 address ${STRANGER_MAC}`, `address add ${VIP}/24 dev br0`]);
      await there.ip([`route add default via ${ROUTER}`]);
      await stage.forgetVip();
      return async () => {
        await there.ip([`address del ${VIP}/24 dev br0`]);
        await stage.forgetVip();
      };
    },
  },
  {
    name: "mac-moves",
    sentence: "`sourceMac: preserve` behind a real switch: the router's MAC moves to the director's port.",
    watch: "bridge fdb show br br0 on the switch, for 02:00:0a:00:00:01",
    async inject(stage) {
      await stage.reload({ sourceMac: "preserve" });
      return () => stage.reload({});
    },
  },
  {
    name: "no-link",
    sentence: "The director's interface is down.",
    watch: "requests are lost until it is up again; nothing was restarted",
    async inject(stage) {
      const there = stage.lab.in("director");
      await there.ip(["link set eth0 down"]);
      return async () => {
        await there.ip(["link set eth0 up", `route replace default via ${ROUTER}`]);
        await stage.forgetVip();
      };
    },
  },
  {
    name: "no-director",
    sentence: "The director's process was killed.",
    watch: "ss -xl on the director; connections go on when it is back: its state file stayed",
    async inject(stage) {
      await stage.kill();
      return () => stage.restart();
    },
  },
  {
    name: "no-capability",
    sentence: "The director's user lacks CAP_NET_RAW: it cannot start.",
    watch: "what `dr-director run` says, and with which exit code",
    async inject(stage) {
      await stage.director.stop();
      stage.confinement = NO_NET_RAW;
      return async () => {
        stage.confinement = [];
        await stage.restart();
      };
    },
  },
];

/** Throws with the names that exist. */
export function findFault(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault !== undefined) return fault;
  throw new Error(`there is no fault "${name}", only ${FAULTS.map((each) => each.name).join(", ")}`);
}
