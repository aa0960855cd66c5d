/* Sockets: one system call each. Which options, in which order, with which values is decided in TypeScript. */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PACKET_FANOUT_DATA
#define PACKET_FANOUT_DATA 22
#endif

/* socket(domain, type, protocol) → fd, closed on exec */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "socket", 3)) return NULL;
  int domain = int_arg(&call, 0), type = int_arg(&call, 1), protocol = int_arg(&call, 2);
  if (call.bad) return NULL;
  int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
  return fd < 0 ? call_failed(&call, "socket", NULL) : integer(env, fd);
}

/* close(fd) */
static napi_value close_fd(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "close", 1)) return NULL;
  int fd = int_arg(&call, 0);
  if (!call.bad && close(fd) < 0 && errno != EINTR) return call_failed(&call, "close", NULL);
  return NULL;
}

/* setOption(fd, level, name, value): an integer, or the bytes of the option's structure */
static napi_value set_option(napi_env env, napi_callback_info info) {
  struct call call;
  napi_valuetype type;
  if (!call_begin(&call, env, info, "setOption", 4)) return NULL;
  int fd = int_arg(&call, 0), level = int_arg(&call, 1), name = int_arg(&call, 2), value = 0;
  napi_typeof(env, call.value[3], &type);
  struct bytes bytes = {(uint8_t *)&value, sizeof value};
  if (type == napi_number) value = int_arg(&call, 3);
  else bytes = bytes_arg(&call, 3);
  if (call.bad) return NULL;
  if (setsockopt(fd, level, name, bytes.data, (socklen_t)bytes.length) < 0) return call_failed(&call, "setsockopt", NULL);
  return NULL;
}

/* getOption(fd, level, name, out) → bytes the kernel wrote to `out` */
static napi_value get_option(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "getOption", 4)) return NULL;
  int fd = int_arg(&call, 0), level = int_arg(&call, 1), name = int_arg(&call, 2);
  struct bytes out = bytes_arg(&call, 3);
  socklen_t length = (socklen_t)out.length;
  if (call.bad) return NULL;
  if (getsockopt(fd, level, name, out.data, &length) < 0) return call_failed(&call, "getsockopt", NULL);
  return integer(env, (int32_t)length);
}

/* bindPacket(fd, interfaceIndex, etherType): 0 receives nothing, 3 (ETH_P_ALL) everything */
static napi_value bind_packet(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bindPacket", 3)) return NULL;
  struct sockaddr_ll address = {.sll_family = AF_PACKET};
  int fd = int_arg(&call, 0);
  address.sll_ifindex = int_arg(&call, 1);
  address.sll_protocol = htons((uint16_t)uint_arg(&call, 2));
  if (call.bad) return NULL;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return call_failed(&call, "bind", NULL);
  return NULL;
}

/* bindNetlink(fd, groups): the kernel chooses our port */
static napi_value bind_netlink(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bindNetlink", 2)) return NULL;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  int fd = int_arg(&call, 0);
  address.nl_groups = uint_arg(&call, 1);
  if (call.bad) return NULL;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return call_failed(&call, "bind", NULL);
  return NULL;
}

static napi_value attach(napi_env env, napi_callback_info info, const char *name, int level, int option) {
  struct call call;
  if (!call_begin(&call, env, info, name, 2)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes code = bytes_arg(&call, 1);
  if (call.bad) return NULL;
  struct sock_fprog program = {(unsigned short)(code.length / sizeof(struct sock_filter)), (void *)code.data};
  if (setsockopt(fd, level, option, &program, sizeof program) < 0)
    return call_failed(&call, "setsockopt", errno == ENOMEM ? "raise net.core.optmem_max, or filter for fewer addresses" : NULL);
  return NULL;
}

/* attachFilter(fd, program): replaces the classic BPF filter of the socket in one step */
static napi_value attach_filter(napi_env env, napi_callback_info info) {
  return attach(env, info, "attachFilter", SOL_SOCKET, SO_ATTACH_FILTER);
}

/* attachFanout(fd, program): the classic BPF program that picks the socket within the fanout group */
static napi_value attach_fanout(napi_env env, napi_callback_info info) {
  return attach(env, info, "attachFanout", SOL_PACKET, PACKET_FANOUT_DATA);
}

/* send(fd, bytes) → bytes sent; -1 when the socket cannot take it now */
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "send", 2)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes bytes = bytes_arg(&call, 1);
  if (call.bad) return NULL;
  ssize_t sent = send(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return call_failed(&call, "send", NULL);
  return number(env, (double)sent);
}

