import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../../src/wire/address.ts";
import { BatchReplies } from "../../src/wire/batch-replies.ts";
import * as netlink from "../../src/wire/netlink.ts";
import { concat, HOST_LITTLE_ENDIAN, MessageFlag } from "../../src/wire/netlink.ts";
import { parseTable } from "../../src/wire/nftables.ts";
import { silenceBatch, unsilenceBatch } from "../../src/wire/silence.ts";
import { bytes, fromHex, toHex, u16, u32, viewOf } from "./bytes.ts";

const attributeType = fc.nat(0x3fff);

/** An error reply as the kernel writes it (netlink_ack). */
function reply(sequence: number, errno: number, text = ""): Uint8Array {
  const request = netlink.message(1, 0, sequence);
  const error = viewOf(new Uint8Array(4));
  error.setInt32(0, -errno, HOST_LITTLE_ENDIAN);
  const flags = text === "" ? 0 : MessageFlag.Capped | MessageFlag.Explained;
  const explained = text === "" ? [] : [netlink.attributeString(1, text), netlink.attributeU32(2, 36)];
  return netlink.message(2, flags, sequence, new Uint8Array(error.buffer), request, ...explained);
}

describe("netlink messages", () => {
  it("attributes come back by type, nested ones too", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(attributeType, bytes(30)), { selector: ([type]) => type }),
        (list) => {
          const inner = concat(list.map(([type, value]) => netlink.attribute(type, value)));
          const outer = netlink.nested(7, inner);
          const view = viewOf(outer);
          const nest = netlink.parseAttributes(view, 0, outer.length).get(7)!;
          const found = netlink.parseAttributes(view, nest.at, nest.end);
          expect(found.size).toBe(list.length);
          for (const [type, value] of list) {
            const { at, end } = found.get(type)!;
            expect(toHex(outer.subarray(at, end))).toBe(toHex(value));
          }
        },
      ),
    );
  });

  it("several in one datagram come back in order", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ type: u16, flags: u16, sequence: u32, body: bytes(9) })), (list) => {
        // A message may be any length; the next one begins on a word.
        const datagram = concat(
          list.flatMap(({ type, flags, sequence, body }) => [
            netlink.message(type, flags, sequence, body),
            new Uint8Array(-body.length & 3),
          ]),
        );
        const found = netlink.parseMessages(datagram);
        expect(found.map(({ type, flags, sequence }) => ({ type, flags, sequence }))).toEqual(
          list.map(({ type, flags, sequence }) => ({ type, flags, sequence })),
        );
      }),
    );
  });

  it("any datagram at all is read without an exception", () => {
    const prefix = fc.constantFrom(reply(5, 17, "why"), unsilenceBatch("t", 1).bytes, new Uint8Array(0));
    fc.assert(
      fc.property(prefix, fc.nat(60), fc.nat(255), bytes(60), (known, at, value, noise) => {
        const datagram = concat([known, noise]);
        if (at < datagram.length) datagram[at] = value;
        for (const message of netlink.parseMessages(datagram)) {
          netlink.parseAcknowledgement(message);
          parseTable(message);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("an error says which request, why, and where", () => {
    const [message] = netlink.parseMessages(reply(9, 17, "Chain exists"));
    expect(netlink.parseAcknowledgement(message!)).toEqual({
      sequence: 9,
      errno: 17,
      text: "Chain exists",
      offset: 36,
    });
    const [done] = netlink.parseMessages(reply(10, 0));
    expect(netlink.parseAcknowledgement(done!)).toEqual({ sequence: 10, errno: 0, text: "", offset: -1 });
  });
});

describe.runIf(HOST_LITTLE_ENDIAN)("the silence batch", () => {
  it("that takes a table away is these bytes", () => {
    // begin, NFT_MSG_DELTABLE with its name, end: nlmsghdr, nfgenmsg, attributes
    expect(toHex(unsilenceBatch("dr", 0x64).bytes)).toBe(
      "14000000" +
        "1000" +
        "0100" +
        "64000000" +
        "00000000" +
        "0000000a" +
        "1c000000" +
        "020a" +
        "0500" +
        "65000000" +
        "00000000" +
        "05000000" +
        "0700010064720000" +
        "14000000" +
        "1100" +
        "0100" +
        "66000000" +
        "00000000" +
        "0000000a",
    );
  });

  it("names what each request asks for, and numbers them in order", () => {
    const services = [{ protocol: 6, address: parseIpv4("10.0.0.100")!, port: 80 }];
    const batch = silenceBatch({ table: "dr", device: "eth0", services, replace: true }, 7);
    expect(batch.about).toEqual([
      "deletion of table dr",
      "table dr",
      "chain ingress on the ingress of eth0",
      "set pieces",
      "elements of set pieces",
      "rule in chain ingress",
      "rule in chain ingress",
      "set services",
      "elements of set services",
      "rule in chain ingress",
    ]);
    const messages = netlink.parseMessages(batch.bytes);
    expect(messages.map(({ sequence }) => sequence)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it("keeps every attribute's 16-bit length, with ten thousand services too", () => {
    const services = Array.from({ length: 10_000 }, (_, i) => ({
      protocol: 17,
      address: [0x20010db8, 0, 0, i >>> 4] as const,
      port: 1 + i,
    }));
    const batch = silenceBatch({ table: "dr", device: "eth0", services }, 1);
    let elements = 0;
    for (const message of netlink.parseMessages(batch.bytes)) {
      const list = netlink.parseAttributes(message.view, message.at + 4, message.end).get(3);
      if (message.type !== 0x0a0c || list === undefined) continue;
      let at = list.at;
      while (at < list.end) {
        elements++;
        at += message.view.getUint16(at, true);
      }
    }
    expect(elements).toBe(10_000 + 625);
  });
});

describe("the replies to a batch", () => {
  const batch = unsilenceBatch("dr", 20);
  const two = { ...batch, about: ["first", "second"] };

  it("are complete when every request has its own, in one datagram or several", () => {
    const replies = new BatchReplies(two);
    expect(replies.take(reply(99, 1))).toBe(false); // somebody else's
    expect(replies.take(reply(21, 0))).toBe(false);
    expect(replies.take(reply(22, 0))).toBe(true);
    expect(replies.failure).toBeUndefined();
    expect(new BatchReplies(two).take(concat([reply(21, 0), reply(22, 0)]))).toBe(true);
  });

  it("name the first request that was refused", () => {
    const replies = new BatchReplies(two);
    const three = new BatchReplies({ ...two, about: ["first", "second", "third"] });
    three.take(concat([reply(22, 1), reply(23, 2)]));
    expect(three.failure).toMatchObject({ about: "second", errno: 1 });
    expect(replies.take(concat([reply(21, 0), reply(22, 1, "not yours")]))).toBe(true);
    expect(replies.failure).toEqual({
      about: "second",
      sequence: 22,
      errno: 1,
      text: "not yours",
      offset: 36,
    });
  });

  it("end at once when the whole was refused", () => {
    const replies = new BatchReplies(two);
    expect(replies.take(reply(20, 95))).toBe(true);
    expect(replies.failure).toMatchObject({ errno: 95, about: "the batch as a whole" });
  });
});

it("a table's answer is read", () => {
  const body = concat([
    fromHex("05000000"),
    netlink.attributeString(1, "dr"),
    netlink.attributeBe32(2, 2),
    netlink.attributeBe32(7, 4242),
  ]);
  const [message] = netlink.parseMessages(netlink.message(0x0a00, 0, 1, body));
  expect(parseTable(message!)).toEqual({ name: "dr", owned: true, owner: 4242 });
});
