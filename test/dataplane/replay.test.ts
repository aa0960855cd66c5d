/** Captures through the pure core: every frame has its verdict, times are the capture's, and runs repeat. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DirectorCommand, ServiceKey } from "../../src/control/model.ts";
import { madeUpMac, Offline, type OfflineSetup } from "../../src/control/offline.ts";
import { hexText } from "../../src/dataplane/explain.ts";
import { type Ending, endingText } from "../../src/dataplane/outcome.ts";
import { Player } from "../../src/dataplane/player.ts";
import {
  fromBase64,
  RECORDING_FORMAT,
  readRecording,
  recordedFrames,
  toBase64,
  writeRecording,
} from "../../src/dataplane/recording.ts";
import { REPLAY_BEGIN, Replay, type ReplayedFrame } from "../../src/dataplane/replay.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { formatMac, mapped, parseIpv4, parseIpv6, parseMac } from "../../src/wire/address.ts";
import type { CapturedPacket } from "../../src/wire/capture.ts";
import { icmpFrame, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";

const VIP = "10.0.0.100";
const MAC = "02:00:00:00:00:01";
const INTERFACES = [
  { name: "eth0", linkType: 1, snapLength: 0 },
  { name: "raw", linkType: 101, snapLength: 0 },
];

function service(
  protocol: "tcp" | "udp",
  port: number,
  scheduler = "rr",
  weights = [1, 1],
): DirectorCommand[] {
  const key: ServiceKey = { protocol, family: 4, address: VIP, port, mark: 0 };
  return [
    {
      kind: "addService",
      service: { key, scheduler, flags: 0, persistence: 0, netmask: "255.255.255.255", onePacket: false },
    },
    ...weights.map(
      (weight, i): DirectorCommand => ({
        kind: "addServer",
        service: key,
        server: { address: `10.0.0.${11 + i}`, port, weight, method: "route", upper: 0, lower: 0 },
      }),
    ),
  ];
}

const SETUP: OfflineSetup = {
  mac: MAC,
  commands: [...service("tcp", 80), ...service("udp", 53)],
  ownVips: [VIP],
  sizes: { connections: 1024, templates: 64, services: 16, destinations: 64, neighbours: 16 },
};

const FIELDS = {
  source: parseIpv4("10.7.0.1")!,
  destination: parseIpv4(VIP)!,
  destinationMac: parseMac(MAC)!,
} as const;
const tcp = (port: number, flags: number, more = {}) =>
  tcpFrame({ ...FIELDS, sourcePort: port, destinationPort: 80, flags, ...more });

function packet(bytes: Uint8Array, milliseconds: number, more: Partial<CapturedPacket> = {}): CapturedPacket {
  return {
    interface: 0,
    seconds: 1_700_000_000 + Math.floor(milliseconds / 1000),
    nanoseconds: Math.round((milliseconds % 1000) * 1e6),
    originalLength: bytes.length,
    bytes,
    comments: [],
    direction: "unknown",
    ...more,
  };
}

interface Run {
  decided: string[];
  sent: { what: string; bytes: string; text: string; seconds: number; originalLength: number }[];
  endings: Ending[];
  offline: Offline;
  skipped: number;
}

function replay(packets: readonly CapturedPacket[], setup = SETUP): Run {
  const offline = new Offline(setup, { now: REPLAY_BEGIN });
  const run: Run = { decided: [], sent: [], endings: [], offline, skipped: 0 };
  const engine = new Replay(offline.region, {
    packets,
    interfaces: INTERFACES,
    decided: (_, ending) => {
      run.decided.push(VERDICT_NAMES[ending.verdict]!);
      run.endings.push({ ...ending });
    },
    sent: ({ what, bytes, time, originalLength }: ReplayedFrame, ending) => {
      const text = endingText(offline.region, ending);
      run.sent.push({ what, bytes: hexText(bytes), text, seconds: time.seconds, originalLength });
    },
  });
  while (engine.step());
  run.skipped = engine.skipped;
  return run;
}

const piece = (offset: number, more: boolean, body: Uint8Array) =>
  ipFrame({ ...FIELDS, identification: 77, fragmentOffset: offset, moreFragments: more }, 17, body);
const FIRST = piece(0, true, Uint8Array.of(0x0f, 0xa0, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8));
const LAST = piece(16, false, new Uint8Array(8));

describe("replay", () => {
  it("gives every Ethernet frame one verdict, in order", () => {
    const run = replay([
      packet(tcp(4000, 0x02), 0),
      packet(tcp(4000, 0x10), 0),
      packet(tcp(4001, 0x10), 5),
      packet(new Uint8Array(40), 6, { interface: 1 }),
      packet(udpFrame({ ...FIELDS, sourcePort: 1, destinationPort: 99 }), 7),
      packet(new Uint8Array(7), 8),
      packet(icmpFrame({ ...FIELDS, type: 8, code: 0 }), 9),
    ]);
    expect(run.decided).toEqual([
      "Forwarded",
      "Forwarded",
      "NoConnection",
      "NotOurs",
      "Malformed",
      "Answered",
    ]);
    expect(run.skipped).toBe(1);
    expect(run.sent.map(({ what }) => what)).toEqual(["forwarded", "forwarded", "answer"]);
    expect(run.sent[0]!.text).toBe("Forwarded: tcp 10.0.0.100:80 → 10.0.0.12:80, new connection, SYN_RECV");
    expect(run.sent[1]!.text).toBe(
      "Forwarded: tcp 10.0.0.100:80 → 10.0.0.12:80, known connection, ESTABLISHED",
    );
  });

  it("goes by the capture's clock: a connection ends in its pauses, and time never goes back", () => {
    const run = replay([
      packet(tcp(4000, 0x02), 0),
      packet(tcp(4000, 0x10), 59_000),
      packet(tcp(4000, 0x10), 30_000),
      packet(tcp(4000, 0x10), 59_000 + 901_000),
    ]);
    expect(run.decided).toEqual(["Forwarded", "Forwarded", "Forwarded", "NoConnection"]);
  });

  it("sends a fragment that came too early once its first one is there", () => {
    const run = replay([packet(LAST, 0), packet(FIRST, 3)]);
    expect(run.decided).toEqual(["Waiting", "Forwarded"]);
    expect(run.sent.map(({ what, bytes }) => [what, bytes.slice(24)])).toEqual([
      ["forwarded", hexText(FIRST).slice(24)],
      ["released", hexText(LAST).slice(24)],
    ]);
  });

  it("of a frame that the capture cut sends what there was", () => {
    const whole = tcp(4000, 0x02, { payload: new Uint8Array(200).fill(7) });
    const run = replay([packet(whole.subarray(0, 70), 0, { originalLength: whole.length })]);
    expect(run.sent[0]).toMatchObject({ what: "forwarded", originalLength: whole.length });
    expect(run.sent[0]!.bytes).toHaveLength(140);
  });

  it("answers as the director would when nobody takes a connection", () => {
    const setup = { ...SETUP, commands: service("tcp", 80, "rr", [0, 0]) };
    const run = replay([packet(tcp(4000, 0x02), 0)], setup);
    expect(run.decided).toEqual(["NoDestination"]);
    expect(run.sent[0]!.what).toBe("answer");
    expect(run.endings[0]).toMatchObject({ service: 0, destination: -1, connection: 0 });
  });

  it("is the same every time, to the byte, whatever the capture holds", () => {
    const frame = fc.oneof(
      fc.tuple(fc.integer({ min: 4000, max: 4020 }), fc.nat(63)).map(([port, flags]) => tcp(port, flags)),
      fc.constantFrom(FIRST, LAST, icmpFrame({ ...FIELDS, type: 8, code: 0 })),
      fc.uint8Array({ maxLength: 100 }),
    );
    const capture = fc.array(fc.tuple(frame, fc.double({ min: 0, max: 90_000, noNaN: true })), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(capture, (list) => {
        let at = 0;
        const packets = list.map(([bytes, pause]) => packet(bytes, (at += pause)));
        const once = replay(packets);
        const twice = replay(packets);
        expect(once.decided).toHaveLength(packets.length);
        expect({ ...once, offline: 0 }).toEqual({ ...twice, offline: 0 });
      }),
      { numRuns: 60 },
    );
  });
});

describe("the player", () => {
  it("does with single frames what replay does with a capture of them, and can explain each", () => {
    const frames = [
      tcp(4000, 0x02),
      tcp(4000, 0x10),
      LAST,
      FIRST,
      tcp(4001, 0x10),
      icmpFrame({ ...FIELDS, type: 8, code: 0 }),
    ];
    const run = replay(frames.map((frame, i) => packet(frame, i * 20)));
    for (const explained of [false, true]) {
      const player = new Player(new Offline(SETUP, { now: REPLAY_BEGIN }).region);
      const played = frames.map((frame, i) =>
        player.play(frame, REPLAY_BEGIN + i * 20, { explain: explained }),
      );
      expect(played.map(({ ending }) => VERDICT_NAMES[ending.verdict])).toEqual(run.decided);
      const sent = played.flatMap(({ sent }) => sent.map(({ what, bytes }) => [what, hexText(bytes)]));
      expect(sent).toEqual(run.sent.map(({ what, bytes }) => [what, bytes]));
      expect(played[3]!.sent.map(({ what }) => what)).toEqual(["forwarded", "released"]);
      if (explained) expect(played.map(({ explanation }) => explanation?.verdict.name)).toEqual(run.decided);
    }
  });

  it("follows commands between two frames", () => {
    const offline = new Offline(SETUP, { now: REPLAY_BEGIN });
    const player = new Player(offline.region);
    const key: ServiceKey = { protocol: "tcp", family: 4, address: VIP, port: 80, mark: 0 };
    const to = (port: number) => player.play(tcp(port, 0x02), REPLAY_BEGIN).ending.destination;
    const first = to(4000);
    const quiesce = {
      address: "10.0.0.12",
      port: 80,
      weight: 0,
      method: "route",
      upper: 0,
      lower: 0,
    } as const;
    expect(offline.execute({ kind: "editServer", service: key, server: quiesce }).ok).toBe(true);
    expect(new Set([to(4001), to(4002), to(4003)])).toEqual(new Set([1 - first]));
  });

  it("leaves frames waiting or lost when a real server falls silent", () => {
    const offline = new Offline(SETUP, { now: REPLAY_BEGIN });
    const player = new Player(offline.region);
    expect(offline.setNeighbour("10.0.0.12", undefined)).toBe(true);
    expect(offline.setNeighbour("10.0.0.99", undefined)).toBe(false);
    const text = () => player.play(tcp(4000, 0x02), REPLAY_BEGIN).text;
    expect(text()).toMatch(/^NeighbourFailed: /);
    offline.setNeighbour("10.0.0.12", "02:00:00:00:00:77");
    expect(text()).toMatch(/^Forwarded: /);
  });
});

describe("a director without a network", () => {
  it("makes up MAC addresses that are one station's and differ", () => {
    expect(formatMac(madeUpMac(mapped(parseIpv4("10.0.0.11")!)))).toBe("02:00:0a:00:00:0b");
    expect(formatMac(madeUpMac(parseIpv6("2001:db8::11")!))).toBe("02:06:00:00:00:11");
    const { assumed } = new Offline({ ...SETUP, neighbours: { "10.0.0.11": MAC } }, { now: REPLAY_BEGIN });
    expect(assumed).toEqual([
      expect.stringContaining("10.0.0.12 are made up (10.0.0.12 is 02:00:0a:00:00:0c)"),
    ]);
  });

  it("says which command cannot be carried out", () => {
    const commands: DirectorCommand[] = [...service("tcp", 80, "nosuch")];
    expect(() => new Offline({ ...SETUP, commands }, { now: REPLAY_BEGIN })).toThrow(
      'addService: there is no scheduler "nosuch"',
    );
  });
});

describe("a recording", () => {
  it("is written and read as it was", () => {
    const any = fc.array(fc.tuple(fc.uint8Array({ maxLength: 80 }), fc.nat(10_000)), { maxLength: 10 });
    fc.assert(
      fc.property(any, (list) => {
        const frames = recordedFrames(list.map(([bytes, at]) => packet(bytes, at)));
        const recording = {
          format: RECORDING_FORMAT,
          title: "té",
          begin: 5,
          setup: SETUP,
          frames,
          commands: [],
        } as const;
        expect(readRecording(writeRecording(recording))).toEqual(recording);
        expect(frames.every(({ at }, i) => i === 0 || at >= frames[i - 1]!.at)).toBe(true);
      }),
    );
  });

  it("has base64 as everybody else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const text = Buffer.from(bytes).toString("base64");
        expect(toBase64(bytes)).toBe(text);
        expect(hexText(fromBase64(text)!)).toBe(hexText(bytes));
      }),
    );
    expect([fromBase64("a"), fromBase64("a=b=")]).toEqual([undefined, undefined]);
  });

  it.each([
    ["{", "it is no JSON"],
    ["{}", "its format is not"],
    [`{"format":"${RECORDING_FORMAT}"}`, "it has no frames"],
    [`{"format":"${RECORDING_FORMAT}","frames":[{"at":1}]}`, "frame 1 has no time or no bytes"],
    [`{"format":"${RECORDING_FORMAT}","frames":[{"at":1,"bytes":"?"}]}`, "frame 1 is no base64"],
  ])("%s is none: %s", (text, message) => {
    expect(() => readRecording(text)).toThrow(message);
  });
});
