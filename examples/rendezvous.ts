/** Rendezvous hashing: a client goes to the server that scores highest for it; when one goes, only its own move. */
import type { Scheduler } from "dr-director";

export const rendezvous: Scheduler = {
  name: "rendezvous",
  schedule(service, flow) {
    let best = -1; // NO_DESTINATION
    for (let i = 0, highest = -1; i < service.count; i++) {
      const d = service.members[i]!;
      const score = Math.imul(flow.words[3]! ^ Math.imul(service.address(d, 3), 0x9e3779b1), 0x85ebca6b) >>> 0;
      if (score > highest && service.available(d)) [best, highest] = [d, score];
    }
    return best;
  },
};
