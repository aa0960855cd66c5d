import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatAddress,
  formatIpv4,
  formatIpv6,
  formatMac,
  isMapped,
  mapped,
  parseAddress,
  parseIpv4,
  parseIpv6,
  parseMac,
} from "../../src/wire/address.ts";
import { mac, u32, words } from "./bytes.ts";

describe("IPv4 addresses as text", () => {
  it("come back as the number they were", () => {
    fc.assert(fc.property(u32, (address) => parseIpv4(formatIpv4(address)) === address));
  });

  it("are read most significant byte first", () => {
    expect(parseIpv4("10.0.0.100")).toBe(0x0a000064);
    expect(parseIpv4("255.255.255.255")).toBe(0xffffffff);
  });

  it.each([
    "010.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.-4",
    " 1.2.3.4",
    "1.2.3.4\n",
    "0x1.2.3.4",
    "1..2.3",
    "",
  ])("refuses %j", (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });

  it("agree with Node's own opinion on any text made of digits and dots", () => {
    const text = fc.string({ unit: fc.constantFrom(..."0129."), maxLength: 15 });
    fc.assert(
      fc.property(text, (s) => (parseIpv4(s) !== undefined) === isIPv4(s)),
      { numRuns: 2000 },
    );
  });
});

/** The WHATWG URL parser shortens IPv6 addresses as RFC 5952 does, but writes mapped ones in hex. */
function independent(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

describe("IPv6 addresses as text", () => {
  it("come back as the words they were", () => {
    fc.assert(
      fc.property(words, (address) => {
        expect(parseIpv6(formatIpv6(address))).toEqual(address);
      }),
    );
  });

  it("are written as RFC 5952 asks, zeros and all", () => {
    // Words with many zero groups, where the shortening has something to decide.
    const sparse = fc.tuple(
      ...([0, 1, 2, 3].map(() => fc.constantFrom(0, 1, 0x10000, 0xabcd0001)) as [
        typeof u32,
        typeof u32,
        typeof u32,
        typeof u32,
      ]),
    );
    fc.assert(
      fc.property(sparse, (address) => {
        if (!isMapped(address)) expect(formatIpv6(address)).toBe(independent(formatIpv6(address)));
      }),
    );
  });

  it.each([
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // a single zero stays
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // the longer run
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // the first of equals
    ["0:0:0:0:0:0:0:0", "::"],
    ["1::", "1::"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["::ffff:a00:1", "::ffff:10.0.0.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ])("%s is written %s", (text, canonical) => {
    expect(formatIpv6(parseIpv6(text)!)).toBe(canonical);
  });

  it("agree with Node's own opinion on any text made of what addresses are made of", () => {
    const text = fc
      .array(fc.constantFrom("0", "1", "ffff", "12345", ":", ":", "::", "1.2.3.4", ".", "g"), {
        maxLength: 18,
      })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (s) => (parseIpv6(s) !== undefined) === isIPv6(s)),
      { numRuns: 5000 },
    );
  });

  it("refuse zones, prefixes and brackets", () => {
    for (const text of ["fe80::1%eth0", "::1/128", "[::1]", ""]) expect(parseIpv6(text)).toBeUndefined();
  });

  it("refuse a '::' that stands for nothing, and take one that stands for a single group", () => {
    expect(parseIpv6("1:2:3:4::5:6:7:8")).toBeUndefined();
    expect(parseIpv6("1:2:3:4:5:6:7::")).toEqual([0x10002, 0x30004, 0x50006, 0x70000]);
  });
});

describe("table keys", () => {
  it("hold an IPv4 address as its mapped IPv6 address", () => {
    expect(mapped(0x0a000001)).toEqual([0, 0, 0xffff, 0x0a000001]);
    expect(parseAddress("10.0.0.1")).toEqual(parseAddress("::ffff:10.0.0.1"));
    expect(formatAddress(mapped(0x0a000001))).toBe("10.0.0.1");
    expect(isMapped(parseIpv6("::ffff:0:1")!)).toBe(true);
    for (const text of ["::1", "::fffe:0:1", "::1:0:1"]) expect(isMapped(parseIpv6(text)!)).toBe(false);
    expect(isMapped(parseIpv6("1::ffff:0:1")!)).toBe(false);
  });
});

describe("MACs as text", () => {
  it("come back as the numbers they were", () => {
    fc.assert(
      fc.property(mac, (address) => {
        expect(parseMac(formatMac(address))).toEqual(address);
      }),
    );
  });

  it("are read with colons or dashes, not with a mixture or with single digits", () => {
    expect(parseMac("02:00:00:00:01:0A")).toEqual({ hi: 0x0200, lo: 0x0000010a });
    expect(parseMac("02-00-00-00-01-0a")).toEqual({ hi: 0x0200, lo: 0x0000010a });
    for (const text of ["02:00:00:00:01", "02:00-00:00:01:0a", "2:0:0:0:1:a", "02:00:00:00:01:0g", ""])
      expect(parseMac(text)).toBeUndefined();
  });
});
