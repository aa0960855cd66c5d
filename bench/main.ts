import { runCases } from "./path/run.ts";
import { median, ratio } from "./statistics.ts";

const names = process.argv[2]!.split(",");
const r = await runCases(names, Number(process.argv[3] ?? 9), (l) => console.error(l));
for (const [n, c] of Object.entries(r)) {
  const o = c.rounds.map((x) => x["ours"]!),
    cc = c.rounds.map((x) => x["c"]!);
  const q = ratio(cc, o);
  console.log(
    n.padEnd(20),
    "ours",
    median(o).toFixed(1),
    "c",
    median(cc).toFixed(1),
    "c/ours",
    q.median.toFixed(3),
    q.min.toFixed(2),
    q.max.toFixed(2),
    "MB",
    (c.resident / 1e6) | 0,
    c.rounds[0]!["expiryOurs"]
      ? "expiry " +
          median(c.rounds.map((x) => x["expiryOurs"]!)).toFixed(0) +
          " " +
          median(c.rounds.map((x) => x["expiryC"]!)).toFixed(0)
      : "",
  );
}
