/** A config file's director without a network: what of it holds without one. */
import type { SettingName } from "../table/settings.ts";
import { formatAddress, parseAddress } from "../wire/address.ts";
import type { Config } from "./config-schema.ts";
import { toCommands } from "./difference.ts";
import type { OfflineSetup } from "./offline.ts";
import { markRule } from "./region-config.ts";

export interface Station {
  /** The director's MAC address. */
  readonly mac: string;
  readonly dip?: string;
  readonly mtu?: number;
}

export function offlineSetup(config: Config, station: Station): OfflineSetup {
  const settings = config.settings as Readonly<Partial<Record<SettingName, number>>>;
  return {
    ...station,
    commands: toCommands(config),
    settings: {
      ...settings,
      ttl: config.ttl === "decrement" ? 1 : 0,
      source_mac: config.sourceMac === "preserve" ? 1 : 0,
    },
    marks: config.marks.map(markRule),
    peers: config.peers,
    ownVips: config.vips.filter(({ own, active }) => own && active).map(({ address }) => address),
    neighbours: staticNeighbours(config),
    sizes: config.sizes,
  };
}

/** The MAC addresses that the config itself gives. */
function staticNeighbours(config: Config): Record<string, string> {
  const known: Record<string, string> = {};
  for (const { address, mac } of config.services.flatMap((service) => service.servers)) {
    const words = parseAddress(address);
    if (words !== undefined && mac !== undefined) known[formatAddress(words)] = mac;
  }
  return known;
}

/** Every virtual address of a config, owned or not, in inet_ntop(3) form. */
export function virtualAddresses(config: Config): Set<string> {
  const texts = [
    ...config.vips.map(({ address }) => address),
    ...config.services.map(({ address }) => address ?? ""),
  ];
  return new Set(
    texts.map(parseAddress).flatMap((words) => (words === undefined ? [] : formatAddress(words))),
  );
}
