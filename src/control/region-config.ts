/** Writes what a config says about the director's place and ways into the region, where the shards read it. */
import { createHash } from "node:crypto";
import { beginChange, endChange } from "../table/generation.ts";
import { MAX_PEERS, PLACE_PEERS } from "../table/place.ts";
import { Header, type Region } from "../table/region.ts";
import { SETTINGS, Setting, type SettingName, setDefaults } from "../table/settings.ts";
import { type Mac, parseMac } from "../wire/address.ts";
import { type Config, type MarkConfig, SETTING_NAMES } from "./config-schema.ts";
import { type MarkRule, setMarks } from "./marks.ts";

/** Settings, peers and marks. The timeouts are left alone: `--set` and `timeouts` speak about those. */
export function writeConfig(region: Region, config: Config): void {
  change(region, () => {
    writeSettings(region, config);
    writePeers(region, config.peers);
  });
  setMarks(region, config.marks.map(markRule));
}

export function markRule({ mark, protocol, network, ports }: MarkConfig): MarkRule {
  const [first = 0, last = first] = ports.split("-").map(Number);
  return { mark, protocol, destination: network, ports: [first, last] };
}

/** Where the director stands on its link. */
export function writeLink(region: Region, mac: Mac, mtu: number, dip: number): void {
  const { settings } = region;
  const values: [SettingName, number][] = [
    ["mac_hi", mac.hi],
    ["mac_lo", mac.lo | 0],
    ["mtu", mtu],
    ["dip", dip | 0],
  ];
  if (values.every(([name, value]) => settings[Setting[name]] === value)) return;
  change(region, () => {
    for (const [name, value] of values) settings[Setting[name]] = value;
  });
}

function change(region: Region, write: () => void): void {
  beginChange(region.header, Header.Generation);
  write();
  endChange(region.header, Header.Generation);
}

function writeSettings(region: Region, config: Config): void {
  const defaults = new Int32Array(SETTINGS);
  setDefaults(defaults);
  const given = config.settings as Readonly<Partial<Record<SettingName, number>>>;
  for (const name of SETTING_NAMES) region.settings[Setting[name]] = given[name] ?? defaults[Setting[name]]!;
  region.settings[Setting.ttl] = config.ttl === "decrement" ? 1 : 0;
  region.settings[Setting.source_mac] = config.sourceMac === "preserve" ? 1 : 0;
}

function writePeers({ place }: Region, peers: readonly string[]): void {
  const macs = peers.slice(0, MAX_PEERS).map((text) => parseMac(text)!);
  for (const [i, { hi, lo }] of macs.entries()) place.peers.set([hi, lo], i * 2);
  place.counts[PLACE_PEERS] = macs.length;
}

/** A word that tells two lists of services apart; never 0, which means that none was taken from a config. */
export function servicesDigest(config: Config): number {
  const text = JSON.stringify([config.services, config.timeouts]);
  return createHash("sha256").update(text).digest().readInt32LE(0) || 1;
}
