/*
 * The benches' generator, and their stopwatch for round trips. Frames are TCP to a virtual service, with a sequence
 * number in the payload: 16 bits of magic, 32 bits of number, little-endian, right behind the TCP header.
 *
 *   load send dev=g0 mac=02:00:0a:00:00:02 vip=0ac80001 [cpu=0] [size=60] [flows=1000] [services=1] [skip=0]
 *             [rate=0] [frames=N | milliseconds=1000] [flags=10] [probe=0]
 *   load ping dev=… mac=… vip=… [cpu=0] [size=60] [frames=10000]
 *
 * send: as fast as possible, or `rate` frames a second; prints what it sent and the CPU time it took. flags: TCP's, in
 * hexadecimal. skip: how many flows of the round were had already. With probe=MICROSECONDS it also times a frame of its own each so many microseconds.
 * ping: one frame after another, each sent when the one before it is back. Both print one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define FRAME_ROOM 2048
#define PAYLOAD 54
#define MAGIC_LOAD 0xd1e5
#define MAGIC_PROBE 0xd1e6
#define CLIENT_PORTS 28000
#define MAX_SAMPLES 2000000
/* A frame that is not back by then is lost. */
#define PATIENCE_NS 20000000ull

struct options {
  const char *device;
  uint8_t mac[6];
  uint32_t vip, size, flows, services, skip, flags;
  uint64_t frames, milliseconds, rate, probe;
  int cpu;
};

struct generator {
  const struct options *options;
  int socket;
  uint32_t flow, sequence;
  uint64_t sent, refused;
  struct mmsghdr messages[BATCH];
  struct iovec pieces[BATCH];
  uint8_t frames[BATCH][FRAME_ROOM];
};

struct probe {
  int socket;
  uint32_t next, *samples;
  size_t count, lost;
  uint64_t outstanding; /* when it left, 0 for none */
  uint8_t frame[FRAME_ROOM];
};

static void die(const char *what)
{
  perror(what);
  exit(1);
}

