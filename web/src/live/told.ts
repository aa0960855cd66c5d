/** A live frame's story in explain's words, as far as a director that is only looked at tells it. */
import type { ConnectionPicture } from "../../../src/dataplane/explanation.ts";
import { Verdict } from "../../../src/dataplane/verdict.ts";
import type { LiveFrame } from "../../../src/observe/live-events.ts";
import { seenIn } from "../browser/guess.ts";
import type { Told } from "../model.ts";

const PROTOCOLS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" };

export function toldOf(live: LiveFrame, bytes: Uint8Array): Told {
  const flow = flowOf(bytes);
  const name = { address: live.server ?? "", port: flow?.virtualPort ?? 0, text: live.server ?? "" };
  const service = serviceName(live.service, flow);
  const after: ConnectionPicture | null =
    live.connection === null
      ? null
      : {
          protocol: flow?.protocol ?? "",
          client: flow?.client ?? "",
          clientPort: flow?.clientPort ?? 0,
          virtual: flow?.virtual ?? "",
          virtualPort: flow?.virtualPort ?? 0,
          server: name,
          state: live.connection.state,
          active: live.connection.active,
          expiresIn: 0,
        };
  return {
    flow,
    service: {
      found: service,
      by: service === null ? null : service.mark !== 0 ? "mark" : "exact",
      decides: live.connection?.what !== "found",
      candidates: [],
      omitted: 0,
    },
    connection: { what: live.connection?.what ?? "none", before: null, after },
    template: null,
    scheduling:
      live.scheduling === null || service === null
        ? null
        : {
            service,
            scheduler: live.scheduling.scheduler,
            flags: [],
            members: live.scheduling.members,
            omitted: 0,
            memory: { before: [], after: [] },
            buckets: [],
            looks: [],
            chose: live.server === null ? null : name,
            fault: null,
            words: "",
          },
    neighbour: live.neighbour,
    verdict: { name: live.verdict, number: Verdict[live.verdict], sentence: "" },
  };
}

function flowOf(bytes: Uint8Array): Told["flow"] {
  const packet = {
    interface: 0,
    seconds: 0,
    nanoseconds: 0,
    originalLength: bytes.length,
    bytes,
    comments: [],
    direction: "unknown",
  } as const;
  const [seen] = seenIn([packet], [{ name: "", linkType: 1, snapLength: 0 }]);
  if (seen === undefined) return null;
  return {
    protocol: PROTOCOLS[seen.protocol] ?? String(seen.protocol),
    family: seen.family,
    client: seen.source,
    clientPort: seen.sourcePort,
    virtual: seen.destination,
    virtualPort: seen.destinationPort,
    mark: 0,
    hash: 0,
  };
}

/** "tcp 10.0.0.100:80", "fwm 7": the rest of a service's name is not needed here. */
function serviceName(text: string | null, flow: Told["flow"]): Told["service"]["found"] {
  if (text === null) return null;
  const mark = /^fwm (\d+)$/.exec(text);
  return {
    protocol: text.split(" ")[0]!,
    family: flow?.family ?? 4,
    address: flow?.virtual ?? "",
    port: flow?.virtualPort ?? 0,
    mark: mark === null ? 0 : Number(mark[1]),
    text,
  };
}
