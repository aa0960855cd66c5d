/** The public API: a director in your own program, schedulers of your own, and the words they share. */

export { type Refused, refusalText } from "./control/apply.ts";
export {
  type Config,
  ConfigError,
  type ConfigProblem,
  defaultConfig,
  formatProblem,
  parseConfig,
} from "./control/config.ts";
export type { ConfigInput } from "./control/config-schema.ts";
export type { DirectorCounters, ShardCounters } from "./control/counters.ts";
export { type Desired, desiredOf, difference, toCommands } from "./control/difference.ts";
export { Director, DirectorError, type DirectorOptions } from "./control/director.ts";
export type { DirectorEvent, DirectorListener } from "./control/events.ts";
export type * from "./control/model.ts";
export { SchedulerFlag, serverKeyText, serviceKeyText } from "./control/model.ts";
export type { NeighbourListing } from "./control/neighbours.ts";
export type { VipListing } from "./control/vip.ts";
export { VERDICT_NAMES, Verdict } from "./dataplane/verdict.ts";
export { findScheduler, registerScheduler, schedulerNames } from "./schedulers/registry.ts";
export {
  type Change,
  FLOW_CLIENT,
  FLOW_VIRTUAL,
  type Flow,
  NO_DESTINATION,
  type Scheduler,
} from "./schedulers/scheduler.ts";
export { ServiceView } from "./schedulers/service-view.ts";
