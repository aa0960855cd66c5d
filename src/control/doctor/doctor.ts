/** The examination from start to end: see host and link, judge, and say what was looked at and what was not. */
import { Protocol } from "../../wire/ipv4.ts";
import { type ExamineOptions, examine } from "./examine.ts";
import { noDirector } from "./findings.ts";
import { judge } from "./judge.ts";
import type { Observations } from "./observations.ts";
import type { Patient } from "./patient.ts";
import type { Check, DoctorReport } from "./report.ts";

/** `unreachable`: why the running director that was asked for gave no answer. */
export async function diagnose(
  patient: Patient,
  options: ExamineOptions,
  unreachable?: string,
): Promise<DoctorReport> {
  const seen = await examine(patient, options);
  const found = judge(patient, seen);
  // Without the capability no director can run: that is the cause, not a second fault.
  const alone = found.some(({ fault }) => fault === "no-capability");
  const findings = unreachable === undefined || alone ? found : [noDirector(unreachable), ...found];
  return {
    version: 1,
    sound: findings.length === 0,
    interface: patient.interfaceName,
    dip: seen.host.dip,
    findings,
    looked: lookedAt(patient, seen),
    notLooked: [...patient.leftOut, ...notLookedAt(patient, seen)],
  };
}

/** Everything that was decided, well or ill. */
function lookedAt(patient: Patient, { host, servers, vips }: Observations): Check[] {
  const reached = servers.filter(({ mac }) => mac !== undefined);
  const ports = servers.flatMap((server) => server.vips).flatMap((vip) => vip.ports);
  const checks: Check[] = [
    { name: "capabilities", subjects: 1 },
    { name: "the interface", subjects: host.lacks.length > 0 ? 0 : 1 },
    {
      name: "the host's own stack is silent",
      subjects: host.silenced === undefined || !patient.running ? 0 : 1,
    },
    { name: "no offload of the interface spoils frames", subjects: host.joins === undefined ? 0 : 1 },
    { name: "real servers answer ARP, from one MAC each", subjects: servers.length },
    {
      name: "the director knows their MACs",
      subjects: reached.filter((one) => one.heldMac ?? one.fixedMac).length,
    },
    { name: "they take packets for the VIP", subjects: reached.flatMap((server) => server.vips).length },
    { name: "their ports answer", subjects: ports.length },
    { name: "nobody else answers ARP for the VIP", subjects: vips.length },
    { name: "they accept senders beyond the gateway", subjects: reached.length },
    { name: "their answers go past the director", subjects: reached.length },
    { name: "packets of the full MTU reach them", subjects: servers.filter(({ echo }) => echo).length },
    { name: "the switch sends us no one else's frames", subjects: servers.length > 0 ? 1 : 0 },
  ];
  return checks.filter(({ subjects }) => subjects > 0);
}

function notLookedAt(patient: Patient, { host, servers, vips }: Observations): string[] {
  const not: string[] = [];
  if (host.lacks.length > 0) not.push("host and link: that takes the capability");
  else if (host.silenced === undefined)
    not.push("the host's silence: this kernel's nf_tables does not answer");
  const alone = vips.filter(
    ({ vip, active, macs }) => !active && macs.length === 0 && !host.vipsOnHost.includes(vip),
  );
  for (const { vip } of alone)
    not.push(`how ${vip} gets here: nobody answers ARP for it, so a router must send it to ${host.dip}`);
  if (host.joins === undefined)
    not.push("the interface's offloads: this kernel's ethtool netlink does not answer");
  if (!patient.running) not.push("what the director itself knows: it was not asked (--socket)");
  const mute = servers.filter(({ mac, echo }) => mac !== undefined && !echo).map(({ rip }) => rip);
  if (mute.length > 0) not.push(`the MTU on the way to ${mute.join(", ")}: no answer to ping`);
  const udp = servers.flatMap(({ vips }) => vips).flatMap(({ ports }) => ports);
  if (udp.some(({ protocol, answer }) => protocol === Protocol.Udp && answer === "silent"))
    not.push("UDP services that are silent when asked nothing: they may be well");
  return not;
}
