/** The sentences: what is wrong, what shows it, and what to type. */
import { Protocol } from "../../wire/ipv4.ts";
import type { HostSeen, PortSeen, ServerSeen, Stray, VipSeen } from "./observations.ts";
import type { Patient } from "./patient.ts";
import type { Cure, Finding } from "./report.ts";

export const TCP = Protocol.Tcp;
/** What an MTU has above an MSS (RFC 6691). */
export const TCP_IP_HEADERS = 40;

const DIRECTOR = "the director";

const cure = (on: string, ...commands: string[]): Cure => ({ on, commands });

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

export function noCapability({ lacks }: HostSeen): Finding {
  const names = lacks.join(" and ");
  return {
    fault: "no-capability",
    subject: DIRECTOR,
    says: `This process may not do what a director does: it lacks ${names}.`,
    seen: `capget(2): ${names} not in the effective set`,
    cure: [
      cure(
        DIRECTOR,
        "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN    # in the service's unit",
        "sudo dr-director run --config FILE               # or by hand",
      ),
    ],
  };
}

export function noLink({ interfaceName }: Patient, { linkTrouble }: HostSeen): Finding {
  const down = linkTrouble.includes("is down");
  return {
    fault: "no-link",
    subject: interfaceName,
    says: `The interface ${interfaceName} cannot serve.`,
    seen: linkTrouble,
    cure: [
      down
        ? cure(DIRECTOR, `ip link set ${interfaceName} up`)
        : cure(DIRECTOR, "ip link        # and name an Ethernet interface of these in the config"),
    ],
  };
}

export function noAddress({ interfaceName }: Patient): Finding {
  return {
    fault: "no-link",
    subject: interfaceName,
    says: `Interface ${interfaceName} has no IPv4 address of its own (DIP) beside the virtual ones: nobody can answer our questions.`,
    seen: `no address on ${interfaceName} that is not a VIP`,
    cure: [cure(DIRECTOR, `ip address add ADDRESS/PREFIX dev ${interfaceName}`)],
  };
}

export function noDirector(reason: string): Finding {
  return {
    fault: "no-director",
    subject: DIRECTOR,
    says: "No director answers at the control socket.",
    seen: reason,
    cure: [cure(DIRECTOR, "systemctl start dr-director", "dr-director run --config FILE")],
  };
}

export function hostAnswers({ interfaceName, silence }: Patient, host: HostSeen): Finding {
  const { vipsOnHost, forwards } = host;
  const has = vipsOnHost.length > 0;
  const does = has ? "answers clients with resets" : "forwards the clients' packets a second time";
  const why = silence === "off" ? "`silence: off` in the config" : "the rule is not there";
  return {
    fault: "host-answers",
    subject: DIRECTOR,
    says: `The host's own stack is not silent: it sees the services' frames too and ${does}.`,
    seen: `no nf_tables table dr-director-${interfaceName}: ${why}; ${has ? `${vipsOnHost.join(", ")} is on this host` : "net.ipv4.ip_forward=1"}`,
    cure: [
      cure(DIRECTOR, "silence: auto        # in the config, then start again"),
      ...(has
        ? [
            cure(
              `${DIRECTOR}, or else`,
              ...vipsOnHost.map((vip) => `ip address del ${vip}/32 dev ${interfaceName}`),
            ),
          ]
        : []),
      ...(forwards ? [cure(`${DIRECTOR}, or else`, "sysctl -w net.ipv4.ip_forward=0")] : []),
    ],
  };
}

export function preservesMac(
  { interfaceName }: Patient,
  stations: number,
  strays: readonly Stray[],
): Finding {
  const stray = strays[0];
  const proof =
    stray === undefined ? "" : `; ${count(stray.frames, "frame")} for ${stray.mac} came to our port`;
  return {
    fault: "mac-moves",
    subject: DIRECTOR,
    says: "`sourceMac: preserve` behind a switch: it learns the router's MAC at our port and sends answers here.",
    seen: `${count(stations, "station")} answer ARP on ${interfaceName}, so it is no point-to-point link${proof}`,
    cure: [cure(DIRECTOR, "sourceMac: interface        # in the config, then reload")],
  };
}

export function strays({ interfaceName }: Patient, seen: readonly Stray[]): Finding {
  const { mac, frames } = seen[0]!;
  return {
    fault: "mac-moves",
    subject: mac,
    says: `The switch takes ${mac} for a station at our port: somebody here sends with that MAC.`,
    seen: `${count(frames, "frame")} for ${mac} came in on ${interfaceName}, while ${mac} itself answered ARP`,
    cure: [
      cure("the switch", `bridge fdb show | grep -i ${mac}`),
      cure(DIRECTOR, "sourceMac: interface        # in the config, then reload"),
    ],
  };
}

