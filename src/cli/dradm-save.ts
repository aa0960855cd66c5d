#!/usr/bin/env node
import { basename } from "node:path";
import { complain, dradm, runProgram, takeSocket } from "./dradm-main.ts";

/** ipvsadm-save(8): the table as rules, with -n in numbers. */
await runProgram(async () => {
  const { socket, rest } = takeSocket(process.argv.slice(2));
  if (rest.some((word) => word.startsWith("-") && word !== "-n")) {
    complain(
      `${basename(process.argv[1] ?? "dradm-save")}: Script to save the IPVS table to stdout.\n` +
        "   With the -n option, prints out the table in numeric format.\n",
    );
    return 1;
  }
  const where = socket === null ? [] : [`--socket=${socket}`];
  return dradm([...where, "-S", ...(rest.includes("-n") ? ["-n"] : [])]);
});
