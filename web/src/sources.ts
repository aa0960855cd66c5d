/** Whose frames the page shows: its own, a recording's, or a director's that serves it. */
import { capture } from "../recording.pcap";
import { Generator } from "./browser/generator.ts";
import { Recording } from "./browser/recording.ts";
import { LiveSource } from "./live/source.ts";
import type { Source } from "./model.ts";

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export async function sourceOf(kind: "generator" | "recording"): Promise<Source> {
  if (kind === "generator") return new Generator();
  const packed = new Blob([bytesOf(capture)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Recording(new Uint8Array(await new Response(packed).arrayBuffer()), "");
}

export function recordedSource(bytes: Uint8Array, name: string): Recording {
  return new Recording(bytes, name);
}

/** Whoever serves the page says so in its first line (observe/web.ts); as files it has nobody. */
export function firstSource(): Source {
  const served = document.documentElement.dataset.source;
  return served === "live" || served === "lab" ? new LiveSource(served) : new Generator();
}
