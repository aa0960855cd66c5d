/**
 * struct virtio_net_hdr as AF_PACKET writes it right before each frame (PACKET_VNET_HDR) and reads it when we send: what
 * was done and what is still to be done about the frame's checksum and segments. Its numbers are little-endian on every
 * machine we run on (linux/virtio_net.h).
 */
export const VIRTIO_HEADER = 10;

/** Offsets in the header. */
export const VIRTIO_FLAGS = 0;
export const VIRTIO_GSO_TYPE = 1;
export const VIRTIO_HEADERS_LENGTH = 2;
export const VIRTIO_CHECKSUM_START = 6;

/** In VIRTIO_FLAGS: the checksum field holds only the pseudo-header's sum yet. */
export const VIRTIO_NEEDS_CHECKSUM = 1;
