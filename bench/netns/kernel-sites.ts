/**
 * What the kernel itself can do in the director's place, without connections, schedulers' state or counters: bench/peers/
 * says what each peer does and does not do. It all happens in the time of whoever sends to them.
 */

import { serverMac } from "../../src/lab/bench/director-site.ts";
import type { Site } from "../../src/lab/bench/site.ts";
import { type Arm, DIRECTOR_MAC, PORT, type Stage, VIP } from "../../src/lab/bench/stage.ts";
import { within } from "../../src/lab/enter.ts";
import { native } from "../../src/ring/native.ts";
import { formatIpv4 } from "../../src/wire/address.ts";
import { BpfAssembler, Do, If, R } from "../../src/wire/bpf.ts";

const PROG_XDP = 6;
const ATTACH_XDP = 37;
const XDP_NATIVE = 4;
const XDP_PASS = 2;
const XDP_TX = 3;
const SERVERS = 4;

function kernelSite(name: string, arm: Arm, how: string, close: () => void = () => {}): Site {
  return { name, arm, how, stateful: false, cpu: () => undefined, close: async () => close() };
}

/** The host's stack is not to touch the services' frames: the same rule as the director's own. */
export async function silence(arm: Arm): Promise<void> {
  await arm.namespace.sh(`nft -f - <<'END'
table netdev bench {
  chain silence {
    type filter hook ingress device eth0 priority 0;
    ip daddr ${formatIpv4(VIP)} tcp dport ${PORT} drop
  }
}
END`);
}

/** Nobody forwards: what is left is what it costs to send, to be taken off the others. */
export async function dropSite(stage: Stage, name: string): Promise<Site> {
  const arm = await stage.arm(name);
  await silence(arm);
  return { ...kernelSite(name, arm, "nft drop at ingress"), silent: true };
}

/** Plain routing: one real server, the TTL decremented. */
export async function ipForwardSite(stage: Stage, name: string): Promise<Site> {
  const arm = await stage.arm(name, { forwards: true });
  await arm.namespace.ip([
    `neighbour replace 10.0.0.11 lladdr ${serverMac(0)} dev eth0 nud permanent`,
    `route add ${formatIpv4(VIP)}/32 via 10.0.0.11 dev eth0`,
    "route add default via 10.0.0.1 dev eth0",
    "neighbour replace 10.0.0.1 lladdr 02:00:00:00:00:fe dev eth0 nud permanent",
  ]);
  return kernelSite(name, arm, "net.ipv4.ip_forward");
}

export async function nftSite(stage: Stage, name: string): Promise<Site> {
  const arm = await stage.arm(name);
  const servers = Array.from({ length: SERVERS }, (_, d) => `${d} : ${serverMac(d)}`).join(", ");
  await arm.namespace.sh(`nft -f - <<'END'
table netdev bench {
  chain director {
    type filter hook ingress device eth0 priority 0;
    ip daddr ${formatIpv4(VIP)} tcp dport ${PORT} ether saddr set ${DIRECTOR_MAC} ether daddr set jhash ip saddr . tcp sport mod ${SERVERS} map { ${servers} } fwd to eth0
  }
}
END`);
  return kernelSite(name, arm, "netdev ingress: jhash … map, fwd");
}

/** Rewrites the MACs of what goes to the VIP and sends it back; the client port picks one of four real servers. */
function reflector(): Uint8Array {
  const code = new BpfAssembler();
  const swap16 = (value: number) => ((value & 0xff) << 8) | (value >>> 8);
  const vip = new DataView(new ArrayBuffer(4));
  vip.setUint32(0, VIP);
  code.load(4, R.r2, R.r1, 0).load(4, R.r3, R.r1, 4);
  code.register(Do.move, R.r4, R.r2).constant(Do.add, R.r4, 54).jumpIfRegister(If.above, R.r4, R.r3, "pass");
  code.load(2, R.r5, R.r2, 12).jumpIf(If.not, R.r5, swap16(0x0800), "pass");
  code.load(4, R.r5, R.r2, 30).jumpIf(If.not, R.r5, vip.getInt32(0, true), "pass");
  code.load(2, R.r5, R.r2, 36).jumpIf(If.not, R.r5, swap16(PORT), "pass");
  code.load(1, R.r5, R.r2, 35).constant(Do.and, R.r5, SERVERS - 1);
  code.storeConstant(4, R.r2, 0, 0x0090_0202).storeConstant(1, R.r2, 4, 0).store(1, R.r2, 5, R.r5);
  const [a, b, c, d, e, f] = DIRECTOR_MAC.split(":").map((byte) => Number.parseInt(byte, 16));
  [a, b, c, d, e, f].forEach((byte, i) => {
    code.storeConstant(1, R.r2, 6 + i, byte!);
  });
  code.constant(Do.move, R.r0, XDP_TX).exit().label("pass").constant(Do.move, R.r0, XDP_PASS).exit();
  return code.assemble();
}

function passer(): Uint8Array {
  return new BpfAssembler().constant(Do.move, R.r0, XDP_PASS).exit().assemble();
}

export async function xdpSite(stage: Stage, name: string): Promise<Site> {
  const arm = await stage.arm(name);
  const addon = native();
  const fds: number[] = [];
  const attach = (code: Uint8Array, device: string, title: string) => {
    const program = addon.bpfProgLoad(PROG_XDP, code, "MIT", 0, title);
    fds.push(program, addon.bpfLinkCreate(program, addon.link(device).index, ATTACH_XDP, XDP_NATIVE));
  };
  within(arm.namespace, () => attach(reflector(), "eth0", "bench_reflect"));
  // veth takes frames of XDP_TX only at an end that has a program itself, or GRO (IO-FACTS 6).
  within(stage.load, () => attach(passer(), arm.device, "bench_pass"));
  const close = () => {
    for (const fd of fds.reverse()) addon.close(fd);
  };
  return { ...kernelSite(name, arm, "XDP_TX, native", close), ownXdp: true };
}