/* recv(fd, bytes) → the message's true length (more than `bytes` holds means it was cut); -1 when none waits */
static napi_value receive_bytes(napi_env env, napi_callback_info info) {
  struct call call;
  ssize_t received;
  if (!call_begin(&call, env, info, "recv", 2)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes bytes = bytes_arg(&call, 1);
  if (call.bad) return NULL;
  do received = recv(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_TRUNC);
  while (received < 0 && errno == EINTR);
  if (received < 0 && errno != EAGAIN)
    return call_failed(&call, "recv", errno == ENOBUFS ? "messages were lost: ask for everything again" : NULL);
  return number(env, (double)received);
}

/* Receiving queues; 1 for a device that has no channels to tell of. */
static int queues(int fd, const char *name) {
  struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
  struct ifreq ask = {.ifr_data = (char *)&channels};
  memcpy(ask.ifr_name, name, IFNAMSIZ);
  int count = ioctl(fd, SIOCETHTOOL, &ask) < 0 ? 1 : (int)(channels.combined_count + channels.rx_count);
  return count > 0 ? count : 1;
}

/* Does the device take VLAN tags out of received frames? */
static bool strips_tags(int fd, const char *name) {
  struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
  struct ifreq ask = {.ifr_data = (char *)&value};
  memcpy(ask.ifr_name, name, IFNAMSIZ);
  return ioctl(fd, SIOCETHTOOL, &ask) == 0 && (value.data & ETH_FLAG_RXVLAN) != 0;
}

/* link(name) → { index, mtu, flags, queues, stripsTags, hardwareType, macHigh, macLow }, in the calling thread's network namespace */
static napi_value describe_link(napi_env env, napi_callback_info info) {
  static const struct {
    unsigned long request;
    const char *name;
  } asks[] = {{SIOCGIFINDEX, "ioctl(SIOCGIFINDEX)"},
              {SIOCGIFMTU, "ioctl(SIOCGIFMTU)"},
              {SIOCGIFFLAGS, "ioctl(SIOCGIFFLAGS)"},
              {SIOCGIFHWADDR, "ioctl(SIOCGIFHWADDR)"}};
  struct ifreq answer[4];
  struct call call;
  char name[IFNAMSIZ] = {0};
  napi_value result;
  if (!call_begin(&call, env, info, "link", 1)) return NULL;
  string_arg(&call, 0, name, sizeof name);
  if (call.bad) return NULL;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return call_failed(&call, "socket", NULL);
  for (size_t i = 0; i < 4; i++) {
    memset(&answer[i], 0, sizeof answer[i]);
    memcpy(answer[i].ifr_name, name, sizeof name);
    if (ioctl(fd, asks[i].request, &answer[i]) < 0) {
      int error = errno;
      close(fd);
      return call_failed_with(&call, error, asks[i].name, NULL, name);
    }
  }
  int count = queues(fd, name);
  bool strips = strips_tags(fd, name);
  close(fd);
  const uint8_t *mac = (const uint8_t *)answer[3].ifr_hwaddr.sa_data;
  napi_create_object(env, &result);
  set_number(env, result, "index", answer[0].ifr_ifindex);
  set_number(env, result, "mtu", answer[1].ifr_mtu);
  set_number(env, result, "flags", (uint16_t)answer[2].ifr_flags);
  set_number(env, result, "queues", count);
  napi_value flag;
  napi_get_boolean(env, strips, &flag);
  napi_set_named_property(env, result, "stripsTags", flag);
  set_number(env, result, "hardwareType", answer[3].ifr_hwaddr.sa_family);
  set_number(env, result, "macHigh", mac[0] << 8 | mac[1]);
  set_number(env, result, "macLow", (double)((uint32_t)mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5]));
  return result;
}

const struct entry socket_entries[] = {
    {"socket", open_socket},          {"close", close_fd},           {"setOption", set_option},
    {"getOption", get_option},        {"bindPacket", bind_packet},   {"bindNetlink", bind_netlink},
    {"attachFilter", attach_filter},  {"attachFanout", attach_fanout}, {"send", send_bytes},
    {"recv", receive_bytes},          {"link", describe_link},       {NULL, NULL},
};
