/*
 * The reference: dr-director's data path for IPv4 flows in C, as the measure of what JavaScript costs. It makes the
 * same decisions with the same tables; README.md lists what it leaves out.
 */
#ifndef REFERENCE_DIRECTOR_H
#define REFERENCE_DIRECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "table.h"

#define BURST 64
#define VERDICTS 32

/* Numbered as src/dataplane/verdict.ts. */
enum verdict {
  FORWARDED = 0,
  WAITING = 1,
  NOT_IP = 2,
  NOT_OURS = 3,
  NO_CONNECTION = 4,
  NOT_SCHEDULED = 5,
  NO_DESTINATION = 6,
  DESTINATION_GONE = 7,
  MALFORMED = 8,
  TABLE_FULL = 11,
  TOO_BIG = 13,
  NEIGHBOUR_FAILED = 15,
  LOOP = 19,
  OTHER_HOST = 20,
  UNSUPPORTED = 31, /* what only the whole director does: fragments, ICMP, IPv6 */
};

enum life { FREE, ALIVE, TRASH };

struct settings {
  int conn_reuse_mode, expire_nodest_conn, sloppy_tcp, secure_tcp, drop_packet;
  int ttl, source_mac, mtu;
  uint32_t dip;
  int32_t timeout_tcp[16], timeout_udp;
};

struct neighbour {
  uint8_t mac[6];
  bool reachable, failed, stale;
};

struct destination {
  uint32_t life, method, weight, overload;
  uint32_t upper, lower, neighbour, service;
  uint32_t active, inactive, port, next;
  uint64_t connections, packets, bytes;
};

struct service;
/* Chooses a destination of the service, or -1. */
typedef int64_t schedule_fn(struct service *service);

struct service {
  uint32_t address, port, protocol, flags;
  struct destination *all;
  schedule_fn *schedule;
  uint32_t *members; /* newest first */
  uint32_t count;
  uint32_t last; /* rr, wrr: place of the one chosen last, + 1 */
  int32_t threshold, top, step;
};

struct director {
  uint8_t mac[6];
  uint32_t seed;
  int64_t now; /* ms */
  int32_t tick;
  struct settings settings;
  struct table *table;
  struct destination *destinations;
  struct neighbour *neighbours;
  struct service *services;
  uint32_t *slots; /* open addressing by address, protocol, port; service + 1 */
  uint32_t slot_mask, service_count, destination_count, service_room, destination_room;
  uint32_t changes, departures;
  uint64_t verdicts[VERDICTS];
  uint64_t received, bytes, bursts, full_bursts, created, expired, evicted, turns;
};

/* One burst: `memory` + at[i] is frame i. What is to be sent is listed in sent_at, sent_length. */
struct burst {
  uint8_t *memory;
  uint32_t count, sent;
  uint32_t at[BURST], length[BURST];
  uint32_t sent_at[BURST], sent_length[BURST];
};

struct director *director_create(uint32_t connections, uint32_t services, uint32_t destinations, uint32_t seed,
                                 const uint8_t mac[6], int64_t now);
void director_destroy(struct director *director);
/* Returns the service's number, or -1: unknown scheduler, no room. */
int director_add_service(struct director *director, uint32_t protocol, uint32_t address, uint32_t port,
                         const char *scheduler);
int director_add_destination(struct director *director, uint32_t service, uint32_t weight, const uint8_t mac[6]);
/* Timers first, then the burst: brings every frame of it to a verdict. */
void director_turn(struct director *director, struct burst *burst, int64_t now);

schedule_fn *find_scheduler(const char *name);
void scheduler_changed(struct service *service);

#endif
