/** `-p`: templates, their keys, their lives, and whom they lead to. */
import { beforeEach, describe, expect, it } from "vitest";
import { Story, VIP } from "./story.ts";

let story: Story;

beforeEach(() => {
  story = new Story();
});

/** Templates only: those that begin with client port 0. */
function templates(): string[] {
  return story.connections().filter((row) => / \S+:0 /.test(row));
}

describe("a template", () => {
  it("is one of client, virtual address and port; a new connection restarts it, a known one does not", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 NONE 300"]);
    story.pass(50);
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 NONE 250"]);
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs3");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 NONE 300"]);
    expect(story.tcp("10.7.0.2:1000", "S")).toBe("rs2");
  });

  it("is ASSURED once a connection of it was established", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    story.tcp("10.7.0.1:1000", "S");
    story.tcp("10.7.0.1:1000", "A");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 ASSURED 300"]);
  });

  it("gets a minute at a time while connections hang on it, and from then on only a minute", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 10");
    story.tcp("10.7.0.1:1000", "S");
    story.tcp("10.7.0.1:1000", "A");
    for (let second = 0; second < 11; second++) story.pass(1);
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 ASSURED 59"]);
    story.pass(30);
    story.tcp("10.7.0.1:1001", "S");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 ASSURED 60"]);
  });

  const kinds = [
    ["IPv4", "-t 10.0.0.100:80", "10.7.0.1", "10.0.0.100:80"],
    ["IPv6", "-t [2001:db8::100]:80", "[2001:db8:1:2:3:4:5:6]", "[2001:db8::100]:80"],
    ["any port", "-t 10.0.0.100:0", "10.7.0.1", "10.0.0.100:443"],
    ["a mark", "-f 7", "10.7.0.1", "10.0.0.100:443"],
    ["a mark of IPv6", "-f 7 -6", "[2001:db8:1:2:3:4:5:6]", "[2001:db8::100]:443"],
  ] as const;
  it.each(kinds)(
    "of %s is gone when its time is up and no connection is left, and its client a stranger",
    async (...kind) => {
      const [, service, client, to] = kind;
      const destination = to.startsWith("[") ? "2001:db8::/32" : "10.0.0.0/8";
      story.marks({ mark: 7, protocol: "any", destination, ports: [0, 65_535] });
      await story.service(`${service} -s rr -p 10`);
      expect(story.tcp(`${client}:1000`, "S", to)).toBe("rs3");
      const persistent = async (): Promise<(string | undefined)[]> =>
        [...(await story.ipvsadm("-Ln --persistent-conn")).matchAll(/-> \S*\d\S*\s+\d+\s+(\d+)/g)].map(
          (row) => row[1],
        );
      expect(await persistent()).toEqual(["0", "0", "1"]);
      // Its connection lives for 60 seconds, and so the template for 10 and 60.
      for (let second = 0; second < 69; second++) story.pass(1);
      expect(templates()).toHaveLength(1);
      expect(await persistent()).toEqual(["0", "0", "1"]);
      for (let second = 0; second < 2; second++) story.pass(1);
      expect(templates()).toEqual([]);
      expect(await persistent()).toEqual(["0", "0", "0"]);
      expect(story.tcp(`${client}:1000`, "S", to)).toBe("rs2");
      expect(story.tcp(`${client}:1001`, "S", to)).toBe("rs2");
    },
  );

  it("is refused, and its client with it, when there is no room for one more", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300", [1]);
    const { capacity } = story.world.region.templates;
    const client = (n: number): string => `10.7.${n >> 8}.${n & 255}:1000`;
    for (let n = 0; n < capacity; n++) story.tcp(client(n), "S");
    expect(templates()).toHaveLength(capacity);
    expect(story.tcp(client(capacity), "S")).toBe("TableFull");
    expect(story.tcp(client(7), "S").replace(/\d/, "N")).toBe("rsN");
  });

  it("counts in neither column, and thresholds do not see it", async () => {
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr -p 300", "-a -t 10.0.0.100:80 -r 10.0.0.11 -g -x 1");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs1");
    story.pass(61);
    expect(templates()).toHaveLength(1);
    expect(story.counts()).toEqual({ rs1: "0+0" });
    expect(story.tcp("10.7.0.2:1000", "S")).toBe("rs1");
  });

  it("leads on to an overloaded server, which strangers do not get", async () => {
    await story.ipvsadm("-A -t 10.0.0.100:80 -s rr -p 300", "-a -t 10.0.0.100:80 -r 10.0.0.11 -g -x 1");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs1");
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs1");
    expect(story.tcp("10.7.0.2:1000", "S")).toBe("director:icmp-3-3");
  });

  it("keeps the time it was born with; -E changes the next one's", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    story.tcp("10.7.0.1:1000", "S");
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr -p 20");
    story.tcp("10.7.0.1:1001", "S");
    story.tcp("10.7.0.2:1000", "S");
    expect(templates()).toEqual([
      "TCP 10.7.0.1:0 10.0.0.100:80 rs3:80 NONE 300",
      "TCP 10.7.0.2:0 10.0.0.100:80 rs2:80 NONE 20",
    ]);
  });

  it("is asked no more when -E takes persistence away, and asked again when it comes back", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr");
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs2");
    await story.ipvsadm("-E -t 10.0.0.100:80 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1002", "S")).toBe("rs3");
  });
});

