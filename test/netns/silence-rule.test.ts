/**
 * The host-silence rule in a kernel: a host that owns the VIP answers our clients itself, until the rule is there;
 * everything else goes on as before; the rule is gone when its socket closes, as it does when a process is killed.
 */

import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Namespace } from "../../src/lab/namespace.ts";
import { native, openNetlink } from "../../src/ring/native.ts";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { BatchReplies } from "../../src/wire/batch-replies.ts";
import { parseAcknowledgement, parseMessages } from "../../src/wire/netlink.ts";
import { parseCidr } from "../../src/wire/network.ts";
import { type Batch, NETLINK_NETFILTER, parseTable, tableRequest } from "../../src/wire/nftables.ts";
import { type Silence, silenceBatch, unsilenceBatch } from "../../src/wire/silence.ts";

const CLONE_NEWNET = 0x40000000;
const EPERM = 1;
const ENOENT = 2;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

const root = spawnSync("unshare", ["--net", "true"]).status === 0;
const hasNft = spawnSync("nft", ["--version"]).status === 0;

const VIP = parseIpv4("10.0.0.100")!;
const VIP6 = parseIpv6("2001:db8::100")!;
const services = [
  { protocol: 6, address: VIP, port: 80 },
  { protocol: 17, address: VIP, port: 53 },
  { protocol: 6, address: VIP6, port: 80 },
];
const TABLE = "dr-director-test";
const silence: Silence = { table: TABLE, device: "wire0", services };

/** What a client meets at this address: the answer of the host's stack, or silence. */
const ASK = `
const [protocol, address, port, size] = process.argv.slice(1);
const done = (word) => { console.log(word); process.exit(0); };
setTimeout(done, 400, "silence");
if (protocol === "tcp") require("net").connect(Number(port), address).on("error", (e) => done(e.code)).on("connect", () => done("open"));
else {
  const socket = require("dgram").createSocket(address.includes(":") ? "udp6" : "udp4").on("error", (e) => done(e.code));
  socket.connect(Number(port), address, () => socket.send(Buffer.alloc(Number(size ?? 1)), (e) => e && done(e.code)));
}`;

