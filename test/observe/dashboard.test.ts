/** The dashboard and the alerts against the metrics that are really served. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { World } from "../dataplane/world.ts";
import { metricsOf } from "./metrics-of.ts";

const read = (path: string): string =>
  readFileSync(new URL(`../../packaging/${path}`, import.meta.url), "utf8");

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; refId: string; datasource: { uid: string } }[];
}

const dashboard = JSON.parse(read("grafana/dr-director.json")) as { panels: Panel[] };
const queries = dashboard.panels.flatMap((panel) => panel.targets ?? []).map(({ expr }) => expr);
const used = (promql: string): string[] => promql.match(/\b(?:dr_director|process)_\w+/g) ?? [];

let served: string[];
beforeAll(async () => {
  const text = await metricsOf(new World()).text();
  served = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!);
});

test("every metric is shown, and nothing is asked for that is not served", () => {
  expect(new Set(queries.flatMap(used))).toEqual(new Set(served));
});

test("alerts ask for metrics that are served", () => {
  const { groups } = parse(read("prometheus/dr-director.rules.yml")) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  const asked = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => used(expr)));
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((name) => !served.includes(name))).toEqual([]);
});

test("panels have names of their own, lie in the grid, and never one over another", () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    const { x, y, w, h } = gridPos;
    expect(x + w, title).toBeLessThanOrEqual(24);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        expect(taken.has(`${i} ${j}`), title).toBe(false);
        taken.add(`${i} ${j}`);
      }
    }
  }
});

test("whoever provisions it chooses the data source and the director", () => {
  for (const panel of dashboard.panels) {
    for (const { datasource, expr } of panel.targets ?? []) {
      expect(datasource.uid).toBe("$" + "{datasource}");
      expect(expr).toContain('instance=~"$instance"');
    }
  }
  const { providers } = parse(read("grafana/provisioning/dashboards/dr-director.yaml")) as {
    providers: unknown[];
  };
  expect(providers).toHaveLength(1);
});
