import { BlockList } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIpv4, mapped, parseAddress } from "../../src/wire/address.ts";
import {
  contains,
  formatCidr,
  formatEndpoint,
  maskOfPrefix,
  parseCidr,
  parseEndpoint,
  prefixOfMask,
} from "../../src/wire/network.ts";
import { u16, u32, words } from "./bytes.ts";

describe("networks", () => {
  it("hold an address exactly when Node's own list says so", () => {
    const prefix = fc.integer({ min: 0, max: 32 });
    const near = fc.tuple(u32, prefix, fc.integer({ min: 0, max: 31 })).map(([a, p, bit]) => ({
      network: a,
      prefix: p,
      address: (a ^ (1 << bit)) >>> 0, // differs in one bit: inside or outside by the prefix alone
    }));
    fc.assert(
      fc.property(near, ({ network, prefix, address }) => {
        const list = new BlockList();
        list.addSubnet(formatIpv4(network), prefix);
        const ours = contains({ address: mapped(network), prefix }, mapped(address));
        expect(ours).toBe(list.check(formatIpv4(address)));
      }),
    );
  });

  it("of IPv6 look at all four words", () => {
    const network = parseCidr("2001:db8:0:8000::/49")!;
    expect(contains(network, parseAddress("2001:db8:0:8000::1")!)).toBe(true);
    expect(contains(network, parseAddress("2001:db8:0:7fff::1")!)).toBe(false);
    expect(contains(parseCidr("::/0")!, parseAddress("10.0.0.1")!)).toBe(false);
  });

  it("are read with or without prefix, and refused with a wrong one", () => {
    expect(parseCidr("10.1.2.3")).toEqual({ address: mapped(0x0a010203), prefix: 32 });
    expect(parseCidr("::ffff:10.0.0.0/104")).toEqual(parseCidr("10.0.0.0/8"));
    expect(formatCidr(parseCidr("10.0.0.0/8")!)).toBe("10.0.0.0/8");
    for (const text of [
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "::/129",
      "::ffff:1.2.3.4/95",
      "x/8",
    ])
      expect(parseCidr(text)).toBeUndefined();
  });

  it("masks and prefixes are each other's inverse", () => {
    for (let prefix = 0; prefix <= 32; prefix++) expect(prefixOfMask(maskOfPrefix(prefix))).toBe(prefix);
    expect(maskOfPrefix(24)).toBe(0xffffff00);
    expect(prefixOfMask(0xff00ff00)).toBeUndefined();
  });
});

describe("endpoints", () => {
  it("come back as they were", () => {
    fc.assert(
      fc.property(fc.oneof(u32.map(mapped), words), u16, (address, port) => {
        expect(parseEndpoint(formatEndpoint({ address, port }))).toEqual({ address, port });
      }),
    );
  });

  it("need brackets around an IPv6 address, and a port", () => {
    expect(formatEndpoint(parseEndpoint("[2001:db8::1]:80")!)).toBe("[2001:db8::1]:80");
    for (const text of ["2001:db8::1:80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "[10.0.0.1]:80", ":80"])
      expect(parseEndpoint(text)).toBeUndefined();
  });
});
