#!/usr/bin/env node
import { dradm, runProgram } from "./dradm-main.ts";

await runProgram(() => dradm(process.argv.slice(2)));
