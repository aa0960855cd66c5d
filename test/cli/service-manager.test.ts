import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ServiceManager } from "../../src/cli/service-manager.ts";

function manager(env: Record<string, string>) {
  const told: string[] = [];
  const addresses = new Set<string>();
  const send = (address: Uint8Array, bytes: Uint8Array) => {
    addresses.add(Buffer.from(address).toString("latin1"));
    told.push(Buffer.from(bytes).toString());
  };
  return { manager: new ServiceManager(env, send), told, addresses };
}

describe("a service manager is told", () => {
  test("of the beginning, of reloads and of the end", () => {
    const { manager: it, told, addresses } = manager({ NOTIFY_SOCKET: "/run/notify" });
    it.ready("forwards on eth0", () => true);
    it.reloading(12.3456);
    it.reloaded("forwards on eth0");
    it.stopping();
    expect(told).toEqual([
      "READY=1\nSTATUS=forwards on eth0",
      "RELOADING=1\nMONOTONIC_USEC=12345",
      "READY=1\nSTATUS=forwards on eth0",
      "STOPPING=1",
    ]);
    expect([...addresses]).toEqual(["/run/notify"]);
  });

  test("at an abstract address too, and not at all where there is none", () => {
    const abstract = manager({ NOTIFY_SOCKET: "@manager" });
    abstract.manager.stopping();
    expect([...abstract.addresses]).toEqual(["\0manager"]);
    for (const env of [
      {},
      { NOTIFY_SOCKET: "" },
      { NOTIFY_SOCKET: "vsock:2:1234" },
      { NOTIFY_SOCKET: "@" },
    ]) {
      const none = manager(env as Record<string, string>);
      none.manager.ready("", () => true);
      expect(none.told).toEqual([]);
    }
  });

  test("that all is well, twice in its time, while all is well", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { manager: it, told } = manager({
      NOTIFY_SOCKET: "/n",
      WATCHDOG_USEC: "4000000",
      WATCHDOG_PID: `${process.pid}`,
    });
    let well = true;
    it.ready("", () => well);
    told.length = 0;
    vi.advanceTimersByTime(6_100);
    expect(told).toEqual(["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    well = false;
    vi.advanceTimersByTime(10_000);
    expect(told).toHaveLength(3);
    well = true;
    it.stopping();
    vi.advanceTimersByTime(10_000);
    expect(told.slice(3)).toEqual(["STOPPING=1"]);
  });

  test("nothing of that sort when it watches another process", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { manager: it, told } = manager({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" });
    it.ready("", () => true);
    vi.advanceTimersByTime(1_000);
    expect(told).toHaveLength(1);
  });

  test("in vain when it does not listen: the daemon goes on", () => {
    const deaf = new ServiceManager({ NOTIFY_SOCKET: "/nowhere/at/all" });
    expect(() => deaf.stopping()).not.toThrow();
  });
});
