/** Where the benches find the project's folders; their programs are joined into files right below build/bench/. */
import { fileURLToPath } from "node:url";

export const BENCH_BUILD = fileURLToPath(new URL("./", import.meta.url));
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
