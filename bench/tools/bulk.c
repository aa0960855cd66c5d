/*
 * Bulk TCP: bulk sink PORT takes one connection after another and reads it to its end, checking that every byte is the
 * one that was sent; bulk send ADDRESS PORT MILLISECONDS writes as much as goes and prints how much the other side
 * took: {"bytes":…,"nanoseconds":…}. Byte n of a stream is n modulo 251.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 251
/* A whole number of periods, so that each write and any read can be compared with one pattern. */
#define CHUNK (PERIOD * 1024)

static uint8_t pattern[CHUNK + PERIOD];

static void die(const char *what)
{
  perror(what);
  exit(1);
}

static uint64_t now(void)
{
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

/* Reads a stream to its end and answers with its length, or with all ones when a byte was wrong. */
static void take(int peer)
{
  static uint8_t buffer[CHUNK];
  uint64_t total = 0;
  ssize_t got;

  while ((got = read(peer, buffer, sizeof buffer)) > 0) {
    if (memcmp(buffer, pattern + total % PERIOD, (size_t)got) != 0) {
      total = UINT64_MAX;
      break;
    }
    total += (uint64_t)got;
  }
  if (write(peer, &total, sizeof total) < 0) perror("write");
  close(peer);
}

static void sink(uint16_t port)
{
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 16) < 0) die("listen");
  puts("ready");
  fflush(stdout);
  for (;;) {
    int peer = accept(fd, NULL, NULL);

    if (peer < 0) die("accept");
    take(peer);
  }
}

static void send_bulk(const char *address, uint16_t port, uint64_t milliseconds)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  uint64_t start, total = 0, taken = 0;
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) die(address);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
  start = now();
  while (now() - start < milliseconds * 1000000) {
    ssize_t sent = write(fd, pattern + total % PERIOD, CHUNK);

    if (sent < 0) die("write");
    total += (uint64_t)sent;
  }
  shutdown(fd, SHUT_WR);
  if (read(fd, &taken, sizeof taken) != sizeof taken || taken != total) {
    fprintf(stderr, "bulk: %llu bytes went, the other side has %llu right ones\n", (unsigned long long)total,
            (unsigned long long)taken);
    exit(1);
  }
  printf("{\"bytes\":%llu,\"nanoseconds\":%llu}\n", (unsigned long long)total, (unsigned long long)(now() - start));
}

int main(int count, char **arguments)
{
  for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)(i % PERIOD);
  if (count == 3 && strcmp(arguments[1], "sink") == 0) sink((uint16_t)atoi(arguments[2]));
  else if (count == 5 && strcmp(arguments[1], "send") == 0)
    send_bulk(arguments[2], (uint16_t)atoi(arguments[3]), (uint64_t)atoi(arguments[4]));
  else {
    fputs("usage: bulk sink PORT | bulk send ADDRESS PORT MILLISECONDS\n", stderr);
    return 2;
  }
  return 0;
}
