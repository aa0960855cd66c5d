/** ICMP: errors about a connection go to its real server, echo is answered for our own addresses, our own are limited. */
import { beforeEach, describe, expect, it } from "vitest";
import { beginChange, endChange } from "../../src/table/generation.ts";
import { PLACE_VIPS } from "../../src/table/place.ts";
import { Header } from "../../src/table/region.ts";
import { parseIpv4, parseIpv6, type Words } from "../../src/wire/address.ts";
import { type FrameFields, icmpFrame, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { writeChecksum } from "../../src/wire/ipv4.ts";
import { Story } from "./story.ts";

const VIP4 = parseIpv4("10.0.0.100")!;
const DIP4 = parseIpv4("10.0.0.1")!;
const CLIENT4 = parseIpv4("10.7.0.1")!;
const ROUTER4 = parseIpv4("192.0.2.9")!;
const VIP6 = parseIpv6("2001:db8::100")!;
const CLIENT6 = parseIpv6("2001:db8:7::1")!;
const ROUTER6 = parseIpv6("2001:db8:9::9")!;

let story: Story;

/** The packet an error quotes: from the VIP to the client, without its Ethernet header. */
function quoted(fields: Partial<FrameFields> = {}, port = 1000): Uint8Array {
  const ends = { source: VIP4, destination: CLIENT4, sourcePort: 80, destinationPort: port };
  return tcpFrame({ ...ends, ...fields }).subarray(14);
}

function quoted6(body = new Uint8Array([0, 80, 3, 232, 0, 0, 0, 0]), next = 6): Uint8Array {
  return ipFrame({ source: VIP6, destination: CLIENT6 }, next, body).subarray(14);
}

function error(type: number, code: number, payload: Uint8Array, fields: Partial<FrameFields> = {}): string {
  return story.frame(icmpFrame({ source: ROUTER4, destination: VIP4, type, code, payload, ...fields }));
}

function error6(type: number, payload: Uint8Array, fields: Partial<FrameFields> = {}): string {
  return story.frame(icmpFrame({ source: ROUTER6, destination: VIP6, type, code: 0, payload, ...fields }));
}

/** The frame with its IP datagram made `bytes` shorter: what it ends with is no part of it, as a NIC's padding. */
function shortened(frame: Uint8Array, bytes: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint8(14) >> 4 === 6) view.setUint16(18, view.getUint16(18) - bytes);
  else {
    view.setUint16(16, view.getUint16(16) - bytes);
    writeChecksum(view, 14);
  }
  return frame;
}

beforeEach(async () => {
  story = new Story();
  await story.service("-t 10.0.0.100:80 -s rr");
  expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
});

