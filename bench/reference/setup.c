/* Control: what the director is made of, and the schedulers. */
#include "director.h"

#include <stdlib.h>
#include <string.h>

static const int32_t tcp_timeouts[] = {2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120};

struct director *director_create(uint32_t connections, uint32_t services, uint32_t destinations, uint32_t seed,
                                 const uint8_t mac[6], int64_t now)
{
  struct director *director = calloc(1, sizeof *director);
  uint32_t slots = 8;

  if (director == NULL) return NULL;
  while (slots < services * 2) slots *= 2;
  director->seed = seed;
  memcpy(director->mac, mac, 6);
  director->table = table_create(connections, (int32_t)(now / TICK));
  director->services = calloc(services, sizeof *director->services);
  director->destinations = aligned_alloc(64, ((destinations * sizeof *director->destinations) + 63) & ~63ul);
  director->neighbours = calloc(destinations, sizeof *director->neighbours);
  director->slots = calloc(slots, sizeof *director->slots);
  director->slot_mask = slots - 1;
  director->service_room = services;
  director->destination_room = destinations;
  director->settings.conn_reuse_mode = 1;
  director->settings.mtu = 1500;
  director->settings.timeout_udp = 300;
  memcpy(director->settings.timeout_tcp, tcp_timeouts, sizeof tcp_timeouts);
  if (director->table && director->services && director->destinations && director->neighbours && director->slots)
    return director;
  director_destroy(director);
  return NULL;
}

void director_destroy(struct director *director)
{
  if (director->table) table_destroy(director->table);
  if (director->services)
    for (uint32_t s = 0; s < director->service_count; s++) free(director->services[s].members);
  free(director->services);
  free(director->destinations);
  free(director->neighbours);
  free(director->slots);
  free(director);
}

int director_add_service(struct director *director, uint32_t protocol, uint32_t address, uint32_t port,
                         const char *scheduler)
{
  schedule_fn *schedule = find_scheduler(scheduler);
  uint32_t hash = (address ^ (((port << 8) | protocol) * 0x9e3779b1u)) * 0x85ebca6bu;
  uint32_t s = director->service_count, slot;
  struct service *service = &director->services[s];

  if (schedule == NULL || s == director->service_room) return -1;
  service->address = address;
  service->port = port;
  service->protocol = protocol;
  service->all = director->destinations;
  service->schedule = schedule;
  slot = hash ^ (hash >> 15);
  while (director->slots[slot & director->slot_mask] != 0) slot++;
  director->slots[slot & director->slot_mask] = ++director->service_count;
  return (int)s;
}

int director_add_destination(struct director *director, uint32_t s, uint32_t weight, const uint8_t mac[6])
{
  struct service *service = &director->services[s];
  uint32_t d = director->destination_count;
  struct destination *destination = &director->destinations[d];
  uint32_t *members;

  if (d == director->destination_room) return -1;
  members = realloc(service->members, (service->count + 1) * sizeof *members);
  if (members == NULL) return -1;
  memmove(members + 1, members, service->count * sizeof *members);
  members[0] = d;
  service->members = members;
  service->count++;
  memset(destination, 0, sizeof *destination);
  destination->life = ALIVE;
  destination->method = 3;
  destination->weight = weight;
  destination->service = s;
  destination->port = service->port;
  destination->neighbour = d;
  memcpy(director->neighbours[d].mac, mac, 6);
  director->neighbours[d].reachable = true;
  director->destination_count++;
  scheduler_changed(service);
  return (int)d;
}

/* Schedulers ----------------------------------------------------------------------------------------------------- */

static bool available(const struct destination *destination)
{
  return destination->weight > 0 && !destination->overload;
}

/* The turn goes on from the destination chosen last; `last` is its place + 1. */
static int64_t rr(struct service *service)
{
  for (uint32_t step = 0; step < service->count; step++) {
    uint32_t place = service->last + step;

    if (place >= service->count) place -= service->count;
    if (available(&service->all[service->members[place]])) {
      service->last = place + 1;
      return service->members[place];
    }
  }
  return -1;
}

static int64_t wrr(struct service *service)
{
  uint32_t place = service->last;

  if (service->top == 0) return -1;
  for (int round = 0; round < 2 * (service->top / service->step + 2);) {
    for (; place < service->count; place++) {
      const struct destination *destination = &service->all[service->members[place]];

      if (!destination->overload && (int32_t)destination->weight >= service->threshold) {
        service->last = place + 1;
        return service->members[place];
      }
    }
    place = 0;
    round++;
    service->threshold -= service->step;
    if (service->threshold <= 0) service->threshold = service->top;
  }
  return -1;
}

static int64_t wlc(struct service *service)
{
  int64_t least = -1;
  uint64_t least_load = 0, least_weight = 0;

  for (uint32_t i = 0; i < service->count; i++) {
    const struct destination *destination = &service->all[service->members[i]];
    uint64_t load = 257ull * destination->active + destination->inactive;

    if (!available(destination)) continue;
    if (least < 0 || least_load * destination->weight > load * least_weight) {
      least = service->members[i];
      least_load = load;
      least_weight = destination->weight;
    }
  }
  return least;
}

static uint32_t greatest_common_divisor(uint32_t a, uint32_t b)
{
  while (b != 0) {
    uint32_t rest = a % b;

    a = b;
    b = rest;
  }
  return a;
}

void scheduler_changed(struct service *service)
{
  uint32_t greatest = 0, step = 0;

  for (uint32_t i = 0; i < service->count; i++) {
    uint32_t weight = service->all[service->members[i]].weight;

    if (weight > greatest) greatest = weight;
    if (weight > 0) step = greatest_common_divisor(weight, step);
  }
  if (step == 0) step = 1;
  service->step = (int32_t)step;
  service->top = (int32_t)(greatest - (step - 1));
  service->threshold = service->top;
  service->last = 0;
}

schedule_fn *find_scheduler(const char *name)
{
  if (strcmp(name, "rr") == 0) return rr;
  if (strcmp(name, "wrr") == 0) return wrr;
  if (strcmp(name, "wlc") == 0) return wlc;
  return NULL;
}
