/** Rows of virtual services and the map from what names one to its row. */
import type { Region } from "../table/region.ts";
import { Header } from "../table/region.ts";
import { NONE, SCHEDULER_WORDS, ServiceFlag, setSchedulerName } from "../table/services.ts";
import { FreeRows } from "./free-rows.ts";
import { parseNetmask, type ServiceNumbers, serviceText, setWords, wordsAt } from "./keys.ts";
import type { ServiceSpec } from "./model.ts";
import { SchedulerFlag } from "./model.ts";

const SCHEDULER_FLAGS = SchedulerFlag.First | SchedulerFlag.Second | SchedulerFlag.Third;

export class ServiceRows {
  readonly #region: Region;
  readonly #rows = new Map<string, number>();
  readonly #free: FreeRows;

  constructor(region: Region) {
    this.#region = region;
    const { live, capacity } = region.services;
    this.#free = new FreeRows(capacity, (s) => live[s] === 1);
    for (let s = 0; s < capacity; s++) {
      if (live[s] === 1) this.#rows.set(serviceText(this.numbers(s)), s);
    }
    const four = [...this.#rows.values()].filter((s) => region.services.family[s] === 4).length;
    region.header[Header.Services4] = four;
    region.header[Header.Services6] = this.#rows.size - four;
  }

  get count(): number {
    return this.#rows.size;
  }

  get hasRoom(): boolean {
    return this.#free.count > 0;
  }

  /** Rows, the service added last first. */
  newestFirst(): number[] {
    return [...this.#rows.values()].reverse();
  }

  /** The service's row, or -1. */
  find(key: ServiceNumbers): number {
    return this.#rows.get(serviceText(key)) ?? -1;
  }

  numbers(s: number): ServiceNumbers {
    const { services } = this.#region;
    return {
      family: services.family[s] === 6 ? 6 : 4,
      protocol: services.protocol[s]!,
      address: wordsAt(services.address, s),
      port: services.port[s]!,
      mark: services.mark[s]!,
    };
  }

  /** Writes a new service's row; it becomes live by the last store. */
  add(key: ServiceNumbers, spec: ServiceSpec): number {
    const { services } = this.#region;
    const s = this.#free.take();
    services.family[s] = key.family;
    services.protocol[s] = key.protocol;
    setWords(services.address, s, key.address);
    services.port[s] = key.port;
    services.mark[s] = key.mark;
    services.first[s] = NONE;
    services.lock[s] = 0;
    services.departed.fill(0, s * 3, s * 3 + 3);
    this.describe(s, spec);
    this.setScheduler(s, spec.scheduler);
    services.live[s] = 1;
    this.#rows.set(serviceText(key), s);
    this.#countFamily(key.family, 1);
    return s;
  }

  /** What -E may change, but for the scheduler. */
  describe(s: number, spec: ServiceSpec): void {
    const { services } = this.#region;
    services.flags[s] =
      ServiceFlag.Hashed |
      (spec.persistence > 0 ? ServiceFlag.Persistent : 0) |
      (spec.onePacket ? ServiceFlag.OnePacket : 0) |
      (spec.flags & SCHEDULER_FLAGS);
    services.timeout[s] = spec.persistence;
    setWords(services.netmask, s, parseNetmask(spec.key.family, spec.netmask));
  }

  /** Binds another scheduler: its memory begins as zeros. */
  setScheduler(s: number, name: string): void {
    const { services } = this.#region;
    setSchedulerName(services, s, name);
    services.memory.fill(0, s * SCHEDULER_WORDS, (s + 1) * SCHEDULER_WORDS);
  }

  remove(s: number): void {
    const { services } = this.#region;
    this.#rows.delete(serviceText(this.numbers(s)));
    services.live[s] = 0;
    services.first[s] = NONE;
    this.#free.give(s);
    this.#countFamily(services.family[s]!, -1);
  }

  /** The data path asks whether there is any service of a frame's family (IPVS-FACTS 6). */
  #countFamily(family: number, step: 1 | -1): void {
    this.#region.header[family === 6 ? Header.Services6 : Header.Services4]! += step;
  }
}
