/* The data path: classify, look up, follow, schedule, rewrite. */
#include "director.h"

#include "wire.h"

#define SYN 0x02
#define RST 0x04
#define FIN 0x01
#define ACK 0x10
#define NO_FLAGS 0xff

#define FTP 21
#define FTP_DATA 20
#define METHOD_LOCAL 1

enum kind { DONE, FLOW };

/* What classify reads of a frame and the later stages decide. */
struct frame {
  uint8_t *start, *ip;
  uint32_t length, bytes;
  uint32_t client, virtual, ports, protocol;
  uint32_t hash, link;
  int64_t row;
  uint32_t destination;
  uint8_t kind, verdict, flags;
};

/* Next TCP state by the strongest flag and the present state: kernel IPVS's INPUT_ONLY tables. */
enum { NO, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA };
static const uint8_t on_syn[] = {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR};
static const uint8_t on_fin[] = {CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW};
static const uint8_t on_ack[] = {ES, ES, ES, ES, FW, TW, CL, CW, CL, LI, ES};
static const uint8_t on_rst[] = {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL};
static const uint8_t is_active[] = {0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1};

static inline uint32_t next_state(uint32_t state, uint32_t flags)
{
  if (flags & RST) return on_rst[state];
  if (flags & SYN) return on_syn[state];
  if (flags & FIN) return on_fin[state];
  if (flags & ACK) return on_ack[state];
  return CL;
}

/* Stage 1 ------------------------------------------------------------------------------------------------------ */

static enum verdict classify_ipv4(const struct director *director, struct frame *frame, const uint8_t *end)
{
  const uint8_t *ip = frame->ip, *transport;
  uint32_t header, total;

  if (ip + IPV4_HEADER > end || ip[0] >> 4 != 4) return MALFORMED;
  header = (ip[0] & 0x0fu) << 2;
  total = load16(ip + IPV4_TOTAL_LENGTH);
  if (header < IPV4_HEADER || total < header || ip + total > end) return MALFORMED;
  frame->bytes = total;
  frame->protocol = ip[IPV4_PROTOCOL];
  frame->client = load32(ip + IPV4_SOURCE);
  frame->virtual = load32(ip + IPV4_DESTINATION);
  if (load16(ip + IPV4_FLAGS_OFFSET) & IPV4_FRAGMENT) return UNSUPPORTED;
  if (frame->protocol != PROTOCOL_TCP && frame->protocol != PROTOCOL_UDP && frame->protocol != PROTOCOL_SCTP)
    return NOT_OURS;
  if (total < header + 4) return MALFORMED;
  transport = ip + header;
  frame->ports = load32(transport);
  frame->flags = total - header >= TCP_HEADER ? transport[TCP_FLAGS] & 0x3f : NO_FLAGS;
  frame->hash = flow_hash(director->seed, frame->client, frame->virtual, frame->ports);
  frame->kind = FLOW;
  return FORWARDED;
}

static enum verdict classify(const struct director *director, struct frame *frame)
{
  uint8_t *start = frame->start, *end = start + frame->length, *ip = start + ETH_HEADER;
  uint16_t type;

  frame->kind = DONE;
  frame->row = -1;
  if (frame->length < ETH_HEADER) return MALFORMED;
  if (memcmp(start, director->mac, 6) != 0) return OTHER_HOST;
  if (memcmp(start + ETH_SOURCE, director->mac, 6) == 0) return LOOP;
  type = load16(start + ETH_TYPE);
  while (type == TYPE_VLAN || type == TYPE_QINQ) {
    if (ip + VLAN_HEADER > end) return MALFORMED;
    type = load16(ip + VLAN_TYPE);
    ip += VLAN_HEADER;
  }
  frame->ip = ip;
  return type == TYPE_IPV4 ? classify_ipv4(director, frame, end) : NOT_IP;
}

/* Connections: birth and death ---------------------------------------------------------------------------------- */

static void mark_overload(struct destination *destination)
{
  if (destination->upper != 0 && destination->active + destination->inactive >= destination->upper)
    destination->overload = 1;
}

static void clear_overload(struct destination *destination)
{
  uint32_t total = destination->active + destination->inactive;

  if (destination->lower != 0) {
    if (total < destination->lower) destination->overload = 0;
  } else if (destination->upper != 0) {
    if (total * 4 < destination->upper * 3) destination->overload = 0;
  } else {
    destination->overload = 0;
  }
}

static void bury(struct director *director, uint32_t row)
{
  struct table *table = director->table;
  struct row *entry = &table->rows[row];
  struct destination *destination = &director->destinations[entry->destination];
  bool inactive = entry->status & INACTIVE;

  table_unhash(table, row, flow_hash(director->seed, entry->client[3], entry->virtual[3], entry->ports));
  table->parent[row] = 0;
  table_free(table, row);
  if (inactive)
    destination->inactive--;
  else
    destination->active--;
  clear_overload(destination);
  director->changes++;
  director->departures++;
}

