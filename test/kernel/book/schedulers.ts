/**
 * The kernel's schedulers told a second time (net/netfilter/ipvs/ip_vs_*.c): over lists of plain objects, with nothing
 * precomputed and no eye on speed, so that ours have somebody to disagree with.
 */

/** A real server of a service. `active` and `inactive` are what ipvsadm shows. */
export interface Dest {
  /** Last number of its address: rs1 is 11. */
  readonly host: number;
  /** Its address folded to one number. */
  readonly fold: number;
  readonly port: number;
  weight: number;
  /** The last weight that was not 0. */
  lastWeight: number;
  upper: number;
  lower: number;
  overloaded: boolean;
  active: number;
  inactive: number;
  persistent: number;
  available: boolean;
  packets: number;
  bytes: number;
  connections: number;
}

export interface Asked {
  /** Client's and virtual address folded to one number each. */
  readonly client: number;
  readonly virtual: number;
  readonly clientPort: number;
}

export interface Rules {
  readonly fallback: boolean;
  readonly withPort: boolean;
  /** What an active connection weighs: 257, or 256 in older kernels. */
  readonly overhead: number;
}

export interface Turn {
  choose(list: readonly Dest[], asked: Asked, rules: Rules): Dest | undefined;
  /** The list changed; `gone` left it and `before` stood before it. */
  changed?(list: readonly Dest[], gone?: Dest, before?: Dest): void;
  /** Does it remember `dest`, though it may be deleted? */
  holds?(dest: Dest): boolean;
}

const may = (dest: Dest): boolean => dest.weight > 0 && !dest.overloaded;

/** The first of the smallest by `load` per weight; a later one must be strictly better. */
function least(list: readonly Dest[], load: (dest: Dest) => number, weigh = true): Dest | undefined {
  const per = (dest: Dest): number => load(dest) / (weigh ? dest.weight : 1);
  let best: Dest | undefined;
  for (const dest of list) if (may(dest) && (best === undefined || per(best) > per(dest))) best = dest;
  return best;
}

const overhead = (rules: Rules) => (dest: Dest) => rules.overhead * dest.active + dest.inactive;

