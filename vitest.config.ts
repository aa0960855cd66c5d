import { defineConfig } from "vitest/config";

// Two projects: `unit` needs nothing but Node; `world` makes network namespaces and runs real programs,
// one file at a time, because two of them on two cores would spoil each other's timing.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/netns/**", "test/interop/**", "test/web/**"],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "world",
          include: ["test/netns/**/*.test.ts", "test/interop/**/*.test.ts", "test/web/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          // Kernel timers, ARP and real programs on a machine that others load too: a story that fails is told once
          // more; one that fails twice has failed.
          retry: 1,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
