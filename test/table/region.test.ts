import { expect, test } from "vitest";
import { Header, ShardCell } from "../../src/table/region.ts";

test("no two words of the region's header, and none of a shard's, share a place", () => {
  for (const names of [Header, ShardCell]) {
    const places = Object.values(names);
    expect(new Set(places).size).toBe(places.length);
  }
});
