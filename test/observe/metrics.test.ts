import { describe, expect, it } from "vitest";
import { TCP_FLAGS } from "../../src/wire/tcp.ts";
import { client, tcp, World } from "../dataplane/world.ts";
import { listed, metricsOf } from "./metrics-of.ts";

/** Value by series, as in the text. */
function series(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ")),
      Number(line.slice(line.lastIndexOf(" ") + 1)),
    ]),
  );
}

describe("metrics", () => {
  it("show what the tables hold, at every scrape anew", async () => {
    const world = new World({ weights: [1, 1] });
    const metrics = metricsOf(world);
    for (let scrape = 1; scrape <= 2; scrape++) {
      world.send(tcp({ source: client(scrape), sourcePort: 1000, flags: TCP_FLAGS.SYN }));
      const all = series(await metrics.text());
      const service = 'protocol="tcp",address="10.0.0.100",port="80",mark="0"';
      expect(all.get(`dr_director_service_connections_total{${service}}`)).toBe(scrape);
      expect(all.get('dr_director_frames_total{shard="0",verdict="Forwarded"}')).toBe(scrape);
      expect(all.get('dr_director_connections{shard="0"}')).toBe(scrape);
      expect(all.get(`dr_director_destination_weight{${service},server="10.0.0.11",server_port="80"}`)).toBe(
        1,
      );
      expect(all.get('dr_director_neighbour_state{address="10.0.0.11",state="reachable"}')).toBe(1);
      expect(all.get('dr_director_build_info{version="0.0.0",ring="memory",node="v0"}')).toBe(1);
    }
  });

  it("have every verdict, each series once, and counters that end in _total", async () => {
    const text = await metricsOf(new World()).text();
    const names = text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.replace(/ [^ ]*$/, ""));
    expect(new Set(names).size).toBe(names.length);
    const counters = [...text.matchAll(/^# TYPE (\S+) counter$/gm)].map((match) => match[1]!);
    expect(counters.filter((name) => !name.endsWith("_total"))).toEqual([]);
    expect(names.filter((name) => name.startsWith("dr_director_frames_total"))).toHaveLength(22);
  });

  it("give real servers beyond the ten thousandth no series, and say how many", async () => {
    const world = new World({ weights: [1, 1] });
    const [service] = listed(world);
    const servers = Array.from({ length: 12_000 }, (_, i) => ({ ...service!.servers[0]!, port: i }));
    const text = await metricsOf(world, [{ ...service!, servers }]).text();
    const rows = [...text.matchAll(/^dr_director_destination_weight\{/gm)];
    expect(rows).toHaveLength(10_000);
    expect(series(text).get("dr_director_destinations_omitted")).toBe(2_000);
    expect(text).toMatch(/^dr_director_service_destinations\{.*\} 12000$/m);
  });

  it("forget a server that is gone", async () => {
    const world = new World({ weights: [1, 1] });
    const metrics = metricsOf(world);
    expect(await metrics.text()).toContain('server="10.0.0.12"');
    world.deleteServer(2);
    expect(await metrics.text()).not.toContain('server="10.0.0.12"');
  });
});