describe("an error about a connection", () => {
  it("is forwarded when it says unreachable, quench or time exceeded, with any code; no other is", () => {
    for (let type = 0; type < 45; type++) {
      if (type === 8) continue;
      const way = [3, 4, 11].includes(type) ? "rs3" : "NotOurs";
      for (const code of [0, 1, 4, 13]) expect(error(type, code, quoted()), `${type}/${code}`).toBe(way);
    }
  });

  it("may come from anybody to the VIP, to the director or to anywhere else", () => {
    for (const source of [ROUTER4, CLIENT4, parseIpv4("10.0.0.13")!, 0x01020304]) {
      for (const destination of [VIP4, DIP4, parseIpv4("10.0.0.101")!]) {
        expect(error(3, 4, quoted(), { source, destination })).toBe("rs3");
      }
    }
  });

  it("changes neither state nor timer, but counts as a packet", () => {
    story.pass(20);
    const before = story.connections();
    expect(error(3, 1, quoted())).toBe("rs3");
    expect(story.connections()).toEqual(before);
    expect(story.packets()).toMatchObject({ rs3: 2 });
  });

  it("may quote IPv4 options, up to forty bytes of them", () => {
    for (const words of [1, 5, 10]) {
      expect(error(3, 4, quoted({ options: new Uint8Array(words * 4).fill(1) }))).toBe("rs3");
    }
  });

  it("needs the quoted ports and no more", () => {
    for (let bytes = 0; bytes < 24; bytes++)
      expect(error(3, 4, quoted().slice(0, bytes)), `${bytes}`).toBe("NotOurs");
    for (const bytes of [24, 25, 28, 40])
      expect(error(3, 4, quoted().slice(0, bytes)), `${bytes}`).toBe("rs3");
    const options = quoted({ options: new Uint8Array(8).fill(1) });
    expect(error(3, 4, options.slice(0, 31))).toBe("NotOurs");
    expect(error(3, 4, options.slice(0, 32))).toBe("rs3");
  });

  it("is not read beyond its datagram's end, where a frame may go on", () => {
    const ends = { source: ROUTER4, destination: VIP4, type: 3, code: 4 };
    const whole = (): Uint8Array => icmpFrame({ ...ends, payload: quoted().subarray(0, 24) });
    expect(story.frame(shortened(whole(), 0))).toBe("rs3");
    // Without the last byte of the ports, of the quoted header, of the ICMP header.
    expect(story.frame(shortened(whole(), 1))).toBe("NotOurs");
    expect(story.frame(shortened(whole(), 5))).toBe("NotOurs");
    expect(story.frame(shortened(whole(), 25))).toBe("Malformed");
    expect(story.frame(shortened(whole(), 24))).toBe("NotOurs");
  });

  it("must quote a first piece, the right direction, a known flow, a protocol with ports, IPv4", () => {
    expect(error(3, 4, quoted({ moreFragments: true }))).toBe("rs3");
    expect(error(3, 4, quoted({ fragmentOffset: 8 }))).toBe("NotOurs");
    expect(error(3, 4, quoted({ source: CLIENT4, destination: VIP4 }))).toBe("NotOurs");
    expect(error(3, 4, quoted({}, 1001))).toBe("NotOurs");
    const other = icmpFrame({
      source: VIP4,
      destination: CLIENT4,
      type: 0,
      code: 0,
      payload: new Uint8Array(20),
    });
    expect(error(3, 4, other.subarray(14))).toBe("NotOurs");
    const headerless = quoted().slice();
    headerless[0] = 0x44;
    expect(error(3, 4, headerless)).toBe("NotOurs");
    expect(error(3, 4, quoted6())).toBe("NotOurs");
  });

  it("goes to a deleted server too, whose counters stand still", async () => {
    await story.ipvsadm("-d -t 10.0.0.100:80 -r 10.0.0.13");
    expect(error(3, 4, quoted())).toBe("rs3");
    await story.ipvsadm("-a -t 10.0.0.100:80 -r 10.0.0.13 -g");
    expect(story.packets()).toMatchObject({ rs3: 1 });
  });

  it("is the host's once the last service of its family is gone", async () => {
    await story.service("-t [2001:db8::100]:80 -s rr");
    await story.ipvsadm("-D -t 10.0.0.100:80");
    expect(error(3, 4, quoted())).toBe("NotOurs");
  });

  it("about UDP likewise", async () => {
    await story.service("-u 10.0.0.100:53 -s rr");
    expect(story.udp("10.7.0.1:1000")).toBe("rs3");
    const ends = { source: VIP4, destination: CLIENT4, sourcePort: 53, destinationPort: 1000 };
    expect(error(3, 3, udpFrame(ends).subarray(14))).toBe("rs3");
  });
});

