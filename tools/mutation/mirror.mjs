/** A copy of src/ and test/ as JavaScript in build/, with every possible mutant of the wanted files switched in. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { transformSync } from "rolldown/utils";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const BUILD = fileURLToPath(new URL(`build/${process.pid}/`, import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));

const quiet = { isDebugEnabled: () => false, debug() {}, info() {}, warn: console.warn };

function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("recordings"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** Stryker's own switch goes, ours comes: it is faster, and the worker holds it. */
function withOurSwitch(code, file) {
  const from = code.indexOf("function stryNS_9fa48()");
  if (from < 0) return code;
  const last = "return isActive(id);\n}";
  const to = code.indexOf(last) + last.length;
  const path = relative(dirname(join(BUILD, file)), join(HERE, "switch.mjs"));
  return `${code.slice(0, from)}\nimport { stryCov_9fa48, stryMutAct_9fa48 } from "${path}";${code.slice(to)}`;
}

function write(file, code) {
  const path = join(BUILD, file);
  const { code: js, errors } = transformSync(path, code, {
    typescript: { rewriteImportExtensions: true },
    tsconfig: false,
  });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const shim = (name) => `from "${relative(dirname(path), join(HERE, `${name}.mjs`))}"`;
  const shimmed = js.replace(/from "(vitest|fast-check)"/g, (_, name) => shim(name));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path.replace(/\.ts$/, ".js"), shimmed);
}

/** @returns Stryker's mutants of `sources` (paths from the root), numbered through. */
export async function mirror(sources) {
  rmSync(BUILD, { recursive: true, force: true });
  const all = [...filesUnder(join(ROOT, "src")), ...filesUnder(join(ROOT, "test"))];
  all.push("tools/mutation/recordings.test.ts");
  for (const file of all) {
    if (file.endsWith(".ts")) {
      if (!sources.includes(file)) write(file, readFileSync(join(ROOT, file), "utf8"));
      continue;
    }
    mkdirSync(dirname(join(BUILD, file)), { recursive: true });
    cpSync(join(ROOT, file), join(BUILD, file));
  }
  for (const folder of ["test/oracle/recordings", "build", "prebuilds"]) {
    if (existsSync(join(ROOT, folder))) symlinkSync(join(ROOT, folder), join(BUILD, folder));
  }
  const files = sources.map((name) => ({
    name: join(ROOT, name),
    mutate: true,
    content: readFileSync(join(ROOT, name), "utf8"),
  }));
  const options = { plugins: null, excludedMutations: [], ignorers: [] };
  const instrumented = await new Instrumenter(quiet).instrument(files, options);
  for (const { name, content } of instrumented.files) {
    const file = relative(ROOT, name);
    write(file, withOurSwitch(content, file));
  }
  return instrumented.mutants.map((mutant) => ({ ...mutant, file: relative(ROOT, mutant.fileName) }));
}