export function ourMacTwice({ mac }: HostSeen, addresses: readonly string[]): Finding {
  return {
    fault: "mac-moves",
    subject: mac,
    says: `Another station has our MAC ${mac}: the switch moves it to and fro.`,
    seen: `ARP for ${addresses.join(", ")} came in with ${mac} as sender`,
    cure: [cure(`the host of ${addresses[0]}`, "ip link set DEVICE address ANOTHER-MAC")],
  };
}

export function unresolved({ rip }: ServerSeen, host: HostSeen): Finding {
  return {
    fault: "neighbour-unresolved",
    subject: rip,
    says: `Real server ${rip} does not answer ARP: it is down, unplugged, or in another VLAN.`,
    seen: `three questions "who has ${rip}? tell ${host.dip}", no answer`,
    cure: [cure(rip, "ip link; ip -4 address"), cure(DIRECTOR, `dradm -e -t VIP:PORT -r ${rip} -g -w 0`)],
  };
}

export function offLink({ rip }: ServerSeen, host: HostSeen): Finding {
  return {
    fault: "off-link",
    subject: rip,
    says: `Real server ${rip} is not on the director's link: direct routing reaches no further than a switch does.`,
    seen: `nobody answers ARP for ${rip}, and from ${host.dip} the route to it leads through a gateway`,
    cure: [
      cure(DIRECTOR, `ip route get ${rip}`, `dradm -d -t VIP:PORT -r ${rip}`),
      cure(rip, "move it into the director's network"),
    ],
  };
}

export function behindRouter({ rip, mac }: ServerSeen): Finding {
  return {
    fault: "off-link",
    subject: rip,
    says: `Real server ${rip} is behind the router, which answers ARP in its name (proxy ARP).`,
    seen: `${rip} and the default gateway are both at ${mac}`,
    cure: [cure(rip, "move it into the director's network")],
  };
}

export function ripTwice({ rip, macs }: ServerSeen): Finding {
  return {
    fault: "rip-twice",
    subject: rip,
    says: `${rip} is used by ${macs.length} stations.`,
    seen: `ARP for ${rip} was answered by ${macs.join(" and ")}`,
    cure: [cure("whoever is not the real server", `ip address del ${rip}/PREFIX dev DEVICE`)],
  };
}

export function macChange({ rip, macs, fixedMac }: ServerSeen, used: string): Finding {
  const [fixed, now] = [fixedMac !== undefined, macs[0]!];
  return {
    fault: "mac-change",
    subject: rip,
    says: `Real server ${rip} has another MAC than the director sends to.`,
    seen: `${fixed ? "the config" : "the director"} says ${used}, ARP says ${now}`,
    cure: fixed
      ? [cure(DIRECTOR, `mac: ${now}        # in the config, or leave it out and let ARP find it`)]
      : [cure(rip, `arping -A -c 1 -I DEVICE ${rip}        # or wait: it is noticed within a minute`)],
  };
}

export function vipMissing({ rip, echo }: ServerSeen, { vip, ports }: VipSeen, host: HostSeen): Finding {
  const asked = [
    "an echo request",
    ...ports.map(({ protocol, port }) => `${protocol === TCP ? "a SYN" : "a datagram"} to port ${port}`),
  ];
  const alive = echo
    ? `${rip} itself answers`
    : `${rip} answers ARP and nothing else: a firewall could do this too`;
  return {
    fault: "vip-missing",
    subject: rip,
    says: `Real server ${rip} does not take packets for ${vip}: the address is not on it.`,
    seen: `sent to its MAC from ${host.dip}: ${asked.join(", ")} for ${vip}; no answer, but ${alive}`,
    cure: [cure(rip, `ip address add ${vip}/32 dev lo`)],
  };
}

