/** The unix socket that the API listens on: made for its owner and group alone, and taken away again. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";

export const DEFAULT_SOCKET = "/run/dr-director/control.sock";

export class SocketError extends Error {
  override readonly name = "SocketError";
}

/** Listens on the socket with mode 0660; returns what closes it and takes it away. Throws SocketError. */
export async function listen(
  api: FastifyInstance,
  path: string,
  group?: string,
): Promise<() => Promise<void>> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if (existsSync(path)) {
    if (await answers(path))
      throw new SocketError(`${path} is in use: a director runs already; give --socket another path`);
    unlinkSync(path);
  }
  const gid = group === undefined ? undefined : groupId(group);
  // From its first moment nobody else may open it.
  const before = process.umask(0o177);
  try {
    await api.listen({ path });
  } finally {
    process.umask(before);
  }
  if (gid !== undefined) chownSync(path, -1, gid);
  chmodSync(path, 0o660);
  return async () => {
    await api.close();
    if (existsSync(path)) unlinkSync(path);
  };
}

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
