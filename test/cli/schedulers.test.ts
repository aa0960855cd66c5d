/** Each of the kernel's fourteen schedulers, by name through dradm: edited, listed, saved, restored and at work. */
import { expect, it } from "vitest";
import { BUILT_IN } from "../../src/schedulers/built-in.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, serverOf, tcp, VIP, World } from "../dataplane/world.ts";
import { run } from "./world.ts";

const SERVICE = `${VIP}:80`;

async function dradm(world: World, line: string, stdin = ""): Promise<string> {
  const { rc, stdout, stderr } = await run(world.commands, line.split(" "), stdin);
  expect({ rc, stderr }, line).toEqual({ rc: 0, stderr: "" });
  return stdout;
}

it.each(BUILT_IN.map(({ name }) => name))("%s", async (name) => {
  const scheduler = name === "rr" ? "wlc" : "rr";
  const world = new World({ shards: 2, scheduler, weights: [20, 20, 20] });
  await dradm(world, `-E -t ${SERVICE} -s ${name}`);
  expect(await dradm(world, "-Ln")).toContain(`TCP  ${SERVICE} ${name}\n`);
  const saved = await dradm(world, "-Sn");
  expect(saved).toContain(`-A -t ${SERVICE} -s ${name}\n`);
  const other = new World({ shards: 2 });
  await dradm(other, "-C");
  await dradm(other, "-R", saved);
  other.resolveAll();
  other.turn();
  expect(await dradm(other, "-Sn")).toBe(saved);
  for (const director of [world, other]) {
    for (let n = 0; n < 20; n++) {
      const syn = tcp({ source: client(n * 31), sourcePort: 1000, flags: TCP_FLAGS.SYN });
      const servers = director.send(syn, n % 2).map(serverOf);
      expect([[1], [2], [3]]).toContainEqual(servers);
    }
  }
});
