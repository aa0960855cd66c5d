#!/usr/bin/env node
/** The program `dr-director`. */
import { buildProgram } from "./program.ts";

const program = await buildProgram();
await program.parseAsync();
