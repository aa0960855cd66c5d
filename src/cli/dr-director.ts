#!/usr/bin/env node
/** The program `dr-director`. */
import { watchForBrokenPipe } from "./broken-pipe.ts";
import { buildProgram } from "./program.ts";

const pipe = watchForBrokenPipe();
const program = await buildProgram();
await program.parseAsync();
pipe.settle();
