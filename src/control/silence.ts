/**
 * Keeps the host's own stack from answering the services' traffic: an nf_tables rule on the interface's ingress that
 * drops exactly that traffic, after our rings have seen it. The table is owned by our netlink socket (Linux 5.12), so
 * it is gone the moment this process is, however it ends.
 */
import { native, openNetlink } from "../ring/native.ts";
import { BatchReplies } from "../wire/batch-replies.ts";
import { parseAcknowledgement, parseMessages } from "../wire/netlink.ts";
import { type Batch, NETLINK_NETFILTER, parseTable, tableRequest } from "../wire/nftables.ts";
import { type SilencedNetwork, type SilencedService, silenceBatch, unsilenceBatch } from "../wire/silence.ts";

export class SilenceError extends Error {
  override readonly name = "SilenceError";
}

/** What is to be kept from the host's stack. */
export interface SilencedTraffic {
  readonly services: readonly SilencedService[];
  readonly networks: readonly SilencedNetwork[];
}

/** A rule that stands, and the socket that it hangs on. */
export interface InheritedSilence {
  readonly fd: number;
  readonly table: string;
  readonly owned: boolean;
  /** Number of the next request on the socket. */
  readonly sequence: number;
}

/** Older kernels know no owned tables: theirs stays behind when the director is killed, until the next one starts. */
type Ownership = "owned" | "left";

const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_SNDBUF = 7;
/** A batch for some ten thousand services. */
const BATCH_BYTES = 4 * 1024 * 1024;
const ANSWER_MS = 2_000;

export class Silence {
  readonly #device: string;
  readonly #table: string;
  readonly #fd: number;
  readonly #answer = new Uint8Array(65_536);
  #ownership: Ownership = "owned";
  #standing = false;
  #sequence = 1;
  #closed = false;

  /** Throws when the kernel gives no netfilter socket. With `inherited` it goes on with another process's rule. */
  constructor(device: string, inherited?: InheritedSilence) {
    this.#device = device;
    this.#table = inherited?.table ?? `dr-director-${device}-${process.pid}`;
    this.#fd = inherited?.fd ?? openNetlink(NETLINK_NETFILTER, 0);
    if (inherited !== undefined) {
      this.#ownership = inherited.owned ? "owned" : "left";
      this.#sequence = inherited.sequence;
      this.#standing = true;
      return;
    }
    try {
      native().setOption(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, BATCH_BYTES);
    } catch {
      native().setOption(this.#fd, SOL_SOCKET, SO_SNDBUF, BATCH_BYTES);
    }
  }

  /** Does the rule go away by itself when this process dies? */
  get vanishes(): boolean {
    return this.#ownership === "owned";
  }

  /** The table's name, as `nft list table netdev …` knows it. */
  get table(): string {
    return this.#ownership === "owned" ? this.#table : `dr-director-${this.#device}`;
  }

  /** Puts the rule for this traffic in place of the one before, in one step. Throws SilenceError. */
  update(traffic: SilencedTraffic): void {
    if (this.#standing) this.#send(this.#batch(traffic, true));
    else this.#begin(traffic);
    this.#standing = true;
    if (!this.stands()) throw new SilenceError("the kernel took the rule, but it is not there");
  }

  /** Asks the kernel whether the table is there. */
  stands(): boolean {
    return this.#standing && this.#exists();
  }

  /** What another process needs to go on with this rule: it stands as long as one of them has the socket. */
  get inheritance(): InheritedSilence {
    return { fd: this.#fd, table: this.#table, owned: this.vanishes, sequence: this.#sequence };
  }

  /** Another process has it now: the rule stays. */
  letGo(): void {
    if (this.#closed) return;
    this.#closed = true;
    native().close(this.#fd);
  }

  /** Takes the rule away. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#standing) this.#send(unsilenceBatch(this.table, this.#next(1)));
    } finally {
      native().close(this.#fd);
    }
  }

  #begin(traffic: SilencedTraffic): void {
    const failure = this.#exchange(this.#batch(traffic, false));
    if (failure === undefined) return;
    // EINVAL, EOPNOTSUPP: the kernel does not know owned tables; anything else would fail without it as well.
    if (failure.errno !== 22 && failure.errno !== 95) throw refused(failure);
    this.#ownership = "left";
    this.#send(this.#batch(traffic, this.#exists()));
  }

  #batch({ services, networks }: SilencedTraffic, replace: boolean): Batch {
    const owned = this.#ownership === "owned";
    const silence = { table: this.table, device: this.#device, services, networks, owned, replace };
    return silenceBatch(silence, this.#next(16 + services.length + networks.length));
  }

  #next(count: number): number {
    const sequence = this.#sequence;
    this.#sequence = (this.#sequence + count + 2) & 0x3fff_ffff || 1;
    return sequence;
  }

  #send(batch: Batch): void {
    const failure = this.#exchange(batch);
    if (failure !== undefined) throw refused(failure);
  }

  #exchange(batch: Batch): Failure | undefined {
    native().send(this.#fd, batch.bytes);
    const replies = new BatchReplies(batch);
    for (;;) if (replies.take(this.#receive())) return replies.failure;
  }

  #exists(): boolean {
    const sequence = this.#next(1);
    native().send(this.#fd, tableRequest(this.table, sequence));
    for (;;) {
      for (const message of parseMessages(this.#receive())) {
        if (message.sequence !== sequence) continue;
        if (parseTable(message)?.name === this.table) return true;
        if (parseAcknowledgement(message) !== undefined) return false;
      }
    }
  }

  /** Netlink answers while it is asked, so nearly always the answer waits already. */
  #receive(): Uint8Array {
    const deadline = native().monotonic() + ANSWER_MS;
    for (;;) {
      const length = native().recv(this.#fd, this.#answer);
      if (length >= 0) return this.#answer.subarray(0, length);
      if (native().monotonic() > deadline)
        throw new SilenceError("the kernel's packet filter does not answer");
    }
  }
}

type Failure = NonNullable<BatchReplies["failure"]>;

function refused(failure: Failure): SilenceError {
  const words = failure.text === "" ? `errno ${failure.errno}` : failure.text;
  return new SilenceError(`the kernel refused ${failure.about}: ${words}`);
}
