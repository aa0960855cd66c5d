/** Services as a config file (dr-director.yaml(5)) for people: defaults left out, a real server a line. */
import { Document, isMap, isSeq, type YAMLMap } from "yaml";
import type { Converted, ServerInput, ServiceInput } from "./converted.ts";

export function toYaml({ services, timeouts }: Converted): string {
  const given = Object.keys(timeouts).length > 0 ? { timeouts } : {};
  const document = new Document(
    { services: services.map(plain), ...given },
    { aliasDuplicateObjects: false },
  );
  const list = document.get("services");
  if (isSeq(list)) for (const service of list.items) flow(service);
  return head(services) + document.toString({ lineWidth: 0 });
}

/** What the input cannot know, ready to be filled in. */
function head(services: readonly ServiceInput[]): string {
  const addresses = [
    ...new Set(services.map(({ address }) => address).filter((address) => address !== undefined)),
  ];
  const vips = addresses.map((address) => `#   - address: ${address}\n`).join("");
  return (
    "# interface: eth0 # where frames come from and go to\n" +
    (vips === "" ? "" : `# vips: # those that the director itself is to answer ARP for\n${vips}`)
  );
}

/** In the order in which people read them. */
const KEYS = [
  ...["protocol", "address", "port", "mark", "family", "scheduler", "flags"],
  ...["persistence", "netmask", "ops"],
] as const;

function plain({ servers = [], ...service }: ServiceInput): object {
  const values = service as Readonly<Record<string, unknown>>;
  const kept = KEYS.filter((key) => values[key] !== undefined).map((key) => [key, values[key]]);
  return { ...Object.fromEntries(kept), servers: servers.map(plainServer) };
}

function plainServer({ address, ...rest }: ServerInput): object {
  const kept = Object.entries(rest).filter(([, value]) => value !== undefined);
  return { address, ...Object.fromEntries(kept) };
}

function flow(service: unknown): void {
  if (!isMap(service)) return;
  for (const name of ["servers", "flags"]) {
    const list = (service as YAMLMap).get(name);
    if (!isSeq(list)) continue;
    if (name === "flags" || list.items.length === 0) list.flow = true;
    for (const each of list.items) if (isMap(each)) each.flow = true;
  }
}