describe("granularity (-M)", () => {
  it("IPv4: the network of a dotted mask shares one server", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300 -M 255.255.240.0");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    expect(story.tcp("10.7.15.255:1000", "S")).toBe("rs3");
    expect(story.tcp("10.7.16.0:1000", "S")).toBe("rs2");
    expect(templates()).toEqual([
      "TCP 10.7.0.0:0 10.0.0.100:80 rs3:80 NONE 300",
      "TCP 10.7.16.0:0 10.0.0.100:80 rs2:80 NONE 300",
    ]);
  });

  it("IPv4: `-M 24` is the address 0.0.0.24, as inet_aton(3) reads it", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300 -M 24");
    expect(story.tcp("10.7.0.8:1000", "S")).toBe("rs3");
    expect(story.tcp("192.0.2.8:1000", "S")).toBe("rs3");
    expect(story.tcp("10.7.0.16:1000", "S")).toBe("rs2");
    expect(templates()[0]).toBe("TCP 0.0.0.16:0 10.0.0.100:80 rs2:80 NONE 300");
  });

  const masks: [number, string, string][] = [
    [1, "2001:db8::1", "3fff:ffff::"],
    [20, "2001:db8::1", "2001:fff:ffff::"],
    [33, "2001:db8:7fff::1", "2001:db8:0:1::"],
    [64, "2001:db8:0:1::1", "2001:db8:0:1:ffff::"],
    [127, "2001:db8::2", "2001:db8::3"],
  ];
  for (const [prefix, one, other] of masks) {
    it(`IPv6: clients that share ${prefix} bits share one server, others do not`, async () => {
      await story.service(`-t [2001:db8::100]:80 -s rr -p 300 -M ${prefix}`);
      const to = "[2001:db8::100]:80";
      const first = story.tcp(`[${one}]:1000`, "S", to);
      expect(first).toBe("rs3");
      expect(story.tcp(`[${other}]:1000`, "S", to)).toBe("rs3");
      expect(story.tcp("[fd00::1]:1000", "S", to)).toBe("rs2");
    });
  }
});

