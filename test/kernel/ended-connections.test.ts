/** A SYN on a connection that is over, or whose real server is quiesced or gone: follow, begin anew, or drop? */
import { beforeEach, describe, expect, it } from "vitest";
import { Story } from "./story.ts";

const CLIENT = "10.7.0.1:1000";
let story: Story;

beforeEach(async () => {
  story = new Story();
  await story.service("-t 10.0.0.100:80 -s rr");
});

/** A connection with rs3 in the state these flags lead to; the next new one would go to rs2. */
function open(...flags: string[]): void {
  for (const each of flags) expect(story.tcp(CLIENT, each)).toBe("rs3");
}

const STATES = {
  SYN_RECV: ["S"],
  ESTABLISHED: ["S", "A"],
  FIN_WAIT: ["S", "A", "FA"],
  TIME_WAIT: ["S", "FA"],
  CLOSE: ["S", "A", "R"],
} as const;

const FAMILIES = [
  ["IPv4", "10.7.0.1:1000", "10.0.0.100:80"],
  ["IPv6", "[2001:db8:1:2:3:4:5:6]:1000", "[2001:db8::100]:80"],
] as const;

describe.each(FAMILIES)("a connection of %s", (family, client, vip) => {
  const other = family === "IPv4" ? "[2001:db8::100]:80" : "10.0.0.100:80";

  beforeEach(() => story.service("-t [2001:db8::100]:80 -s rr"));

  it("that ran out is nobody's, and its client is scheduled anew", () => {
    expect(story.tcp(client, "S", vip)).toBe("rs3");
    story.pass(59);
    expect(story.tcp(client, "A", vip)).toBe("rs3");
    story.pass(899);
    expect(story.connections()).toHaveLength(1);
    story.pass(2);
    expect(story.connections()).toEqual([]);
    expect(story.tcp(client, "A", vip)).toBe("NoConnection");
    expect(story.tcp(client, "S", vip)).toBe("rs2");
    expect(story.tcp(client, "A", vip)).toBe("rs2");
  });

  it("is the host's while its family has no service, and goes on with the next one, whatever it is", async () => {
    expect(story.tcp(client, "S", vip)).toBe("rs3");
    await story.ipvsadm(`-D -t ${other}`);
    expect(story.tcp(client, "A", vip)).toBe("rs3");
    await story.ipvsadm(`-A -t ${other} -s rr`, `-D -t ${vip}`);
    expect(story.tcp(client, "A", vip)).toBe("NotOurs");
    await story.ipvsadm(`-A -t ${vip.replace(":80", ":81")} -s rr`);
    expect(story.tcp(client, "A", vip)).toBe("DestinationGone");
  });
});

describe("conn_reuse_mode", () => {
  const anew: Record<number, readonly string[]> = {
    0: [],
    1: ["TIME_WAIT", "CLOSE"],
    2: ["FIN_WAIT", "TIME_WAIT", "CLOSE"],
    3: ["FIN_WAIT", "TIME_WAIT", "CLOSE"],
  };
  for (const [mode, states] of Object.entries(anew)) {
    for (const [state, flags] of Object.entries(STATES)) {
      const begins = states.includes(state);
      it(`${mode}: a SYN on ${state} ${begins ? "opens a new connection" : "stays with its real server"}`, () => {
        story.sysctl("conn_reuse_mode", Number(mode));
        open(...flags);
        expect(story.tcp(CLIENT, "S")).toBe(begins ? "rs2" : "rs3");
        expect(story.tcp(CLIENT, "A")).toBe(begins ? "rs2" : "rs3");
      });
    }
  }

  it("regards SYN whatever stands beside it but RST, which opens nothing", () => {
    for (const [i, flags] of ["SA", "SF", "SPU", "SEC"].entries()) {
      open(...STATES.CLOSE);
      expect(story.tcp(CLIENT, flags), flags).toBe("rs2");
      expect(story.tcp(`10.7.1.${i}:1`, "S")).toBe("rs1");
      story.pass(100);
    }
    open(...STATES.CLOSE);
    expect(story.tcp(CLIENT, "SR")).toBe("NoConnection");
  });

  it("leaves connections of a persistent service where their template is", async () => {
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr -p 300");
    open(...STATES.CLOSE);
    expect(story.tcp(CLIENT, "S")).toBe("rs3");
    expect(story.connections().filter((row) => row.startsWith("TCP 10.7.0.1:1000"))).toHaveLength(1);
  });

  it("lets a scheduler still see the old connection, which ends a tick later", async () => {
    await story.ipvsadm("-E -t 10.0.0.100:80 -s lc");
    open(...STATES.CLOSE);
    expect(story.tcp(CLIENT, "S")).toBe("rs2");
    expect(story.counts()).toEqual({ rs3: "0+1", rs2: "1+0", rs1: "0+0" });
    story.pass(0.02);
    expect(story.counts()).toEqual({ rs3: "0+0", rs2: "1+0", rs1: "0+0" });
  });
});

