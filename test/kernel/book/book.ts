/**
 * Kernel IPVS's book-keeping told a second time (ip_vs_core.c, ip_vs_conn.c, ip_vs_ctl.c, ip_vs_proto_tcp.c): one list
 * of connections, newest first, one object for each, whole seconds. It knows what the recordings have no room for:
 * every scheduler with every setting, command and packet in any order (book.test.ts).
 */
import { type Dest, newTurn, type Rules, type Turn } from "./schedulers.ts";
import {
  ACTIVE,
  type Entry,
  type Fate,
  leave,
  markText,
  next,
  type Packet,
  type Service,
  type ServiceOptions,
} from "./words.ts";

interface Kept {
  service: Service;
  options: ServiceOptions;
  list: Dest[];
  turn: Turn;
}

export class Book {
  now = 0;
  readonly sysctl = {
    conn_reuse_mode: 1,
    expire_nodest_conn: 0,
    expire_quiescent_template: 0,
    sloppy_tcp: 0,
    drop_packet: 0,
    secure_tcp: 0,
    schedule_icmp: 0,
  };
  readonly timeouts: Record<string, number> = {
    ESTABLISHED: 900,
    SYN_RECV: 60,
    FIN_WAIT: 120,
    TIME_WAIT: 120,
    CLOSE: 10,
    SYNACK: 120,
    UDP: 300,
  };
  readonly services = new Map<string, Kept>();
  readonly #older: boolean;
  #entries: Entry[] = [];
  /** Deleted real servers by service and address: when nobody pointed at them first was noticed. */
  readonly #trash = new Map<string, { dest: Dest; of: Kept; idle: number }>();
  #trashDue = 0;
  #departed = false;
  #dropped = 0;

  constructor(older: boolean) {
    this.#older = older;
  }

  // What an administrator does.

  addService(service: Service, options: ServiceOptions): void {
    const kept: Kept = { service, options, list: [], turn: newTurn(options.scheduler, []) };
    this.services.set(service.name, kept);
  }

  editService(name: string, options: ServiceOptions): void {
    const kept = this.services.get(name)!;
    if (options.scheduler !== kept.options.scheduler) kept.turn = newTurn(options.scheduler, kept.list);
    kept.options = options;
  }

  deleteService(name: string): void {
    const kept = this.services.get(name)!;
    for (const dest of [...kept.list]) this.#throwAway(kept, dest);
    kept.list = [];
    this.services.delete(name);
  }

  addServer(name: string, dest: Dest): void {
    const kept = this.services.get(name)!;
    const place = `${name} ${dest.host}`;
    const old = this.#trash.get(place);
    this.#trash.delete(place);
    const back = old?.dest ?? dest;
    // A service that was deleted and made anew counts from zero.
    if (old !== undefined && old.of !== kept) back.packets = back.bytes = back.connections = 0;
    back.available = true;
    back.lastWeight = dest.weight;
    this.#edit(back, dest.weight, dest.upper, dest.lower);
    kept.list.unshift(back);
    kept.turn.changed?.(kept.list);
  }

  editServer(name: string, host: number, weight: number, upper: number, lower: number): void {
    const kept = this.services.get(name)!;
    this.#edit(kept.list.find((dest) => dest.host === host)!, weight, upper, lower);
    kept.turn.changed?.(kept.list);
  }

  deleteServer(name: string, host: number): void {
    const kept = this.services.get(name)!;
    const at = kept.list.findIndex((dest) => dest.host === host);
    const [dest] = kept.list.splice(at, 1);
    kept.turn.changed?.(kept.list, dest, kept.list[at - 1]);
    this.#throwAway(kept, dest!);
  }

  zero(name: string): void {
    for (const dest of this.services.get(name)!.list) dest.packets = dest.bytes = dest.connections = 0;
  }

