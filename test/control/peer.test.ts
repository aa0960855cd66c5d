import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { mayControl, peerOf } from "../../src/control/peer.ts";

const peer = (uid: number, gid: number, groups: number[] = []) => ({ uid, gid, groups: () => groups });

test("root, the director's own user and the group's members may; others may not", () => {
  expect(mayControl(peer(0, 0), 500, undefined)).toBe(true);
  expect(mayControl(peer(500, 1), 500, undefined)).toBe(true);
  expect(mayControl(peer(501, 7), 500, 7)).toBe(true);
  expect(mayControl(peer(501, 1, [3, 7]), 500, 7)).toBe(true);
  expect(mayControl(peer(501, 1, [3]), 500, 7)).toBe(false);
  expect(mayControl(peer(501, 0), 500, undefined)).toBe(false);
});

test("who connects is who the kernel says; a socket that is none tells nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dr-peer-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const server = createServer().listen(join(folder, "s"));
  onTestFinished(() => void server.close());
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const here = connect(join(folder, "s"));
  const there = await accepted;
  const found = peerOf(there)!;
  expect([found.uid, found.gid]).toEqual([process.getuid!(), process.getgid!()]);
  // Node adds the process's own group.
  expect(new Set([...found.groups(), found.gid])).toEqual(new Set(process.getgroups!()));
  here.destroy();
  there.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  expect(peerOf(there)).toBeUndefined();
});
