/**
 * Settings that the data path reads live: one int32 cell each, so a read never tears. The first ones carry the
 * kernel's sysctl names (Documentation/networking/ipvs-sysctl.rst); timeouts are in seconds.
 */
export const Setting = {
  conn_reuse_mode: 0,
  expire_nodest_conn: 1,
  expire_quiescent_template: 2,
  sloppy_tcp: 3,
  sloppy_sctp: 4,
  drop_packet: 5,
  drop_entry: 6,
  secure_tcp: 7,
  am_droprate: 8,
  amemthresh: 9,
  cache_bypass: 10,
  schedule_icmp: 11,
  pmtu_disc: 12,
  nat_icmp_send: 13,
  ignore_tunneled: 14,
  backup_only: 15,
  // Ours, below.
  /** 0 keep the TTL, 1 decrement it as the kernel does. */
  ttl: 20,
  /** 0 interface: stamp our MAC as source; 1 preserve: leave the sender's. */
  source_mac: 21,
  /** Weight of a connection in lc, wlc, lblc, lblcr: 257 active + inactive (6.1.183 and newer, 1) or 256 (0). */
  overhead_257: 22,
  /** Threshold edits recompute the overload flag at once (6.1.183 and newer, 1) or only ever clear it (0). */
  overload_on_edit: 23,
  /** ICMP errors a second that we make at the most, 0 unlimited, and how many at once (net.ipv4.icmp_msgs_*). */
  icmp_msgs_per_sec: 24,
  icmp_msgs_burst: 25,
  /** Tokens' worth of ms between two ICMP errors to one client (net.ipv4.icmp_ratelimit). */
  icmp_ratelimit: 26,
  /** Answer echo requests to VIPs that the director owns. */
  answer_echo: 27,
  /** The link's MTU. */
  mtu: 28,
  /** Our own MAC: first two bytes, last four. */
  mac_hi: 29,
  mac_lo: 30,
  /** Our own IPv4 address on the interface (u32 in an int32 cell), 0 when there is none. */
  dip: 31,
  /** Seconds that lblc and lblcr remember an unused address; lblcr also lets a set shrink after it (kernel sysctls). */
  lblc_expiration: 32,
  lblcr_expiration: 33,
  // Timeouts in seconds, in the order of the TCP states (dataplane/tcp-state.ts): 40 + state.
  timeout_tcp: 40,
  timeout_udp: 56,
  timeout_icmp: 57,
} as const;
export type SettingName = keyof typeof Setting;

export const SETTINGS = 64;

/** The kernel's defaults (recorded: oracle semantics/sysctl_defaults) and ours. */
const DEFAULTS: Partial<Record<SettingName, number>> = {
  conn_reuse_mode: 1,
  am_droprate: 10,
  amemthresh: 1024,
  pmtu_disc: 1,
  overhead_257: 1,
  overload_on_edit: 1,
  icmp_msgs_per_sec: 1000,
  icmp_msgs_burst: 50,
  icmp_ratelimit: 1000,
  answer_echo: 1,
  mtu: 1500,
  timeout_udp: 300,
  timeout_icmp: 60,
  lblc_expiration: 86_400,
  lblcr_expiration: 86_400,
};

/** Seconds a TCP connection may rest in each state, by state number (tcp_timeouts in ip_vs_proto_tcp.c). */
const TCP_TIMEOUTS = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120] as const;

export function setDefaults(settings: Int32Array): void {
  settings.fill(0);
  for (const [name, value] of Object.entries(DEFAULTS)) settings[Setting[name as SettingName]] = value;
  TCP_TIMEOUTS.forEach((seconds, state) => {
    settings[Setting.timeout_tcp + state] = seconds;
  });
}
