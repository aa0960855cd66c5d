/** The flows of a case: who talks to which service, and in which order their frames come. */

/** Three words a flow: client address, virtual address, client port << 16 | virtual port. */
export const FLOW_WORDS = 3;
export const SERVICE_PORT = 80;

export function serviceAddress(s: number): number {
  return (0x0ac80001 + s) >>> 0; // 10.200.0.1 …
}

/** `count` flows, dealt out over the services; no two are the same. `first` numbers the first of them. */
export function makeFlows(count: number, services: number, first = 0): Uint32Array {
  const flows = new Uint32Array(count * FLOW_WORDS);
  for (let i = 0; i < count; i++) {
    const n = first + i;
    // 28,000 ports a client, as a client with the usual ephemeral range has.
    flows[i * FLOW_WORDS] = 0x0b000001 + Math.floor(n / 28_000);
    flows[i * FLOW_WORDS + 1] = serviceAddress(n % services);
    flows[i * FLOW_WORDS + 2] = (32_768 + (n % 28_000)) * 65_536 + SERVICE_PORT;
  }
  return flows;
}

/** Small repeatable random numbers (xorshift32): the same frames in the same order in every run. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** The flows' numbers 0 … count - 1, shuffled: neighbours in time are strangers in the table. */
export function shuffled(count: number, seed = 1): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const next = random(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = next() % (i + 1);
    const other = order[j]!;
    order[j] = order[i]!;
    order[i] = other;
  }
  return order;
}

/** As it comes: 0, 1, 2 … */
export function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}
