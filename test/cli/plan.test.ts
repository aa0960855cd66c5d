/** `dr-director plan` and `apply` against a director: what they show, what they change, and their exit codes. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { planLines, planText } from "../../src/cli/plan-text.ts";
import type { ServiceListing } from "../../src/control/model.ts";
import { World } from "../dataplane/world.ts";
import { drDirector, serveWorld } from "../helpers/api.ts";
import { makeFolder } from "../helpers/world.ts";

const WEB = { address: "10.0.0.100", port: 80, scheduler: "rr" };
const server = (n: number, weight = 1) => ({ address: `10.0.0.1${n}`, weight });

function configFile(services: unknown, more: object = {}): string {
  const file = join(makeFolder(), "director.yaml");
  writeFileSync(file, JSON.stringify({ services, ...more }));
  return file;
}

test("a plan shows the difference and changes nothing; apply carries it out; then there is nothing left", async () => {
  const socket = await serveWorld(new World());
  const mail = { address: "10.0.0.100", port: 25, scheduler: "sh", flags: ["sh-port"], persistence: 300 };
  const file = configFile(
    [
      { ...WEB, scheduler: "wlc", servers: [server(1, 7), server(3), server(4)] },
      { ...mail, servers: [server(1)] },
    ],
    { timeouts: { tcp: 60 } },
  );
  const expected = [
    "~ timeout tcp 900 → 60",
    "~ tcp 10.0.0.100:80 scheduler rr → wlc",
    "~   10.0.0.11 weight 1 → 7",
    "+   10.0.0.14 weight 1",
    "-   10.0.0.12",
    "+ tcp 10.0.0.100:25 scheduler sh flags sh-port persistence 300",
    "+   10.0.0.11 weight 1",
    "",
    "3 to add, 3 to change, 1 to delete",
    "",
  ].join("\n");
  const at = ["--socket", socket];
  for (const words of [
    ["plan", file],
    ["apply", "--dry-run", file],
    ["plan", file],
  ]) {
    expect(await drDirector([...words, ...at])).toEqual({ code: 2, stdout: expected, stderr: "" });
  }
  expect(await drDirector(["apply", file, ...at])).toEqual({ code: 0, stdout: expected, stderr: "" });
  const nothing = { code: 0, stdout: "nothing to change\n", stderr: "" };
  expect(await drDirector(["plan", file, ...at])).toEqual(nothing);
  expect(await drDirector(["apply", file, ...at])).toEqual(nothing);
});

test("in colours when asked; as JSON; from standard input", async () => {
  const socket = await serveWorld(new World({ weights: [1] }));
  const at = ["--socket", socket];
  const coloured = await drDirector(["plan", "--color", configFile([{ ...WEB, servers: [] }]), ...at]);
  expect(coloured.stdout).toBe(
    "\x1b[0m  tcp 10.0.0.100:80\x1b[0m\n\x1b[31m-   10.0.0.11\x1b[0m\n\n0 to add, 0 to change, 1 to delete\n",
  );
  const json = await drDirector(["plan", "--json", "-", ...at], { input: "services: []\n" });
  expect(JSON.parse(json.stdout)).toEqual({
    commands: [
      {
        kind: "deleteService",
        service: { ...WEB, scheduler: undefined, protocol: "tcp", family: 4, mark: 0 },
      },
    ],
  });
  expect(json.code).toBe(2);
});

test("errors: a wrong config with its lines, a refusal, a director that is not there", async () => {
  const socket = await serveWorld(new World());
  const at = ["--socket", socket];
  const file = configFile([{ ...WEB, port: "http" }]);
  expect(await drDirector(["apply", file, ...at])).toEqual({
    code: 1,
    stdout: "",
    stderr: `${file}:1:45: services[0].port: expected a number, found "http"\n`,
  });
  const unknown = await drDirector([
    "apply",
    configFile([{ ...WEB, scheduler: "nope", servers: [] }]),
    ...at,
  ]);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/^refused: editService tcp 10\.0\.0\.100:80: there is no scheduler "nope"/);
  const away = await drDirector(["plan", file, "--socket", "/nowhere/s"]);
  expect(away).toMatchObject({ code: 1, stdout: "" });
  expect(away.stderr).toMatch(
    /^dr-director: the director at \/nowhere\/s is out of reach \(there is no such socket\)/,
  );
  expect((await drDirector(["plan", "/nowhere.yaml", ...at])).stderr).toMatch(
    /^dr-director: ENOENT.*nowhere\.yaml/,
  );
});

test("a service that goes is shown with its real servers", () => {
  const world = new World({ weights: [1, 1] });
  const result = world.commands.execute({ kind: "save", numeric: true });
  const services =
    result.ok && result.listing?.kind === "services"
      ? [...result.listing.services]
      : ([] as ServiceListing[]);
  const lines = planLines([{ kind: "deleteService", service: world.key }], services);
  expect(planText(lines, false)).toBe(
    "- tcp 10.0.0.100:80\n-   10.0.0.12\n-   10.0.0.11\n\n0 to add, 0 to change, 3 to delete\n",
  );
});
