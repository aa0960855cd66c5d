/** A learning switch: which port leads to a MAC, learned from what comes in by each port. */
import { ETH_SOURCE, isGroupMac, macHi, macLo } from "../../../src/wire/ethernet.ts";
import type { NodeId } from "../model.ts";

export class Switch {
  readonly #ports = new Map<string, NodeId>();

  /** A frame came in from `port`: where does it leave? Undefined: nobody has been heard from under that MAC. */
  carry(frame: Uint8Array, port: NodeId): NodeId | undefined {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const source = macHi(view, ETH_SOURCE);
    if (!isGroupMac(source)) this.#ports.set(`${source}:${macLo(view, ETH_SOURCE)}`, port);
    return this.#ports.get(`${macHi(view, 0)}:${macLo(view, 0)}`);
  }

  /** Somebody was heard from before the page began. */
  learn(hi: number, lo: number, port: NodeId): void {
    this.#ports.set(`${hi}:${lo >>> 0}`, port);
  }
}
