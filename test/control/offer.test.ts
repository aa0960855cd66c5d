/** What goes from a director to its successor: every descriptor beside the message, every other word in it. */
import { expect, test } from "vitest";
import { type Offer, packOffer, unpackOffer } from "../../src/control/offer.ts";

const AT = { producer: 0, consumer: 64, descriptors: 128 };
const BASE = {
  pid: 7,
  interface: "eth0",
  interfaceIndex: 3,
  sizes: { shards: 1, services: 1, destinations: 1, connections: 1, templates: 1, neighbours: 1 },
  state: 100,
  stateBytes: 4096,
  arp: 101,
  vips: [{ address: "10.0.0.100", active: false }],
};
const PACKET = { rx: 110, tx: 111, wake: 112, slots: 8 };
const XDP = {
  fd: 120,
  wake: 121,
  memory: 122,
  chunkBytes: 2048,
  chunks: 4,
  own: 1,
  ringSize: 8,
  receive: AT,
  send: AT,
  fill: AT,
  completion: AT,
  mode: "native copy",
} as const;

const OFFERS: [string, Offer][] = [
  ["AF_PACKET", { ...BASE, sockets: [PACKET, { ...PACKET, rx: 113 }] } as unknown as Offer],
  [
    "AF_XDP",
    { ...BASE, sockets: [XDP], xdp: { link: 130, program: 131, services: 132, networks: 133, sockets: 134 } },
  ],
  [
    "a silence",
    { ...BASE, sockets: [], silence: { fd: 140, table: "dr-director-eth0-7", owned: true, sequence: 12 } },
  ],
];

test.each(OFFERS)("%s arrives whole, with descriptors of the other process", (_what, offer) => {
  const { message, fds } = packOffer(offer);
  const overThere = fds.map((fd) => fd + 1_000);
  const arrived = unpackOffer(JSON.parse(JSON.stringify(message)), overThere);
  // Everything that was a descriptor here is its counterpart there, and nothing else is touched.
  const moved = JSON.parse(JSON.stringify(offer), (_, value) =>
    typeof value === "number" && fds.includes(value) ? value + 1_000 : value,
  );
  expect(arrived).toEqual(moved);
});

test("one that cannot be understood is told, not half understood", () => {
  const { message, fds } = packOffer(OFFERS[1]![1]);
  expect(unpackOffer(JSON.parse(JSON.stringify(message)), fds.slice(1))).toMatch(/a descriptor is missing/);
  expect(unpackOffer({ ...message, protocol: 9 }, fds)).toMatch(/speaks takeover 9/);
  expect(unpackOffer({ ...message, layout: 9 }, fds)).toMatch(/layout 9/);
});
