// Every test: first those that need nothing but Node, then those that meet the world in network namespaces.
// The last line is `N passed, N failed` (and `, N skipped` when there are any, each listed above with its reason).
// Further arguments go to vitest: `npm test -- test/lab`. With CI=true a skipped test is a failure.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");
const scratch = mkdtempSync(join(tmpdir(), "dr-director-test-"));

// An ordinary user is root in a user namespace of their own; that is all the namespaces of the lab need.
const ordinary = process.getuid() !== 0;
const asRoot = ordinary ? ["unshare", "--user", "--map-root-user", "--net"] : [];

function runProject(project) {
  const file = join(scratch, `${project}.json`);
  const vitest = [process.execPath, VITEST, "run", "--project", project, "--passWithNoTests"];
  const reporters = ["--reporter=default", `--reporter=${join(ROOT, "scripts", "count-reporter.mjs")}`];
  const command = [...(project === "world" ? asRoot : []), ...vitest, ...reporters, ...process.argv.slice(2)];
  const run = spawnSync(command[0], command.slice(1), {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      DR_DIRECTOR_TEST_RESULTS: file,
      ...(ordinary ? { DR_DIRECTOR_LAB_USER_NAMESPACE: "1" } : {}), // src/lab/privilege.ts
    },
  });
  if (!existsSync(file))
    return {
      passed: 0,
      failed: [`${project}: vitest ended with ${run.signal ?? run.status} and no results`],
      skipped: [],
    };
  const results = JSON.parse(readFileSync(file, "utf8"));
  if (run.status !== 0 && results.failed.length === 0)
    results.failed.push(`${project}: vitest ended with ${run.signal ?? run.status}`);
  return results;
}

function list(title, names) {
  if (names.length > 0) process.stdout.write(`\n${title}:\n${names.map((name) => `  ${name}\n`).join("")}`);
}

const projects = ["unit", "world"].map(runProject);
rmSync(scratch, { recursive: true, force: true });
const passed = projects.reduce((sum, results) => sum + results.passed, 0);
const failed = projects.flatMap((results) => results.failed);
const skipped = projects.flatMap((results) => results.skipped);

list("skipped", skipped);
list("failed", failed);
const strict = process.env.CI === "true" && skipped.length > 0;
if (strict) process.stdout.write("\nCI=true: a skipped test is not a passed one.\n");
process.stdout.write(
  `\n${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}\n`,
);
process.exit(failed.length > 0 || strict || passed === 0 ? 1 : 0);
