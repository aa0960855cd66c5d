/** Nobody reads our output any more: `dr-director … | head -1`. We end without a word, as a C program would. */

/** What a shell makes of a program that SIGPIPE has ended. */
export const EXIT_BROKEN_PIPE = 141;

/** A full disk, say: what was asked for cannot be told. */
export function unwritable(program: string, error: Error): never {
  process.stderr.write(`${program}: standard output: ${error.message}\n`);
  process.exit(1);
}

/** Watches standard output from now on. `settle` when all is done: the exit code then says what became of it. */
export function watchForBrokenPipe(): { settle: () => void } {
  let broken = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") unwritable("dr-director", error);
    broken = true;
    // Who listens too has something to take away first (lab/stopping.ts).
    if (process.stdout.listenerCount("error") === 1) process.exit(EXIT_BROKEN_PIPE);
  });
  return {
    settle: () => {
      if (broken) process.exitCode = EXIT_BROKEN_PIPE;
    },
  };
}
