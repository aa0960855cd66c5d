import type {
  CommandError,
  ConnectionListing,
  DirectorCommand,
  DirectorInfo,
  ServiceListing,
  Timeouts,
} from "../control/model.ts";

/** What dradm needs of a director, whether it is at the other end of a socket or in the same process. */
export interface DirectorClient {
  /**
   * Carries changes out in this order, each whole or not at all, going on after a failure. One error (or null)
   * for each command.
   */
  change(commands: readonly DirectorCommand[]): Promise<(CommandError | null)[]>;
  /** Asks for a listing; its rows come as the director sends them. */
  list(command: ListCommand): Promise<ListAnswer>;
}

export type ListCommand = Extract<DirectorCommand, { kind: "list" | "save" }>;

export type ListAnswer =
  | { kind: "error"; error: CommandError }
  | { kind: "services"; info: DirectorInfo; services: AsyncIterable<ServiceListing> }
  | { kind: "connections"; connections: AsyncIterable<ConnectionListing> }
  | { kind: "timeouts"; timeouts: Timeouts }
  | { kind: "daemons" };

/** The director cannot be reached or does not speak our language: a sentence for people. */
export class DirectorUnreachable extends Error {
  override readonly name = "DirectorUnreachable";
}
