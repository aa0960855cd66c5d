/**
 * From what was seen to what is wrong: pure, so that every rule can be tested without a link. A cause is named once and
 * its consequences are not.
 */
import * as find from "./findings.ts";
import type { Observations, ServerSeen, VipSeen } from "./observations.ts";
import type { Patient } from "./patient.ts";
import type { Finding } from "./report.ts";

/** Rooms that some kernels leave above the MTU (a VLAN tag): no proof of a mismatch. */
const MTU_SLACK = 4;

export function judge(patient: Patient, seen: Observations): Finding[] {
  const { host } = seen;
  if (host.lacks.length > 0) return [find.noCapability(host)];
  if (host.linkTrouble !== "") return [find.noLink(patient, host)];
  if (host.dip === "") return [find.noAddress(patient)];
  const ofServers = seen.servers.flatMap((server) => [...judgeServer(server, seen)]);
  return [...judgeHost(patient, seen), ...ofServers, ...judgeVips(patient, seen)];
}

function* judgeHost(
  patient: Patient,
  { host, servers, strays, ourMacElsewhere }: Observations,
): Generator<Finding> {
  const silenceOff = patient.silence === "off";
  // Before the director runs nobody has made the rule yet: then only a config that forbids it is wrong.
  const loud = patient.running ? host.silenced === false : silenceOff;
  if (loud && (host.vipsOnHost.length > 0 || host.forwards)) yield find.hostAnswers(patient, host);
  if (host.joins === true) yield find.offload(patient);
  const stations = new Set(
    [...servers.flatMap(({ macs }) => macs), host.gatewayMac ?? ""].filter((mac) => mac !== ""),
  );
  if (patient.sourceMac === "preserve" && stations.size > 1)
    yield find.preservesMac(patient, stations.size, strays);
  else if (strays.length > 0) yield find.strays(patient, strays);
  if (ourMacElsewhere.length > 0) yield find.ourMacTwice(host, ourMacElsewhere);
}

function* judgeServer(server: ServerSeen, { host }: Observations): Generator<Finding> {
  const { rip, macs, mac, heldMac, fixedMac } = server;
  if (mac === undefined) {
    yield server.onLink ? find.unresolved(server, host) : find.offLink(server, host);
    return;
  }
  if (mac === host.gatewayMac) {
    yield find.behindRouter(server);
    return;
  }
  if (macs.length > 1) {
    // Which of the two the rest was asked of is chance.
    yield find.ripTwice(server);
    return;
  }
  const used = fixedMac ?? heldMac;
  if (used !== undefined && macs.length > 0 && !macs.includes(used)) yield find.macChange(server, used);
  const accepted = server.vips.filter(accepts);
  for (const vip of server.vips) if (!accepts(vip)) yield find.vipMissing(server, vip, host);
  for (const vip of accepted) yield* judgePorts(rip, vip);
  if (server.answersFarSender === false && macs.length > 0) yield find.rpFilter(server, host);
  if (server.answersThroughUs !== undefined) yield find.wrongGateway(server, host);
  const size = judgeSize(server, host.mtu);
  if (size === "narrow-mtu") yield find.narrowMtu(server, host);
  if (size === "mtu-mismatch") yield find.mtuMismatch(server, host);
}

/** Any answer in the VIP's name shows that it has the address. */
function accepts({ echo, ports }: VipSeen): boolean {
  return echo || ports.some(({ answer }) => answer !== "silent");
}

function* judgePorts(rip: string, { vip, ports }: VipSeen): Generator<Finding> {
  const dead = ports.filter(
    ({ protocol, answer }) => answer === "closed" || (answer === "silent" && protocol === find.TCP),
  );
  if (dead.length > 0) yield find.deadServer(rip, vip, dead);
}

function judgeSize(
  { mss, largest, lost, echo }: ServerSeen,
  mtu: number,
): "narrow-mtu" | "mtu-mismatch" | undefined {
  const believes = mss === 0 ? mtu : mss + find.TCP_IP_HEADERS;
  if (believes > mtu) return "mtu-mismatch";
  if (!echo || lost === 0 || lost > mtu) return undefined;
  // A host that knows of its smaller MTU says so in its SYN+ACK; a path that is too narrow does not.
  return believes <= largest + MTU_SLACK && believes < mtu ? "mtu-mismatch" : "narrow-mtu";
}

function* judgeVips({ peers }: Patient, { vips, servers }: Observations): Generator<Finding> {
  const owners = new Map(servers.flatMap(({ rip, macs }) => macs.map((mac) => [mac, rip] as const)));
  for (const { vip, active, macs } of vips) {
    for (const mac of macs) {
      const rip = owners.get(mac);
      if (rip !== undefined) yield find.arpLeak(vip, rip, mac);
      // Where we stand by, a peer answers, and that is right.
      else if (active || !peers.includes(mac)) yield find.vipTwice(vip, mac, peers.includes(mac));
    }
  }
}
