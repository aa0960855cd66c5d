/**
 * Fragments, forwarded without reassembly (a difference from the kernel, which reassembles first: docs). The first
 * fragment carries the ports and is decided like any frame; what was decided is remembered under the datagram's
 * (source, destination, protocol, identification), and its other pieces follow. Pieces that come before the first one
 * wait for it, bounded in number and time.
 *
 * With several shards all pieces meet at one shard, which is known without ports; when the first one shows that the
 * flow lives elsewhere, the datagram is handed over there piece by piece. The remembered thing is a route, not bytes:
 * overlapping, doubled or missing pieces change nothing.
 */
import { FAMILY6 } from "../table/connections.ts";
import { STAT_BYTES, STATS } from "../table/counters.ts";
import { flowHash, shardOf } from "../table/hash.ts";
import { Protocol } from "../wire/ipv4.ts";
import { hasPorts, readFlow } from "./classify.ts";
import type { Context } from "./context.ts";
import { answerFirstPiece, answerPiece } from "./echo.ts";
import { livesElsewhere, livesHere } from "./elsewhere.ts";
import { handOver } from "./extras.ts";
import { NO_FLAGS } from "./frames.ts";
import { Verdict } from "./verdict.ts";
import { copyFrame } from "./waiting.ts";

/** Datagrams remembered at a time, and pieces that wait for their first one: net.ipv4.ipfrag_*'s part. */
const DATAGRAMS = 512;
const PROBES = 8;
const PIECES = 96;
/** net.ipv4.ipfrag_time. */
const LIFETIME = 30_000;

/** What is known of a datagram before its first piece has come. */
const UNKNOWN = 0xff;
const PORTS = 4;

export class FragmentStore {
  /** Pieces that wait. */
  waiting = 0;
  readonly #key = new Int32Array(DATAGRAMS * 4);
  readonly #expires = new Float64Array(DATAGRAMS);
  readonly #verdict = new Uint8Array(DATAGRAMS);
  readonly #destination = new Int32Array(DATAGRAMS);
  /** The shard that the datagram's flow lives in. */
  readonly #home = new Int32Array(DATAGRAMS);
  readonly #pieceAt = new Int32Array(PIECES);
  readonly #pieceLength = new Int32Array(PIECES);
  readonly #pieceOf = new Int32Array(PIECES);

  /**
   * Decides a fragment. `decide` runs the data path on a first fragment once its flow is known; `taken` says that
   * another shard handed the frame to us.
   */
  take(context: Context, i: number, taken: boolean, decide: (i: number) => Verdict): Verdict {
    const { frames, index, shards, seed } = context;
    const meeting = shardOf(flowHash(seed, frames.client[i]!, frames.virtual[i]!, 0), shards);
    if (meeting !== index && !taken) return handOver(context, i, meeting);
    if (frames.fragmentOffset[i] === 0) return this.#first(context, i, meeting, decide);
    const slot = this.#slot(context, i);
    if (this.#verdict[slot] === UNKNOWN) {
      return meeting === index ? this.#hold(context, i, slot) : Verdict.FragmentLost;
    }
    if (this.#home[slot] !== index) return handOver(context, i, this.#home[slot]!);
    if (this.#verdict[slot] === Verdict.Answered) return answerPiece(context, i);
    frames.destination[i] = this.#destination[slot]!;
    if (this.#verdict[slot] === Verdict.Forwarded) countPiece(context, i);
    return this.#verdict[slot] as Verdict;
  }

  #first(context: Context, i: number, meeting: number, decide: (i: number) => Verdict): Verdict {
    const { frames, index, seed } = context;
    const protocol = frames.flowKind[i]! & 0xff;
    const length = frames.ip[i]! + frames.bytes[i]! - frames.transport[i]!;
    if (!hasPorts(protocol)) return this.#firstWithoutPorts(context, i);
    if (length < PORTS) return Verdict.Malformed;
    readFlow(frames, i, context.ring.view, frames.transport[i]!, length);
    // RFC 1858: a first fragment too short for the TCP flags is an attack, not traffic.
    if (protocol === Protocol.Tcp && frames.tcpFlags[i] === NO_FLAGS) return Verdict.Malformed;
    frames.hash[i] = flowHash(seed, frames.client[i]!, frames.virtual[i]!, frames.ports[i]!);
    const home = flowHome(context, i, meeting);
    if (home !== index && meeting !== index) return Verdict.FragmentLost;
    const slot = this.#slot(context, i);
    const verdict = home === index ? decide(i) : handOver(context, i, home);
    this.#remember(context, slot, home, followers(verdict), frames.destination[i]!);
    return verdict;
  }

  /** ICMP belongs to no flow: its pieces are answered, or left to the host, where they meet. */
  #firstWithoutPorts(context: Context, i: number): Verdict {
    const { flowKind } = context.frames;
    const kind = flowKind[i]!;
    const icmp = (kind & FAMILY6) === 0 ? Protocol.Icmp : Protocol.Icmpv6;
    const verdict = (kind & 0xff) === icmp ? answerFirstPiece(context, i) : Verdict.NotOurs;
    this.#remember(context, this.#slot(context, i), context.index, verdict, -1);
    return verdict;
  }

  /** The first piece has come, and those that waited for it take part in the next burst. */
  #remember(context: Context, slot: number, home: number, verdict: Verdict, destination: number): void {
    this.#home[slot] = home;
    this.#verdict[slot] = verdict;
    this.#destination[slot] = destination;
    this.#expires[slot] = context.now + LIFETIME;
    this.#release(context, slot);
  }

