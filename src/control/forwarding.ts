/**
 * Everything that frames go through: the host's silence, the rings' sockets with their filter, the shards. Opened in
 * an order in which nothing is answered twice, followed as services change, and taken away again.
 */
import { readSync } from "node:fs";
import { native, Watch } from "../ring/native.ts";
import { PLACE_VIPS } from "../table/place.ts";
import { type Region, ShardCell } from "../table/region.ts";
import type { CbpfInstruction } from "../wire/cbpf.ts";
import type { Config } from "./config.ts";
import type { Events } from "./events.ts";
import { MachineError } from "./machine.ts";
import type { Offer } from "./offer.ts";
import { Pulses, STANDING_LOOKS } from "./pulses.ts";
import type { OpenRegion } from "./region-file.ts";
import { inheritRings, openRings, type Rings } from "./rings.ts";
import { PiscinaShardHost, type ShardEvent, type ShardHost } from "./shard-host.ts";
import type { RingSockets, ShardTask } from "./shard-task.ts";
import { Silence, SilenceError } from "./silence.ts";
import { steer } from "./steering.ts";
import { silencedTraffic } from "./traffic.ts";

export interface ForwardingOptions {
  readonly state: OpenRegion;
  readonly config: Config;
  readonly interfaceName: string;
  readonly schedulers: readonly string[];
  readonly events: Events;
  /** The packet filter as the services are now. */
  readonly filter: () => readonly CbpfInstruction[];
  /** A shard wants a neighbour. */
  readonly kicked: () => void;
  /** The scheduler of this service is not to be asked any more. */
  readonly suspend: (service: number) => void;
  /** A service as people know it. */
  readonly serviceName: (service: number) => string;
}

const BLAME_MS = 60_000;

