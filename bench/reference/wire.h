/* Offsets and network-order loads and stores: what the forwarder reads of a frame. */
#ifndef REFERENCE_WIRE_H
#define REFERENCE_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETH_HEADER 14
#define ETH_SOURCE 6
#define ETH_TYPE 12
#define TYPE_IPV4 0x0800
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8
#define VLAN_HEADER 4
#define VLAN_TYPE 2

#define IPV4_HEADER 20
#define IPV4_TOTAL_LENGTH 2
#define IPV4_FLAGS_OFFSET 6
#define IPV4_PROTOCOL 9
#define IPV4_SOURCE 12
#define IPV4_DESTINATION 16
#define IPV4_FRAGMENT 0x3fff

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_SCTP 132

#define TCP_HEADER 20
#define TCP_FLAGS 13

static inline uint16_t load16(const uint8_t *p)
{
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}

static inline uint32_t load32(const uint8_t *p)
{
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}

/* The ones' complement sum of an IPv4 header; 0 when it is right (RFC 1071). */
static inline uint16_t ipv4_checksum(const uint8_t *ip)
{
  uint32_t sum = 0;

  for (unsigned at = 0; at < (ip[0] & 0x0fu) * 4; at += 2)
    sum += load16(ip + at);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

#endif
