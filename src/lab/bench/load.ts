/**
 * A program of its own, in the namespace that the load comes from: sends the frames it was told to and prints what that
 * took. `node load.js JSON`, of type LoadOrder; answers with one line of JSON, of type LoadReport.
 */
import { native } from "../../ring/native.ts";
import { SendTable } from "../../ring/send-table.ts";
import { VIRTIO_HEADER } from "../../ring/virtio-header.ts";
import { fillIn, stepFor, template } from "./frames.ts";

export interface LoadOrder {
  readonly device: string;
  readonly cpu: number;
  readonly size: number;
  readonly flows: number;
  /** TCP's. */
  readonly flags: number;
  /** Frames a second; 0 for as many as go. */
  readonly rate: number;
  readonly milliseconds: number;
  /** Ends after so many; 0 for by time. */
  readonly frames: number;
  /** Flows of the round that were had already. */
  readonly skip: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly milliseconds: number;
}

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const PACKET_QDISC_BYPASS = 20;
const BATCH = 64;
const PLACE = 2048;
const SEND_BUFFER = 8 * 1024 * 1024;

function openSocket(device: string): number {
  const addon = native();
  const fd = addon.socket(AF_PACKET, SOCK_RAW, 0);
  addon.setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
  addon.setOption(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  addon.setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
  addon.bindPacket(fd, addon.link(device).index, 0);
  return fd;
}

function send(order: LoadOrder): LoadReport {
  const addon = native();
  const { flows, rate, frames, milliseconds } = order;
  const region = addon.mapRegion(-1, 0, BATCH * PLACE);
  const table = new SendTable(openSocket(order.device), BATCH, region);
  const bytes = new Uint8Array(region.memory);
  const view = new DataView(region.memory);
  const places = Array.from({ length: BATCH }, (_, i) => i * PLACE + VIRTIO_HEADER + 6);
  for (const at of places) bytes.set(template(order.size, order.flags), at);
  const step = stepFor(flows);
  let flow = (order.skip * step) % flows;
  let number = 0;
  let sent = 0;
  const start = addon.monotonic();
  let elapsed = 0;
  while (frames > 0 ? number < frames : elapsed < milliseconds) {
    const due = rate === 0 ? BATCH : Math.floor((elapsed * rate) / 1000) - number;
    const count = Math.min(due, BATCH, frames > 0 ? frames - number : BATCH);
    for (let i = 0; i < count; i++) {
      fillIn(view, places[i]!, flow, number++);
      table.add(places[i]!, order.size);
      flow += step;
      if (flow >= flows) flow -= flows;
    }
    if (count > 0) sent += count - table.flush();
    elapsed = addon.monotonic() - start;
  }
  return { sent, milliseconds: elapsed };
}

const order = JSON.parse(process.argv[2] ?? "") as LoadOrder;
native().setAffinity(Int32Array.of(order.cpu));
process.stdout.write(`${JSON.stringify(send(order))}\n`);
