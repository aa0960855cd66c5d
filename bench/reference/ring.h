/*
 * The rings of the stand-alone reference. Sockets, programs and memory come open from bench/netns, which makes them
 * with dr-director's own code, so that both sides run on the same ring.
 */
#ifndef REFERENCE_RING_H
#define REFERENCE_RING_H

#include "director.h"

struct ring;

/* Arguments: rx tx slots slotBytes. NULL and a message on stderr when it cannot be mapped. */
struct ring *packet_ring_open(char **arguments);
/* Arguments: fd memory chunkBytes chunks own ringSize, then producer consumer descriptors of the four rings. */
struct ring *xdp_ring_open(char **arguments);

struct ring {
  /* Fills the burst with what waits, up to BURST. */
  void (*receive)(struct ring *ring, struct burst *burst);
  /* Hands burst->sent_at to the kernel, then gives the received frames back. */
  void (*send)(struct ring *ring, struct burst *burst);
  /* Sleeps until a frame waits, 100 ms at the most. */
  void (*wait)(struct ring *ring);
};

#endif
