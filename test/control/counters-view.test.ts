/** What the director as a whole has counted: it outlives servers, services, and -Z of one service. */
import { expect, test } from "vitest";
import { directorSum } from "../../src/control/counters-view.ts";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";

const syn = (world: World, n: number) =>
  world.send(tcp({ source: client(n), sourcePort: 1000, flags: TCP_FLAGS.SYN }));

test("it grows with every frame and stays when server and service go", () => {
  const world = new World({ weights: [1, 1] });
  for (let n = 1; n <= 4; n++) syn(world, n);
  const [connections, packets, bytes] = directorSum(world.region);
  expect([connections, packets]).toEqual([4, 4]);
  expect(bytes).toBeGreaterThan(100);
  world.deleteServer(1);
  world.run({ kind: "zero", service: world.key });
  expect(directorSum(world.region)).toEqual([4, 4, bytes]);
  world.run({ kind: "clear" });
  expect(directorSum(world.region)).toEqual([4, 4, bytes]);
});

test("-Z of everything begins anew, as in the kernel", () => {
  const world = new World({ weights: [1] });
  for (let n = 1; n <= 3; n++) syn(world, n);
  world.run({ kind: "zero" });
  expect(directorSum(world.region)).toEqual([0, 0, 0]);
  syn(world, 9);
  expect(directorSum(world.region).slice(0, 2)).toEqual([1, 1]);
});
