/** Exit codes of ipvsadm: a word it refuses itself, and a word popt or the kernel refuses. */
export const EXIT_USAGE = 2;
export const EXIT_REFUSED = 255;

/** A command line that ipvsadm would refuse: `message` (without the last newline) on stderr, then exit. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly exitCode: number;
  /** In a --restore, whether ipvsadm goes on with the next line (popt's own errors) or gives up. */
  readonly goesOn: boolean;

  constructor(message: string, exitCode: number = EXIT_USAGE, goesOn = false) {
    super(message);
    this.exitCode = exitCode;
    this.goesOn = goesOn;
  }
}

export const TRY_HELP = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
