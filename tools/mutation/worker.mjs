/**
 * A process that holds the tests and the instrumented code. It is sent { load, mutant }, then { watch } or
 * { mutant, tests, limit } as often as wanted, and answers each.
 */
import { activate, unwatch, watch } from "./switch.mjs";
import { runTest, tests } from "./vitest.mjs";

const IDLE = 30_000;

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("does not end")), IDLE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function load({ load: files, mutant }) {
  activate(mutant ?? "");
  const met = watch();
  for (const file of files) {
    const from = tests.length;
    await import(file);
    for (const test of tests.slice(from)) test.file = file;
  }
  unwatch();
  const names = tests.map(({ name, suite, file }) => ({ name: `${suite.name} ${name}`, file }));
  return { tests: names, met: [...met] };
}

/** Runs every test: how long, green or not, which mutants it met. */
async function look() {
  const seen = [];
  for (const [id, test] of tests.entries()) {
    const met = watch();
    const start = performance.now();
    let failure;
    await within(runTest(test)).catch((error) => {
      failure = String(error?.stack ?? error);
    });
    seen.push({ id, ms: performance.now() - start, failure, met: [...met] });
  }
  unwatch();
  return { seen };
}

/** The first of the tests that notices the mutant. */
async function hunt({ mutant, tests: ids, limit }) {
  activate(mutant, limit ?? undefined);
  for (const id of ids) {
    try {
      await within(runTest(tests[id]));
    } catch (error) {
      return { killer: id, why: String(error?.message ?? error).slice(0, 200) };
    }
  }
  return {};
}

process.on("unhandledRejection", () => {});
process.on("message", async (message) => {
  try {
    const handler = message.load ? load : message.watch ? look : hunt;
    process.send(await handler(message));
  } catch (error) {
    process.send({ broken: String(error?.stack ?? error) });
  }
});