describe("a quiesced real server", () => {
  for (const mode of [0, 1, 2, 3]) {
    it(`keeps its connections, SYNs and all (conn_reuse_mode ${mode})`, async () => {
      story.sysctl("conn_reuse_mode", mode);
      open(...STATES.ESTABLISHED);
      await story.ipvsadm("-e -t 10.0.0.100:80 -r 10.0.0.13 -g -w 0");
      for (const flags of ["A", "S", "PA", "FA"]) expect(story.tcp(CLIENT, flags)).toBe("rs3");
    });

    it(`with expire_nodest_conn loses one that begins again (conn_reuse_mode ${mode})`, async () => {
      story.sysctl("conn_reuse_mode", mode);
      story.sysctl("expire_nodest_conn", 1);
      open(...STATES.ESTABLISHED);
      await story.ipvsadm("-e -t 10.0.0.100:80 -r 10.0.0.13 -g -w 0");
      expect(story.tcp(CLIENT, "A")).toBe("rs3");
      expect(story.tcp(CLIENT, "S")).toBe("rs2");
      expect(story.tcp(CLIENT, "A")).toBe("rs2");
    });
  }

  it("with expire_nodest_conn keeps UDP, which has no beginning", async () => {
    await story.service("-u 10.0.0.100:53 -s rr");
    story.sysctl("expire_nodest_conn", 1);
    expect(story.udp(CLIENT)).toBe("rs3");
    await story.ipvsadm("-e -u 10.0.0.100:53 -r 10.0.0.13 -g -w 0");
    expect(story.udp(CLIENT)).toBe("rs3");
  });

  it("comes back with -e and takes its turn again, whatever the scheduler", async () => {
    for (const scheduler of ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf"]) {
      story = new Story();
      await story.service(`-t 10.0.0.100:80 -s ${scheduler}`, [1]);
      const server = "-t 10.0.0.100:80 -r 10.0.0.11 -g";
      for (const [weight, way] of [
        [0, "director:icmp-3-3"],
        [1, "rs1"],
        [0, "director:icmp-3-3"],
        [7, "rs1"],
      ] as const) {
        await story.ipvsadm(`-e ${server} -w ${weight}`);
        expect(story.tcp(`10.7.0.${weight}:1`, "S"), scheduler).toBe(way);
      }
    }
  });
});

