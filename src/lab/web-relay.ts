/**
 * A lab without root lives in a network namespace whose loopback no browser reaches. So the process outside listens
 * on this machine's loopback and passes the bytes on to a unix socket, which both sides see.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Set for the lab inside: where it is to listen, and the port that browsers see. */
const MARK = "DR_DIRECTOR_LAB_WEB";

export interface Relay {
  readonly path: string;
  readonly port: number;
}

/** What the process outside has told this one; undefined when there is none. */
export function relayOutside(): Relay | undefined {
  const told = process.env[MARK];
  return told === undefined ? undefined : (JSON.parse(told) as Relay);
}

/** Relays a port of the loopback (0 for any) while `inside` runs; the processes that it starts know of it. */
export async function withRelay<T>(port: number, inside: () => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "dr-director-web."));
  const path = join(folder, "web.sock");
  const server = createServer((outer) => {
    const inner = connect(path);
    outer.pipe(inner).pipe(outer);
    outer.on("error", () => inner.destroy());
    inner.on("error", () => outer.destroy());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port }, resolve);
    });
    process.env[MARK] = JSON.stringify({
      path,
      port: (server.address() as AddressInfo).port,
    } satisfies Relay);
    return await inside();
  } finally {
    delete process.env[MARK];
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