static int64_t bear(struct director *director, const struct frame *frame, uint32_t d)
{
  struct table *table = director->table;
  int64_t row = table_take(table);
  struct row *entry;

  if (row < 0) return -1;
  entry = &table->rows[row];
  entry->client[0] = entry->client[1] = entry->virtual[0] = entry->virtual[1] = 0;
  entry->client[2] = entry->virtual[2] = 0xffff;
  entry->client[3] = frame->client;
  entry->virtual[3] = frame->virtual;
  entry->ports = frame->ports;
  entry->kind = frame->protocol;
  entry->destination = d;
  entry->expires = director->tick;
  table->parent[row] = 0;
  table->mark[row] = 0;
  entry->status = INACTIVE | NO_OUTPUT;
  table_hash(table, (uint32_t)row, frame->hash);
  director->destinations[d].inactive++;
  director->created++;
  mark_overload(&director->destinations[d]);
  entry->status |= LIVE;
  director->changes++;
  return row;
}

/* Stage 2 ------------------------------------------------------------------------------------------------------ */

static void enter_state(struct director *director, uint32_t row, uint32_t state)
{
  struct row *entry = &director->table->rows[row];
  struct destination *destination = &director->destinations[entry->destination];
  bool inactive = entry->status & INACTIVE;

  if (inactive && is_active[state]) {
    entry->status &= ~INACTIVE;
    destination->inactive--;
    destination->active++;
  } else if (!inactive && !is_active[state]) {
    entry->status |= INACTIVE;
    destination->active--;
    destination->inactive++;
  }
  entry->status = (entry->status & ~STATE_MASK) | state;
  if (state == SR || state == SA)
    table_join_half_open(director->table, row);
  else
    table_leave_half_open(director->table, row);
}

static void advance(struct director *director, const struct frame *frame, uint32_t row)
{
  const struct settings *settings = &director->settings;
  struct row *entry = &director->table->rows[row];
  struct destination *destination = &director->destinations[entry->destination];
  int32_t timeout = settings->timeout_udp;

  if (frame->protocol == PROTOCOL_TCP) {
    uint32_t state = entry->status & STATE_MASK;
    uint32_t next = frame->flags == NO_FLAGS ? state : next_state(state, frame->flags);

    if (next != state) enter_state(director, row, next);
    timeout = settings->timeout_tcp[next];
  }
  table_expire_at(director->table, row, director->tick + timeout * HZ);
  destination->packets++;
  destination->bytes += frame->bytes;
}

static bool begins_anew(const struct director *director, const struct row *entry, uint32_t row)
{
  const struct settings *settings = &director->settings;
  uint32_t state = entry->status & STATE_MASK;

  if (settings->expire_nodest_conn && director->destinations[entry->destination].weight == 0) return true;
  if (settings->conn_reuse_mode == 0 || director->table->parent[row] != 0) return false;
  return state == TW || state == CL || ((settings->conn_reuse_mode & 2) && state == FW);
}

static void expire_now(struct director *director, uint32_t row)
{
  director->table->rows[row].expires = director->tick;
  table_arm(director->table, row);
}

/* FORWARDED, DESTINATION_GONE, or -1: treat the frame as one without a connection. */
static int follow(struct director *director, struct frame *frame, uint32_t row)
{
  const struct row *entry = &director->table->rows[row];
  uint32_t d = entry->destination;

  if ((frame->flags & SYN) && frame->flags != NO_FLAGS && frame->protocol == PROTOCOL_TCP &&
      begins_anew(director, entry, row)) {
    expire_now(director, row);
    return -1;
  }
  if (director->destinations[d].life != ALIVE) {
    if (!director->settings.expire_nodest_conn) return DESTINATION_GONE;
    expire_now(director, row);
    return -1;
  }
  advance(director, frame, row);
  frame->destination = d;
  return FORWARDED;
}

/* Stage 3 ------------------------------------------------------------------------------------------------------ */

static uint32_t slot_of(uint32_t address, uint32_t protocol, uint32_t port)
{
  uint32_t hash = (address ^ (((port << 8) | protocol) * 0x9e3779b1u)) * 0x85ebca6bu;

  return hash ^ (hash >> 15);
}

static struct service *find_service(const struct director *director, uint32_t protocol, uint32_t address, uint32_t port)
{
  for (uint32_t slot = slot_of(address, protocol, port);; slot++) {
    uint32_t number = director->slots[slot & director->slot_mask];
    struct service *service;

    if (number == 0) return NULL;
    service = &director->services[number - 1];
    if (service->port == port && service->protocol == protocol && service->address == address) return service;
  }
}

static enum verdict schedule(struct director *director, struct frame *frame)
{
  struct table *table = director->table;
  uint32_t port = frame->ports & 0xffff, client_port = frame->ports >> 16;
  struct service *service = find_service(director, frame->protocol, frame->virtual, port);
  struct destination *destination;
  int64_t d, row;

