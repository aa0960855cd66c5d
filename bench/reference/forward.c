/*
 * The reference as a program: forward packet|xdp CPU WAIT CONNECTIONS SERVICES DESTINATIONS SCHEDULER MAC VIP RING…
 *
 * CPU is the core to stay on, or -1; WAIT is poll or busy; services are VIP, VIP + 1 … port 80, TCP; destination d's MAC
 * is 02:02 followed by 0x90000000 + d. Says "ready", and answers each line of stdin with its counters as JSON.
 */
#include "ring.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT 80
#define SEED 0x5eed5eedu
#define ARGUMENTS 10

static int64_t milliseconds(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void stay_on(int cpu)
{
  cpu_set_t set;

  if (cpu < 0) return;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0) perror("sched_setaffinity");
}

static struct director *make_director(char **arguments)
{
  uint32_t services = (uint32_t)atoi(arguments[1]), each = (uint32_t)atoi(arguments[2]);
  uint32_t vip = (uint32_t)strtoul(arguments[5], NULL, 16);
  uint8_t mac[6], server[6] = {2, 2};
  struct director *director;

  if (sscanf(arguments[4], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) return NULL;
  director = director_create((uint32_t)atoi(arguments[0]), services, services * each, SEED, mac, milliseconds());
  for (uint32_t s = 0; director != NULL && s < services; s++) {
    if (director_add_service(director, 6, vip + s, PORT, arguments[3]) < 0) return NULL;
    for (uint32_t k = 0; k < each; k++) {
      uint32_t low = __builtin_bswap32(0x90000000u + s * each + k);

      memcpy(server + 2, &low, 4);
      director_add_destination(director, s, 1, server);
    }
  }
  return director;
}

/* Answers a line of stdin; false at its end. */
static bool answer(const struct director *director)
{
  struct pollfd input = {.fd = 0, .events = POLLIN};
  char line[64];

  if (poll(&input, 1, 0) <= 0) return true;
  if (read(0, line, sizeof line) <= 0) return false;
  printf("{\"received\":%llu,\"forwarded\":%llu,\"live\":%u}\n", (unsigned long long)director->received,
         (unsigned long long)director->verdicts[FORWARDED], director->table->live);
  fflush(stdout);
  return true;
}

static void forward(struct director *director, struct ring *ring, bool busy)
{
  struct burst burst;
  int64_t look = 0;

  for (;;) {
    int64_t now = milliseconds();

    ring->receive(ring, &burst);
    director_turn(director, &burst, now);
    ring->send(ring, &burst);
    if (now >= look) {
      if (!answer(director)) return;
      look = now + 20;
    }
    if (burst.count == 0 && !busy) ring->wait(ring);
  }
}

int main(int count, char **arguments)
{
  struct director *director;
  struct ring *ring;
  bool xdp = count > 1 && strcmp(arguments[1], "xdp") == 0;

  if (count < ARGUMENTS + (xdp ? 18 : 4)) {
    fputs("usage: forward packet|xdp CPU WAIT CONNECTIONS SERVICES DESTINATIONS SCHEDULER MAC VIP RING...\n", stderr);
    return 2;
  }
  stay_on(atoi(arguments[2]));
  director = make_director(arguments + 4);
  ring = xdp ? xdp_ring_open(arguments + ARGUMENTS) : packet_ring_open(arguments + ARGUMENTS);
  if (director == NULL || ring == NULL) return 1;
  puts("ready");
  fflush(stdout);
  forward(director, ring, strcmp(arguments[3], "busy") == 0);
  return 0;
}
