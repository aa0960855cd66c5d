import { StringDecoder } from "node:string_decoder";

/** Longest line kept; a longer one is an error, not a reason to run out of memory. */
const LONGEST = 256 * 1024 * 1024;

/** A byte stream's lines, without their newlines; what follows the last newline is a line too unless empty. */
export async function* textLines(
  chunks: AsyncIterable<Uint8Array | string>,
  longest: number = LONGEST,
): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  const parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const text =
      typeof chunk === "string"
        ? chunk
        : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      parts.push(text.slice(from, end));
      yield parts.length === 1 ? parts[0]! : parts.join("");
      parts.length = 0;
      length = 0;
      from = end + 1;
    }
    if (from < text.length) {
      parts.push(text.slice(from));
      length += text.length - from;
      if (length > longest) throw new Error(`a line is longer than ${longest} characters`);
    }
  }
  parts.push(decoder.end());
  const last = parts.join("");
  if (last !== "") yield last;
}
