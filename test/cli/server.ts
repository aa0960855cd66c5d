import type { FastifyInstance } from "fastify";
import { createApi } from "../../src/control/api.ts";
import type { Director } from "../../src/control/director.ts";
import type { CommandExecutor } from "../../src/control/model.ts";

/** The control API over whatever carries commands out; its other questions have no answer here. */
export function apiOver(executor: CommandExecutor): FastifyInstance {
  const director = {
    execute: (command) => executor.execute(command),
    settle: () => {},
  } satisfies Partial<Director>;
  return createApi(director as unknown as Director);
}