describe.runIf(root)("the silence rule", () => {
  const host = new Namespace("host");
  const client = new Namespace("client");
  const reply = new Uint8Array(65536);
  let socket = -1;
  let sequence = 1;

  /** A netlink socket of the host's namespace; it stays there when this thread goes home. */
  function openInHost(): number {
    const home = openSync("/proc/thread-self/ns/net", "r");
    native().setNamespace(`/proc/${host.pid}/ns/net`, CLONE_NEWNET);
    try {
      const fd = openNetlink(NETLINK_NETFILTER, 0);
      native().setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      native().setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      return fd;
    } finally {
      native().setNamespace(`/proc/self/fd/${home}`, CLONE_NEWNET);
      closeSync(home);
    }
  }

  function send(fd: number, batch: Batch): BatchReplies {
    sequence += batch.about.length + 2;
    expect(native().send(fd, batch.bytes)).toBe(batch.bytes.length);
    const replies = new BatchReplies(batch);
    // Netlink answers before send() returns: nothing to wait for.
    for (let complete = false; !complete; ) {
      const length = native().recv(fd, reply);
      expect(length).toBeGreaterThan(0);
      complete = replies.take(reply.subarray(0, length));
    }
    return replies;
  }

  function ask(...words: string[]): string {
    const [program, ...enter] = client.enter;
    const run = spawnSync(program!, [...enter, process.execPath, "-e", ASK, ...words], { encoding: "utf8" });
    return run.stdout.trim() || run.stderr;
  }

  beforeAll(async () => {
    await client.sh("true");
    await host.sh(`
      ip link set lo up
      ip link add wire0 type veth peer name wire0 netns ${client.pid}
      ip link set wire0 up
      ip address add 10.0.0.1/24 dev wire0
      ip address add 10.0.0.100/32 dev lo
      ip address add 2001:db8::1/64 dev wire0 nodad
      ip address add 2001:db8::100/64 dev wire0 nodad
      echo 0 >/proc/sys/net/ipv4/icmp_ratelimit`);
    await client.sh(
      "ip link set wire0 up; ip address add 10.0.0.9/24 dev wire0; ip address add 2001:db8::9/64 dev wire0 nodad",
    );
    await client.sh(
      "for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 1 2001:db8::100 >/dev/null 2>&1 && break; done; true",
    );
  });

  afterAll(async () => {
    await host.close();
    await client.close();
  });

  it("is needed: without it the host answers in the VIP's name", () => {
    expect(ask("tcp", "10.0.0.100", "80")).toBe("ECONNREFUSED");
    expect(ask("udp", "10.0.0.100", "53")).toBe("ECONNREFUSED");
    expect(ask("tcp", "2001:db8::100", "80")).toBe("ECONNREFUSED");
  });

  it("silences exactly the services", async () => {
    socket = openInHost();
    expect(send(socket, silenceBatch(silence, sequence)).failure).toBeUndefined();
    expect(ask("tcp", "10.0.0.100", "80")).toBe("silence");
    expect(ask("udp", "10.0.0.100", "53")).toBe("silence");
    expect(ask("tcp", "2001:db8::100", "80")).toBe("silence");
    // Other port, other protocol, other address: as before.
    expect(ask("tcp", "10.0.0.100", "81")).toBe("ECONNREFUSED");
    expect(ask("udp", "10.0.0.100", "80")).toBe("ECONNREFUSED");
    expect(ask("tcp", "10.0.0.1", "80")).toBe("ECONNREFUSED");
    expect(ask("tcp", "2001:db8::1", "80")).toBe("ECONNREFUSED");
    expect(await client.sh("ping -c 1 -W 1 10.0.0.100")).toContain("1 received");
  });

  it.runIf(hasNft)("drops later fragments with the first (needs nft: apt-get install nftables)", async () => {
    expect(ask("udp", "10.0.0.100", "53", "4000")).toBe("silence");
    const listed = await host.sh(`nft list table netdev ${TABLE}`);
    expect(listed).toMatch(
      /ip frag-off & (8191|0x1fff) != 0 ip daddr \. ip protocol @pieces counter packets 2 /,
    );
  });

  it("can be looked for", () => {
    native().send(socket, tableRequest(TABLE, 900));
    const [found] = parseMessages(reply.subarray(0, native().recv(socket, reply)));
    expect(parseTable(found!)).toMatchObject({ name: TABLE, owned: true });
    native().send(socket, tableRequest("another", 901));
    const [missing] = parseMessages(reply.subarray(0, native().recv(socket, reply)));
    expect(parseAcknowledgement(missing!)).toMatchObject({ sequence: 901, errno: ENOENT });
  });

  it("belongs to its socket: nobody else can change or delete it", async () => {
    const other = openInHost();
    const refused = send(other, unsilenceBatch(TABLE, sequence)).failure;
    expect(refused).toMatchObject({ errno: EPERM, about: `deletion of table ${TABLE}` });
    native().close(other);
    if (hasNft) await expect(host.sh(`nft delete table netdev ${TABLE}`)).rejects.toThrow("not permitted");
  });

  it("is replaced in one step, networks and services for every port included", () => {
    const networks = [{ network: parseCidr("10.0.0.0/31")!, protocol: 6 }];
    const changed = {
      ...silence,
      services: [{ protocol: 17, address: VIP, port: 0 }],
      networks,
      replace: true,
    };
    expect(send(socket, silenceBatch(changed, sequence)).failure).toBeUndefined();
    expect(ask("udp", "10.0.0.100", "53")).toBe("silence");
    expect(ask("udp", "10.0.0.100", "9999")).toBe("silence");
    expect(ask("tcp", "10.0.0.1", "80")).toBe("silence"); // in the network
    expect(ask("udp", "10.0.0.1", "80")).toBe("ECONNREFUSED");
    expect(ask("tcp", "10.0.0.100", "80")).toBe("ECONNREFUSED"); // no longer a service
    expect(ask("tcp", "2001:db8::100", "80")).toBe("ECONNREFUSED");
  });

  it("names what the kernel refused, and then nothing of the batch is there", async () => {
    const before = hasNft ? await host.sh("nft list ruleset") : "";
    const wrong = { ...silence, table: "x".repeat(300) };
    const failure = send(socket, silenceBatch(wrong, sequence)).failure;
    expect(failure?.errno).toBeGreaterThan(0);
    expect(failure?.about).toBe(`table ${wrong.table}`);
    if (hasNft) expect(await host.sh("nft list ruleset")).toBe(before);
  });

  it.runIf(hasNft)("reads in nft as it is meant (needs nft: apt-get install nftables)", async () => {
    const networks = [{ network: parseCidr("198.51.100.0/24")!, protocol: 0 }];
    const every = { protocol: 132, address: parseIpv4("10.0.0.101")!, port: 0 };
    const full = { ...silence, services: [...services, every], networks, replace: true };
    expect(send(socket, silenceBatch(full, sequence)).failure).toBeUndefined();
    const listed = (await host.sh(`nft list table netdev ${TABLE}`)).replace(/\s+/g, " ");
    const sentences = [
      "flags owner",
      "set pieces { type ipv4_addr . inet_proto elements = { 10.0.0.100 . ", // in the hash's order
      "set hosts { type ipv4_addr . inet_proto elements = { 10.0.0.101 . sctp } }",
      "set services6 { type ipv6_addr . inet_proto . inet_service elements = { 2001:db8::100 . tcp . 80 } }",
      'type filter hook ingress device "wire0" priority -500; policy accept;',
      /ip hdrlength != 5 ip daddr \. ip protocol @pieces counter packets 0 bytes 0 drop/,
      "ip daddr . ip protocol @hosts counter packets 0 bytes 0 drop",
      "ip daddr . ip protocol . th dport @services counter packets 0 bytes 0 drop",
      "frag frag-off != 0 ip6 daddr . meta l4proto @pieces6 counter packets 0 bytes 0 drop",
      "ip6 daddr . meta l4proto . th dport @services6 counter packets 0 bytes 0 drop",
      "ip daddr 198.51.100.0/24 counter packets 0 bytes 0 drop",
    ];
    for (const sentence of sentences) expect(listed).toMatch(sentence);
  });

  it("is gone when its socket closes", async () => {
    native().close(socket);
    // The kernel takes owned tables away in its own time.
    const gone = async (): Promise<string> => ask("tcp", "10.0.0.100", "80");
    await expect.poll(gone, { timeout: 5000 }).toBe("ECONNREFUSED");
  });

  it("stays without an owner, until it is taken away", () => {
    const first = openInHost();
    expect(send(first, silenceBatch({ ...silence, owned: false }, sequence)).failure).toBeUndefined();
    native().close(first);
    expect(ask("tcp", "10.0.0.100", "80")).toBe("silence");
    const second = openInHost();
    expect(send(second, unsilenceBatch(TABLE, sequence)).failure).toBeUndefined();
    expect(ask("tcp", "10.0.0.100", "80")).toBe("ECONNREFUSED");
    native().close(second);
  });

  it("holds ten thousand services in one batch", () => {
    const fd = openInHost();
    const many = Array.from({ length: 10_000 }, (_, i) => ({ protocol: 6, address: VIP, port: 1 + i }));
    native().setOption(fd, 1, 7, 4 << 20); // SOL_SOCKET, SO_SNDBUF: a batch is one message
    expect(send(fd, silenceBatch({ ...silence, services: many }, sequence)).failure).toBeUndefined();
    expect(ask("tcp", "10.0.0.100", "9999")).toBe("silence");
    expect(ask("tcp", "10.0.0.100", "10001")).toBe("ECONNREFUSED");
    native().close(fd);
  });
});