describe("keys", () => {
  it("port 0 takes every port of the address, with one template; the connection keeps its port", async () => {
    await story.service("-t 10.0.0.100:0 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:443`)).toBe("rs3");
    expect(story.tcp("10.7.0.1:1001", "S", `${VIP}:8080`)).toBe("rs3");
    expect(story.connections()).toEqual([
      "TCP 10.7.0.1:0 10.0.0.100:0 rs3:0 NONE 300",
      "TCP 10.7.0.1:1000 10.0.0.100:443 rs3:443 SYN_RECV 60",
      "TCP 10.7.0.1:1001 10.0.0.100:8080 rs3:8080 SYN_RECV 60",
    ]);
  });

  it("port 0 without persistence is refused, also by -E", async () => {
    const refused = { rc: 2, stderr: "Zero port specified for non-persistent service\n" };
    expect(await story.run("-A -t 10.0.0.100:0 -s rr")).toMatchObject(refused);
    await story.service("-t 10.0.0.100:0 -s rr -p 300", [1]);
    expect(await story.run("-E -t 10.0.0.100:0 -s rr")).toMatchObject(refused);
  });

  it("a mark's template spans ports and addresses, its virtual address is the mark", async () => {
    story.marks({ mark: 7, protocol: "tcp", destination: "10.0.0.100/31", ports: [80, 443] });
    await story.service("-f 7 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:80`)).toBe("rs3");
    expect(story.tcp("10.7.0.1:1000", "S", "10.0.0.101:443")).toBe("rs3");
    expect(templates()).toEqual(["IP 10.7.0.1:0 0.0.0.7:0 rs3:0 NONE 300"]);
  });

  it("a mark's template of IPv6 has the mark in the address's first word", async () => {
    story.marks({ mark: 7, protocol: "any", destination: "2001:db8::100/128", ports: [0, 65_535] });
    await story.service("-f 7 -6 -s rr -p 300");
    expect(story.tcp("[2001:db8::7]:1000", "S", "[2001:db8::100]:80")).toBe("rs3");
    expect(story.tcp("[2001:db8::7]:1001", "S", "[2001:db8::100]:443")).toBe("rs3");
    expect(story.udp("[2001:db8::7]:1001", "[2001:db8::100]:53")).toBe("rs3");
    expect(templates()).toEqual(["IP 2001:db8::7:0 0:7:::0 rs3:0 NONE 300"]);
  });

  it("different protocols and ports have templates of their own", async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    await story.service("-u 10.0.0.100:80 -s rr -p 300", [1]);
    await story.service("-t 10.0.0.100:443 -s rr -p 300", [1, 1]);
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    expect(story.udp("10.7.0.1:1000", `${VIP}:80`)).toBe("rs1");
    expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:443`)).toBe("rs2");
    expect(templates()).toHaveLength(3);
  });

  it("FTP: a connection has its own port at the real server, too, and nobody's port 21 is refused", async () => {
    await story.service("-t 10.0.0.100:21 -s rr -p 300");
    for (const port of [21, 20, 5000]) expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:${port}`)).toBe("rs3");
    const connections = story.connections().filter((row) => !templates().includes(row));
    expect(connections.map((row) => row.split(" ")[3])).toEqual(["rs3:20", "rs3:21", "rs3:5000"]);
    for (const n of [11, 12, 13]) await story.ipvsadm(`-e -t 10.0.0.100:21 -r 10.0.0.${n} -g -w 0`);
    expect(story.tcp("10.7.0.2:1000", "S", `${VIP}:21`)).toBe("director:icmp-3-3");
    expect(story.tcp("10.7.0.2:1000", "S", `${VIP}:5000`)).toBe("NotOurs");
  });

  it("FTP: control and data of a client meet at one server by a template of port 0", async () => {
    await story.service("-t 10.0.0.100:21 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S", `${VIP}:21`)).toBe("rs3");
    expect(story.tcp("10.7.0.1:1001", "S", `${VIP}:20`)).toBe("rs3");
    expect(story.tcp("10.7.0.1:1002", "S", `${VIP}:40000`)).toBe("rs3");
    expect(story.tcp("10.7.0.1:1003", "S", `${VIP}:1023`)).toBe("NotOurs");
    expect(story.udp("10.7.0.1:1003", `${VIP}:40000`)).toBe("NotOurs");
    expect(templates()).toEqual(["TCP 10.7.0.1:0 10.0.0.100:0 rs3:0 NONE 300"]);
  });
});

describe("a template whose server", () => {
  const SERVER = "-t 10.0.0.100:80 -r 10.0.0.13";
  beforeEach(async () => {
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
  });

  it("was quiesced leads there on", async () => {
    await story.ipvsadm(`-e ${SERVER} -g -w 0`);
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs3");
  });

  it("was quiesced is given up with expire_quiescent_template; known connections stay", async () => {
    story.sysctl("expire_quiescent_template", 1);
    await story.ipvsadm(`-e ${SERVER} -g -w 0`);
    expect(story.tcp("10.7.0.1:1000", "A")).toBe("rs3");
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs2");
    expect(story.tcp("10.7.0.1:1002", "S")).toBe("rs2");
    expect(templates()).toEqual([
      "TCP 10.7.0.1:0 10.0.0.100:65535 rs3:65535 ASSURED 300",
      "TCP 10.7.0.1:0 10.0.0.100:80 rs2:80 NONE 300",
    ]);
    // Its weight comes back, but the template does not.
    await story.ipvsadm(`-e ${SERVER} -g -w 1`);
    expect(story.tcp("10.7.0.1:1003", "S")).toBe("rs2");
  });

  it("was quiesced: with expire_nodest_conn too, a SYN on a known connection asks the template again", async () => {
    story.sysctl("expire_nodest_conn", 1);
    await story.ipvsadm(`-e ${SERVER} -g -w 0`);
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs3");
    story.sysctl("expire_quiescent_template", 1);
    expect(story.tcp("10.7.0.1:1000", "S")).toBe("rs2");
  });

  it("was deleted is given up; when nobody is left the client hears so", async () => {
    await story.ipvsadm(`-d ${SERVER}`);
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs2");
    await story.ipvsadm("-d -t 10.0.0.100:80 -r 10.0.0.12", "-d -t 10.0.0.100:80 -r 10.0.0.11");
    expect(story.tcp("10.7.0.1:1002", "S")).toBe("director:icmp-3-3");
  });

  it("was deleted and added again before the client came: it leads there on", async () => {
    await story.ipvsadm(`-d ${SERVER}`, `-a ${SERVER} -g`);
    expect(story.tcp("10.7.0.1:1001", "S")).toBe("rs3");
  });
});

