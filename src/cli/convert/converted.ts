/** What every conversion goes through: services as a config file has them, and what could not be carried over. */
import type { ConfigInput } from "../../control/config-schema.ts";

export type ServiceInput = NonNullable<ConfigInput["services"]>[number];
export type ServerInput = NonNullable<ServiceInput["servers"]>[number];

/** Something of the input that the output does not have; lines count from 1. */
export interface Note {
  readonly line: number;
  readonly message: string;
}

export interface Converted {
  readonly services: ServiceInput[];
  readonly timeouts: { tcp?: number; tcpfin?: number; udp?: number };
  readonly notes: Note[];
}

/** The input cannot be read at all. */
export class ConvertError extends Error {
  override readonly name = "ConvertError";
}

/** Bounds of the config file that other files do not know (control/config-schema.ts). */
export const MOST_WEIGHT = 65_535;
export const LONGEST_PERSISTENCE = 31 * 86_400;
