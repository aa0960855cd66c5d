/** SCTP: what opens an association, where it stands, when it ends. */
import { beforeEach, describe, expect, it } from "vitest";
import { parseIpv4 } from "../../src/wire/address.ts";
import { ipFrame } from "../../src/wire/frame.ts";
import { Chunk } from "../../src/wire/sctp.ts";
import { Story } from "./story.ts";

const SCTP = 132;
const ENDS = { source: parseIpv4("10.7.0.1")!, destination: parseIpv4("10.0.0.100")! };
const { Init, InitAck, CookieEcho, CookieAck, Data, Shutdown, ShutdownAck, ShutdownComplete, Abort } = Chunk;

let story: Story;

/** A packet with these chunks, from `port`; chunks are eight bytes long, cookies ten. */
function packet(chunks: readonly number[], port = 1000): Uint8Array {
  const bytes: number[] = [port >> 8, port & 255, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0];
  for (const type of chunks) {
    const length = type === CookieEcho || type === CookieAck ? 10 : 8;
    bytes.push(type, 0, 0, length, ...Array(length === 10 ? 8 : 4).fill(0));
  }
  return ipFrame(ENDS, SCTP, Uint8Array.from(bytes));
}

const send = (chunks: number | readonly number[], port?: number): string =>
  story.frame(packet(typeof chunks === "number" ? [chunks] : chunks, port));

const state = (port = 1000): string | undefined =>
  story
    .connections()
    .find((row) => row.startsWith(`SCTP 10.7.0.1:${port} `))
    ?.split(" ")
    .slice(4)
    .join(" ");

beforeEach(async () => {
  story = new Story();
  await story.ipvsadm("-A --sctp-service 10.0.0.100:80 -s rr");
  for (const n of [11, 12, 13]) {
    await story.ipvsadm(`-a --sctp-service 10.0.0.100:80 -r 10.0.0.${n} -g`);
  }
});

describe("an association", () => {
  it("is opened by INIT and by nothing else", () => {
    for (let chunk = 0; chunk < 20; chunk++) {
      if (chunk !== Init) expect(send(chunk), `${chunk}`).toBe("NoConnection");
    }
    expect(send(Init)).toBe("rs3");
    expect(send(Init, 1001)).toBe("rs2");
  });

  it("is opened by anything but ABORT with sloppy_sctp", () => {
    story.sysctl("sloppy_sctp", 1);
    expect(send(Abort)).toBe("NoConnection");
    expect(send(Data)).toBe("rs3");
    expect(state()).toBe("ESTABLISHED 900");
    expect(send(Shutdown, 1001)).toBe("rs2");
    expect(state(1001)).toBe("S-RECEIVED 61");
  });

  it("needs a whole chunk header to be opened, ports to go on", () => {
    const whole = packet([Init]);
    const cut = (bytes: number): Uint8Array => ipFrame(ENDS, SCTP, whole.slice(34, 34 + bytes));
    for (const bytes of [4, 12, 15]) expect(story.frame(cut(bytes))).toBe("Malformed");
    expect(story.frame(cut(16))).toBe("rs3");
    expect(story.frame(cut(4))).toBe("rs3");
    expect(state()).toBe("INIT1 4");
  });

  it("has the kernel's one-way life: INIT1, INIT, ESTABLISHED, S-RECEIVED, CLOSED", () => {
    const life: [number, string, string][] = [
      [Init, "INIT1 4", "0+1"],
      [Init, "INIT 61", "0+1"],
      [CookieEcho, "ESTABLISHED 900", "1+0"],
      [Data, "ESTABLISHED 900", "1+0"],
      [Chunk.Error, "ESTABLISHED 900", "1+0"],
      [Init, "ESTABLISHED 900", "1+0"],
      [Shutdown, "S-RECEIVED 61", "0+1"],
      [Data, "S-RECEIVED 61", "0+1"],
      [ShutdownComplete, "CLOSED 61", "0+1"],
      [Data, "CLOSED 61", "0+1"],
    ];
    for (const [chunk, stands, counts] of life) {
      expect(send(chunk)).toBe("rs3");
      expect(state()).toBe(stands);
      expect(story.counts().rs3).toBe(counts);
    }
  });

  it("goes other ways where the real server began or ended it", () => {
    const ways: [number[], string][] = [
      [[Init, InitAck], "C-ECHOED 61"],
      [[Init, InitAck, CookieAck], "ESTABLISHED 900"],
      [[Init, InitAck, CookieEcho], "C-ECHOED 61"],
      [[Init, CookieAck], "INIT1 4"],
      [[Init, ShutdownAck], "INIT 61"],
      [[Init, ShutdownComplete], "CLOSED 61"],
      [[Init, CookieEcho, ShutdownAck], "CLOSED 61"],
      [[Init, CookieEcho, ShutdownComplete], "ESTABLISHED 900"],
      [[Init, CookieEcho, Abort], "CLOSED 61"],
      [[Init, Abort], "CLOSED 61"],
    ];
    for (const [i, [chunks, stands]] of ways.entries()) {
      for (const chunk of chunks) send(chunk, 2000 + i);
      expect(state(2000 + i), chunks.join()).toBe(stands);
    }
  });

  it("is closed by an ABORT behind a COOKIE ECHO or COOKIE ACK, and by none elsewhere behind", () => {
    for (const [i, first] of [CookieEcho, CookieAck].entries()) {
      send(Init, 3000 + i);
      send([first, Abort], 3000 + i);
      expect(state(3000 + i)).toBe("CLOSED 61");
    }
    send(Init, 3010);
    send([Data, Abort], 3010);
    expect(state(3010)).toBe("INIT1 4");
  });

  it("that is closed begins anew with INIT, by conn_reuse_mode; with a template it stays", async () => {
    const close = (port: number): void => void [Init, CookieEcho, Abort].map((chunk) => send(chunk, port));
    close(1000);
    expect(send(Data)).toBe("rs3");
    expect(send(Init)).toBe("rs2");
    expect(state()).toBe("INIT1 4");
    story.sysctl("conn_reuse_mode", 0);
    close(1001);
    expect(send(Init, 1001)).toBe("rs1");
    story.sysctl("conn_reuse_mode", 1);
    await story.ipvsadm("-E --sctp-service 10.0.0.100:80 -s rr -p 300");
    close(1002);
    expect(send(Init, 1002)).toBe("rs3");
    expect(story.connections().some((row) => / 10\.7\.0\.1:0 .* ASSURED 300$/.test(row))).toBe(true);
  });

  it("with expire_nodest_conn leaves a quiesced server at its next INIT", async () => {
    story.sysctl("expire_nodest_conn", 1);
    send(Init);
    send(CookieEcho);
    await story.ipvsadm("-e --sctp-service 10.0.0.100:80 -r 10.0.0.13 -g -w 0");
    expect(send(Data)).toBe("rs3");
    expect(send(Init)).toBe("rs2");
  });

  it("half open, and silent ones, are what drop_entry ends", () => {
    for (let port = 1; port <= 200; port++) {
      send(Init, port);
      send(Init, port);
      if (port > 100) send(CookieEcho, port);
    }
    story.sysctl("drop_entry", 3);
    story.pass(40);
    const left = (name: string): number => story.connections().filter((row) => row.includes(name)).length;
    expect(left("INIT")).toBeLessThan(100);
    expect(left("ESTABLISHED")).toBe(100);
    story.pass(400);
    expect(left("ESTABLISHED")).toBeLessThan(100);
  });
});
