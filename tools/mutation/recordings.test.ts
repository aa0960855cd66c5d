/** A handful of the kernel's recordings, one or two of each kind: the whole set takes too long for each mutant. */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { replayFile } from "../../test/oracle/files.ts";

const RECORDINGS = fileURLToPath(new URL("../../test/oracle/recordings/", import.meta.url));

const FEW = [
  "fuzz/dh_seed1",
  "fuzz/fo_seed1",
  "fuzz/lblc_seed1",
  "fuzz/lblcr_seed1",
  "fuzz/lc_seed1",
  "fuzz/mh_seed1",
  "fuzz/mh+fallback+port_seed11",
  "fuzz/nq_seed1",
  "fuzz/ovf_seed1",
  "fuzz/rr_seed1",
  "fuzz/sed_seed1",
  "fuzz/sh_seed1",
  "fuzz/sh+fallback+port_seed11",
  "fuzz/wlc_seed1",
  "fuzz/wrr_seed1",
  "persist_fuzz/wlc_seed1",
  "persist_fuzz/rr_seed1",
  "sched/mh-v6+port_w3-2-1_syn200",
  "sched/sh-v6+port_w3-2-1_syn200",
  "sched/mh_w65535-1_syn200",
  "sched/lblcr_w3-2-1_reweigh",
  "overhead/wlc_inact256_k6.1.176",
  "overhead/wlc_inact256_k6.1.192",
  "state/tcp_matrix",
  "state/tcp_oneway_deep_securetcp3",
  "state/udp_expiry",
  "state/tcp_expiry",
  "frag/udp_frags",
  "frag/pmtu",
  "headers/bytes",
  "headers/ttl",
  "icmp/icmp_errors",
  "icmp/icmp6_errors",
  "semantics/drop_modes",
  "semantics/localnode",
  "semantics/no_destination_stats",
  "udp/ops_persist",
];

for (const name of FEW) {
  it(name, async () => {
    for (const shards of /lblc|drop_modes/.test(name) ? [1] : [1, 3]) {
      expect((await replayFile(`${RECORDINGS}${name}.json.gz`, shards)).mismatches).toEqual([]);
    }
  });
}