  #edit(dest: Dest, weight: number, upper: number, lower: number): void {
    const changed = dest.upper !== upper || dest.lower !== lower;
    if (weight !== 0) dest.lastWeight = weight;
    dest.weight = weight;
    if (this.#older && (upper === 0 || upper > dest.upper)) dest.overloaded = false;
    dest.upper = upper;
    dest.lower = lower;
    if (!this.#older && changed) this.#weighOverload(dest);
  }

  #weighOverload(dest: Dest): void {
    const total = dest.active + dest.inactive;
    if (dest.upper !== 0 && total >= dest.upper) dest.overloaded = true;
    else if (dest.upper === 0 || total < (dest.lower || dest.upper - (dest.upper >> 2)))
      dest.overloaded = false;
  }

  #throwAway(kept: Kept, dest: Dest): void {
    dest.available = false;
    if (this.#trash.size === 0) this.#trashDue = this.now + 60;
    this.#trash.set(`${kept.service.name} ${dest.host}`, { dest, of: kept, idle: 0 });
    if (this.sysctl.expire_nodest_conn !== 0) this.#departed = true;
  }

  // Time.

  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.now++;
      const over = this.#entries.filter((entry) => entry.expires <= this.now);
      for (const entry of over.filter((each) => !each.template)) this.#end(entry);
      if (this.#departed) this.#flushDeparted();
      for (const entry of over.filter((each) => each.template)) this.#endTemplate(entry);
      if (this.#trash.size > 0 && this.now >= this.#trashDue) this.#sweepTrash();
    }
  }

  #flushDeparted(): void {
    this.#departed = false;
    for (const entry of [...this.#entries]) {
      if (entry.dest.available || entry.children > 0 || !this.#entries.includes(entry)) continue;
      this.#end(entry);
      if (entry.parent !== undefined && entry.parent.children === 0) this.#end(entry.parent);
    }
  }

  #sweepTrash(): void {
    this.#trashDue = this.now + 60;
    for (const [place, lying] of this.#trash) {
      if (this.#entries.some((entry) => entry.dest === lying.dest)) continue;
      if (lying.idle === 0) lying.idle = this.now;
      else if (this.now >= lying.idle + 120 && !this.#isHeld(lying)) this.#trash.delete(place);
    }
  }

  /** What lblc and lblcr remember keeps a deleted real server from being forgotten. */
  #isHeld({ dest, of }: { dest: Dest; of: Kept }): boolean {
    return this.services.get(of.service.name) === of && of.turn.holds?.(dest) === true;
  }

  #end(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    if (entry.parent !== undefined) entry.parent.children--;
    const { dest } = entry;
    if (entry.template) dest.persistent--;
    else if (entry.inactive) dest.inactive--;
    else dest.active--;
    this.#unburden(dest);
  }

