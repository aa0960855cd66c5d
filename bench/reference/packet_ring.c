/* AF_PACKET: frames are rewritten in the slots of a TPACKET_V2 ring and sent from there by sendmmsg (packet_mmap). */
#include "ring.h"

#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define VIRTIO_HEADER 10

struct packet_ring {
  struct ring ring;
  uint8_t *memory;
  int rx, tx;
  uint32_t slots, slot_bytes, next, held;
  struct mmsghdr messages[BURST];
  struct iovec pieces[BURST];
};

static struct tpacket2_hdr *slot_at(struct packet_ring *packet, uint32_t slot)
{
  return (struct tpacket2_hdr *)(packet->memory + (size_t)slot * packet->slot_bytes);
}

static void receive(struct ring *ring, struct burst *burst)
{
  struct packet_ring *packet = (struct packet_ring *)ring;
  uint32_t slot = packet->next, count = 0;

  while (count < BURST) {
    struct tpacket2_hdr *header = slot_at(packet, slot);

    if ((__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) break;
    burst->at[count] = slot * packet->slot_bytes + header->tp_mac;
    burst->length[count++] = header->tp_snaplen;
    slot = slot + 1 == packet->slots ? 0 : slot + 1;
  }
  burst->memory = packet->memory;
  burst->count = packet->held = count;
}

static void send_all(struct packet_ring *packet, uint32_t count)
{
  for (uint32_t from = 0; from < count;) {
    int sent = sendmmsg(packet->tx, packet->messages + from, count - from, MSG_DONTWAIT | MSG_NOSIGNAL);

    from += sent > 0 ? (uint32_t)sent : 1; /* a refused frame is lost */
  }
}

static void send_burst(struct ring *ring, struct burst *burst)
{
  struct packet_ring *packet = (struct packet_ring *)ring;

  for (uint32_t i = 0; i < burst->sent; i++) {
    packet->pieces[i].iov_base = packet->memory + burst->sent_at[i] - VIRTIO_HEADER;
    packet->pieces[i].iov_len = burst->sent_length[i] + VIRTIO_HEADER;
  }
  send_all(packet, burst->sent);
  for (; packet->held > 0; packet->held--) {
    __atomic_store_n(&slot_at(packet, packet->next)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    packet->next = packet->next + 1 == packet->slots ? 0 : packet->next + 1;
  }
}

static void wait_for_frames(struct ring *ring)
{
  struct pollfd wanted = {.fd = ((struct packet_ring *)ring)->rx, .events = POLLIN};

  poll(&wanted, 1, 100);
}

struct ring *packet_ring_open(char **arguments)
{
  struct packet_ring *packet = calloc(1, sizeof *packet);

  if (packet == NULL) return NULL;
  packet->ring = (struct ring){receive, send_burst, wait_for_frames};
  packet->rx = atoi(arguments[0]);
  packet->tx = atoi(arguments[1]);
  packet->slots = (uint32_t)atoi(arguments[2]);
  packet->slot_bytes = (uint32_t)atoi(arguments[3]);
  packet->memory = mmap(NULL, (size_t)packet->slots * packet->slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, packet->rx, 0);
  if (packet->memory == MAP_FAILED) {
    perror("mmap of the packet ring");
    free(packet);
    return NULL;
  }
  for (int i = 0; i < BURST; i++) {
    packet->messages[i].msg_hdr.msg_iov = &packet->pieces[i];
    packet->messages[i].msg_hdr.msg_iovlen = 1;
  }
  return &packet->ring;
}
