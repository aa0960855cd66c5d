/** What the subcommands that are clients of a running director share: their ends, and how they write. */
import type { Readable } from "node:stream";
import { EXIT_BROKEN_PIPE, unwritable } from "./broken-pipe.ts";
import { DirectorUnreachable } from "./director-client.ts";

/** The director could not be asked, or refused. */
export const EXIT_FAILED = 1;

/**
 * Runs a client; its exit code is what `main` gives, 1 with a sentence when it fails. When nobody reads its output any
 * more it ends as a C program would.
 */
export async function runClient(main: () => Promise<number | undefined>): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_BROKEN_PIPE);
    unwritable("dr-director", error);
  });
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    const bare = error instanceof Error && error.name === "ConfigRefused";
    process.stderr.write(`${bare ? "" : "dr-director: "}${messageOf(error)}\n`);
    process.exitCode = EXIT_FAILED;
  }
}

/** Errors whose message is for the user; of any other the stack is shown. */
const FOR_PEOPLE = [
  "ApiError",
  "ConfigRefused",
  "RegionError",
  "SchedulerModuleError",
  "StateError",
  "StateLineError",
];

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const expected = error instanceof DirectorUnreachable || FOR_PEOPLE.includes(error.name) || "code" in error;
  return expected ? error.message : (error.stack ?? error.message);
}

/** Writes a stream to standard output as it comes, as slowly as it is read. */
export async function pipe(stream: Readable): Promise<undefined> {
  for await (const chunk of stream) await write(chunk as Uint8Array);
}

export function write(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