static uint64_t now_of(clockid_t clock)
{
  struct timespec time;

  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static void put16(uint8_t *at, uint16_t value)
{
  value = htons(value);
  memcpy(at, &value, 2);
}

static void put32(uint8_t *at, uint32_t value)
{
  value = htonl(value);
  memcpy(at, &value, 4);
}

static void make_frame(const struct options *options, uint8_t *frame, uint16_t magic)
{
  static const uint8_t router[6] = {2, 0, 0, 0, 0, 0xfe};

  memset(frame, 0, FRAME_ROOM);
  memcpy(frame, options->mac, 6);
  memcpy(frame + 6, router, 6);
  put16(frame + 12, 0x0800);
  put16(frame + 14, 0x4500);
  put16(frame + 16, (uint16_t)(options->size - 14));
  put16(frame + 20, 0x4000);
  put16(frame + 22, (64 << 8) | 6);
  frame[46] = 5 << 4;
  frame[47] = (uint8_t)options->flags;
  put16(frame + 48, 0xffff);
  put16(frame + 50, 0xbeef); /* nobody looks at TCP's checksum */
  memcpy(frame + PAYLOAD, &magic, 2);
}

/* Addresses, ports and the header's checksum of flow n, and the frame's number. */
static void address(const struct options *options, uint8_t *frame, uint32_t n, uint32_t sequence)
{
  uint32_t sum = 0;

  put32(frame + 26, 0x0b000001u + n / CLIENT_PORTS);
  put32(frame + 30, options->vip + n % options->services);
  put16(frame + 34, (uint16_t)(32768 + n % CLIENT_PORTS));
  put16(frame + 36, 80);
  put16(frame + 24, 0);
  for (int at = 14; at < 34; at += 2) sum += (uint32_t)(frame[at] << 8 | frame[at + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(frame + 24, (uint16_t)~sum);
  memcpy(frame + PAYLOAD + 2, &sequence, 4);
}

static int open_socket(const char *device, bool sends)
{
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
  int on = 1, big = 8 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

  if (fd < 0) die("socket(AF_PACKET)");
  if (address.sll_ifindex == 0) die(device);
  address.sll_protocol = sends ? 0 : htons(ETH_P_ALL);
  if (sends) {
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  } else {
    struct sock_filter only_probes[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, PAYLOAD),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (MAGIC_PROBE & 0xff) << 8 | MAGIC_PROBE >> 8, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof only_probes / sizeof *only_probes, .filter = only_probes};

    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) die("SO_ATTACH_FILTER");
  }
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  return fd;
}

/* A step that is prime, so that neighbours in time are no neighbours in the table. */
static uint32_t step_for(uint32_t flows)
{
  return flows > 7919 ? 7919 : 1;
}

static void send_batch(struct generator *generator, uint32_t count)
{
  const struct options *options = generator->options;
  uint32_t step = step_for(options->flows);

  for (uint32_t i = 0; i < count; i++) {
    address(options, generator->frames[i], generator->flow, generator->sequence++);
    generator->flow += step;
    if (generator->flow >= options->flows) generator->flow -= options->flows;
  }
  for (uint32_t from = 0; from < count;) {
    int sent = sendmmsg(generator->socket, generator->messages + from, count - from, 0);

    if (sent > 0) {
      from += (uint32_t)sent;
      generator->sent += (uint64_t)sent;
    } else if (errno != EINTR) {
      from++; /* its number is missing then, as if it were lost: refused frames are told apart below */
      generator->refused++;
    }
  }
}

static void probe_send(struct probe *probe, const struct options *options, int socket, uint64_t now)
{
  address(options, probe->frame, 0, probe->next);
  if (send(socket, probe->frame, options->size, 0) < 0) die("send");
  probe->outstanding = now;
}

/* Takes the probe's answer if it is there; false while it is on its way. */
static bool probe_take(struct probe *probe)
{
  uint8_t frame[FRAME_ROOM];
  uint32_t number;
  uint64_t now;

  while (recv(probe->socket, frame, sizeof frame, MSG_DONTWAIT) >= PAYLOAD + 6) {
    memcpy(&number, frame + PAYLOAD + 2, 4);
    if (number != probe->next) continue; /* one that was given up */
    now = now_of(CLOCK_MONOTONIC);
    if (probe->count < MAX_SAMPLES) probe->samples[probe->count++] = (uint32_t)(now - probe->outstanding);
    probe->next++;
    probe->outstanding = 0;
    return true;
  }
  if (now_of(CLOCK_MONOTONIC) - probe->outstanding < PATIENCE_NS) return false;
  probe->lost++;
  probe->next++;
  probe->outstanding = 0;
  return true;
}

static struct probe *make_probe(const struct options *options)
{
  struct probe *probe = calloc(1, sizeof *probe);

  probe->socket = open_socket(options->device, false);
  probe->samples = calloc(MAX_SAMPLES, sizeof *probe->samples);
  make_frame(options, probe->frame, MAGIC_PROBE);
  return probe;
}

static int by_size(const void *a, const void *b)
{
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

  return one < other ? -1 : one > other;
}

static void print_latency(struct probe *probe)
{
  static const double shares[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
  static const char *names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};

  printf("\"samples\":%zu,\"lost\":%zu,\"latency\":{", probe->count, probe->lost);
  qsort(probe->samples, probe->count, sizeof *probe->samples, by_size);
  for (int i = 0; probe->count > 0 && i < 5; i++)
    printf("\"%s\":%u,", names[i], probe->samples[(size_t)(shares[i] * (double)(probe->count - 1))]);
  printf("\"max\":%u}", probe->count > 0 ? probe->samples[probe->count - 1] : 0);
}

static void ping(const struct options *options)
{
  struct probe *probe = make_probe(options);
  int socket = open_socket(options->device, true);

  for (uint64_t i = 0; i < options->frames; i++) {
    probe_send(probe, options, socket, now_of(CLOCK_MONOTONIC));
    while (!probe_take(probe));
  }
  putchar('{');
  print_latency(probe);
  puts("}");
}

static struct generator *make_generator(const struct options *options)
{
  struct generator *generator = calloc(1, sizeof *generator);

  generator->options = options;
  generator->socket = open_socket(options->device, true);
  generator->flow = (uint32_t)((uint64_t)options->skip * step_for(options->flows) % options->flows);
  for (int i = 0; i < BATCH; i++) {
    make_frame(options, generator->frames[i], MAGIC_LOAD);
    generator->pieces[i] = (struct iovec){generator->frames[i], options->size};
    generator->messages[i].msg_hdr.msg_iov = &generator->pieces[i];
    generator->messages[i].msg_hdr.msg_iovlen = 1;
  }
  return generator;
}

/* Frames that are due by now and go in one call. */
static uint32_t due(const struct options *options, uint64_t sent, uint64_t elapsed)
{
  uint64_t wanted = options->rate == 0 ? sent + BATCH : (uint64_t)((double)elapsed * 1e-9 * (double)options->rate);

  if (options->frames != 0 && wanted > options->frames) wanted = options->frames;
  if (wanted <= sent) return 0;
  return wanted - sent > BATCH ? BATCH : (uint32_t)(wanted - sent);
}

static void send_load(const struct options *options)
{
  struct generator *generator = make_generator(options);
  struct probe *probe = options->probe ? make_probe(options) : NULL;
  uint64_t start = now_of(CLOCK_MONOTONIC), cpu = now_of(CLOCK_THREAD_CPUTIME_ID), now = start, next_probe = start;

  while (options->frames ? generator->sent + generator->refused < options->frames
                         : now - start < options->milliseconds * 1000000) {
    uint32_t count = due(options, generator->sent + generator->refused, now - start);

    if (count > 0) send_batch(generator, count);
    now = now_of(CLOCK_MONOTONIC);
    if (probe == NULL) continue;
    if (probe->outstanding != 0) {
      probe_take(probe);
    } else if (now >= next_probe) {
      probe_send(probe, options, generator->socket, now);
      next_probe = now + options->probe * 1000;
    }
  }
  cpu = now_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
  printf("{\"sent\":%llu,\"refused\":%llu,\"nanoseconds\":%llu,\"cpu\":%llu", (unsigned long long)generator->sent,
         (unsigned long long)generator->refused, (unsigned long long)(now - start), (unsigned long long)cpu);
  if (probe != NULL) {
    putchar(',');
    print_latency(probe);
  }
  puts("}");
}

static uint64_t number(const char *text, int base)
{
  char *end;
  uint64_t value = strtoull(text, &end, base);

  if (*text == 0 || *end != 0) {
    fprintf(stderr, "load: \"%s\" is no number\n", text);
    exit(2);
  }
  return value;
}

static void read_option(struct options *options, const char *argument)
{
  const char *value = strchr(argument, '=');
  size_t length = value == NULL ? 0 : (size_t)(value - argument);
  uint8_t *mac = options->mac;

#define IS(name) (length == sizeof name - 1 && memcmp(argument, name, length) == 0)
  if (value++ == NULL) goto unknown;
  if (IS("dev")) options->device = value;
  else if (IS("mac")) {
    if (sscanf(value, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6) goto unknown;
  } else if (IS("vip")) options->vip = (uint32_t)number(value, 16);
  else if (IS("cpu")) options->cpu = (int)number(value, 10);
  else if (IS("size")) options->size = (uint32_t)number(value, 10);
  else if (IS("flows")) options->flows = (uint32_t)number(value, 10);
  else if (IS("services")) options->services = (uint32_t)number(value, 10);
  else if (IS("skip")) options->skip = (uint32_t)number(value, 10);
  else if (IS("flags")) options->flags = (uint32_t)number(value, 16);
  else if (IS("rate")) options->rate = number(value, 10);
  else if (IS("frames")) options->frames = number(value, 10);
  else if (IS("milliseconds")) options->milliseconds = number(value, 10);
  else if (IS("probe")) options->probe = number(value, 10);
  else goto unknown;
#undef IS
  return;
unknown:
  fprintf(stderr, "load: what is \"%s\"?\n", argument);
  exit(2);
}

int main(int count, char **arguments)
{
  struct options options = {.cpu = -1, .size = 60, .flows = 1000, .services = 1, .milliseconds = 1000, .flags = 0x10};
  bool is_ping = count > 1 && strcmp(arguments[1], "ping") == 0;
  cpu_set_t set;

  if (count < 2 || (!is_ping && strcmp(arguments[1], "send") != 0)) {
    fputs("usage: load send|ping dev=... mac=... vip=...\n", stderr);
    return 2;
  }
  for (int i = 2; i < count; i++) read_option(&options, arguments[i]);
  if (options.device == NULL || options.size < 60 || options.size > 1514 || options.flows == 0 || options.services == 0) {
    fputs("load: dev= is needed, size= is 60 to 1514, flows= and services= are above 0\n", stderr);
    return 2;
  }
  if (options.cpu >= 0) {
    CPU_ZERO(&set);
    CPU_SET(options.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0) die("sched_setaffinity");
  }
  if (is_ping)
    ping(&options);
  else
    send_load(&options);
  return 0;
}