  if (service == NULL) return NOT_OURS;
  if (frame->protocol == PROTOCOL_TCP) {
    if (frame->flags == NO_FLAGS) return MALFORMED;
    if ((frame->flags & RST) || (!(frame->flags & SYN) && !director->settings.sloppy_tcp)) return NO_CONNECTION;
  }
  if (frame->client == director->settings.dip || frame->client == frame->virtual) return MALFORMED;
  if (ipv4_checksum(frame->ip) != 0) return MALFORMED;
  if (client_port == FTP_DATA) return NOT_SCHEDULED;
  d = service->schedule(service);
  if (d < 0) return service->port == FTP && port != FTP ? NOT_OURS : NO_DESTINATION;
  destination = &director->destinations[d];
  row = bear(director, frame, (uint32_t)d);
  if (row < 0) {
    if (table->oldest == 0) return TABLE_FULL;
    bury(director, table->oldest - 1);
    director->evicted++;
    row = bear(director, frame, (uint32_t)d);
  }
  table->mark[row] = 0;
  table->server_port[row] = destination->port == 0 ? port : destination->port;
  table->parent[row] = 0;
  destination->connections++;
  advance(director, frame, (uint32_t)row);
  table_arm(table, (uint32_t)row);
  frame->row = row;
  frame->destination = (uint32_t)d;
  return FORWARDED;
}

/* What the look-up found for the burst, if it still holds; else what is found now. */
static int64_t found(const struct director *director, const struct frame *frame, uint32_t changes, uint32_t departures)
{
  const struct table *table = director->table;
  uint32_t link;

  if (director->changes == changes) return frame->row;
  link = table->heads[frame->hash >> table->shift];
  if (director->departures == departures && link == frame->link) return frame->row;
  return table_find(table, link, frame->protocol, frame->client, frame->virtual, frame->ports);
}

static enum verdict connect_frame(struct director *director, struct frame *frame, int64_t row)
{
  if (director->service_count == 0) return NOT_OURS;
  if (row >= 0) {
    int verdict = follow(director, frame, (uint32_t)row);

    if (verdict >= 0) return (enum verdict)verdict;
  }
  return schedule(director, frame);
}

/* Stage 4 ------------------------------------------------------------------------------------------------------ */

static enum verdict rewrite(const struct director *director, struct burst *burst, uint32_t i, struct frame *frame)
{
  const struct destination *destination = &director->destinations[frame->destination];
  const struct neighbour *neighbour = &director->neighbours[destination->neighbour];

  if (destination->method == METHOD_LOCAL) return NOT_SCHEDULED;
  if (director->settings.ttl != 0) return UNSUPPORTED;
  if (frame->bytes > (uint32_t)director->settings.mtu) return TOO_BIG;
  if (!neighbour->reachable) return neighbour->failed ? NEIGHBOUR_FAILED : WAITING;
  if (neighbour->stale) return UNSUPPORTED;
  memcpy(frame->start, neighbour->mac, 6);
  if (director->settings.source_mac == 0) memcpy(frame->start + ETH_SOURCE, director->mac, 6);
  burst->sent_at[burst->sent] = burst->at[i];
  burst->sent_length[burst->sent++] = burst->length[i];
  return FORWARDED;
}

/* The turn ------------------------------------------------------------------------------------------------------ */

static void due(void *context, uint32_t row)
{
  struct director *director = context;

  bury(director, row);
  director->expired++;
}

/*
 * Looks all flows up before any is acted on: the look-ups do not depend on each other, so that their cache misses
 * overlap. First the buckets, then the rows.
 */
static void look_up(const struct director *director, struct frame *frames, uint32_t count)
{
  const struct table *table = director->table;

  for (uint32_t i = 0; i < count; i++) {
    if (frames[i].kind != FLOW) continue;
    frames[i].link = table->heads[frames[i].hash >> table->shift];
    if (frames[i].link != 0) __builtin_prefetch(&table->rows[frames[i].link - 1], 1);
  }
  for (uint32_t i = 0; i < count; i++)
    if (frames[i].kind == FLOW)
      frames[i].row = table_find(table, frames[i].link, frames[i].protocol, frames[i].client, frames[i].virtual,
                                 frames[i].ports);
}

void director_turn(struct director *director, struct burst *burst, int64_t now)
{
  struct frame frames[BURST];
  int32_t tick = (int32_t)(now / TICK);
  uint32_t changes, departures;

  director->now = now;
  director->tick = tick;
  table_advance(director->table, tick, due, director);
  for (uint32_t i = 0; i < burst->count; i++) {
    frames[i].start = burst->memory + burst->at[i];
    frames[i].length = burst->length[i];
    frames[i].verdict = (uint8_t)classify(director, &frames[i]);
    director->bytes += frames[i].length;
  }
  director->received += burst->count;
  director->bursts++;
  if (burst->count == BURST) director->full_bursts++;
  look_up(director, frames, burst->count);
  burst->sent = 0;
  changes = director->changes;
  departures = director->departures;
  for (uint32_t i = 0; i < burst->count; i++) {
    enum verdict verdict = frames[i].verdict;

    if (frames[i].kind == FLOW) verdict = connect_frame(director, &frames[i], found(director, &frames[i], changes, departures));
    if (verdict == FORWARDED) verdict = rewrite(director, burst, i, &frames[i]);
    director->verdicts[verdict]++;
  }
  director->turns++;
}