describe("an error about an IPv6 connection", () => {
  beforeEach(async () => {
    await story.service("-t [2001:db8::100]:80 -s rr");
    expect(story.tcp("[2001:db8:7::1]:1000", "S", "[2001:db8::100]:80")).toBe("rs3");
  });

  it("is forwarded for every type of error, which are those below 128, and for no other", () => {
    for (const type of [0, 1, 2, 3, 4, 5, 100, 127, 129, 135, 136, 137]) {
      expect(error6(type, quoted6()), `${type}`).toBe(type < 128 ? "rs3" : "NotOurs");
    }
  });

  it("is not read beyond its datagram's end, where a frame may go on", () => {
    const ends = { source: ROUTER6, destination: VIP6, type: 1, code: 4 };
    const whole = (): Uint8Array => icmpFrame({ ...ends, payload: quoted6().subarray(0, 44) });
    expect(story.frame(shortened(whole(), 0))).toBe("rs3");
    expect(story.frame(shortened(whole(), 1))).toBe("NotOurs");
    expect(story.frame(shortened(whole(), 5))).toBe("NotOurs");
    expect(story.frame(shortened(whole(), 44))).toBe("NotOurs");
    expect(story.frame(shortened(whole(), 45))).toBe("Malformed");
  });

  it("finds it by all four words of both addresses", async () => {
    const client = "2001:db8:1:2:3:4:5:6";
    expect(story.tcp(`[${client}]:1000`, "S", "[2001:db8::100]:80")).toBe("rs2");
    const ports = new Uint8Array([0, 80, 3, 232]);
    const about = (destination: string): Uint8Array =>
      ipFrame({ source: VIP6, destination: parseIpv6(destination)! }, 6, ports).subarray(14);
    expect(error6(1, about(client))).toBe("rs2");
    for (const other of ["2001:db9:1:2:3:4:5:6", "2001:db8:1:3:3:4:5:6", "2001:db8:1:2:3:5:5:6"]) {
      expect(error6(1, about(other))).toBe("NotOurs");
    }
  });

  it("is the host's once the last IPv6 service is gone, though IPv4 ones are left, and only then", async () => {
    await story.ipvsadm("-D -t 10.0.0.100:80");
    expect(error6(1, quoted6())).toBe("rs3");
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr", "-D -t [2001:db8::100]:80");
    expect(error6(1, quoted6())).toBe("NotOurs");
  });

  it("may quote extension headers and a first piece, not a later one", () => {
    const ports = [0, 80, 3, 232];
    const options = Uint8Array.from([6, 0, 1, 4, 0, 0, 0, 0, ...ports]);
    expect(error6(1, quoted6(options, 60))).toBe("rs3");
    const piece = (offset: number) => Uint8Array.from([6, 0, 0, offset | 1, 0, 0, 0, 1, ...ports]);
    expect(error6(1, quoted6(piece(0), 44))).toBe("rs3");
    expect(error6(1, quoted6(piece(8), 44))).toBe("NotOurs");
  });
});

