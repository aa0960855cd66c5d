/**
 * Frames of any shape, half right and wrong: every one ends in one verdict, one shard and three do the same with it,
 * and explain foretells it.
 */
import { expect, it } from "vitest";
import { explain, hexText } from "../../src/dataplane/explain.ts";
import { VERDICT_NAMES } from "../../src/dataplane/verdict.ts";
import { parseIpv4, parseIpv6 } from "../../src/wire/address.ts";
import { icmpFrame, ipFrame, tcpFrame, udpFrame } from "../../src/wire/frame.ts";
import { lots } from "../kernel/book/lots.ts";
import { Story } from "../kernel/story.ts";

const ROUNDS = Number(process.env.FRAME_ROUNDS ?? 5);
const FIRST = Number(process.env.FRAME_FIRST ?? 1);
const FRAMES = 150;
const SYN = 0x02;
const VIP4 = parseIpv4("10.0.0.100")!;
const VIP6 = parseIpv6("2001:db8::100")!;
/** Protocols and IPv6's extension headers, known or not. */
const PROTOCOLS = [0, 1, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 132, 135] as const;

class Shapes {
  readonly #lot: () => number;

  constructor(seed: number) {
    this.#lot = lots(seed);
  }

  below(n: number): number {
    return Math.floor(this.#lot() * n);
  }

  frame(): Uint8Array {
    const frame = this.#sound().slice();
    for (let changes = this.below(4); changes > 0; changes--) {
      const at = 12 + this.below(Math.min(frame.length - 12, 80));
      frame[at] = this.below(2) === 0 ? this.below(256) : frame[at]! ^ (1 << this.below(8));
    }
    return this.below(7) === 0 ? frame.slice(0, this.below(frame.length)) : frame;
  }

  #sound(): Uint8Array {
    const six = this.below(5) < 2;
    const n = 1 + this.below(3);
    const ends = {
      source: six ? parseIpv6(`2001:db8:7::${n}`)! : 0x0a070000 + n,
      destination: six ? VIP6 : VIP4,
      sourcePort: 1000 + this.below(2),
      destinationPort: [80, 80, 80, 53, 53, 99, 1][this.below(7)]!,
    };
    const kind = this.below(10);
    if (kind < 4) {
      const options = new Uint8Array(six ? 0 : 4 * Math.max(0, this.below(40) - 29)).fill(1);
      return tcpFrame({
        ...ends,
        flags: this.below(2) === 0 ? SYN : this.below(64),
        ...(options.length > 0 ? { options } : {}),
      });
    }
    if (kind < 6) return udpFrame(ends);
    if (kind < 8) {
      const back = { source: ends.destination, destination: ends.source };
      const ports = { sourcePort: ends.destinationPort, destinationPort: ends.sourcePort };
      const payload = tcpFrame({ ...back, ...ports }).subarray(14);
      return icmpFrame({ ...ends, type: this.below(140), code: this.below(5), payload });
    }
    const body = new Uint8Array(this.below(60)).map(() => this.below(256));
    return ipFrame(ends, PROTOCOLS[this.below(PROTOCOLS.length)]!, body);
  }
}

async function newStory(shards: number, open: boolean): Promise<Story> {
  const story = new Story({ shards });
  await story.service("-t 10.0.0.100:80 -s rr");
  await story.service("-u 10.0.0.100:53 -s wlc -p 20");
  await story.service("--sctp-service 10.0.0.100:99 -s rr");
  await story.service("-t [2001:db8::100]:80 -s wrr", [3, 2, 1]);
  await story.service("-u [2001:db8::100]:53 -s rr -o");
  for (const name of ["schedule_icmp", "sloppy_tcp", "sloppy_sctp"] as const)
    story.sysctl(name, open ? 1 : 0);
  return story;
}

/** Verdict and frames, but for our own ICMP, which each shard numbers for itself. */
function outcomeOf({ world }: Story, frame: Uint8Array): string {
  const { sent, verdict } = world.inject(frame.slice());
  const own = VERDICT_NAMES[verdict] !== "Forwarded";
  return `${VERDICT_NAMES[verdict]} ${own ? sent.length : sent.map(hexText).join()}`;
}

it("a frame of any shape is decided alike by one shard and by three, and as explain says", async () => {
  for (let round = FIRST; round < FIRST + ROUNDS; round++) {
    const shapes = new Shapes(round);
    const [one, three] = [await newStory(1, round % 2 === 0), await newStory(3, round % 2 === 0)];
    for (let i = 0; i < FRAMES; i++) {
      const frame = shapes.frame();
      const said = `round ${round}, frame ${i}: ${hexText(frame)}`;
      const told = i % 9 === 0 ? explain(one.world.region, frame, { now: one.world.now }) : undefined;
      const outcome = outcomeOf(one, frame);
      expect(outcomeOf(three, frame), said).toBe(outcome);
      // Of a later piece of a datagram explain knows only what it is told of the others; here it waits for them.
      if (told !== undefined && told.verdict.name !== "Waiting")
        expect(outcome.split(" ")[0], said).toBe(told.verdict.name);
      if (i % 50 === 49) for (const story of [one, three]) story.pass(5);
    }
    for (const story of [one, three]) {
      const { HandedOver: _, ...verdicts } = story.verdicts();
      expect(Object.values(verdicts).reduce((sum: number, n) => sum + n!, 0)).toBe(FRAMES);
    }
    expect(three.connections()).toEqual(one.connections());
    expect(three.traffic()).toEqual(one.traffic());
  }
});
