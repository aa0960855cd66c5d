/** Services as ipvsadm's rules, in the order in which they are to be made. */
import type { Config } from "../../control/config.ts";
import { type DesiredService, desiredOf } from "../../control/difference.ts";
import { NO_RATES, NO_STATS, type ServerSpec } from "../../control/model.ts";
import { NUMERIC, saveLines } from "../ipvsadm-format.ts";

/** `ipvsadm -S` prints no thresholds; these rules have them, because `ipvsadm -R` reads them. */
export function toRules(config: Config): string {
  const { services, timeouts } = desiredOf(config);
  const { tcp, tcpfin, udp } = timeouts;
  const set = tcp + tcpfin + udp > 0 ? `--set ${tcp} ${tcpfin} ${udp}\n` : "";
  return set + [...services].map(serviceRules).join("");
}

function serviceRules(service: DesiredService): string {
  const text = (servers: readonly ServerSpec[]): string => {
    const listed = servers.map((server) => ({
      ...server,
      ...{ activeConns: 0, inactiveConns: 0, persistentConns: 0, stats: NO_STATS, rates: NO_RATES },
    }));
    return saveLines({ ...service, servers: listed, stats: NO_STATS, rates: NO_RATES }, NUMERIC);
  };
  const own = text([]);
  const servers = service.servers.map(
    (server) => text([server]).slice(own.length).trimEnd() + thresholds(server),
  );
  return own + servers.map((line) => `${line}\n`).join("");
}

function thresholds({ upper, lower }: ServerSpec): string {
  return (upper > 0 ? ` -x ${upper}` : "") + (lower > 0 ? ` -y ${lower}` : "");
}
