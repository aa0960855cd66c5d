/** drop_entry and persistence: ip_vs_random_dropentry and todrop_entry (ip_vs_conn.c). */
import { describe, expect, it } from "vitest";
import { Story } from "./story.ts";

/** Clients whose template, or whose connection, is listed and has time left. */
function clients(story: Story, what: "template" | "connection"): Set<string> {
  const rows = story.connections().map((row) => row.split(" "));
  const alive = rows.filter((row) => row.at(-1) !== "0");
  const chosen = alive.filter(([, from]) => from!.endsWith(":0") === (what === "template"));
  return new Set(chosen.map(([, from]) => from!.split(":")[0]!));
}

describe("a template", () => {
  it("that never saw an established connection goes with its last one", async () => {
    const story = new Story();
    await story.service("-t 10.0.0.100:80 -s rr -p 300");
    for (let n = 1; n <= 100; n++) story.tcp(`10.7.0.${n}:1000`, "S");
    for (let n = 1; n <= 20; n++) story.tcp(`10.7.0.${n}:1000`, "A");
    story.sysctl("drop_entry", 3);
    for (let second = 0; second < 40; second++) {
      story.pass(1);
      expect(clients(story, "template")).toEqual(clients(story, "connection"));
    }
    expect(clients(story, "connection").size).toBeLessThan(80);
    for (let n = 1; n <= 20; n++) expect(clients(story, "template")).toContain(`10.7.0.${n}`);
  });

  it("of one-packet scheduling goes when it is silent for a minute and carried little, else never", async () => {
    const story = new Story();
    await story.service("-u 10.0.0.100:53 -s rr -o -p 900");
    for (let n = 1; n <= 100; n++)
      for (let frame = 0; frame < (n <= 50 ? 9 : 3); frame++) story.udp(`10.7.0.${n}:${1000 + frame}`);
    story.sysctl("drop_entry", 3);
    story.pass(59);
    expect(clients(story, "template").size).toBe(100);
    story.pass(400);
    const left = clients(story, "template");
    for (let n = 1; n <= 50; n++) expect(left).toContain(`10.7.0.${n}`);
    expect(left.size).toBeLessThan(80);
  });
});
