/**
 * Reads a command line as popt(3) does, which neither getopt nor node:util's parseArgs quite does: no
 * abbreviations of long options, `-w3`, `-w 3`, `-w=3`, `--weight 3` and `--weight=3` alike, options and plain
 * arguments in any order, and an optional argument taken only from a word that does not begin with "-".
 */

/** Whether an option takes an argument. */
export type Takes = "none" | "required" | "optional";

export interface PoptOption<Name extends string> {
  name: Name;
  takes: Takes;
  short?: string;
}

/** One option as read: its argument is null if it takes none or its optional one was left out. */
export interface PoptFound<Name extends string> {
  name: Name;
  /** The option's own spelling, as typed: "-t", "--tcp-service"; of "-Lnc" the whole word. */
  word: string;
  argument: string | null;
}

/** popt's error texts. */
export type PoptProblem = "unknown option" | "missing argument" | "option does not take an argument";

/** A word that popt refuses: "-s: missing argument". */
export interface PoptError {
  problem: PoptProblem;
  word: string;
}

/** Options by their spellings, to be made once for many command lines. */
export class PoptTable<Name extends string> {
  readonly short = new Map<string, PoptOption<Name>>();
  readonly long = new Map<string, PoptOption<Name>>();

  constructor(options: Iterable<PoptOption<Name>>) {
    for (const option of options) {
      this.long.set(option.name, option);
      if (option.short !== undefined) this.short.set(option.short, option);
    }
  }
}

export class Popt<Name extends string> {
  readonly #words: readonly string[];
  readonly #table: PoptTable<Name>;
  readonly #plain: string[] = [];
  #at = 0;
  /** What is left of a word of short options, "" if none. */
  #rest = "";
  #onlyPlain = false;

  constructor(words: readonly string[], table: PoptTable<Name>) {
    this.#words = words;
    this.#table = table;
  }

  /** The next option, an error, or null at the end; plain arguments met on the way are kept for `plain`. */
  next(): PoptFound<Name> | PoptError | null {
    if (this.#rest !== "") return this.#nextShort();
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at++]!;
      if (this.#onlyPlain || !word.startsWith("-") || word === "-") {
        this.#plain.push(word);
      } else if (word === "--") {
        this.#onlyPlain = true;
      } else if (word.startsWith("--")) {
        return this.#nextLong(word);
      } else {
        this.#rest = word.slice(1);
        return this.#nextShort();
      }
    }
    return null;
  }

  /** Plain arguments met so far, in order. */
  get plain(): readonly string[] {
    return this.#plain;
  }

  #nextLong(word: string): PoptFound<Name> | PoptError {
    const equals = word.indexOf("=", 2);
    const option = this.#table.long.get(equals < 0 ? word.slice(2) : word.slice(2, equals));
    if (option === undefined) return { problem: "unknown option", word };
    return this.#withArgument(option, word, equals < 0 ? null : word.slice(equals + 1));
  }

  #nextShort(): PoptFound<Name> | PoptError {
    const word = this.#words[this.#at - 1]!;
    const letter = String.fromCodePoint(this.#rest.codePointAt(0)!);
    const option = this.#table.short.get(letter);
    if (option === undefined) return { problem: "unknown option", word };
    const rest = this.#rest.slice(letter.length);
    this.#rest = "";
    if (rest.startsWith("=")) return this.#withArgument(option, word, rest.slice(1));
    if (rest === "") return this.#withArgument(option, word, null);
    if (option.takes !== "none") return this.#withArgument(option, word, rest);
    this.#rest = rest;
    return { name: option.name, word, argument: null };
  }

  #withArgument(option: PoptOption<Name>, word: string, given: string | null): PoptFound<Name> | PoptError {
    if (option.takes === "none") {
      return given === null
        ? { name: option.name, word, argument: null }
        : { problem: "option does not take an argument", word };
    }
    if (given !== null) return { name: option.name, word, argument: given };
    const next = this.#words[this.#at];
    if (next === undefined) {
      return option.takes === "optional"
        ? { name: option.name, word, argument: null }
        : { problem: "missing argument", word };
    }
    if (option.takes === "optional" && next.startsWith("-"))
      return { name: option.name, word, argument: null };
    this.#at++;
    return { name: option.name, word, argument: next };
  }
}