  #unburden(dest: Dest): void {
    const total = dest.active + dest.inactive;
    if (dest.lower !== 0 ? total < dest.lower : total * 4 < dest.upper * 3 || dest.upper === 0)
      dest.overloaded = false;
  }

  #endTemplate(entry: Entry): void {
    if (!this.#entries.includes(entry) || entry.expires > this.now) return;
    if (entry.children === 0) this.#end(entry);
    else entry.expires = this.now + (entry.timeout = 60);
  }

  // A packet's way.

  packet(packet: Packet): Fate {
    if (![...this.services.values()].some(({ service }) => service.family === packet.family)) return "host";
    let entry = this.#entryOf(packet);
    if (entry !== undefined && packet.protocol === "TCP" && packet.flags.includes("S")) {
      if (this.#beginsAnew(entry)) {
        entry.expires = this.now;
        entry = undefined;
      }
    }
    if (entry !== undefined && !entry.dest.available) {
      if (this.sysctl.expire_nodest_conn === 0) return "none";
      entry.expires = this.now;
      entry = undefined;
    }
    if (entry === undefined) {
      const opened = this.#open(packet);
      if (typeof opened === "string") return opened;
      entry = opened;
    }
    this.#advance(entry, packet);
    return `rs${entry.dest.host - 10}`;
  }

  /** An ICMP error about a packet of the flow's other direction; `bytes` are the error's. */
  error(flow: Packet): Fate {
    if (![...this.services.values()].some(({ service }) => service.family === flow.family)) return "host";
    const entry = this.#entryOf(flow);
    if (entry === undefined) return this.sysctl.schedule_icmp === 0 ? "host" : this.#openRelated(flow);
    if (entry.dest.available) {
      entry.dest.packets++;
      entry.dest.bytes += flow.bytes;
    }
    return `rs${entry.dest.host - 10}`;
  }

  /** The connection it opens has no state and lives three seconds; nobody is told that nobody takes it. */
  #openRelated(flow: Packet): Fate {
    const opened = this.#schedule(flow);
    if (typeof opened === "string") return opened === "icmp" ? "none" : opened;
    opened.dest.packets++;
    opened.dest.bytes += flow.bytes;
    opened.timeout = 3;
    opened.expires = this.now + 3;
    return `rs${opened.dest.host - 10}`;
  }

  #entryOf(packet: Packet): Entry | undefined {
    return this.#entries.find(
      (each) =>
        !each.template &&
        each.protocol === packet.protocol &&
        each.client === packet.client &&
        each.clientPort === packet.clientPort &&
        each.virtual === packet.vip &&
        each.port === packet.port,
    );
  }

  #beginsAnew(entry: Entry): boolean {
    const { conn_reuse_mode: mode, expire_nodest_conn } = this.sysctl;
    if (expire_nodest_conn !== 0 && entry.dest.weight === 0) return true;
    if (mode === 0 || entry.parent !== undefined) return false;
    const over = ["TIME_WAIT", "CLOSE"].includes(entry.state);
    return over || ((mode & 2) !== 0 && entry.state === "FIN_WAIT");
  }

  #advance(entry: Entry, packet: Packet): void {
    const { dest } = entry;
    dest.packets++;
    dest.bytes += packet.bytes;
    if (packet.protocol === "TCP") {
      const state = next(entry.state, packet.flags, this.sysctl.secure_tcp === 3);
      if (state !== entry.state) this.#enter(entry, state);
    }
    entry.timeout = this.timeouts[entry.state]!;
    entry.expires = this.now + entry.timeout;
  }

  #enter(entry: Entry, state: string): void {
    entry.state = state;
    const inactive = !ACTIVE.includes(state);
    if (inactive !== entry.inactive) {
      entry.dest.active += inactive ? -1 : 1;
      entry.dest.inactive += inactive ? 1 : -1;
      entry.inactive = inactive;
    }
    if (state === "ESTABLISHED" && entry.parent !== undefined) entry.parent.assured = true;
  }

  #find(packet: Packet): Kept | undefined {
    const kept = [...this.services.values()].filter(({ service }) => service.family === packet.family);
    const at = (port: number): Kept | undefined =>
      kept.find(
        ({ service }) =>
          service.protocol === packet.protocol && service.vip === packet.vip && service.port === port,
      );
    const marked = packet.mark === 0 ? undefined : kept.find(({ service }) => service.mark === packet.mark);
    const ftp = packet.protocol === "TCP" && (packet.port === 20 || packet.port >= 1024);
    return marked ?? at(packet.port) ?? (ftp ? at(21) : undefined) ?? at(0);
  }

  #open(packet: Packet): Entry | Fate {
    const { flags } = packet;
    if (
      packet.protocol === "TCP" &&
      (flags.includes("R") || !(flags.includes("S") || this.sysctl.sloppy_tcp))
    )
      return "host";
    return this.#schedule(packet);
  }

  #schedule(packet: Packet): Entry | Fate {
    const kept = this.#find(packet);
    if (kept === undefined) return "host";
    if (this.sysctl.drop_packet === 3 && --this.#dropped <= 0) {
      this.#dropped = 10;
      return "none";
    }
    if (packet.clientPort === 20) return "host";
    const { service, options } = kept;
    if (options.persistence > 0) return this.#openPersistent(kept, packet);
    if (service.mark === 0 && packet.port !== service.port) return leave(service, packet);
    const dest = this.#choose(kept, packet);
    if (dest === undefined) return leave(service, packet);
    return this.#connect(packet, options, dest, dest.port === 0 ? packet.port : dest.port, undefined);
  }

  #openPersistent(kept: Kept, packet: Packet): Entry | Fate {
    const { service, options } = kept;
    const same = packet.port === service.port;
    const marked = service.mark !== 0 && !same;
    const protocol = marked ? "IP" : packet.protocol;
    const virtual = marked ? markText(service) : packet.vip;
    const port = same && service.port !== 21 ? service.port : 0;
    const client = packet.network(options.bits);
    let template = this.#entries.find(
      (each) =>
        each.template &&
        each.clientPort === 0 &&
        each.family === packet.family &&
        each.protocol === protocol &&
        each.client === client &&
        each.virtual === virtual &&
        each.port === port,
    );
    if (template !== undefined && !this.#isGood(template)) {
      template.port = template.serverPort = 65535;
      template = undefined;
    }
    if (template === undefined) {
      const dest = this.#choose(kept, packet);
      if (dest === undefined) return leave(service, packet);
      const serverPort = same && service.port !== 21 ? dest.port : 0;
      template = this.#newEntry({ protocol, client, clientPort: 0, virtual, port, serverPort, dest }, packet);
      template.template = true;
      template.timeout = options.persistence;
      dest.persistent++;
      this.#burden(dest);
    }
    template.expires = this.now + template.timeout;
    const { dest } = template;
    return this.#connect(packet, options, dest, same && dest.port !== 0 ? dest.port : packet.port, template);
  }

  #isGood({ dest }: Entry): boolean {
    return dest.available && !(this.sysctl.expire_quiescent_template !== 0 && dest.weight === 0);
  }

  #choose({ turn, list, options }: Kept, packet: Packet): Dest | undefined {
    const rules: Rules = { ...options, overhead: this.#older ? 256 : 257 };
    return turn.choose(list, { ...packet.folds, clientPort: packet.clientPort }, rules);
  }

  #connect(
    packet: Packet,
    options: ServiceOptions,
    dest: Dest,
    serverPort: number,
    parent: Entry | undefined,
  ): Entry | Fate {
    const { protocol, client, clientPort, vip: virtual, port } = packet;
    const entry = this.#newEntry({ protocol, client, clientPort, virtual, port, serverPort, dest }, packet);
    entry.parent = parent;
    if (parent !== undefined) parent.children++;
    dest.inactive++;
    this.#burden(dest);
    dest.connections++;
    if (!options.onePacket || protocol !== "UDP") return entry;
    dest.packets++;
    dest.bytes += packet.bytes;
    this.#end(entry);
    return `rs${dest.host - 10}`;
  }

  #burden(dest: Dest): void {
    if (dest.upper !== 0 && dest.active + dest.inactive >= dest.upper) dest.overloaded = true;
  }

  #newEntry(
    named: Pick<Entry, "protocol" | "client" | "clientPort" | "virtual" | "port" | "serverPort" | "dest">,
    packet: Packet,
  ): Entry {
    const entry: Entry = {
      ...named,
      family: packet.family,
      state: named.protocol === "UDP" ? "UDP" : "NONE",
      inactive: true,
      template: false,
      assured: false,
      timeout: 0,
      expires: 0,
      parent: undefined,
      children: 0,
    };
    this.#entries.unshift(entry);
    return entry;
  }

  /** As Story tells them; what is over and waits for its tick is not told. */
  connections(): string[] {
    const alive = this.#entries.filter((entry) => entry.expires > this.now);
    return alive
      .map((entry) => {
        const state = entry.template ? (entry.assured ? "ASSURED" : "NONE") : entry.state;
        const ends = `${entry.client}:${entry.clientPort} ${entry.virtual}:${entry.port}`;
        const server = `rs${entry.dest.host - 10}:${entry.serverPort}`;
        return `${entry.protocol} ${ends} ${server} ${state} ${entry.expires - this.now}`;
      })
      .sort();
  }
}
