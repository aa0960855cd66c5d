/**
 * The VLAN tag that the kernel took out of a received frame, put back where it was: the MACs and the virtio header
 * before them move down by four bytes (the ring leaves that room), and the header's offsets grow by as much.
 */
import {
  VIRTIO_CHECKSUM_START,
  VIRTIO_FLAGS,
  VIRTIO_HEADER,
  VIRTIO_HEADERS_LENGTH,
  VIRTIO_NEEDS_CHECKSUM,
} from "./virtio-header.ts";

const MACS = 12;
export const TAG_BYTES = 4;

/** @param at where the frame begins now; afterwards it begins at `at - 4`. @param tag protocol << 16 | tag */
export function putTagBack(bytes: Uint8Array, view: DataView, at: number, tag: number): void {
  bytes.copyWithin(at - TAG_BYTES - VIRTIO_HEADER, at - VIRTIO_HEADER, at + MACS);
  view.setUint32(at - TAG_BYTES + MACS, tag);
  const header = at - TAG_BYTES - VIRTIO_HEADER;
  const headers = view.getUint16(header + VIRTIO_HEADERS_LENGTH, true);
  if (headers !== 0) view.setUint16(header + VIRTIO_HEADERS_LENGTH, headers + TAG_BYTES, true);
  if ((bytes[header + VIRTIO_FLAGS]! & VIRTIO_NEEDS_CHECKSUM) === 0) return;
  const start = header + VIRTIO_CHECKSUM_START;
  view.setUint16(start, view.getUint16(start, true) + TAG_BYTES, true);
}