export function deadServer(rip: string, vip: string, dead: readonly PortSeen[]): Finding {
  const names = dead
    .map(({ protocol, port }) => `${protocol === TCP ? "TCP" : "UDP"} port ${port}`)
    .join(", ");
  const says = dead[0]!.answer === "closed" ? "refuses" : "is silent on";
  return {
    fault: "dead-server",
    subject: rip,
    says: `Nothing serves ${vip} on real server ${rip}: it ${says} ${names}.`,
    seen: dead
      .map(
        ({ protocol, port, answer }) =>
          `${port}: ${answer === "closed" ? (protocol === TCP ? "RST" : "ICMP port unreachable") : "no SYN+ACK"}`,
      )
      .join(", "),
    cure: [
      cure(rip, `ss -ln 'sport = :${dead[0]!.port}'        # it must listen on 0.0.0.0 or ${vip}`),
      cure(
        DIRECTOR,
        `dradm -e ${dead[0]!.protocol === TCP ? "-t" : "-u"} ${vip}:${dead[0]!.port} -r ${rip} -g -w 0`,
      ),
    ],
  };
}

export function rpFilter({ rip, mac }: ServerSeen, host: HostSeen): Finding {
  return {
    fault: "rp-filter",
    subject: rip,
    says: `Real server ${rip} throws away what comes from clients: rp_filter is strict, and its way to them is another interface.`,
    seen: `it answers ARP from ${host.dip}, but not from a sender beyond the gateway (192.0.2.1), at ${mac}`,
    cure: [
      cure(rip, "sysctl -w net.ipv4.conf.all.rp_filter=2", "sysctl -w net.ipv4.conf.DEVICE.rp_filter=2"),
    ],
  };
}

export function wrongGateway({ rip, answersThroughUs }: ServerSeen, host: HostSeen): Finding {
  return {
    fault: "wrong-gateway",
    subject: rip,
    says: `Real server ${rip} sends its answers through the director: its gateway must be the router.`,
    seen: `an answer of its to ${answersThroughUs} came to our MAC ${host.mac}`,
    cure: [
      cure(
        rip,
        "ip route replace default via ROUTER",
        `ip route        # no route may lead through ${host.dip}`,
      ),
    ],
  };
}

export function narrowMtu({ rip, largest, lost, mss }: ServerSeen, { mtu }: HostSeen): Finding {
  const theirs = mss === 0 ? "" : `, and it believes in ${mss + TCP_IP_HEADERS}`;
  return {
    fault: "narrow-mtu",
    subject: rip,
    says: `Packets of more than ${largest} bytes are lost on the way to real server ${rip}, and neither end knows.`,
    seen: `echo with DF: ${largest} bytes came back, ${lost} did not; the director has an MTU of ${mtu}${theirs}`,
    cure: [cure("the switch port or VLAN on the way", `ip link set PORT mtu ${mtu}`)],
  };
}

export function mtuMismatch({ rip, mss, largest }: ServerSeen, { mtu }: HostSeen): Finding {
  const theirs = mss + TCP_IP_HEADERS;
  const smaller = theirs < mtu;
  return {
    fault: "mtu-mismatch",
    subject: rip,
    says: `Real server ${rip} has an MTU of ${theirs}, the director of ${mtu}: on one link all must have the same.`,
    seen: `its SYN+ACK says MSS ${mss}${smaller ? `, and of our echoes with DF ${largest} bytes was the largest to come back` : ""}`,
    cure: [
      smaller
        ? cure(rip, `ip link set DEVICE mtu ${mtu}`)
        : cure(DIRECTOR, `ip link set DEVICE mtu ${theirs}`),
    ],
  };
}

export function offload({ interfaceName }: Patient): Finding {
  return {
    fault: "offload",
    subject: interfaceName,
    says: `The network card of ${interfaceName} joins segments into frames that cannot be sent on (LRO): large requests are lost.`,
    seen: "rx-lro is on",
    cure: [cure(DIRECTOR, `ethtool -K ${interfaceName} lro off`)],
  };
}

export function arpLeak(vip: string, rip: string, mac: string): Finding {
  return {
    fault: "arp-leak",
    subject: rip,
    says: `Real server ${rip} answers ARP for ${vip}: clients' frames may go straight to it, past the director.`,
    seen: `"${vip} is at ${mac}", and so is ${rip}`,
    cure: [
      cure(rip, "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"),
      cure("the router", `ip neigh flush ${vip}`),
    ],
  };
}

export function vipTwice(vip: string, mac: string, peer: boolean): Finding {
  const who = peer
    ? `The peer director at ${mac} is active for ${vip} too`
    : `Another station, ${mac}, owns ${vip} too`;
  return {
    fault: "vip-twice",
    subject: vip,
    says: `${who}: whoever answers ARP first gets the clients.`,
    seen: `"${vip} is at ${mac}", which is neither ours nor a real server's`,
    cure: [cure(mac, `ip address del ${vip}/PREFIX dev DEVICE`), cure("the router", `ip neigh flush ${vip}`)],
  };
}