describe("a deleted real server", () => {
  const DELETE = "-d -t 10.0.0.100:80 -r 10.0.0.13";
  const ADD = "-a -t 10.0.0.100:80 -r 10.0.0.13 -g";

  it("gets nothing, its connections stay as they are and go on when it returns", async () => {
    open(...STATES.ESTABLISHED);
    await story.ipvsadm(DELETE);
    for (const flags of ["A", "S", "FA", "R"]) {
      story.pass(10);
      expect(story.tcp(CLIENT, flags)).toBe("DestinationGone");
    }
    expect(story.connections()).toEqual(["TCP 10.7.0.1:1000 10.0.0.100:80 rs3:80 ESTABLISHED 860"]);
    await story.ipvsadm(ADD);
    expect(story.counts()).toMatchObject({ rs3: "1+0" });
    expect(story.tcp(CLIENT, "A")).toBe("rs3");
    expect(story.connections()).toEqual(["TCP 10.7.0.1:1000 10.0.0.100:80 rs3:80 ESTABLISHED 900"]);
  });

  it("with expire_nodest_conn a SYN goes to another at once, data is left to the host", async () => {
    story.sysctl("expire_nodest_conn", 1);
    open(...STATES.ESTABLISHED);
    await story.ipvsadm(DELETE);
    expect(story.tcp(CLIENT, "A")).toBe("NoConnection");
    expect(story.tcp(CLIENT, "S")).toBe("rs2");
  });

  it("with expire_nodest_conn UDP goes to another at once", async () => {
    await story.service("-u 10.0.0.100:53 -s rr");
    story.sysctl("expire_nodest_conn", 1);
    expect(story.udp(CLIENT)).toBe("rs3");
    await story.ipvsadm("-d -u 10.0.0.100:53 -r 10.0.0.13");
    expect(story.udp(CLIENT)).toBe("rs2");
  });

  it("with expire_nodest_conn loses its connections at the next tick, without a frame of theirs", async () => {
    story.sysctl("expire_nodest_conn", 1);
    for (let i = 0; i < 30; i++) story.tcp(`10.7.0.${i}:1`, "S");
    await story.ipvsadm(DELETE);
    expect(story.connections()).toHaveLength(30);
    story.pass(0.01);
    expect(story.connections()).toHaveLength(20);
    expect(story.connections().filter((row) => row.includes("rs3"))).toEqual([]);
    await story.ipvsadm(ADD);
    expect(story.counts()).toEqual({ rs3: "0+0", rs2: "10+0", rs1: "10+0" });
  });

  it("keeps them when it is back before the tick, or when the setting came after the deletion", async () => {
    story.sysctl("expire_nodest_conn", 1);
    open(...STATES.ESTABLISHED);
    await story.ipvsadm(DELETE, ADD);
    story.pass(1);
    expect(story.tcp(CLIENT, "A")).toBe("rs3");
    story.sysctl("expire_nodest_conn", 0);
    await story.ipvsadm(DELETE);
    story.sysctl("expire_nodest_conn", 1);
    story.pass(1);
    expect(story.connections()).toHaveLength(1);
  });

  for (const shards of [1, 3]) {
    it(`takes its templates with it, those with and those without connections (${shards} shards)`, async () => {
      story = new Story({ shards });
      await story.service("-t 10.0.0.100:80 -s rr -p 300");
      story.sysctl("expire_nodest_conn", 1);
      for (let i = 1; i <= 6; i++) story.tcp(`10.7.0.${i}:1`, "S");
      story.pass(70);
      for (let i = 1; i <= 3; i++) story.tcp(`10.7.0.${i}:2`, "S");
      expect(story.connections()).toHaveLength(3 + 6);
      await story.ipvsadm(DELETE);
      for (let tick = 0; tick < 3; tick++) story.pass(0.01);
      expect(story.connections()).toHaveLength(2 + 4);
      expect(story.connections().filter((row) => row.includes("rs3"))).toEqual([]);
    });
  }

  it("goes with its whole service just so", async () => {
    await story.service("-t 10.0.0.100:81 -s rr", [1]);
    story.sysctl("expire_nodest_conn", 1);
    open(...STATES.ESTABLISHED);
    expect(story.tcp("10.7.0.2:1", "S", "10.0.0.100:81")).toBe("rs1");
    await story.ipvsadm("-D -t 10.0.0.100:80");
    story.pass(0.01);
    expect(story.connections()).toEqual(["TCP 10.7.0.2:1 10.0.0.100:81 rs1:81 SYN_RECV 59"]);
  });
});
