// A vitest reporter that writes down how each test ended, with the reasons of skipped ones, for scripts/test.mjs.
import { writeFileSync } from "node:fs";

// biome-ignore lint/style/noDefaultExport: vitest loads a reporter by its default export
export default class CountReporter {
  results = { passed: 0, failed: [], skipped: [] };

  onTestCaseResult(test) {
    const result = test.result();
    const name = `${test.module.relativeModuleId} › ${test.fullName}`;
    if (result.state === "passed") this.results.passed++;
    else if (result.state === "failed") this.results.failed.push(name);
    else this.results.skipped.push(result.note ? `${name} (${result.note})` : name);
  }

  onTestRunEnd(modules, unhandled) {
    for (const module of modules) {
      // A file that cannot even be loaded has no test that could fail: the file itself counts.
      for (const suite of [module, ...module.children.allSuites()]) {
        if (suite.errors().length > 0)
          this.results.failed.push(`${module.relativeModuleId} › ${suite.fullName ?? "(the file itself)"}`);
      }
    }
    for (const error of unhandled) this.results.failed.push(`outside of any test: ${error.message}`);
    writeFileSync(process.env.DR_DIRECTOR_TEST_RESULTS, JSON.stringify(this.results));
  }
}
