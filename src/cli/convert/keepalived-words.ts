/**
 * keepalived.conf's outer form (keepalived.conf(5)): statements of words, one a line, with blocks in braces; comments,
 * quotes, parameters, and the lines that depend on something only keepalived knows.
 */
import { ConvertError, type Note } from "./converted.ts";

export interface Statement {
  readonly line: number;
  readonly words: readonly string[];
  /** What stands in its braces, if it has some. */
  block?: Statement[];
}

export interface Statements {
  readonly statements: Statement[];
  readonly notes: Note[];
}

const INCLUDE = /^include[rmwba]?$/;

/** Splits a file; throws ConvertError where braces do not match. */
export function readStatements(text: string): Statements {
  const reader = new Reader();
  for (const [index, line] of text.split("\n").entries()) reader.read(line, index + 1);
  return reader.end();
}

class Reader {
  readonly #notes: Note[] = [];
  readonly #parameters = new Map<string, string>();
  /** The open blocks, the file itself first. */
  readonly #open: Statement[] = [{ line: 0, words: [], block: [] }];
  #continued = false;

  read(raw: string, line: number): void {
    const going = this.#continued;
    this.#continued = false;
    const text = stripComment(raw).trim();
    const definition = going ? null : /^\$([A-Za-z_]\w*)=(.*)$/.exec(text);
    if (going || (definition !== null && text.endsWith("\\"))) {
      if (!going) this.#note(line, `a parameter of several lines ($${definition![1]})`);
      this.#continued = text.endsWith("\\");
    } else if (definition !== null) this.#parameters.set(definition[1]!, definition[2]!.trim());
    else this.#statement(this.#substitute(text), line);
  }

  end(): Statements {
    const [file, unclosed] = this.#open;
    if (unclosed !== undefined) {
      throw new ConvertError(`line ${unclosed.line}: \`${unclosed.words.join(" ")} {' is never closed`);
    }
    return { statements: file!.block!, notes: this.#notes };
  }

  #note(line: number, what: string): void {
    this.#notes.push({ line, message: `${what} is left out` });
  }

  #substitute(text: string): string {
    let result = text;
    // As often as one parameter's value may name another; a loop of them ends here.
    for (let depth = 0; depth < 10; depth++) {
      const before = result;
      result = result.replace(/\$(?:\{(\w+)\}|(\w+)(?=\s|$))/g, (whole, braced, plain) => {
        return this.#parameters.get(braced ?? plain) ?? whole;
      });
      if (result === before) break;
    }
    return result;
  }

  #statement(text: string, line: number): void {
    const depends = dependence(text);
    if (depends !== undefined) {
      this.#note(line, depends);
      return;
    }
    let current: Statement | undefined;
    for (const word of splitWords(text)) {
      const inside = this.#open[this.#open.length - 1]!;
      if (word === OPEN) current = this.#begin(current, line);
      else if (word === CLOSE) current = this.#close(line);
      else if (current === undefined) {
        current = { line, words: [word] };
        inside.block!.push(current);
      } else (current.words as string[]).push(word);
    }
    if (current !== undefined && INCLUDE.test(current.words[0]!)) {
      this.#note(line, `${current.words.join(" ")}: convert that file too; what it says`);
    }
  }

  /** A brace belongs to the statement before it, on its own line or the last one. */
  #begin(current: Statement | undefined, line: number): undefined {
    const block = this.#open[this.#open.length - 1]!.block!;
    const owner = current ?? block[block.length - 1];
    if (owner === undefined || owner.block !== undefined) {
      throw new ConvertError(`line ${line}: \`{' after nothing`);
    }
    owner.block = [];
    this.#open.push(owner);
  }

  #close(line: number): undefined {
    if (this.#open.length === 1) throw new ConvertError(`line ${line}: \`}' without its \`{'`);
    this.#open.pop();
  }
}

/** Why a line cannot be read without knowing what keepalived knows. */
function dependence(text: string): string | undefined {
  if (text.startsWith("@")) return `a line for one keepalived of several (${text.split(/\s/)[0]})`;
  return /^~(SEQ|LST)\b/.test(text) ? "a line that keepalived repeats (~SEQ, ~LST)" : undefined;
}

const OPEN = Symbol("{");
const CLOSE = Symbol("}");

/** Up to "#" or "!", unless it stands in quotes. */
function stripComment(line: string): string {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (c === "\\") i++;
    else if (quote !== "") quote = c === quote ? "" : quote;
    else if (c === '"' || c === "'") quote = c;
    else if (c === "#" || c === "!") return line.slice(0, i);
  }
  return line;
}

/** Words without their quotes; braces outside of quotes as marks of their own. */
function splitWords(text: string): (string | typeof OPEN | typeof CLOSE)[] {
  const words = [];
  const pattern = /([{}])|((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s{}"'\\])+)/g;
  for (const [, brace, word] of text.matchAll(pattern)) {
    if (brace !== undefined) words.push(brace === "{" ? OPEN : CLOSE);
    else words.push(word!.replace(/\\(.)|["']/g, (_, escaped) => escaped ?? ""));
  }
  return words as (string | typeof OPEN | typeof CLOSE)[];
}
