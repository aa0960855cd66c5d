/** How a command says no before it has written anything: thrown inside the commands, answered by `execute`. */
import type { CommandErrorCode } from "./model.ts";

export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: CommandErrorCode;

  constructor(code: CommandErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function refuse(code: CommandErrorCode, message: string): never {
  throw new Refusal(code, message);
}
