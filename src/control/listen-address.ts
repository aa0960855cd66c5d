/** Where a TCP server of ours listens, as a config file and a command line write it. */
import { formatAddress, parseAddress } from "../wire/address.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** "127.0.0.1:9107", "[::1]:9107", or "9107" for the loopback; undefined when it is none of these. Port 0: any. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  const [, v6, v4] = match;
  if (v6 === undefined && v4 === undefined) return { host: "127.0.0.1", port };
  const words = parseAddress(v6 ?? v4 ?? "");
  return words === undefined ? undefined : { host: formatAddress(words), port };
}