export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #region: Region;
  /** What is to be taken away at the end, last made first. */
  readonly #undo: (() => void | Promise<void>)[] = [];
  #silence: Silence | undefined;
  #rings: Rings | undefined;
  #shards: ShardHost | undefined;
  #answered = "";
  readonly #pulses: Pulses;
  /** When a service's scheduler last hung a shard. */
  readonly #blamed = new Map<number, number>();
  #handedOver = false;

  constructor(options: ForwardingOptions) {
    this.#options = options;
    this.#region = options.state.region;
    this.#pulses = new Pulses(options.state.region);
  }

  /** Resolves when frames are forwarded. When it rejects, `close` takes away what stands already. */
  async open(): Promise<void> {
    this.#beginSilence();
    this.#host(this.#openRings());
    await this.#shards!.start();
  }

  /** Takes over what another process has open and has the threads ready, but touches nothing: see `start`. */
  async inherit({ sockets, xdp, silence }: Pick<Offer, "sockets" | "xdp" | "silence">): Promise<void> {
    if (silence !== undefined) {
      this.#silence = new Silence(this.#options.interfaceName, silence);
      this.#endWith(this.#silence);
    }
    const rings = inheritRings({ region: this.#region, filter: this.#options.filter }, sockets, xdp);
    this.#rings = rings;
    this.#undo.push(() => rings.close());
    this.#host(rings);
    await this.#shards!.warm();
  }

  /** Has the shards that were made ready, or that rest, take frames. */
  async start(): Promise<void> {
    this.#rings?.inherited?.();
    await this.#shards!.start();
  }

  /** No frame is taken from when this resolves until `start`; they wait in their rings. */
  async rest(): Promise<void> {
    await this.#shards!.pause();
    this.#pulses.reset();
  }

  /** What another process needs to go on. Throws MachineError while there are no rings. */
  get inheritance(): Pick<Offer, "sockets" | "xdp" | "silence"> {
    if (this.#rings === undefined) throw new MachineError("it has no rings at the moment");
    const { sockets, xdp } = this.#rings;
    const silence = this.#silence?.inheritance;
    return { sockets, ...(xdp === undefined ? {} : { xdp }), ...(silence === undefined ? {} : { silence }) };
  }

  #host(rings: Rings): void {
    this.#pulses.reset();
    const control = native().eventFd();
    this.#undo.push(() => native().close(control));
    const watch = new Watch(control, () => {
      readSync(control, new Uint8Array(8));
      this.#options.kicked();
    });
    this.#undo.push(() => watch.end());
    const shards = new PiscinaShardHost({
      region: this.#region,
      tasks: rings.sockets.map((sockets, index) => this.#task(rings, sockets, index, control)),
      event: (event) => this.#tell(event),
    });
    this.#shards = shards;
    this.#undo.push(() => shards.stop());
  }

  /** Has everything follow the services. The host falls silent before the rings take new traffic. */
  follow(): void {
    try {
      this.#silence?.update(silencedTraffic(this.#region));
    } catch (error) {
      const message = `the host's silence does not follow the services: ${(error as Error).message}`;
      this.#options.events.tell("error", "silence", message);
    }
    this.#followRings();
    this.wake();
  }

  /** Which path the rings really got: "af_packet", "af_xdp native copy". */
  get ring(): string {
    return this.#rings?.name ?? "none";
  }

  /** Something in the region has changed that the shards must look at; it may be the addresses we answer for. */
  wake(): void {
    const addresses = this.#addresses();
    if (addresses !== this.#answered) this.#followRings();
    this.#answered = addresses;
    this.#shards?.wake();
  }

  #addresses(): string {
    const { vips, counts } = this.#region.place;
    return vips.subarray(0, counts[PLACE_VIPS]! * 4).join();
  }

  #followRings(): void {
    try {
      this.#rings?.follow();
    } catch (error) {
      const message = `the rings do not follow the services: ${(error as Error).message}`;
      this.#options.events.tell("error", "ring", message);
    }
  }

  /** Looks whether every shard still turns; one that hangs is ended, and another thread goes on in its place. */
  feelPulses(now: number): void {
    for (const { shard, service } of this.#pulses.look()) {
      const where = service < 0 ? "" : `, in the scheduler of ${this.#options.serviceName(service)}`;
      const reason = `it has not turned for ${STANDING_LOOKS} s${where}`;
      this.#options.events.tell("error", "shard-hung", `shard ${shard} hangs: ${reason}`, { shard, reason });
      if (service >= 0) this.#blame(service, now);
      void this.#shards?.restart(shard, reason, service >= 0);
    }
  }

  /** A scheduler that does it twice within a minute would do it for ever: the same frame comes again. */
  #blame(service: number, now: number): void {
    const before = this.#blamed.get(service);
    this.#blamed.set(service, now);
    if (before !== undefined && now - before < BLAME_MS) this.#options.suspend(service);
  }

  /** Another process goes on with all of it: nothing is closed but our own ends. */
  letGo(): Promise<void> {
    this.#handedOver = true;
    return this.close();
  }

  /** Everything anew: what it was bound to is there no more. */
  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  async close(): Promise<void> {
    this.#rings = undefined;
    this.#silence = undefined;
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        this.#options.events.tell("warn", "stop-failed", `while stopping: ${(error as Error).message}`);
      }
    }
  }

  #endWith(silence: Silence): void {
    this.#undo.push(() => (this.#handedOver ? silence.letGo() : silence.close()));
  }

  #beginSilence(): void {
    const { config, interfaceName, events } = this.#options;
    if (config.silence === "off") return;
    try {
      const silence = new Silence(interfaceName);
      this.#endWith(silence);
      silence.update(silencedTraffic(this.#region));
      this.#silence = silence;
      if (silence.vanishes) return;
      const message = `this kernel keeps table ${silence.table} if the director is killed; the next start replaces it`;
      events.tell("warn", "silence", message);
    } catch (error) {
      const message = `the host's own stack may answer the services' traffic: ${(error as Error).message}`;
      if (config.silence === "require") throw new SilenceError(`${message} (silence: require)`);
      events.tell("warn", "silence", message);
    }
  }

  #openRings(): Rings {
    const { config, interfaceName, events, filter } = this.#options;
    const rings = openRings({
      region: this.#region,
      config,
      interfaceName,
      filter,
      warn: (message) => events.tell("warn", "ring", message),
    });
    this.#rings = rings;
    this.#undo.push(() => rings.close());
    steer(this.#region, rings.byQueue);
    // The rings are new: where the last process's ring stood says nothing about them.
    for (const shard of this.#region.shards) shard.cells[ShardCell.RingPosition] = 0;
    return rings;
  }

  #task(rings: Rings, sockets: RingSockets, index: number, control: number): ShardTask {
    const { state, config, schedulers } = this.#options;
    const { cpus, ring } = config;
    return {
      index,
      regionFd: state.fd,
      regionBytes: state.bytes,
      sockets,
      wakes: rings.sockets.map(({ wake }) => wake),
      control,
      wait: ring.wait,
      cpu: cpus.length === 0 ? -1 : cpus[index % cpus.length]!,
      schedulers,
    };
  }

  #tell({ kind, shard, reason }: ShardEvent): void {
    const died = kind === "died";
    const text = died ? `shard ${shard} died (${reason}) and is started again` : `shard ${shard} started`;
    this.#options.events.tell(died ? "error" : "debug", `shard-${kind}`, text, { shard, reason });
  }
}
