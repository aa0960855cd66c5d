/** Where our own compiled programs are: the lab runs them as processes of their own, and Node 20 runs no .ts. */
import { fileURLToPath } from "node:url";

/** Path of a compiled file below dist/, as `built("lab/server.js")`, also when the caller runs from src/ (in tests). */
export function built(file: string): string {
  return fileURLToPath(new URL(`../../dist/${file}`, import.meta.url));
}
