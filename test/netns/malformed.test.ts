import { expect, onTestFinished, test } from "vitest";
import { Capture } from "../../src/lab/capture.ts";
import { Injector } from "../../src/lab/enter.ts";
import { isIpv4, pairFrames } from "../../src/lab/evidence.ts";
import { clientAddress, DIP, HTTP_PORT, macOf, ROUTER, VIP } from "../../src/lab/topology.ts";
import { parseIpv4, parseMac } from "../../src/wire/address.ts";
import { ETH_HEADER, ETH_TYPE, EtherType } from "../../src/wire/ethernet.ts";
import { tcpFrame } from "../../src/wire/frame.ts";
import { IPV4_TOTAL_LENGTH, IPV4_VERSION_LENGTH, writeChecksum } from "../../src/wire/ipv4.ts";
import { TCP_DATA_OFFSET } from "../../src/wire/tcp.ts";
import { type Cluster, makeCluster, RINGS, verdictSum } from "../helpers/cluster.ts";
import { eventually, hexOf } from "../helpers/world.ts";

let port = 20_000;

/** A SYN for the VIP as the router would send it; each from another port. */
function syn(fields: Partial<Parameters<typeof tcpFrame>[0]> = {}): Uint8Array {
  return tcpFrame({
    source: parseIpv4(clientAddress(0))!,
    destination: parseIpv4(VIP)!,
    sourceMac: parseMac(macOf(ROUTER))!,
    destinationMac: parseMac(macOf(DIP))!,
    sourcePort: port++,
    destinationPort: HTTP_PORT,
    tcpOptions: Uint8Array.of(2, 4, 5, 180),
    ...fields,
  });
}

/** A copy with some bytes of the IP header changed and its checksum made right again. */
function withIp(frame: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  change(view);
  if ((copy[ETH_HEADER]! & 15) >= 5 && copy.length >= ETH_HEADER + (copy[ETH_HEADER]! & 15) * 4) {
    writeChecksum(view, ETH_HEADER);
  }
  return copy;
}

function* truncated(): Generator<Uint8Array> {
  const whole = syn({ payload: new Uint8Array(8) });
  for (let length = ETH_HEADER; length <= whole.length; length++) yield whole.subarray(0, length);
}

function* wrongLengths(): Generator<Uint8Array> {
  const frame = syn();
  for (const length of [0, 1, 19, 20, 21, 39, 41, 43, 45, 1500, 65_535]) {
    yield withIp(frame, (view) => view.setUint16(ETH_HEADER + IPV4_TOTAL_LENGTH, length));
  }
  for (let ihl = 0; ihl < 16; ihl++) {
    yield withIp(syn(), (view) => view.setUint8(ETH_HEADER + IPV4_VERSION_LENGTH, 0x40 | ihl));
  }
  for (const version of [0, 3, 5, 6, 15]) {
    yield withIp(syn(), (view) => view.setUint8(ETH_HEADER + IPV4_VERSION_LENGTH, (version << 4) | 5));
  }
  for (let offset = 0; offset < 16; offset++) {
    yield withIp(syn(), (view) => view.setUint8(ETH_HEADER + 20 + TCP_DATA_OFFSET, offset << 4));
  }
}

function* options(): Generator<Uint8Array> {
  const kinds = [0, 1, 7, 68, 130, 131, 137, 148, 255];
  for (const kind of kinds) {
    for (const length of [0, 1, 3, 4, 40, 255])
      yield syn({ options: Uint8Array.of(kind, length, 4, 0, 0, 0, 0, 0) });
  }
  yield syn({ options: new Uint8Array(40).fill(1) });
}

function* everyEtherType(): Generator<Uint8Array> {
  const frame = syn();
  for (let type = 0; type < 65_536; type++) {
    if (type === EtherType.Ipv4) continue;
    new DataView(frame.buffer, frame.byteOffset).setUint16(ETH_TYPE, type);
    yield frame;
  }
}

function* fragments(): Generator<Uint8Array> {
  for (const fragmentOffset of [8, 64, 65_528]) yield syn({ fragmentOffset, moreFragments: false });
  yield syn({ moreFragments: true });
  yield syn({ moreFragments: true, dontFragment: true, fragmentOffset: 8 });
}

/** Injects at the router; tells what the director counted and what left its host. */
async function inject(cluster: Cluster, frames: Iterable<Uint8Array>) {
  const injector = new Injector(cluster.lab.in("router"), "eth1");
  onTestFinished(() => injector.close());
  const capture = await Capture.start(cluster.lab, "switch", "director");
  const before = await verdictSum(cluster.director);
  let count = 0;
  for (const frame of frames) {
    injector.send(frame);
    // Not more at once than a socket's buffer holds: what the kernel drops is no proof of anything.
    if (++count % 256 === 0) await cluster.director.counters();
  }
  // A frame that is certainly counted, after all the others.
  injector.send(syn());
  const marker = port - 1;
  await eventually("the last frame was forwarded", () =>
    pairFrames(capture.frames).pairs.find(
      ({ after }) => ((after.bytes[34]! << 8) | after.bytes[35]!) === marker,
    ),
  );
  await capture.quiet();
  const after = await verdictSum(cluster.director);
  await capture.stop();
  return { before, after, capture };
}

const STORIES: [string, () => Iterable<Uint8Array>][] = [
  ["truncated at every byte", truncated],
  ["with wrong lengths, versions and offsets", wrongLengths],
  ["with IP options, right and wrong", options],
  ["of every EtherType", everyEtherType],
  ["that are fragments without a beginning or an end", fragments],
];

const CASES = RINGS.flatMap((each) => STORIES.map(([what, frames]) => ({ ...each, what, frames })));

for (const { ring, config, what, frames } of CASES) {
  test(`frames ${what}: each received one has its verdict, nothing strange leaves, and requests go on, ${ring}`, async () => {
    const cluster = await makeCluster({ config });
    await cluster.client.request({ requests: 3 }); // neighbours are known: no ARP between
    const { before, after, capture } = await inject(cluster, frames());
    expect(before.sum).toBe(before.received);
    expect(after.sum).toBe(after.received);
    // Only frames that came in like this leave, one for each Forwarded: no answer of ours, no reset, no ICMP.
    const { pairs, strange } = pairFrames(capture.frames);
    expect(hexOf(strange)).toEqual([]);
    const ours = new Set(pairs.map((pair) => pair.after));
    const others = capture.frames.filter((frame) => !frame.sent && isIpv4(frame) && !ours.has(frame));
    expect(hexOf(others)).toEqual([]);
    expect(pairs.length).toBe(after.verdicts.Forwarded! - before.verdicts.Forwarded!);
    expect(cluster.director.program.running).toBe(true);
    expect(await cluster.client.request({ requests: 6 })).toMatchObject({ failed: 0 });
  });
}