describe("schedule_icmp", () => {
  beforeEach(() => story.sysctl("schedule_icmp", 1));

  it("opens a connection without state for three seconds", () => {
    expect(error(3, 4, quoted({}, 2000))).toBe("rs2");
    expect(story.connections().find((row) => row.includes(":2000 "))).toMatch(/rs2:80 NONE 3$/);
    expect(error(3, 4, quoted({}, 2000))).toBe("rs2");
    story.pass(4);
    expect(story.connections().some((row) => row.includes(":2000 "))).toBe(false);
  });

  it("goes on as a connection when the flow's own frames come", () => {
    expect(error(3, 4, quoted({}, 2000))).toBe("rs2");
    expect(story.tcp("10.7.0.1:2000", "A")).toBe("rs2");
    expect(story.connections().find((row) => row.includes(":2000 "))).toMatch(/ESTABLISHED 900$/);
  });

  it("leaves later connections as they are", () => {
    expect(error(3, 4, quoted({}, 2000))).toBe("rs2");
    expect(story.tcp("10.7.0.1:2001", "S")).toBe("rs1");
    expect(story.connections().find((row) => row.includes(":2001 "))).toMatch(/SYN_RECV 60$/);
  });

  it("is dropped in turn with the other new connections by drop_packet", () => {
    story.sysctl("drop_packet", 3);
    story.sysctl("am_droprate", 2);
    expect([2000, 2001, 2002].map((port) => error(3, 4, quoted({}, port)))).toEqual([
      "Defended",
      "rs2",
      "Defended",
    ]);
  });

  it("says nothing when nobody can take it: no error about an error", async () => {
    for (const n of [11, 12, 13]) await story.ipvsadm(`-e -t 10.0.0.100:80 -r 10.0.0.${n} -g -w 0`);
    expect(error(3, 4, quoted({}, 2000))).toBe("NoDestination");
    expect(error(3, 4, quoted({ source: 0x0a000063 }, 2000))).toBe("NotOurs");
  });

  // The kernel's dh looks at the quoted packet's destination, the client (ip_vs_dh_schedule knows no direction).
  it("with dh goes by the VIP, and with a mark by the flow's, as the flow's own frames do", async () => {
    await story.ipvsadm("-E -t 10.0.0.100:80 -s dh");
    const way = story.tcp("10.7.0.9:1", "S");
    for (let last = 20; last < 60; last++)
      expect(error(3, 4, quoted({ destination: 0x0a070000 + last }))).toBe(way);
    story.marks({ mark: 5, protocol: "tcp", destination: "10.0.0.100", ports: [80, 80] });
    await story.service("-f 5 -s fo", [1, 9, 1]);
    expect(way).not.toBe("rs2");
    expect(error(3, 4, quoted({}, 2000))).toBe("rs2");
  });

  it("follows templates and hashes by the client's address and port", async () => {
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr -p 300");
    const first = error(3, 4, quoted({}, 2000));
    expect(story.tcp("10.7.0.1:2001", "S")).toBe(first);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s sh -b sh-port");
    for (let port = 3000; port < 3040; port++) {
      const plain = new Story();
      await plain.service("-t 10.0.0.100:80 -s sh -b sh-port");
      expect(error(3, 4, quoted({}, port))).toBe(plain.tcp(`10.7.0.1:${port}`, "S"));
    }
  });
});

