/**
 * Who is at the other end of the control socket: the socket's mode keeps others out, but a process that got hold of
 * an open socket, or a mode changed by mistake, does not make a stranger an administrator (unix(7), SO_PEERCRED).
 */
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { native } from "../ring/native.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
/** Linux's NGROUPS_MAX. */
const MOST_GROUPS = 65_536;

export interface Peer {
  readonly uid: number;
  readonly gid: number;
  /** All groups of the process; read only when they matter. */
  groups(): readonly number[];
}

/** As the kernel noted it when the peer connected; undefined when it cannot be had. */
export function peerOf(socket: Socket): Peer | undefined {
  // Node has no name for it, but keeps the descriptor there.
  const fd = (socket as Socket & { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const ucred = new Int32Array(3); // pid, uid, gid
  try {
    native().getOption(fd, SOL_SOCKET, SO_PEERCRED, ucred);
  } catch {
    return undefined;
  }
  return { uid: ucred[1]! >>> 0, gid: ucred[2]! >>> 0, groups: () => groupsOf(fd) };
}

function groupsOf(fd: number): number[] {
  const groups = new Uint32Array(MOST_GROUPS);
  try {
    const bytes = native().getOption(fd, SOL_SOCKET, SO_PEERGROUPS, groups);
    return [...groups.subarray(0, bytes / 4)];
  } catch {
    return []; // a kernel before 4.13
  }
}

/** Root, the director's own user, and members of the config's group. */
export function mayControl(peer: Peer, own: number, group: number | undefined): boolean {
  if (peer.uid === 0 || peer.uid === own) return true;
  return group !== undefined && (peer.gid === group || peer.groups().includes(group));
}

class NotAdmitted extends Error {
  readonly statusCode = 403;
}

/** Has the API answer 403 to everybody else, before anything of a request is read. */
export function admitPeers(api: FastifyInstance, group: number | undefined): void {
  const known = new WeakMap<Socket, true>();
  const own = process.geteuid?.() ?? 0;
  api.addHook("onRequest", async ({ raw: { socket } }) => {
    if (known.has(socket)) return;
    const peer = peerOf(socket);
    if (peer === undefined) throw new NotAdmitted("who asks cannot be told");
    if (!mayControl(peer, own, group)) {
      throw new NotAdmitted(`user ${peer.uid} is neither root nor in the control socket's group`);
    }
    known.set(socket, true);
  });
}