class Rr implements Turn {
  #last: Dest | undefined;
  choose(list: readonly Dest[]): Dest | undefined {
    const at = this.#last === undefined ? -1 : list.indexOf(this.#last);
    const turn = [...list.slice(at + 1), ...list.slice(0, at + 1)];
    const dest = turn.find(may);
    if (dest !== undefined) this.#last = dest;
    return dest;
  }
  changed(_list: readonly Dest[], gone?: Dest, before?: Dest): void {
    if (gone !== undefined && gone === this.#last) this.#last = before;
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

class Wrr implements Turn {
  /** Place in the list, -1 is its head. */
  #at = -1;
  #current = 0;
  #most = 0;
  #step = 1;

  constructor(list: readonly Dest[]) {
    this.#measure(list);
    this.#current = this.#most;
  }

  #measure(list: readonly Dest[]): void {
    const weights = list.map((dest) => dest.weight).filter((weight) => weight > 0);
    this.#step = weights.reduce(gcd, 0) || 1;
    this.#most = Math.max(0, ...weights) - (this.#step - 1);
    this.#at = -1;
  }

  changed(list: readonly Dest[]): void {
    this.#measure(list);
    if (this.#current > this.#most || this.#current === 0) this.#current = this.#most;
    else if (this.#step > 1) this.#current = Math.trunc(this.#current / this.#step) * this.#step + 1;
  }

  choose(list: readonly Dest[]): Dest | undefined {
    if (this.#most === 0) return undefined;
    const last = this.#at;
    let stop = -1;
    let finalPass = false;
    let again = false;
    for (;;) {
      for (let i = this.#at + 1; i < list.length; i++) {
        this.#at = i;
        if (!list[i]!.overloaded && list[i]!.weight >= this.#current) return list[i];
        if (i === stop) return undefined;
      }
      this.#at = -1;
      this.#current -= this.#step;
      if (this.#current <= 0) {
        this.#current = this.#most;
        if (finalPass || last === -1) return undefined;
        again = true;
      }
      finalPass = this.#current <= this.#step;
      if (finalPass && again && last !== -1) stop = last;
    }
  }
}

const hash32 = (value: number): number => (Math.imul(value, 0x61c88647) >>> 24) & 255;

class Sh implements Turn {
  #buckets: (Dest | undefined)[] = [];
  constructor(list: readonly Dest[]) {
    this.changed(list);
  }
  changed(list: readonly Dest[]): void {
    const round = list.flatMap((dest) => Array.from({ length: Math.max(1, dest.weight) }, () => dest));
    this.#buckets = Array.from({ length: 256 }, (_, i) => round[i % round.length]);
  }
  choose(_list: readonly Dest[], asked: Asked, rules: Rules): Dest | undefined {
    const home = hash32((asked.client + (rules.withPort ? asked.clientPort : 0)) | 0);
    const first = this.#buckets[home];
    if (first === undefined || may(first) || !rules.fallback) return first && may(first) ? first : undefined;
    for (let off = 0; off < 256; off++) {
      const dest = this.#buckets[(home + ((off + home) % 256)) % 256]!;
      if (may(dest)) return dest;
    }
    return undefined;
  }
}

class Dh implements Turn {
  #buckets: (Dest | undefined)[] = [];
  constructor(list: readonly Dest[]) {
    this.changed(list);
  }
  changed(list: readonly Dest[]): void {
    this.#buckets = Array.from({ length: 256 }, (_, i) => list[i % list.length]);
  }
  choose(_list: readonly Dest[], asked: Asked): Dest | undefined {
    const dest = this.#buckets[hash32(asked.virtual)];
    return dest?.available && may(dest) ? dest : undefined;
  }
}

const M64 = (1n << 64n) - 1n;
const rotl = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & M64;

/** SipHash-1-3 of four bytes with the key {k, k}, its low 32 bits: hsiphash_1u32 of a 64-bit kernel. */
function hsiphash(word: number, k: bigint): number {
  let [v0, v1, v2, v3] = [
    0x736f6d6570736575n ^ k,
    0x646f72616e646f6dn ^ k,
    0x6c7967656e657261n ^ k,
    0x7465646279746573n ^ k,
  ];
  const round = (): void => {
    v0 = (v0 + v1) & M64;
    v1 = rotl(v1, 13n) ^ v0;
    v0 = rotl(v0, 32n);
    v2 = (v2 + v3) & M64;
    v3 = rotl(v3, 16n) ^ v2;
    v0 = (v0 + v3) & M64;
    v3 = rotl(v3, 21n) ^ v0;
    v2 = (v2 + v1) & M64;
    v1 = rotl(v1, 17n) ^ v2;
    v2 = rotl(v2, 32n);
  };
  const block = (4n << 56n) | BigInt(word >>> 0);
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return Number((v0 ^ v1 ^ v2 ^ v3) & 0xffffffffn);
}

const PLACES = 4093;
const OFFSET = 2654435761n;
const SKIP = 2654446892n;

class Mh implements Turn {
  #table: (Dest | undefined)[] = [];
  constructor(list: readonly Dest[]) {
    this.changed(list);
  }
  changed(list: readonly Dest[]): void {
    this.#table = new Array<Dest | undefined>(PLACES).fill(undefined);
    const weights = list.map((dest) => dest.lastWeight);
    const step = weights.reduce(gcd, 0);
    if (step === 0) return;
    const bits = (Math.max(...weights) / step).toString(2).length;
    const shift = 2 ** Math.max(0, bits - 6);
    const claims = list.map((dest) => ({
      dest,
      turns: dest.lastWeight === 0 ? 0 : Math.floor(dest.lastWeight / step / shift) || 1,
      at: hsiphash(dest.fold + dest.port, OFFSET) % PLACES,
      skip: (hsiphash(dest.fold + dest.port, SKIP) % (PLACES - 1)) + 1,
    }));
    for (let claimed = 0; claimed < PLACES; ) {
      for (const claim of claims) {
        for (let turn = 0; turn < claim.turns && claimed < PLACES; turn++, claimed++) {
          while (this.#table[claim.at] !== undefined) claim.at = (claim.at + claim.skip) % PLACES;
          this.#table[claim.at] = claim.dest;
        }
      }
    }
  }
  choose(_list: readonly Dest[], asked: Asked, rules: Rules): Dest | undefined {
    const word = asked.client + (rules.withPort ? asked.clientPort : 0);
    const home = hsiphash(word, OFFSET) % PLACES;
    const first = this.#table[home];
    if (first === undefined || may(first) || !rules.fallback) return first && may(first) ? first : undefined;
    for (let off = 0; off < PLACES; off++) {
      const dest = this.#table[hsiphash(word + ((off + home) % PLACES), OFFSET) % PLACES]!;
      if (may(dest)) return dest;
    }
    return undefined;
  }
}

/** lblc and lblcr: too many active connections here, and somebody who is half idle. */
function isBusy(dest: Dest, list: readonly Dest[]): boolean {
  return dest.active > dest.weight && list.some((other) => other.active * 2 < other.weight);
}

class Lblc implements Turn {
  readonly #of = new Map<number, Dest>();
  holds(dest: Dest): boolean {
    return [...this.#of.values()].includes(dest);
  }
  choose(list: readonly Dest[], asked: Asked, rules: Rules): Dest | undefined {
    const known = this.#of.get(asked.virtual);
    if (known?.available && known.weight > 0 && !isBusy(known, list)) return known;
    const dest = least(list, overhead(rules));
    if (dest !== undefined) this.#of.set(asked.virtual, dest);
    return dest;
  }
}

class Lblcr implements Turn {
  /** The newest of a set comes first. */
  readonly #of = new Map<number, Dest[]>();
  holds(dest: Dest): boolean {
    return [...this.#of.values()].flat().includes(dest);
  }
  choose(list: readonly Dest[], asked: Asked, rules: Rules): Dest | undefined {
    const set = this.#of.get(asked.virtual) ?? [];
    const known = least(
      set.filter((dest) => dest.available),
      overhead(rules),
    );
    if (known !== undefined && !isBusy(known, list)) return known;
    const dest = least(list, overhead(rules));
    if (dest !== undefined && !set.includes(dest)) this.#of.set(asked.virtual, [dest, ...set]);
    return dest;
  }
}

/** The heaviest of those, the first among equals. */
function heaviest(list: readonly Dest[]): Dest | undefined {
  let best: Dest | undefined;
  for (const dest of list) if (may(dest) && dest.weight > (best?.weight ?? 0)) best = dest;
  return best;
}

const TURNS: Readonly<Record<string, (list: readonly Dest[]) => Turn>> = {
  rr: () => new Rr(),
  wrr: (list) => new Wrr(list),
  lc: () => ({ choose: (list, _asked, rules) => least(list, overhead(rules), false) }),
  wlc: () => ({ choose: (list, _asked, rules) => least(list, overhead(rules)) }),
  sed: () => ({ choose: (list) => least(list, (dest) => dest.active + 1) }),
  nq: () => ({
    choose: (list) =>
      list.find((dest) => may(dest) && dest.active === 0) ?? least(list, (dest) => dest.active + 1),
  }),
  sh: (list) => new Sh(list),
  dh: (list) => new Dh(list),
  mh: (list) => new Mh(list),
  lblc: () => new Lblc(),
  lblcr: () => new Lblcr(),
  fo: () => ({ choose: heaviest }),
  ovf: () => ({ choose: (list) => heaviest(list.filter((dest) => dest.active <= dest.weight)) }),
};

export const SCHEDULERS = Object.keys(TURNS);

export function newTurn(name: string, list: readonly Dest[]): Turn {
  return TURNS[name]!(list);
}
