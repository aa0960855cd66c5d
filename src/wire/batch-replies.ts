/** What became of an nf_tables batch: collects the kernel's answers until every request has one. */
import { type Acknowledgement, parseAcknowledgement, parseMessages } from "./netlink.ts";
import type { Batch } from "./nftables.ts";

export interface BatchFailure extends Acknowledgement {
  /** What was asked for, in words: "chain ingress on the ingress of eth0". */
  readonly about: string;
}

export class BatchReplies {
  /** The first request that was refused; then nothing of the batch was done. */
  failure: BatchFailure | undefined;
  private readonly batch: Batch;
  private readonly waiting: Set<number>;

  constructor(batch: Batch) {
    this.batch = batch;
    this.waiting = new Set(batch.about.map((_, i) => batch.sequence + 1 + i));
  }

  /** Takes one received datagram; true when nothing more will come. */
  take(datagram: Uint8Array): boolean {
    for (const message of parseMessages(datagram)) {
      const reply = parseAcknowledgement(message);
      if (reply === undefined) continue;
      // An error about the batch's beginning or end stands for the whole: no other answer follows.
      const whole = reply.sequence === this.batch.sequence || reply.sequence === this.endSequence();
      if (whole && reply.errno !== 0) this.waiting.clear();
      else if (!this.waiting.delete(reply.sequence)) continue; // an answer to somebody else's request
      if (reply.errno !== 0) this.failure ??= { ...reply, about: this.about(reply.sequence) };
    }
    return this.waiting.size === 0;
  }

  private endSequence(): number {
    return this.batch.sequence + 1 + this.batch.about.length;
  }

  private about(sequence: number): string {
    return this.batch.about[sequence - this.batch.sequence - 1] ?? "the batch as a whole";
  }
}
