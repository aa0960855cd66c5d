import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";
import { answerIpvsadm } from "../../src/control/ipvsadm-api.ts";
import type { CommandExecutor } from "../../src/control/model.ts";

/** The least of a control socket: POST /v1/ipvsadm and nothing else. */
export function serve(director: CommandExecutor, socket: string): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const answer = answerIpvsadm(director, JSON.parse(Buffer.concat(chunks).toString("utf8")));
      response.writeHead(answer.status, { "content-type": answer.contentType });
      if ("body" in answer) response.end(answer.body);
      else Readable.from(answer.lines).pipe(response);
    });
  });
  return new Promise((resolve) => server.listen(socket, () => resolve(server)));
}
