#!/usr/bin/env node
import { dradm, runProgram, takeSocket } from "./dradm-main.ts";
import { SystemNames } from "./names.ts";

/** ipvsadm-restore(8): clears the table, then carries out rules from standard input without its "#" lines. */
await runProgram(async () => {
  const { socket } = takeSocket(process.argv.slice(2));
  const where = socket === null ? [] : [`--socket=${socket}`];
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const rules = Buffer.concat(chunks)
    .toString("utf8")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
  const names = new SystemNames();
  const cleared = await dradm([...where, "-C"], { names });
  // as the script it stands for, restore even then: but a director out of reach need not be asked twice
  return cleared === 2 ? cleared : dradm([...where, "-R"], { rules, names });
});