  /**
   * The datagram's slot, made if there is none. Nobody tells us that a datagram's last piece has come, so the oldest of
   * those at its places makes room: its pieces have nearly always gone by.
   */
  #slot(context: Context, i: number): number {
    const { frames, now } = context;
    const client = frames.client[i]!;
    const virtual = frames.virtual[i]!;
    const id = frames.fragmentId[i]!;
    const kind = frames.flowKind[i]! & (0xff | FAMILY6);
    const hash = flowHash(context.seed, client, virtual, id ^ (kind << 16));
    let free = hash & (DATAGRAMS - 1);
    for (let p = 0; p < PROBES; p++) {
      const slot = (hash + p) & (DATAGRAMS - 1);
      const at = slot * 4;
      if (this.#expires[slot]! > now) {
        const same = this.#key[at] === client && this.#key[at + 1] === virtual && this.#key[at + 2] === id;
        if (same && this.#key[at + 3] === kind) return slot;
      }
      if (this.#expires[slot]! < this.#expires[free]!) free = slot;
    }
    this.#giveUp(context, free);
    this.#key.set([client, virtual, id, kind], free * 4);
    this.#expires[free] = now + LIFETIME;
    this.#verdict[free] = UNKNOWN;
    return free;
  }

  #hold(context: Context, i: number, slot: number): Verdict {
    const { burst } = context.frames;
    if (this.waiting === PIECES) return Verdict.FragmentLost;
    const at = copyFrame(context, burst.at[i]!, burst.length[i]!);
    if (at < 0) return Verdict.FragmentLost;
    this.#pieceAt[this.waiting] = at;
    this.#pieceLength[this.waiting] = burst.length[i]!;
    this.#pieceOf[this.waiting++] = slot;
    return Verdict.Waiting;
  }

  #release(context: Context, slot: number): void {
    this.#sift(slot, (at, length) => {
      if (!context.extras.add(at, length)) lose(context, at);
    });
  }

  #giveUp(context: Context, slot: number): void {
    this.#sift(slot, (at) => lose(context, at));
  }

  #sift(slot: number, gone: (at: number, length: number) => void): void {
    let kept = 0;
    for (let p = 0; p < this.waiting; p++) {
      if (this.#pieceOf[p] === slot) {
        gone(this.#pieceAt[p]!, this.#pieceLength[p]!);
        continue;
      }
      this.#pieceAt[kept] = this.#pieceAt[p]!;
      this.#pieceLength[kept] = this.#pieceLength[p]!;
      this.#pieceOf[kept++] = this.#pieceOf[p]!;
    }
    this.waiting = kept;
  }

  /** Once in a while: pieces whose first one never came are given up. */
  review(context: Context): void {
    for (let p = this.waiting - 1; p >= 0; p--) {
      const slot = this.#pieceOf[Math.min(p, this.waiting - 1)];
      if (slot !== undefined && this.#expires[slot]! <= context.now) this.#giveUp(context, slot);
    }
  }
}

/** The shard of the flow of a first piece. By arrival it is asked for where the datagram's pieces meet. */
function flowHome(context: Context, i: number, meeting: number): number {
  const { frames, index, shards, byArrival } = context;
  if (!byArrival) return shardOf(frames.hash[i]!, shards);
  if (meeting !== index || livesHere(context, i)) return index;
  const other = livesElsewhere(context, i);
  return other >= 0 ? other : index;
}

/** The kernel counts the datagram put together: one packet, one IP header, and the payload of every piece. */
function countPiece(context: Context, i: number): void {
  const { counters, frames } = context;
  const header = frames.transport[i]! - frames.ip[i]!;
  counters.destination[frames.destination[i]! * STATS + STAT_BYTES]! += frames.bytes[i]! - header;
}

/** What happens to the other pieces when the first one got this verdict. */
function followers(verdict: Verdict): Verdict {
  // The first waits for the neighbour: the others go the same way and will wait behind it.
  if (verdict === Verdict.Waiting || verdict === Verdict.HandedOver) return Verdict.Forwarded;
  return verdict;
}

function lose(context: Context, at: number): void {
  context.ring.cancel(at);
  context.counters.verdict[Verdict.Waiting]!--;
  context.counters.verdict[Verdict.FragmentLost]!++;
}
