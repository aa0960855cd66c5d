// The tests that mutants are held to: quick ones, without namespaces, and a handful of the kernel's recordings.
import { defineConfig } from "vitest/config";

// biome-ignore lint/style/noDefaultExport: vitest wants one
export default defineConfig({
  test: {
    include: [
      "test/schedulers/**/*.test.ts",
      "test/kernel/**/*.test.ts",
      "test/dataplane/{forwarding,shards,drop-entry}.test.ts",
      "test/control/{commands,recover,rehome,marks}.test.ts",
      "test/table/**/*.test.ts",
      "tools/mutation/recordings.test.ts",
    ],
    exclude: ["test/schedulers/recorded.test.ts"],
    testTimeout: 20_000,
  },
});
