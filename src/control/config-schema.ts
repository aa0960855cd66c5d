/**
 * The config file's shape: every key with its meaning (`describe`, from which the man page dr-director.yaml(5) is
 * made), its bounds and its default. Checks that need two keys at once stand in config-rules.ts.
 */
import { z } from "zod";
import { DEFAULT_SIZES } from "../table/region.ts";
import { Setting } from "../table/settings.ts";
import { parseAddress, parseIpv4, parseMac } from "../wire/address.ts";
import { parseCidr, prefixOfMask } from "../wire/network.ts";
import { parseListenAddress } from "./listen-address.ts";

const address = () =>
  z
    .string()
    .refine((text) => parseAddress(text) !== undefined, "an IPv4 or IPv6 address, such as 10.0.0.100");
const mac = () =>
  z.string().refine((text) => parseMac(text) !== undefined, "a MAC address, such as 02:00:00:00:00:0b");
const port = () => z.int().min(0).max(65535);
const count = (most: number) => z.int().min(1).max(most);
const U32 = 2 ** 32 - 1;
const I32 = 2 ** 31 - 1;

/** Real server of a service. */
export const serverSchema = z.strictObject({
  address: address().describe("The real server's address (RIP), on the same link as the director."),
  port: port()
    .optional()
    .describe(
      "Direct routing cannot change a port: when given it must be the service's port. Default: that port.",
    ),
  weight: z.int().min(0).max(65535).default(1).describe("Its share of new connections; 0 quiesces it."),
  upper: z
    .int()
    .min(0)
    .max(I32)
    .default(0)
    .describe("Connections from which on it takes no new ones; 0 for no limit."),
  lower: z
    .int()
    .min(0)
    .max(I32)
    .default(0)
    .describe("Connections below which it takes new ones again; 0 for three quarters of `upper`."),
  mac: mac().optional().describe("Its MAC address, when ARP is not to be asked for it (a static neighbour)."),
});

const FLAGS = ["flag-1", "flag-2", "flag-3", "sh-fallback", "sh-port", "mh-fallback", "mh-port"] as const;

export const serviceSchema = z.strictObject({
  protocol: z
    .enum(["tcp", "udp", "sctp", "fwm"])
    .default("tcp")
    .describe("Transport protocol, or fwm for a mark."),
  address: address().optional().describe("The virtual address (VIP). Not with fwm."),
  port: port()
    .optional()
    .describe("The virtual port; 0 means every port, for a persistent service. Not with fwm."),
  mark: z
    .int()
    .min(1)
    .max(U32)
    .optional()
    .describe("The firewall mark, with fwm only; `marks` says what gets it."),
  family: z.literal([4, 6]).optional().describe("With fwm: 4 (default) or 6."),
  scheduler: z
    .string()
    .min(1)
    .max(15)
    .default("wlc")
    .describe(
      "Name as after ipvsadm -s: rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, fo, ovf, mh or twos; or that of a scheduler given with --scheduler.",
    ),
  flags: z.array(z.enum(FLAGS)).default([]).describe("Scheduler flags as after ipvsadm -b."),
  persistence: z
    .int()
    .min(0)
    .max(31 * 86400)
    .default(0)
    .describe("Seconds for which a client keeps its real server; 0 for none."),
  netmask: z
    .string()
    .refine(
      (text) => maskIsRight(text),
      "a netmask such as 255.255.255.0, or for IPv6 a prefix length of 1 to 128",
    )
    .optional()
    .describe("Clients that share this much of their address share a real server, with persistence."),
  ops: z
    .boolean()
    .default(false)
    .describe("One-packet scheduling: every datagram is scheduled anew (udp, fwm)."),
  servers: z
    .array(serverSchema)
    .default([])
    .describe("The real servers, in the order in which they are added."),
});

function maskIsRight(text: string): boolean {
  const mask = parseIpv4(text);
  if (mask !== undefined) return mask !== 0 && prefixOfMask(mask) !== undefined;
  return /^[1-9][0-9]{0,2}$/.test(text) && Number(text) <= 128;
}

const vipSchema = z.strictObject({
  address: address().describe("The virtual address."),
  own: z
    .boolean()
    .default(true)
    .describe(
      "true: the director answers ARP for it, announces it, and answers ping. false: a router sends it here.",
    ),
  active: z
    .boolean()
    .default(true)
    .describe("false: owned, but standing by: it is not answered for until activated."),
});

const markSchema = z.strictObject({
  mark: z.int().min(1).max(U32).describe("The firewall mark that matching packets get."),
  protocol: z.enum(["tcp", "udp", "sctp", "any"]).default("any").describe("Transport protocol."),
  network: z
    .string()
    .refine((text) => parseCidr(text) !== undefined, "a network such as 10.0.0.0/24, or an address")
    .describe("Destination network."),
  ports: z
    .string()
    .regex(/^\d{1,5}(-\d{1,5})?$/, "a port or a range, such as 80 or 8000-8099")
    .default("0-65535")
    .describe("Destination ports."),
});

type SettingKey = keyof typeof Setting;
/** Settings that a config file may name; the others are filled in by the director itself. */
const INTERNAL: readonly SettingKey[] = [
  "ttl",
  "source_mac",
  "mtu",
  "mac_hi",
  "mac_lo",
  "dip",
  "timeout_tcp",
  "timeout_udp",
  "timeout_icmp",
];
export const SETTING_NAMES = (Object.keys(Setting) as SettingKey[]).filter(
  (name) => !INTERNAL.includes(name),
);

