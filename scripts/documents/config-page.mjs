// dr-director.yaml(5): every key of the config's schema, with its description, bounds and default.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { DATE, prose } from "./mdoc.mjs";

export async function configPage(dist) {
  const { configSchema } = await import(pathToFileURL(join(dist, "control", "config-schema.js")).href);
  const schema = z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" });
  const sections = [...nested(schema, [])];
  return `.\\" Made by scripts/documents.mjs from src/control/config-schema.ts; change that.
.Dd ${DATE}
.Dt DR-DIRECTOR.YAML 5
.Os
.Sh NAME
.Nm dr-director.yaml
.Nd configuration of the direct-routing director
.Sh DESCRIPTION
The configuration of
.Xr dr-director 8
is a YAML 1.2 file; JSON is YAML too.
.Dl dr-director check director.yaml
tells everything that is wrong with one, by line and column.
An unknown key is an error.
.Pp
.Dv SIGHUP ,
.Cm dr-director apply
and
.Xr systemctl 1
.Cm reload
take a changed file over as a difference: a service or real server that stays
keeps its connections, its counters and its turn.
Interface, shards, sizes, state, ring, CPUs, control socket, group and metrics
take effect at the next start.
.Ss Keys of the file
${list(schema)}
${sections.map(({ path, schema: inner }) => `.Ss Keys of ${path}\n${list(inner)}`).join("\n")}
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/dr-director/director.yaml
Where the systemd unit looks for it.
.It Pa examples/dr-director.yaml
An example, in the package's folder.
.El
.Sh EXAMPLES
.Bd -literal -offset indent
interface: eth0
vips:
  - address: 192.168.10.100
services:
  - address: 192.168.10.100
    port: 80
    scheduler: wlc
    servers:
      - { address: 192.168.10.11, weight: 2 }
      - { address: 192.168.10.12 }
metrics: 127.0.0.1:9107
.Ed
.Sh SEE ALSO
.Xr dr-director 8 ,
.Xr dradm 8
`;
}

/** Mappings below the first level, each once, in the order of the file. */
function* nested(schema, path) {
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const inner = value.type === "array" ? value.items : value;
    if (inner.properties === undefined) continue;
    const name = [...path, key];
    yield { path: name.join("."), schema: inner };
    yield* nested(inner, name);
  }
}

function list(schema) {
  const items = Object.entries(schema.properties).map(([key, value]) => {
    const required = (schema.required ?? []).includes(key);
    const text = prose(told(value, required));
    return [`.It Cm ${key} : No ${typeText(value)}`, ...(text === "" ? [] : [text])].join("\n");
  });
  return [".Bl -tag -width Ds", ...items, ".El"].join("\n");
}

function told(value, required) {
  // Not as a sentence: it may begin with a value.
  const parts = [value.description?.replace(/([^.])$/, "$1.") ?? ""];
  const bounds = boundsText(value);
  if (bounds !== "") parts.push(bounds);
  const plain = ["string", "number", "boolean"].includes(typeof value.default);
  if (plain) parts.push(`Default: ${value.default}.`);
  if (required) parts.push("Required.");
  return parts.filter((part) => part !== "").join(" ");
}

function typeText(value) {
  // \\& keeps "xdp!" from being read as the end of a sentence.
  if (value.enum !== undefined) return value.enum.join(" \\(ba ").replace(/([!.?])$/, "$1\\&");
  if (value.type === "array")
    return `list of ${value.items?.properties === undefined ? typeText(value.items) : "mappings"}`;
  const words = { string: "text", integer: "number", boolean: "true \\(ba false", object: "mapping" };
  return words[value.type] ?? value.type;
}

/** The widest numbers are no bounds that anybody needs to be told of. */
function boundsText({ minimum, maximum, minLength, maxLength }) {
  if (maximum !== undefined && maximum < 2 ** 31 - 1) return `From ${minimum} to ${maximum}.`;
  if (maxLength !== undefined) return `From ${minLength ?? 0} to ${maxLength} characters.`;
  return "";
}
