/* A datagram to a Unix socket by its address: how a service tells its manager how it is (sd_notify(3)). */
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* sendDatagram(address, bytes): `address` is sun_path, a leading NUL makes it abstract (unix(7)) */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  struct call call;
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (!call_begin(&call, env, info, "sendDatagram", 2)) return NULL;
  struct bytes address = bytes_arg(&call, 0), message = bytes_arg(&call, 1);
  if (call.bad) return NULL;
  if (address.length == 0 || address.length > sizeof to.sun_path)
    return bad_argument(&call, 0, "1 to 108 bytes of an address");
  memcpy(to.sun_path, address.data, address.length);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return call_failed(&call, "socket", NULL);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address.length);
  ssize_t sent = sendto(fd, message.data, message.length, MSG_NOSIGNAL, (struct sockaddr *)&to, length);
  int error = errno;
  close(fd);
  if (sent < 0) return call_failed_with(&call, error, "sendto", NULL, NULL);
  return NULL;
}

const struct entry notify_entries[] = {{"sendDatagram", send_datagram}, {NULL, NULL}};
