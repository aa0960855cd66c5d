/*
 * The connection table: rows of one cache line found by hash, ended by a timer wheel of one slot a tick (10 ms).
 * The same layout and the same lazy timers as src/table/connections.ts: a frame only stores a new expiry, and the
 * wheel is told when it moved nearer. Links hold row + 1, so that zeroed memory is an empty table.
 */
#ifndef REFERENCE_TABLE_H
#define REFERENCE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TICK 10
#define HZ 100

struct row {
  uint32_t client[4], virtual[4];
  uint32_t ports, kind;
  uint32_t destination;
  uint32_t status;
  uint32_t next;
  int32_t expires;
  int32_t timer_next, timer_previous; /* row + 1, or -(slot + 1) for the first of a slot */
};
_Static_assert(sizeof(struct row) == 64, "a row is a cache line");

#define STATE_MASK 0xffu
#define LIVE 0x100u
#define INACTIVE 0x200u
#define HALF_OPEN 0x800u
#define HASHED 0x1000u
#define NO_OUTPUT 0x2000u

#define WHEEL_SLOTS (1 << 16)

struct table {
  uint32_t capacity;
  unsigned shift;
  struct row *rows;
  uint32_t *heads;
  uint32_t *parent, *mark, *server_port, *older, *newer;
  uint32_t wheel[WHEEL_SLOTS];
  uint32_t high, free, live, oldest, newest;
  int32_t clock;
};

struct table *table_create(uint32_t capacity, int32_t tick);
void table_destroy(struct table *table);

int64_t table_take(struct table *table);
void table_free(struct table *table, uint32_t row);
void table_hash(struct table *table, uint32_t row, uint32_t hash);
void table_unhash(struct table *table, uint32_t row, uint32_t hash);
void table_arm(struct table *table, uint32_t row);
void table_disarm(struct table *table, uint32_t row);
void table_join_half_open(struct table *table, uint32_t row);
void table_leave_half_open(struct table *table, uint32_t row);
/* Calls due() for every row whose time is up; it must free the row or arm it again. */
void table_advance(struct table *table, int32_t tick, void (*due)(void *, uint32_t), void *context);

static inline uint32_t flow_hash(uint32_t seed, uint32_t client, uint32_t virtual, uint32_t ports)
{
  uint32_t hash = (client ^ seed) * 0x85ebca6bu;

  hash ^= hash >> 15;
  hash = (hash ^ ports) * 0xc2b2ae35u;
  hash ^= hash >> 13;
  hash = (hash + virtual) * 0x9e3779b1u;
  return hash ^ (hash >> 16);
}

/* The row of an IPv4 flow whose bucket begins with `link`, or -1. */
static inline int64_t table_find(const struct table *table, uint32_t link, uint32_t kind, uint32_t client,
         uint32_t virtual, uint32_t ports)
{
  while (link != 0) {
    const struct row *row = &table->rows[link - 1];

    if (row->client[3] == client && row->ports == ports && row->virtual[3] == virtual &&
        row->kind == kind)
      return link - 1;
    link = row->next;
  }
  return -1;
}

static inline void table_expire_at(struct table *table, uint32_t row, int32_t tick)
{
  int32_t nearer = (int32_t)((uint32_t)tick - (uint32_t)table->rows[row].expires);

  table->rows[row].expires = tick;
  if (nearer < 0)
    table_arm(table, row);
}

#endif
