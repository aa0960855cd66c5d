import type { IpvsadmCommand } from "../control/model.ts";

/** Why this director cannot carry a command out, in a sentence; null if it can. */
export function refusal(command: IpvsadmCommand): string | null {
  if (command.kind === "startDaemon" || command.kind === "stopDaemon") {
    return `dr-director has no connection synchronization daemon: --${command.kind === "startDaemon" ? "start" : "stop"}-daemon is not supported`;
  }
  if (command.kind !== "addServer" && command.kind !== "editServer") return null;
  if (command.server.method === "masq") {
    return "dr-director forwards by direct routing only: masquerading (-m) is not supported, use -g";
  }
  if (command.server.method === "tunnel") {
    return "dr-director forwards by direct routing only: tunnelling (-i) is not supported, use -g";
  }
  return null;
}
