/** Stages by tinybench: nanoseconds a frame. */
import { Bench } from "tinybench";
import type { Stage } from "./stages.ts";

export interface Measured {
  readonly name: string;
  readonly samples: number;
  /** Nanoseconds a frame. */
  readonly p50: number;
  readonly p75: number;
  readonly p99: number;
}

/** Each for about so many milliseconds, once as long before it counts. */
export function measure(stages: readonly Stage[], milliseconds: number): Measured[] {
  return stages.map((stage) => {
    const bench = new Bench({ time: milliseconds, warmupTime: milliseconds });
    bench.add(stage.name, () => stage.run(), {
      beforeEach: () => stage.before?.(),
      afterEach: () => stage.after?.(),
    });
    const [task] = bench.runSync();
    const result = task!.result;
    if (!("latency" in result))
      throw new Error(`${stage.name}: ${"error" in result ? result.error : result.state}`);
    const { p50, p75, p99, samplesCount } = result.latency;
    const each = (value: number) => (value * 1e6) / stage.frames;
    return { name: stage.name, samples: samplesCount, p50: each(p50), p75: each(p75), p99: each(p99) };
  });
}
