import { describe, expect, it } from "vitest";
import { parseIpv4, parseMac } from "../../src/wire/address.ts";
import * as arp from "../../src/wire/arp.ts";
import * as value from "../../src/wire/value/arp.ts";
import { describeFrame } from "../../src/wire/value/frame.ts";
import { toHex, viewOf } from "./bytes.ts";

const DIRECTOR = parseMac("02:00:00:00:00:01")!;
const SERVER = parseMac("02:00:00:00:01:03")!;
const DIP = parseIpv4("10.0.0.1")!;
const RIP = parseIpv4("10.0.0.13")!;
const VIP = parseIpv4("10.0.0.100")!;

function written(write: (frame: DataView) => number): Uint8Array {
  const bytes = new Uint8Array(50).fill(0xaa);
  const length = write(viewOf(bytes));
  expect(toHex(bytes.subarray(length))).toBe("aa".repeat(50 - length)); // nothing beyond its end
  return bytes.subarray(0, length);
}

const summary = (frame: Uint8Array): string => describeFrame(frame)[1]!.summary;

describe("ARP frames", () => {
  it("a request is RFC 826's, byte for byte", () => {
    const frame = written((view) => arp.writeRequest(view, 0, DIRECTOR, DIP, RIP));
    expect(toHex(frame)).toBe(
      `ffffffffffff${"020000000001"}0806` +
        `0001080006040001${"020000000001"}0a000001${"000000000000"}0a00000d`,
    );
    expect(summary(frame)).toBe("ARP who has 10.0.0.13? tell 10.0.0.1");
  });

  it("a neighbour is asked again by unicast", () => {
    const frame = written((view) => arp.writeRequest(view, 0, DIRECTOR, DIP, RIP, SERVER));
    expect(toHex(frame.subarray(0, 6))).toBe("020000000103");
    expect(toHex(frame.subarray(32, 38))).toBe("000000000000");
  });

  it("a reply goes to the asker alone", () => {
    const frame = written((view) => arp.writeReply(view, 0, DIRECTOR, VIP, SERVER, RIP));
    expect(toHex(frame)).toBe(
      `${"020000000103"}${"020000000001"}0806` +
        `0001080006040002${"020000000001"}0a000064${"020000000103"}0a00000d`,
    );
    expect(summary(frame)).toBe("ARP 10.0.0.100 is at 02:00:00:00:00:01");
  });

  it("an announcement is a request to everybody whose two addresses are one (RFC 5227 §2.3)", () => {
    const frame = written((view) => arp.writeGratuitous(view, 0, DIRECTOR, VIP));
    const packet = value.parse(viewOf(frame), 14, frame.length)!;
    expect(packet).toMatchObject({ operation: 1, senderIp: VIP, targetIp: VIP, targetMac: { hi: 0, lo: 0 } });
    expect(summary(frame)).toBe("ARP 10.0.0.100 is at 02:00:00:00:00:01 (announcement)");
  });

  it("accessors read what was written", () => {
    const view = viewOf(written((frame) => arp.writeReply(frame, 0, DIRECTOR, VIP, SERVER, RIP)));
    expect([arp.operation(view, 14), arp.senderIp(view, 14), arp.targetIp(view, 14)]).toEqual([2, VIP, RIP]);
    expect([arp.senderMacHi(view, 14), arp.senderMacLo(view, 14)]).toEqual([DIRECTOR.hi, DIRECTOR.lo]);
    expect([arp.targetMacHi(view, 14), arp.targetMacLo(view, 14)]).toEqual([SERVER.hi, SERVER.lo]);
  });

  it("ARP of other hardware or protocols is not taken for ours", () => {
    const frame = written((view) => arp.writeRequest(view, 0, DIRECTOR, DIP, RIP));
    for (let byte = 14; byte < 20; byte++) {
      const other = frame.slice();
      other[byte]! ^= 1;
      expect(arp.isEthernetIpv4(viewOf(other), 14)).toBe(false);
      expect(value.parse(viewOf(other), 14, other.length)).toBeUndefined();
    }
  });
});
