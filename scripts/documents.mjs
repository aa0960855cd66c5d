// Writes what follows from the program's grammar and the config's schema: the man pages dr-director(8) and
// dr-director.yaml(5), and the completions of bash and zsh. --check only tells which of them is not as it should be.
// Needs dist/ (npm run build).
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bashCompletion, zshCompletion } from "./documents/completion.mjs";
import { configPage } from "./documents/config-page.mjs";
import { readGrammar } from "./documents/grammar.mjs";
import { programPage } from "./documents/program-page.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const grammar = await readGrammar(join(root, "dist"));
const documents = {
  "docs/man/dr-director.8": programPage(grammar),
  "docs/man/dr-director.yaml.5": await configPage(join(root, "dist")),
  "packaging/completion/dr-director.bash": bashCompletion(grammar),
  "packaging/completion/_dr-director": zshCompletion(grammar),
};

const check = process.argv.includes("--check");
for (const [name, text] of Object.entries(documents)) {
  const path = join(root, name);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  if (!check) writeFileSync(path, text);
  process.stdout.write(`${name}${check ? ": not as it should be; run node scripts/documents.mjs" : ""}\n`);
  if (check) process.exitCode = 1;
}
