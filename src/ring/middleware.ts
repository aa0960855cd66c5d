/** A ring around another one, which hands everything through; capture and faults change what is theirs to change. */
import type { Burst } from "./burst.ts";
import type { Ring } from "./ring.ts";

export abstract class RingMiddleware<Inner extends Ring = Ring> implements Ring {
  readonly name: string;
  readonly headroom: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly inner: Inner;

  constructor(inner: Inner) {
    this.name = inner.name;
    this.headroom = inner.headroom;
    this.bytes = inner.bytes;
    this.view = inner.view;
    this.inner = inner;
  }

  peek(burst: Burst): number {
    return this.inner.peek(burst);
  }

  submit(at: number, length: number): void {
    this.inner.submit(at, length);
  }

  flush(): number {
    return this.inner.flush();
  }

  release(): void {
    this.inner.release();
  }

  reserve(length: number): number {
    return this.inner.reserve(length);
  }

  cancel(at: number): void {
    this.inner.cancel(at);
  }

  isSuperFrame(at: number): boolean {
    return this.inner.isSuperFrame(at);
  }

  wait(milliseconds: number): void {
    this.inner.wait(milliseconds);
  }

  drops(): number {
    return this.inner.drops();
  }

  close(): void {
    this.inner.close();
  }
}
