/**
 * Feels every shard's pulse: a shard turns at least ten times a second, so one whose beat stands hangs. The likely cause
 * is a user's scheduler that never returns; which one, the shard has written down before it asked.
 */
import { Header, type Region, ShardCell } from "../table/region.ts";
import { ShardState } from "./shard-task.ts";

export interface Hang {
  readonly shard: number;
  /** The service whose scheduler it is in, or -1. */
  readonly service: number;
}

/** Looks with the same beat until a shard is taken to hang. Looks, not seconds: whoever looks may have been held up too. */
export const STANDING_LOOKS = 3;

export class Pulses {
  readonly #region: Region;
  readonly #beats: Int32Array;
  readonly #standing: Int32Array;

  constructor(region: Region) {
    this.#region = region;
    this.#beats = new Int32Array(region.shards.length);
    this.#standing = new Int32Array(region.shards.length);
  }

  /** Call about once a second; the shards that hang, each told again after as many looks. */
  look(): Hang[] {
    const hangs: Hang[] = [];
    for (const [shard, { cells }] of this.#region.shards.entries()) {
      const beat = cells[ShardCell.Beat]!;
      const turns = cells[ShardCell.State] !== ShardState.Running || beat !== this.#beats[shard];
      this.#beats[shard] = beat;
      this.#standing[shard] = turns ? 0 : this.#standing[shard]! + 1;
    }
    for (let shard = 0; shard < this.#standing.length; shard++) {
      if (this.#standing[shard]! < STANDING_LOOKS || this.#waits(shard)) continue;
      this.#standing[shard] = 0;
      hangs.push({ shard, service: this.#region.shards[shard]!.cells[ShardCell.Service]! - 1 });
    }
    return hangs;
  }

  /** Forgets everything: the shards rest, or are about to begin. */
  reset(): void {
    this.#standing.fill(0);
  }

  /** Does it only wait for a lock that another shard holds, which hangs itself? */
  #waits(shard: number): boolean {
    const { header, services, shards } = this.#region;
    const service = shards[shard]!.cells[ShardCell.Service]! - 1;
    const word = service < 0 ? header[Header.TemplateLock]! : services.lock[service]!;
    const owner = word - 1;
    return owner >= 0 && owner !== shard && owner < shards.length && this.#standing[owner]! > 0;
  }
}
