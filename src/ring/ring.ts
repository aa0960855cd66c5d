/**
 * A ring: where frames come from and go to. The data path knows only this interface; AF_PACKET, AF_XDP, memory
 * and pcap files stand behind it, and middleware (capture, fault) wraps any of them.
 *
 * Verbs are xsk.h's: peek … release on the receiving side, reserve … submit on the sending side. One turn is
 *
 *     ring.peek(burst) → look at and rewrite the frames in place → ring.submit(at, length) for some of them
 *     → ring.flush() → ring.release()
 *
 * Frames that were peeked and not submitted are dropped by release(). Everything lies in ONE memory
 * (`bytes`/`view`): received frames, super-frames and frames of our own, so that no frame needs an object and
 * `at` alone says where it is. Nothing here allocates after the ring has been made.
 */
import type { Burst } from "./burst.ts";

export interface Ring {
  /** Which path this ring really got: "af_packet", "af_xdp zero-copy", "memory", "pcap". */
  readonly name: string;
  /** The ring's whole memory. Offsets in a burst and from `reserve` point into it. */
  readonly bytes: Uint8Array;
  /** The same memory for network-order reads and writes. */
  readonly view: DataView;

  /**
   * Bytes before each frame's first byte that belong to it and travel with it wherever it is copied: the virtio
   * header of AF_PACKET (10), which tells of half-done checksums and super-frames; 0 where there is none. reserve()
   * zeroes them for a frame of our own.
   */
  readonly headroom: number;

  /** Takes up to `burst.capacity` waiting frames; fills `at`, `length`, `count`; returns the count. Never blocks. */
  peek(burst: Burst): number;

  /**
   * Queues the frame at `at` (received and still peeked, or reserved) for sending, as it stands in memory at the
   * next flush(). A frame may be submitted once. A reserved frame is free again after that flush().
   */
  submit(at: number, length: number): void;

  /** A place for a frame of our own, up to `length` bytes; -1 when none is free. Give it back by submit() or cancel(). */
  reserve(length: number): number;

  /** Gives back a reserved place that will not be submitted. */
  cancel(at: number): void;

  /** Hands everything submitted to the wire. Returns how many of them were refused and thereby lost. */
  flush(): number;

  /** Gives back every peeked frame. Their bytes must not be touched afterwards. */
  release(): void;

  /**
   * True when the frame at `at` is a super-frame that the kernel will still cut (GSO), so its length says nothing
   * about the link's MTU.
   */
  isSuperFrame(at: number): boolean;

  /** Sleeps until a frame waits, `wake` is called from another thread, or `milliseconds` have gone. */
  wait(milliseconds: number): void;

  /** Frames the kernel dropped before we could see them, since the ring was opened. */
  drops(): number;

  close(): void;
}