describe("one-packet scheduling (-o)", () => {
  it("schedules each datagram and leaves no entry", async () => {
    await story.service("-u 10.0.0.100:53 -s rr -o");
    expect([1, 2, 3, 4].map(() => story.udp("10.7.0.1:1000"))).toEqual(["rs3", "rs2", "rs1", "rs3"]);
    expect(story.connections()).toEqual([]);
    expect(story.packets()).toEqual({ rs3: 2, rs2: 1, rs1: 1 });
    expect(story.counts()).toEqual({ rs3: "0+0", rs2: "0+0", rs1: "0+0" });
    const stats = await story.ipvsadm("-Ln --stats");
    const connections = [...stats.matchAll(/-> (\S+)\s+(\d+)\s+(\d+)/g)].map(([, ...row]) => row.join(" "));
    expect(connections).toEqual(["10.0.0.11:53 1 1", "10.0.0.12:53 1 1", "10.0.0.13:53 2 2"]);
  });

  it("with -p the template decides, and each datagram restarts it", async () => {
    await story.service("-u 10.0.0.100:53 -s rr -o -p 300");
    expect(story.udp("10.7.0.1:1000")).toBe("rs3");
    story.pass(100);
    expect(story.udp("10.7.0.1:1000")).toBe("rs3");
    expect(story.udp("10.7.0.2:1000")).toBe("rs2");
    expect(story.connections()).toEqual([
      "UDP 10.7.0.1:0 10.0.0.100:53 rs3:53 NONE 300",
      "UDP 10.7.0.2:0 10.0.0.100:53 rs2:53 NONE 300",
    ]);
  });

  it("hashes as ever: sh, mh, and by port when told", async () => {
    for (const flags of ["-s sh", "-s mh", "-s sh -b sh-port", "-s mh -b mh-port", "-s sh -b flag-2"]) {
      story = new Story();
      await story.service(`-u 10.0.0.100:53 ${flags} -o`, [3, 2, 1]);
      const ways = Array.from({ length: 60 }, (_, port) => story.udp(`10.7.0.1:${1000 + port}`));
      expect(new Set(ways).size > 1, flags).toBe(/port|flag-2/.test(flags));
      expect(Array.from({ length: 60 }, (_, port) => story.udp(`10.7.0.1:${1000 + port}`))).toEqual(ways);
    }
  });

  it("an upper threshold of 1 never closes a server: each datagram comes and goes", async () => {
    await story.ipvsadm("-A -u 10.0.0.100:53 -s rr -o", "-a -u 10.0.0.100:53 -r 10.0.0.11 -g -x 1");
    for (let i = 0; i < 5; i++) expect(story.udp("10.7.0.1:1000")).toBe("rs1");
  });

  it("a lower threshold of 1 as well: below it is none", async () => {
    await story.ipvsadm("-A -u 10.0.0.100:53 -s rr -o", "-a -u 10.0.0.100:53 -r 10.0.0.11 -g -x 1 -y 1");
    for (let i = 0; i < 5; i++) expect(story.udp("10.7.0.1:1000")).toBe("rs1");
  });

  it("connections from before -o go on; -o is for UDP only", async () => {
    await story.service("-u 10.0.0.100:53 -s rr");
    expect(story.udp("10.7.0.1:1000")).toBe("rs3");
    await story.ipvsadm("-E -u 10.0.0.100:53 -s rr -o");
    expect(["1000", "1001", "1001"].map((port) => story.udp(`10.7.0.1:${port}`))).toEqual([
      "rs3",
      "rs2",
      "rs1",
    ]);
    expect(await story.run("-A -t 10.0.0.100:80 -s rr -o")).toMatchObject({
      rc: 2,
      stderr: "One-Packet Scheduling is only for UDP virtual services\n",
    });
  });
});
