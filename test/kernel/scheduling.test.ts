/** Who gets a new connection: which service, may it open one, and what commands do to a live service. */
import { beforeEach, describe, expect, it } from "vitest";
import { parseIpv6 } from "../../src/wire/address.ts";
import { ipFrame, tcpFrame } from "../../src/wire/frame.ts";
import { Story, VIP } from "./story.ts";

let story: Story;

beforeEach(() => {
  story = new Story();
});

const client = (i: number): string => `10.7.${i >> 8}.${i & 255}:1000`;

/** Where `count` new clients go. */
function syns(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => story.tcp(client(from + i), "S"));
}

describe("the service of a frame", () => {
  it("is the mark's before the port's, the port's before port 0's", async () => {
    await story.service("-t 10.0.0.100:80 -s rr", [0, 1]);
    await story.service("-t 10.0.0.100:0 -s rr -p 300", [1]);
    story.marks({ mark: 5, protocol: "tcp", destination: VIP, ports: [80, 80] });
    expect(story.tcp(client(1), "S")).toBe("rs2");
    expect(story.tcp(client(1), "S", `${VIP}:81`)).toBe("rs1");
    await story.service("-f 5 -s rr", [0, 0, 1]);
    expect(story.tcp(client(2), "S")).toBe("rs3");
    expect(story.tcp(client(1), "A")).toBe("rs2");
  });

  it("is port 0's when FTP's is not the one, and FTP's before port 0's", async () => {
    await story.service("-t 10.0.0.100:0 -s rr -p 300", [1]);
    await story.service("-t 10.0.0.100:21 -s rr -p 300", [0, 1]);
    const ways = { 20: "rs2", 1000: "rs1", 1023: "rs1", 1024: "rs2", 40000: "rs2" };
    for (const [port, way] of Object.entries(ways)) {
      expect(story.tcp(client(Number(port) & 0xff), "S", `${VIP}:${port}`), port).toBe(way);
    }
    // Both have templates of port 0, so a client that one of them knows stays with that one's server.
    expect(story.tcp(client(20), "S", `${VIP}:1000`)).toBe("rs2");
  });

  it("lists a mark's connection with its own port at the real server", async () => {
    story.marks({ mark: 7, protocol: "tcp", destination: "10.0.0.100", ports: [80, 443] });
    await story.service("-f 7 -s rr");
    expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:443`)).toBe("rs3");
    expect(story.connections()).toEqual([`TCP 10.7.0.1:1000 ${VIP}:443 rs3:443 SYN_RECV 60`]);
  });

  it("is nobody's on FTP's other ports without persistence: they are left to the host", async () => {
    await story.service("-t 10.0.0.100:21 -s rr");
    expect(story.tcp(client(1), "S", `${VIP}:21`)).toBe("rs3");
    expect(story.tcp(client(1), "S", `${VIP}:40000`)).toBe("NotOurs");
    expect(story.tcp(client(1), "S", `${VIP}:20`)).toBe("NotOurs");
  });

  it("of a mark is the last rule's that matches; a mark that no service wants hides none", async () => {
    await story.service("-f 1 -s rr", [1]);
    await story.service("-f 2 -s rr", [0, 1]);
    await story.service("-t 10.0.0.100:80 -s rr", [0, 0, 1]);
    const rule = { protocol: "tcp" as const, destination: VIP, ports: [1, 100] as const };
    story.marks({ ...rule, mark: 1 }, { ...rule, mark: 2, ports: [80, 90] });
    expect(story.tcp(client(1), "S")).toBe("rs2");
    expect(story.tcp(client(1), "S", `${VIP}:79`)).toBe("rs1");
    story.marks({ ...rule, mark: 9 });
    expect(story.tcp(client(2), "S")).toBe("rs3");
  });

  it("of a mark may be 0xffffffff, which ipvsadm lists as -1", async () => {
    story.marks({ mark: 0xffff_ffff, protocol: "udp", destination: "10.0.0.0/8", ports: [0, 65_535] });
    await story.service("-f 4294967295 -s rr", [1]);
    expect(story.udp(client(1))).toBe("rs1");
    expect(await story.ipvsadm("-L -n")).toContain("FWM  -1 rr");
  });
});

describe("a frame without a connection", () => {
  beforeEach(() => story.service("-t 10.0.0.100:80 -s rr"));

  it("opens one with SYN, whatever else is set but RST", () => {
    for (const [i, flags] of ["S", "SA", "SF", "SPU", "SFPUA"].entries()) {
      expect(story.tcp(client(i), flags), flags).toMatch(/^rs/);
    }
    for (const flags of ["", "A", "F", "FA", "P", "U", "R", "RA", "SR", "SRA"]) {
      expect(story.tcp("10.8.0.1:1", flags), flags).toBe("NoConnection");
    }
  });

  it("with sloppy_tcp opens one with anything but RST, in the state the frame says", () => {
    story.sysctl("sloppy_tcp", 1);
    const states = {
      A: "ESTABLISHED 900",
      F: "CLOSE 10",
      FA: "CLOSE 10",
      P: "CLOSE 10",
      "": "CLOSE 10",
      S: "SYN_RECV 60",
    };
    for (const [i, [flags, state]] of Object.entries(states).entries()) {
      expect(story.tcp(`10.8.0.${i}:1`, flags), flags).toMatch(/^rs/);
      expect(story.connections().find((row) => row.startsWith(`TCP 10.8.0.${i}:`))).toContain(state);
    }
    for (const flags of ["R", "RA", "SR", "FR"])
      expect(story.tcp("10.9.0.1:1", flags), flags).toBe("NoConnection");
  });

  it("from port 20 opens none, nor does it in sloppy_tcp, with -p, with -o, with a mark", async () => {
    await story.service("-u 10.0.0.100:53 -s rr -o");
    await story.service("-t 10.0.0.100:81 -s rr -p 300");
    story.marks({ mark: 5, protocol: "tcp", destination: VIP, ports: [82, 82] });
    await story.service("-f 5 -s rr");
    story.sysctl("sloppy_tcp", 1);
    expect(story.udp("10.7.0.1:20")).toBe("NotScheduled");
    for (const port of [80, 81, 82])
      expect(story.tcp("10.7.0.1:20", "S", `${VIP}:${port}`)).toBe("NotScheduled");
    expect(story.connections()).toEqual([]);
  });

  // ip_route_input_slow and fib_validate_source (net/ipv4): an address of the director's own is nobody else's.
  it("from an address that cannot be a client's opens none: the director's, any VIP's, 0/8, 127/8, groups", () => {
    const cannot = ["10.0.0.1", "10.0.0.100", "10.0.0.101", "0.0.0.0", "0.1.2.3", "127.0.0.1"];
    for (const source of [...cannot, "224.0.0.1", "239.255.0.1", "255.255.255.255"])
      expect(story.tcp(`${source}:1000`, "S"), source).toBe("Malformed");
    for (const source of ["10.0.0.11", "10.0.0.254", "240.0.0.1", "1.0.0.1"])
      expect(story.tcp(`${source}:1000`, "S"), source).toMatch(/^rs/);
  });

  // ip6_rcv_core (net/ipv6/ip6_input.c) looks for these and does not ask whose address it is.
  it("of IPv6 opens none from loopback, a group or a v4-mapped address, but from any other", async () => {
    await story.service("-t [2001:db8::100]:80 -s rr");
    const open = (source: string) => story.tcp(`[${source}]:1000`, "S", "[2001:db8::100]:80");
    for (const source of ["::1", "ff02::1", "::ffff:10.7.0.1", "::ffff:127.0.0.1"])
      expect(open(source), source).toBe("Malformed");
    for (const source of ["2001:db8::100", "2001:db8::1", "fe80::1", "::2", "::fffe:0:1"])
      expect(open(source), source).toMatch(/^rs/);
  });

  // ipv6_find_hdr (net/ipv6/exthdrs_core.c), by which IPVS finds the transport header.
  it("of IPv6 opens one behind the extension headers that Linux looks behind, and no other", async () => {
    await story.service("-t [2001:db8::100]:80 -s rr");
    const ends = { source: parseIpv6("2001:db8:7::1")!, destination: parseIpv6("2001:db8::100")! };
    const syn = (port: number) =>
      tcpFrame({ ...ends, sourcePort: port, destinationPort: 80, flags: 0x02 }).subarray(14 + 40);
    const behind = (header: number): string => {
      // Eight bytes, whatever it is: the fragment header says "whole", AH counts in fours.
      const extension = Uint8Array.from([6, 0, 0, 0, 0, 0, 0, 0]);
      return story.frame(ipFrame(ends, header, Uint8Array.from([...extension, ...syn(1000 + header)])));
    };
    for (const header of [0, 43, 44, 51, 60]) expect(behind(header), `${header}`).toMatch(/^rs/);
    for (const header of [50, 59, 108, 135, 139, 140]) expect(behind(header), `${header}`).toBe("NotOurs");
  });

  // ip_options_compile (net/ipv4/ip_options.c) would answer parameter problem; the server's stack does so, too.
  it("with options that are malformed goes to a server as it came, but for a source route before them", () => {
    const ends = { source: 0x0a070001, destination: 0x0a000064, destinationPort: 80, flags: 0x02 };
    const open = (port: number, ...options: number[]): string =>
      story.frame(tcpFrame({ ...ends, sourcePort: port, options: Uint8Array.from(options) }));
    const malformed = [
      [7, 0, 0, 0],
      [7, 1, 4, 0],
      [7, 40, 4, 0],
      [68, 3, 5, 0],
      [1, 1, 1, 7],
      [255, 255, 255, 255],
    ];
    for (const [i, options] of malformed.entries())
      expect(open(1000 + i, ...options), `${options}`).toMatch(/^rs/);
    for (const route of [131, 137]) expect(open(2000, route, 3, 4, 0), `${route}`).toBe("NotOurs");
  });

  it("from port 0 finds its connection again", () => {
    expect(story.tcp("10.7.0.1:0", "S")).toBe("rs3");
    expect(story.tcp("10.7.0.1:0", "A")).toBe("rs3");
    expect(story.tcp("10.7.0.2:0", "S")).toBe("rs2");
  });

  it("of AH and ESP are left to the host", async () => {
    await story.service("-u 10.0.0.100:500 -s rr");
    expect(story.udp("10.7.0.1:500", `${VIP}:500`)).toBe("rs3");
    const to = { source: 0x0a070001, destination: 0x0a000064 };
    for (const protocol of [50, 51])
      expect(story.frame(ipFrame(to, protocol, new Uint8Array(40)))).toBe("NotOurs");
  });

  it("with too little of a header for its protocol opens none", async () => {
    await story.service("-u 10.0.0.100:53 -s rr");
    const to = { source: 0x0a070001, destination: 0x0a000064 };
    const ports = (bytes: number) => Uint8Array.from([4, 0, 0, 53, 0, 8, 0, 0].slice(0, bytes));
    expect(story.frame(ipFrame(to, 17, ports(7)))).toBe("Malformed");
    expect(story.frame(ipFrame(to, 17, ports(4)))).toBe("Malformed");
    expect(story.frame(ipFrame(to, 17, ports(8)))).toMatch(/^rs/);
    // To a known connection its ports are enough.
    expect(story.frame(ipFrame(to, 17, ports(4)))).toMatch(/^rs/);
    expect(story.frame(ipFrame(to, 17, ports(3)))).toBe("Malformed");
  });
});

describe("drop_packet", () => {
  beforeEach(() => story.service("-t 10.0.0.100:80 -s rr", [1]));

  it("3 drops the first and then every am_droprate-th new connection, known ones never", () => {
    story.sysctl("drop_packet", 3);
    story.sysctl("am_droprate", 4);
    const dropped = syns(13).map((way) => way === "Defended");
    expect(dropped.flatMap((yes, i) => (yes ? [i] : []))).toEqual([0, 4, 8, 12]);
    for (let i = 0; i < 20; i++) expect(story.tcp(client(1), "A")).toBe("rs1");
  });

  it("with am_droprate 1 drops all, with 0 none", () => {
    story.sysctl("drop_packet", 3);
    story.sysctl("am_droprate", 1);
    expect(new Set(syns(5))).toEqual(new Set(["Defended"]));
    story.sysctl("am_droprate", 0);
    expect(new Set(syns(5))).toEqual(new Set(["rs1"]));
  });

  it("counts frames that open one only: not data without a connection, but FTP's port 20", () => {
    story.sysctl("drop_packet", 3);
    expect(story.tcp("10.7.0.1:1", "A")).toBe("NoConnection");
    expect(story.tcp("10.7.0.1:20", "S")).toBe("Defended");
    expect(story.tcp("10.7.0.1:20", "S")).toBe("NotScheduled");
  });

  it("1 and 2 wait for the table to run short", () => {
    for (const mode of [1, 2]) {
      story.sysctl("drop_packet", mode);
      expect(new Set(syns(5, mode * 100))).toEqual(new Set(["rs1"]));
    }
  });
});

describe("secure_tcp", () => {
  it("3 makes of a SYN a SYNACK, which lives two minutes and counts as active", async () => {
    await story.service("-t 10.0.0.100:80 -s rr", [1]);
    story.sysctl("secure_tcp", 3);
    story.tcp(client(1), "S");
    expect(story.connections()[0]).toMatch(/SYNACK 120$/);
    expect(story.counts()).toEqual({ rs1: "1+0" });
    story.tcp(client(1), "A");
    expect(story.connections()[0]).toMatch(/ESTABLISHED 900$/);
  });

  it("1 does nothing while the table has room", async () => {
    await story.service("-t 10.0.0.100:80 -s rr", [1]);
    story.sysctl("secure_tcp", 1);
    story.tcp(client(1), "S");
    expect(story.connections()[0]).toMatch(/SYN_RECV 60$/);
  });

  it("3 with sloppy_tcp: data opens an established connection all the same", async () => {
    await story.service("-t 10.0.0.100:80 -s rr", [1]);
    story.sysctl("secure_tcp", 3);
    story.sysctl("sloppy_tcp", 1);
    story.tcp(client(1), "A");
    story.tcp(client(2), "FA");
    expect(story.connections().map((row) => row.split(" ").slice(4).join(" "))).toEqual([
      "ESTABLISHED 900",
      "CLOSE 10",
    ]);
  });
});

describe("-E", () => {
  it("with another scheduler begins that one anew, and keeps servers, order and connections", async () => {
    await story.service("-t 10.0.0.100:80 -s rr", [1, 2, 3]);
    expect(syns(4)).toEqual(["rs3", "rs2", "rs1", "rs3"]);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s wrr");
    expect(syns(6, 10)).toEqual(["rs3", "rs3", "rs2", "rs3", "rs2", "rs1"]);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr");
    expect(syns(2, 20)).toEqual(["rs3", "rs2"]);
    expect(story.tcp(client(1), "A")).toBe("rs2");
    expect(story.counts()).toEqual({ rs3: "6+0", rs2: "4+0", rs1: "2+0" });
  });

  it("with the same scheduler goes on where it stood", async () => {
    await story.service("-t 10.0.0.100:80 -s rr");
    expect(syns(1)).toEqual(["rs3"]);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr");
    expect(syns(2, 10)).toEqual(["rs2", "rs1"]);
  });

  it("without -s is wlc, without -p persistent no more, without -b flagless", async () => {
    await story.service("-t 10.0.0.100:80 -s sh -b sh-fallback,sh-port -p 50");
    await story.ipvsadm("-E -t 10.0.0.100:80 -s sh -b sh-port");
    expect(await story.ipvsadm("-S -n")).toContain("-A -t 10.0.0.100:80 -s sh -b sh-port\n");
    await story.ipvsadm("-E -t 10.0.0.100:80");
    expect(await story.ipvsadm("-S -n")).toContain("-A -t 10.0.0.100:80 -s wlc\n");
  });

  it("to sh-fallback and away takes effect at once", async () => {
    await story.service("-t 10.0.0.100:80 -s sh", [1, 0]);
    const ways = syns(64);
    expect(new Set(ways)).toEqual(new Set(["rs1", "director:icmp-3-3"]));
    for (const flag of ["sh-fallback", "flag-1"]) {
      await story.ipvsadm(`-E -t 10.0.0.100:80 -s sh -b ${flag}`);
      expect(new Set(syns(64, 100))).toEqual(new Set(["rs1"]));
      await story.ipvsadm("-E -t 10.0.0.100:80 -s sh");
      story.pass(200);
      expect(syns(64)).toEqual(ways);
    }
  });

  it("rebuilds lblc's memory only with another scheduler", async () => {
    await story.service("-t 10.0.0.100:80 -s lblc", [9, 9, 9]);
    expect(syns(3)).toEqual(["rs3", "rs3", "rs3"]);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s lblc");
    expect(syns(1, 10)).toEqual(["rs3"]);
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr", "-E -t 10.0.0.100:80 -s lblc");
    expect(syns(1, 20)).toEqual(["rs2"]);
  });
});

it("a service without servers has nobody, though another has some", async () => {
  await story.service("-t 10.0.0.100:80 -s rr");
  for (const [i, scheduler] of [
    "rr",
    "wrr",
    "lc",
    "wlc",
    "sh",
    "dh",
    "mh",
    "lblc",
    "lblcr",
    "fo",
    "ovf",
    "sed",
    "nq",
  ].entries()) {
    await story.ipvsadm(`-A -t 10.0.0.100:${8000 + i} -s ${scheduler}`);
    expect(story.tcp(client(i), "S", `${VIP}:${8000 + i}`), scheduler).toBe("director:icmp-3-3");
  }
});

describe("scheduler flags", () => {
  it("are the same bits under either name, for sh and mh", async () => {
    const names = { "flag-1": "fallback", "flag-2": "port", "flag-1,flag-2": "fallback,port" };
    for (const scheduler of ["sh", "mh"]) {
      for (const [bits, words] of Object.entries(names)) {
        const own = words
          .split(",")
          .map((word) => `${scheduler}-${word}`)
          .join(",");
        const ways = async (flags: string): Promise<string[]> => {
          story = new Story();
          await story.service(`-t 10.0.0.100:80 -s ${scheduler} -b ${flags}`, [4, 0, 2, 1]);
          return Array.from({ length: 100 }, (_, i) => story.tcp(`10.7.0.${i % 10}:${1000 + i}`, "S"));
        };
        expect(await ways(bits), own).toEqual(await ways(own));
      }
    }
  });

  it("flag-3 means nothing to sh and mh", async () => {
    for (const scheduler of ["sh", "mh"]) {
      const plain = new Story();
      story = new Story();
      await story.service(`-t 10.0.0.100:80 -s ${scheduler} -b flag-3`, [3, 0, 1]);
      await plain.service(`-t 10.0.0.100:80 -s ${scheduler}`, [3, 0, 1]);
      for (let i = 0; i < 50; i++) expect(story.tcp(client(i), "S")).toBe(plain.tcp(client(i), "S"));
    }
  });
});

describe("thresholds", () => {
  const SERVER = "-t 10.0.0.100:80 -r 10.0.0.11 -g";
  const REFUSED = "director:icmp-3-3";

  it("upper alone: full at x, open again below three quarters of it", async () => {
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr", `-a ${SERVER} -x 8`);
    expect(syns(9)).toEqual([...Array(8).fill("rs1"), REFUSED]);
    const open: string[] = [];
    for (let i = 0; i < 4; i++) {
      story.tcp(client(i), "A");
      story.tcp(client(i), "R");
      story.pass(11);
      open.push(story.tcp(client(100 + i), "S"));
    }
    // 7 and 6 are not below 6; at 5 it opens, takes one and stays open until 8 again.
    expect(open).toEqual([REFUSED, REFUSED, "rs1", "rs1"]);
  });

  it("a lower one: open again below it", async () => {
    for (const [lower, opensAt] of [
      [4, 3],
      [2, 1],
    ] as const) {
      story = new Story();
      await story.ipvsadm("-A -t 10.0.0.100:80 -s rr", `-a ${SERVER} -x 4 -y ${lower}`);
      syns(4);
      let left = 4;
      while (story.tcp(client(50), "S") === REFUSED) {
        story.tcp(client(4 - left), "A");
        story.tcp(client(4 - left), "R");
        story.pass(11);
        left--;
      }
      expect(left).toBe(opensAt);
    }
  });

  it("an edit looks at the connections at once (6.1.183 and newer)", async () => {
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr", `-a ${SERVER}`);
    syns(6);
    const edits: [string, string][] = [
      ["-x 6", REFUSED],
      ["-x 7", REFUSED],
      ["-x 9", "rs1"],
      ["-x 8 -y 7", "rs1"],
      ["-x 7", REFUSED],
      ["", "rs1"],
    ];
    for (const [i, [thresholds, way]] of edits.entries()) {
      await story.ipvsadm(`-e ${SERVER} ${thresholds}`.trim());
      expect(story.tcp(client(60 + i), "S"), thresholds).toBe(way);
    }
  });

  it("an edit only ever opens in older kernels, when x rises or goes", async () => {
    story = new Story({ kernel: "6.1.176" });
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr", `-a ${SERVER}`);
    syns(6);
    await story.ipvsadm(`-e ${SERVER} -x 6`);
    expect(story.tcp(client(60), "S")).toBe("rs1");
    expect(story.tcp(client(61), "S")).toBe(REFUSED);
    await story.ipvsadm(`-e ${SERVER} -x 5`);
    expect(story.tcp(client(62), "S")).toBe(REFUSED);
    await story.ipvsadm(`-e ${SERVER} -x 6`);
    expect(story.tcp(client(63), "S")).toBe("rs1");
    expect(story.tcp(client(64), "S")).toBe(REFUSED);
    await story.ipvsadm(`-e ${SERVER}`);
    expect(story.tcp(client(65), "S")).toBe("rs1");
  });

  it("sh refuses an overloaded server's clients, with sh-fallback finds them another", async () => {
    for (const [flags, ways] of [
      ["", ["rs2", REFUSED]],
      ["-b sh-fallback", ["rs2"]],
    ] as const) {
      story = new Story();
      await story.ipvsadm(
        `-A -t 10.0.0.100:80 -s sh ${flags}`.trim(),
        `-a ${SERVER} -x 1`,
        "-a -t 10.0.0.100:80 -r 10.0.0.12 -g",
      );
      let i = 0;
      while (story.tcp(client(i), "S") !== "rs1") i++;
      expect(new Set(syns(100, i + 1))).toEqual(new Set(ways));
    }
  });
});
