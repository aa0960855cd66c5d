/** The unix socket that the API listens on: made for its owner and group alone, and taken away again. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import { admitPeers } from "./peer.ts";

export const DEFAULT_SOCKET = "/run/dr-director/control.sock";

export class SocketError extends Error {
  override readonly name = "SocketError";
}

/**
 * Listens on the socket with mode 0660; returns what closes it and takes it away. It is made under a name of its own
 * and renamed when it is ready: with `replace`, in place of a running director's, nobody finds it missing meanwhile.
 * Throws SocketError.
 */
export async function listen(
  api: FastifyInstance,
  path: string,
  group?: string,
  replace = false,
): Promise<() => Promise<void>> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (!replace && existsSync(path) && (await answers(path)))
    throw new SocketError(`${path} is in use: a director runs already; give --socket another path`);
  const gid = group === undefined ? undefined : groupId(group);
  const own = `${path}.${process.pid}`;
  if (Buffer.byteLength(own) > LONGEST_PATH)
    throw new SocketError(`${path} is too long for a socket: at most ${LONGEST_PATH - 8} bytes`);
  if (existsSync(own)) unlinkSync(own);
  admitPeers(api, gid);
  // From its first moment nobody else may open it.
  const before = process.umask(0o177);
  try {
    await api.listen({ path: own });
  } finally {
    process.umask(before);
  }
  if (gid !== undefined) chownSync(own, -1, gid);
  chmodSync(own, 0o660);
  const { ino } = statSync(own);
  renameSync(own, path);
  return async () => {
    await api.close();
    // A successor may have put its own there.
    if (statSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkSync(path);
  };
}

/** sockaddr_un's sun_path with its NUL, unix(7). */
const LONGEST_PATH = 107;

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function groupId(name: string): number {
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  const id = Number(line?.split(":")[2]);
  if (!Number.isInteger(id)) throw new SocketError(`there is no group ${name} (config key \`group\`)`);
  return id;
}