const settingsSchema = z
  .strictObject(Object.fromEntries(SETTING_NAMES.map((name) => [name, z.int().min(0).max(I32).optional()])))
  .default({})
  .describe(
    `Settings under their sysctl names (net.ipv4.vs.*, net.ipv4.icmp_*): ${SETTING_NAMES.join(", ")}.`,
  );

const seconds = () =>
  z
    .int()
    .min(0)
    .max(I32 / 100);

export const configSchema = z.strictObject({
  interface: z.string().min(1).max(15).optional().describe("The interface where frames come from and go to."),
  vips: z
    .array(vipSchema)
    .default([])
    .describe("Virtual addresses that the director owns or may come to own."),
  services: z.array(serviceSchema).default([]).describe("The virtual services."),
  marks: z
    .array(markSchema)
    .default([])
    .describe("What gets which firewall mark; the last match counts, as with iptables -j MARK."),
  settings: settingsSchema,
  timeouts: z
    .strictObject({
      tcp: seconds()
        .default(0)
        .describe("Seconds an established TCP connection may rest; 0 for the default, 900."),
      tcpfin: seconds().default(0).describe("Seconds after a FIN; 0 for the default, 120."),
      udp: seconds().default(0).describe("Seconds a UDP flow may rest; 0 for the default, 300."),
    })
    .prefault({})
    .describe("As ipvsadm --set."),
  shards: z.int().min(1).max(256).default(1).describe("Worker threads, each with a ring of its own."),
  cpus: z
    .array(z.int().min(0).max(1023))
    .default([])
    .describe("CPUs the shards are pinned to, in turn; none by default."),
  sizes: z
    .strictObject({
      services: count(2 ** 20)
        .default(DEFAULT_SIZES.services)
        .describe("Virtual services at the most."),
      destinations: count(2 ** 22)
        .default(DEFAULT_SIZES.destinations)
        .describe("Real servers at the most."),
      connections: count(2 ** 25)
        .default(DEFAULT_SIZES.connections)
        .describe(
          "Connections per shard at the most. Each has four hash buckets, which `dradm -L` sums up as (size=…), so 2^n of them are the kernel's conn_tab_bits=n+2.",
        ),
      templates: count(2 ** 24)
        .default(DEFAULT_SIZES.templates)
        .describe("Persistence templates at the most."),
      neighbours: count(2 ** 20)
        .default(DEFAULT_SIZES.neighbours)
        .describe("Neighbours at the most."),
    })
    .prefault({})
    .describe("Table sizes. Memory is bounded by them; a full table is a counted event."),
  ring: z
    .strictObject({
      kind: z
        .enum(["packet", "xdp", "xdp!"])
        .default("packet")
        .describe(
          "packet: AF_PACKET. xdp: AF_XDP, the best mode that the driver grants, down to AF_PACKET with a warning. xdp!: AF_XDP from the driver (zero copy or one copy), or no start. AF_XDP needs as many shards as the interface has queues.",
        ),
      frames: count(2 ** 20)
        .optional()
        .describe("Frames that the receive ring holds; AF_XDP rounds it up to a power of two."),
      wait: z
        .enum(["poll", "busy", "adaptive"])
        .default("adaptive")
        .describe("What an idle shard does: sleep in poll(2), spin, or spin a little and then sleep."),
      bypass: z
        .boolean()
        .default(true)
        .describe("Send past the queueing discipline; false lets tcpdump see our frames."),
    })
    .prefault({})
    .describe("How frames are taken and sent."),
  ttl: z.enum(["keep", "decrement"]).default("keep").describe("decrement does what a kernel director does."),
  sourceMac: z
    .enum(["interface", "preserve"])
    .default("interface")
    .describe(
      "Source MAC of forwarded frames: ours, or the sender's left as it was (point-to-point links only).",
    ),
  peers: z
    .array(mac())
    .default([])
    .describe("MACs of peer directors; their frames are never forwarded again."),
  silence: z
    .enum(["auto", "require", "off"])
    .default("auto")
    .describe("Keep the host's own stack from answering the services' traffic: try, insist, or leave it."),
  socket: z
    .string()
    .min(1)
    .max(107)
    .optional()
    .describe("Control socket. Default /run/dr-director/control.sock."),
  group: z.string().min(1).optional().describe("Group that may use the control socket."),
  state: z
    .string()
    .min(1)
    .optional()
    .describe("File that holds the state; none keeps it in memory. Default /run/dr-director/state."),
  metrics: z
    .string()
    .refine(
      (text) => parseListenAddress(text) !== undefined,
      "an address and port, such as 127.0.0.1:9107 or [::1]:9107, or a port",
    )
    .optional()
    .describe(
      "Address and port on which GET /metrics answers Prometheus over TCP; a port alone means 127.0.0.1. By default only the control socket does.",
    ),
  log: z
    .enum(["trace", "debug", "info", "warn", "error"])
    .default("info")
    .describe("The least that is logged."),
});

export type ServerConfig = z.output<typeof serverSchema>;
export type ServiceConfig = z.output<typeof serviceSchema>;
export type VipConfig = z.output<typeof vipSchema>;
export type MarkConfig = z.output<typeof markSchema>;
export type Config = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
