#include "table.h"

#include <sys/mman.h>
#include <unistd.h>

/*
 * Zeroed memory of the kind the director's region has, a mapped file of a tmpfs, so that both sides pay the same for
 * their pages; in huge pages where /sys/kernel/mm/transparent_hugepage/shmem_enabled allows it.
 */
static void *allocate(size_t bytes)
{
  int fd = memfd_create("reference", MFD_CLOEXEC);
  void *memory = MAP_FAILED;

  if (fd < 0) return NULL;
  if (ftruncate(fd, (off_t)bytes) == 0) memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

static void release(void *memory, size_t bytes)
{
  if (memory) munmap(memory, bytes);
}

struct table *table_create(uint32_t capacity, int32_t tick)
{
  struct table *table = allocate(sizeof *table);
  unsigned bits = 4;

  if (table == NULL)
    return NULL;
  /* Four buckets a row: in a full table nine look-ups of ten end at the first row. */
  while (bits < 31 && (1u << bits) < capacity * 4)
    bits++;
  table->capacity = capacity;
  table->shift = 32 - bits;
  table->clock = tick;
  table->rows = allocate(capacity * sizeof *table->rows);
  table->heads = allocate(sizeof(uint32_t) << bits);
  table->parent = allocate(capacity * sizeof(uint32_t));
  table->mark = allocate(capacity * sizeof(uint32_t));
  table->server_port = allocate(capacity * sizeof(uint32_t));
  table->older = allocate(capacity * sizeof(uint32_t));
  table->newer = allocate(capacity * sizeof(uint32_t));
  if (table->rows && table->heads && table->parent && table->mark && table->server_port && table->older &&
      table->newer)
    return table;
  table_destroy(table);
  return NULL;
}

void table_destroy(struct table *table)
{
  size_t words = table->capacity * sizeof(uint32_t);

  release(table->rows, table->capacity * sizeof *table->rows);
  release(table->heads, sizeof(uint32_t) << (32 - table->shift));
  release(table->parent, words);
  release(table->mark, words);
  release(table->server_port, words);
  release(table->older, words);
  release(table->newer, words);
  release(table, sizeof *table);
}

int64_t table_take(struct table *table)
{
  uint32_t row;

  if (table->free != 0) {
    row = table->free - 1;
    table->free = table->rows[row].next;
  } else {
    if (table->high == table->capacity)
      return -1;
    row = table->high++;
  }
  table->live++;
  return row;
}

void table_free(struct table *table, uint32_t row)
{
  table_disarm(table, row);
  table_leave_half_open(table, row);
  table->rows[row].status = 0;
  table->rows[row].next = table->free;
  table->free = row + 1;
  table->live--;
}

void table_hash(struct table *table, uint32_t row, uint32_t hash)
{
  uint32_t *head = &table->heads[hash >> table->shift];

  table->rows[row].next = *head;
  table->rows[row].status |= HASHED;
  *head = row + 1;
}

void table_unhash(struct table *table, uint32_t row, uint32_t hash)
{
  uint32_t *link = &table->heads[hash >> table->shift];

  if ((table->rows[row].status & HASHED) == 0)
    return;
  table->rows[row].status &= ~HASHED;
  while (*link != 0 && *link != row + 1)
    link = &table->rows[*link - 1].next;
  if (*link != 0)
    *link = table->rows[row].next;
}

void table_arm(struct table *table, uint32_t row)
{
  struct row *entry = &table->rows[row];
  int32_t ahead = (int32_t)((uint32_t)entry->expires - (uint32_t)table->clock);
  uint32_t slot, first;

  table_disarm(table, row);
  if (ahead < 1)
    ahead = 1;
  if (ahead > WHEEL_SLOTS - 1)
    ahead = WHEEL_SLOTS - 1;
  slot = ((uint32_t)table->clock + (uint32_t)ahead) & (WHEEL_SLOTS - 1);
  first = table->wheel[slot];
  entry->timer_next = (int32_t)first;
  entry->timer_previous = -(int32_t)(slot + 1);
  if (first != 0)
    table->rows[first - 1].timer_previous = (int32_t)(row + 1);
  table->wheel[slot] = row + 1;
}

void table_disarm(struct table *table, uint32_t row)
{
  struct row *entry = &table->rows[row];
  int32_t next = entry->timer_next, previous = entry->timer_previous;

  if (previous == 0)
    return;
  if (previous < 0)
    table->wheel[-previous - 1] = (uint32_t)next;
  else
    table->rows[previous - 1].timer_next = next;
  if (next != 0)
    table->rows[next - 1].timer_previous = previous;
  entry->timer_next = 0;
  entry->timer_previous = 0;
}

static void work_off(struct table *table, uint32_t slot, void (*due)(void *, uint32_t), void *context)
{
  uint32_t link;

  while ((link = table->wheel[slot]) != 0) {
    uint32_t row = link - 1;

    if ((int32_t)((uint32_t)table->rows[row].expires - (uint32_t)table->clock) > 0) {
      table_arm(table, row);
      continue;
    }
    table_disarm(table, row);
    due(context, row);
  }
}

void table_advance(struct table *table, int32_t tick, void (*due)(void *, uint32_t), void *context)
{
  if (table->live == 0) {
    table->clock = tick;
    return;
  }
  while ((int32_t)((uint32_t)tick - (uint32_t)table->clock) > 0) {
    table->clock = (int32_t)((uint32_t)table->clock + 1);
    work_off(table, (uint32_t)table->clock & (WHEEL_SLOTS - 1), due, context);
  }
}

void table_join_half_open(struct table *table, uint32_t row)
{
  if (table->rows[row].status & HALF_OPEN)
    return;
  table->rows[row].status |= HALF_OPEN;
  table->older[row] = table->newest;
  table->newer[row] = 0;
  if (table->newest != 0)
    table->newer[table->newest - 1] = row + 1;
  else
    table->oldest = row + 1;
  table->newest = row + 1;
}

void table_leave_half_open(struct table *table, uint32_t row)
{
  uint32_t older, newer;

  if ((table->rows[row].status & HALF_OPEN) == 0)
    return;
  table->rows[row].status &= ~HALF_OPEN;
  older = table->older[row];
  newer = table->newer[row];
  if (older != 0)
    table->newer[older - 1] = newer;
  else
    table->oldest = newer;
  if (newer != 0)
    table->older[newer - 1] = older;
  else
    table->newest = older;
}
