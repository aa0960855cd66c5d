/** Opening something inside a namespace from out here: a socket belongs for ever to where it was opened. */
import { closeSync, openSync } from "node:fs";
import { native } from "../ring/native.ts";
import type { Namespace } from "./namespace.ts";

const CLONE_NEWNET = 0x40000000;

/** Calls `open` with this thread inside the namespace. It must not wait for anything: other work would be in there too. */
export function within<T>(namespace: Namespace, open: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    native().setNamespace(`/proc/${namespace.pid}/ns/net`, CLONE_NEWNET);
    try {
      return open();
    } finally {
      native().setNamespace(`/proc/thread-self/fd/${home}`, CLONE_NEWNET);
    }
  } finally {
    closeSync(home);
  }
}

const ETH_P_NONE = 0;
const AF_PACKET = 17;
const SOCK_RAW = 3;

/** A raw socket that sends whole frames by an interface of the namespace, as the host there would. */
export class Injector {
  readonly #fd: number;

  constructor(namespace: Namespace, device: string) {
    this.#fd = within(namespace, () => {
      const fd = native().socket(AF_PACKET, SOCK_RAW, 0);
      native().bindPacket(fd, native().link(device).index, ETH_P_NONE);
      return fd;
    });
  }

  /** Throws when the kernel refuses the frame (shorter than an Ethernet header, longer than the MTU allows). */
  send(frame: Uint8Array): void {
    if (native().send(this.#fd, frame) < 0) throw new Error("the interface's queue is full");
  }

  close(): void {
    native().close(this.#fd);
  }
}