describe("echo", () => {
  const ask = (destination: number | Words, source: number | Words = ROUTER4): string =>
    story.frame(
      icmpFrame({ source, destination, type: typeof source === "number" ? 8 : 128, code: 0, rest: 1 }),
    );

  it("is answered for addresses that we own, and for no other", async () => {
    await story.service("-t 10.0.0.102:80 -s rr", [1]);
    expect(ask(VIP4)).toBe("director:icmp-0-0");
    expect(ask(VIP6, ROUTER6)).toBe("director:icmp6-129-0");
    expect(ask(parseIpv4("10.0.0.102")!)).toBe("NotOurs");
    expect(ask(DIP4)).toBe("NotOurs");
    expect(ask(parseIpv6("2001:db8::102")!, ROUTER6)).toBe("NotOurs");
    disown();
    expect(ask(VIP4)).toBe("NotOurs");
  });

  it("is answered with any code, which comes back, as Linux does it", () => {
    for (const code of [1, 13, 255]) {
      const request = { source: ROUTER4, destination: VIP4, type: 8, code };
      expect(story.frame(icmpFrame(request))).toBe(`director:icmp-0-${code}`);
      const six = { source: ROUTER6, destination: VIP6, type: 128, code };
      expect(story.frame(icmpFrame(six))).toBe(`director:icmp6-129-${code}`);
    }
  });

  it("is dropped with a wrong header checksum, and from an address that no host may send from", () => {
    const damaged = icmpFrame({ source: ROUTER4, destination: VIP4, type: 8, code: 0 });
    damaged[14 + 8]! ^= 1; // the TTL
    expect(story.frame(damaged)).toBe("Malformed");
    for (const source of ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.100", "10.0.0.1"])
      expect(ask(VIP4, parseIpv4(source)!), source).toBe("Malformed");
    for (const source of ["::1", "ff02::1", "::ffff:a09:1"])
      expect(ask(VIP6, parseIpv6(source)!), source).toBe("Malformed");
  });

  it("is left alone when told, and behind options", () => {
    const request = { source: ROUTER4, destination: VIP4, type: 8, code: 0 };
    expect(story.frame(icmpFrame({ ...request, options: new Uint8Array(4).fill(1) }))).toBe("NotOurs");
    story.sysctl("answer_echo", 0);
    expect(story.frame(icmpFrame(request))).toBe("NotOurs");
  });
});

/** The VIPs are the host's. */
function disown(): void {
  const { header, place } = story.world.region;
  beginChange(header, Header.Generation);
  place.counts[PLACE_VIPS] = 0;
  endChange(header, Header.Generation);
}

describe("our own errors", () => {
  beforeEach(async () => {
    for (const n of [11, 12, 13]) await story.ipvsadm(`-e -t 10.0.0.100:80 -r 10.0.0.${n} -g -w 0`);
  });

  /** How many of `count` SYNs of a client are answered. */
  function answered(client: string, count: number, to?: string): number {
    let answers = 0;
    for (let i = 0; i < count; i++) {
      if (story.tcp(`${client}:${1000 + i}`, "S", to) !== "NoDestination") answers++;
    }
    return answers;
  }

  it("go to a client six at once, then one each icmp_ratelimit ms, six again after a rest", () => {
    story.sysctl("icmp_ratelimit", 1000);
    expect(answered("10.8.0.1", 20)).toBe(6);
    expect(answered("10.8.0.2", 20)).toBe(6);
    story.pass(0.999);
    expect(answered("10.8.0.1", 5)).toBe(0);
    story.pass(0.001);
    expect(answered("10.8.0.1", 5)).toBe(1);
    story.pass(3);
    expect(answered("10.8.0.1", 5)).toBe(3);
    story.pass(60);
    expect(answered("10.8.0.1", 20)).toBe(6);
  });

  it("go out icmp_msgs_burst at once and icmp_msgs_per_sec a second, whoever asks", () => {
    story.sysctl("icmp_msgs_per_sec", 100);
    story.sysctl("icmp_msgs_burst", 5);
    const many = (from: number, count: number): number =>
      Array.from({ length: count }, (_, i) => answered(`10.8.${from}.${i}`, 1)).reduce(
        (sum, n) => sum + n,
        0,
      );
    expect(many(1, 50)).toBe(5);
    story.pass(0.03);
    expect(many(2, 50)).toBe(3);
    story.pass(10);
    expect(many(3, 50)).toBe(5);
  });

  it("of IPv6 go to a client sixteen times as often: Linux supposes it behind the default route", async () => {
    await story.service("-t [2001:db8::100]:80 -s rr", [0]);
    story.sysctl("icmp_ratelimit", 1000);
    const to = "[2001:db8::100]:80";
    expect(answered("[2001:db8:8::1]", 20, to)).toBe(6);
    story.pass(0.061);
    expect(answered("[2001:db8:8::1]", 5, to)).toBe(0);
    story.pass(0.001);
    expect(answered("[2001:db8:8::1]", 5, to)).toBe(1);
  });

  it("are not limited when they say that a packet is too big: without them the connection hangs", async () => {
    await story.ipvsadm("-e -t 10.0.0.100:80 -r 10.0.0.13 -g -w 1");
    story.sysctl("icmp_ratelimit", 1000);
    story.sysctl("icmp_msgs_per_sec", 1);
    story.sysctl("icmp_msgs_burst", 1);
    story.sysctl("mtu", 1000);
    const big = tcpFrame({
      source: CLIENT4,
      destination: VIP4,
      sourcePort: 1000,
      destinationPort: 80,
      flags: 0x10,
      dontFragment: true,
      payload: new Uint8Array(1200),
    });
    for (let i = 0; i < 40; i++) expect(story.frame(big)).toBe("director:icmp-3-4");
  });
});
