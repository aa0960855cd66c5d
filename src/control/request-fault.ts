/** What is wrong with a request that zod refused, in one line: "command.server.weight: Too small: …". */
import type { z } from "zod";

/** The complaint of the branch that got furthest, because of a union's branches that one was meant. */
export function requestFault(error: z.ZodError): string {
  let { path, message } = { path: [] as PropertyKey[], message: "malformed request" };
  for (let issues = error.issues; issues.length > 0; ) {
    const [issue] = [...issues].sort((a, b) => depth(b) - depth(a));
    path = [...path, ...issue!.path];
    message = issue!.message;
    issues = issue!.code === "invalid_union" ? issue!.errors.flat() : [];
  }
  return `${path.join(".") || "request"}: ${message}`;
}

/** How deep into the request an issue lies, its own union's branches included. */
function depth(issue: z.core.$ZodIssue): number {
  const branches = issue.code === "invalid_union" ? issue.errors.flat().map(depth) : [];
  return issue.path.length + Math.max(0, ...branches);
}
