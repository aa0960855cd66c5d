/** Lets the tests that come by a mutant look whether they notice it, in a process that is kept as long as it lives. */
import { fork } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BUILD } from "./mirror.mjs";

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

/** The tests that the mutants of a room are held to: quick ones, without namespaces, and some of the kernel's recordings. */
const TESTS = {
  schedulers: [/^test\/schedulers\/(?!recorded)/, /^test\/kernel\/scheduling/, /recordings\.test/],
  table: [
    /^test\/table\/(?!timers)/,
    /^test\/kernel\/(?!book)/,
    /^test\/dataplane\/(?:forwarding|shards|drop-entry|queue-tap)\.test/,
    /^test\/control\/(?:commands|recover|rehome|marks|state-lines|counters-view|region-file)\.test/,
  ],
  dataplane: [
    /^test\/kernel\/(?!book)/,
    /^test\/dataplane\/(?:forwarding|shards|drop-entry|queue-tap)\.test/,
    /^test\/control\/(?:commands|marks|rehome)\.test/,
    /recordings\.test/,
  ],
};
/** A test that takes longer than this is too slow to be asked some hundred times. */
const SLOW = 20_000;
/** A mutant that is met so many times as often as the code that it replaces has made an endless loop. */
const LOOP = 50;

class Process {
  #child = fork(WORKER, { stdio: ["ignore", "ignore", "inherit", "ipc"] });

  /** The answer; undefined when there is none in time: the process is gone then. */
  ask(message, ms) {
    const child = this.#child;
    return new Promise((resolve) => {
      const done = (answer) => {
        clearTimeout(timer);
        child.off("message", done).off("exit", gone);
        resolve(answer);
      };
      const gone = () => done(undefined);
      const timer = setTimeout(() => child.kill("SIGKILL"), ms);
      child.on("message", done).on("exit", gone);
      child.send(message);
    });
  }

  end() {
    this.#child.kill("SIGKILL");
  }
}

export class Hunt {
  #files = [];
  #worker;
  /** By test: name, file, ms, and by mutant how often it was met. */
  #tests = [];
  #atLoad = new Map();
  /** Tests that killed lately are asked first. */
  #kills = new Map();
  #patience;
  #freshEach;

  /**
   * @param patience milliseconds of tests (by themselves, before any mutant) that one mutant is worth
   * @param fresh    a new process for each mutant, for code that keeps things for as long as its process lives
   */
  constructor(patience, fresh) {
    this.#patience = patience;
    this.#freshEach = fresh;
  }

  /** @param rooms the folders of src/ whose mutants come; @param only a pattern instead of the rooms' own */
  async begin(rooms, only) {
    const wanted = only === undefined ? rooms.flatMap((room) => TESTS[room]) : [new RegExp(only)];
    this.#files = readdirSync(BUILD, { recursive: true })
      .filter((file) => file.endsWith(".test.js") && wanted.some((pattern) => pattern.test(file)))
      .map((file) => join(BUILD, file))
      .sort();
    const loaded = await this.#fresh();
    this.#atLoad = new Map(loaded.met);
    const { seen } = await this.#worker.ask({ watch: true }, 600_000);
    this.#tests = loaded.tests.map((test, id) => ({ ...test, ...seen[id], met: new Map(seen[id].met) }));
    const red = this.#tests.filter((test) => test.failure !== undefined);
    for (const { file, name, failure } of red)
      console.log(`left out, red without a mutant: ${file} ${name}: ${failure.split("\n")[0]}`);
    this.#tests = this.#tests.filter((test) => test.failure === undefined && test.ms < SLOW);
    const sum = this.#tests.reduce((all, { ms }) => all + ms, 0);
    if (process.env.SLOWEST)
      console.log(
        [...this.#tests]
          .sort((a, b) => b.ms - a.ms)
          .slice(0, 25)
          .map((t) => `${t.ms | 0} ${t.file.slice(40)} ${t.name}`)
          .join("\n"),
      );
    console.log(`${this.#tests.length} tests, ${(sum / 1000).toFixed(1)} s`);
  }

  async #fresh(files = this.#files, mutant = "") {
    this.#worker?.end();
    this.#worker = new Process();
    return await this.#worker.ask({ load: files, mutant }, 60_000);
  }

  /** The quick ones and the lucky ones first, as many as patience lasts for. */
  #order(tests) {
    const worth = ({ id, ms }) => ms / (1 + 3 * (this.#kills.get(id) ?? 0));
    let left = this.#patience;
    return [...tests]
      .sort((a, b) => worth(a) - worth(b))
      .filter(({ ms }) => {
        left -= ms;
        return left + ms > 0;
      });
  }

  async one({ id: mutant, fileName }, mutants) {
    const by = this.#tests.filter((test) => test.met.has(mutant));
    if (by.length > 0) {
      if (this.#freshEach) await this.#fresh();
      const met = Math.max(...by.map((test) => test.met.get(mutant)));
      if (await this.#killed({ mutant, limit: met * LOOP + 1000 }, by)) return { killed: true };
    }
    if (!this.#atLoad.has(mutant)) return { killed: false, uncovered: by.length === 0 };
    const near = new Set(mutants.filter((other) => other.fileName === fileName).map(({ id }) => id));
    const tests = this.#tests.filter((test) => [...test.met.keys()].some((id) => near.has(id)));
    return {
      killed: await this.#killedAtLoad(mutant, tests.length > 0 ? tests : this.#tests),
      uncovered: false,
    };
  }

  async #killed(message, tests) {
    const order = this.#order(tests);
    const ms = order.reduce((sum, test) => sum + test.ms, 0);
    const answer = await this.#worker.ask({ ...message, tests: order.map(({ id }) => id) }, 10_000 + 10 * ms);
    if (answer === undefined || answer.broken) await this.#fresh();
    if (answer?.killer !== undefined)
      this.#kills.set(answer.killer, (this.#kills.get(answer.killer) ?? 0) + 1);
    return answer === undefined || answer.broken !== undefined || answer.killer !== undefined;
  }

  /** One that is decided while the module is loaded needs a process that begins with it. */
  async #killedAtLoad(mutant, tests) {
    const loaded = await this.#fresh(this.#files, mutant);
    const alive = loaded !== undefined && loaded.broken === undefined;
    const killed = !alive || (await this.#killed({ mutant }, tests));
    await this.#fresh();
    return killed;
  }

  /** Whether the process that has seen so many mutants is still in its right mind. */
  async stillGreen() {
    const answer = await this.#worker.ask({ mutant: "", tests: this.#tests.map(({ id }) => id) }, 600_000);
    if (answer?.killer !== undefined) throw new Error(`a mutant left traces: ${answer.why}`);
  }

  end() {
    this.#worker.end();
  }
}
