/** The lessons, in the order in which they are best taken. */
import { arpProblem } from "./arp-problem.ts";
import { directorFailure } from "./director-failure.ts";
import { drain } from "./drain.ts";
import { fragments } from "./fragments.ts";
import { framesWay } from "./frames-way.ts";
import { halfDoneChecksum } from "./half-done-checksum.ts";
import type { Lesson } from "./lesson.ts";
import { mtu } from "./mtu.ts";
import { noPortMapping } from "./no-port-mapping.ts";
import { persistence } from "./persistence.ts";
import { sourceMac } from "./source-mac.ts";
import { vipOnLo } from "./vip-on-lo.ts";
import { wrrAndWlc } from "./wrr-and-wlc.ts";

export const LESSONS: readonly Lesson[] = [
  framesWay,
  vipOnLo,
  arpProblem,
  sourceMac,
  noPortMapping,
  wrrAndWlc,
  persistence,
  drain,
  fragments,
  halfDoneChecksum,
  mtu,
  directorFailure,
];

/** Throws with the names that exist. */
export function findLesson(name: string): Lesson {
  const lesson = LESSONS.find((each) => each.name === name);
  if (lesson !== undefined) return lesson;
  throw new Error(`there is no lesson "${name}", only ${LESSONS.map((each) => each.name).join(", ")}`);
}
