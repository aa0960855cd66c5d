/*
 * Unix sockets that keep message boundaries and can carry descriptors (message.c): Node's own cannot carry any. None of
 * these waits.
 */
#include "common.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KIND (SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)

static bool address_arg(struct call *call, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  string_arg(call, 0, address->sun_path, sizeof address->sun_path);
  return !call->bad;
}

/* Closes `fd` and throws what failed. */
static napi_value give_up(struct call *call, int fd, const char *name) {
  int error = errno;
  close(fd);
  return call_failed_with(call, error, name, NULL, NULL);
}

/* listenUnix(path) → fd; the path must be free, its mode is what the umask leaves */
static napi_value listen_unix(napi_env env, napi_callback_info info) {
  struct call call;
  struct sockaddr_un address;
  if (!call_begin(&call, env, info, "listenUnix", 1) || !address_arg(&call, &address)) return NULL;
  int fd = socket(AF_UNIX, KIND, 0);
  if (fd < 0) return call_failed(&call, "socket", NULL);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return give_up(&call, fd, "bind");
  if (listen(fd, 4) < 0) return give_up(&call, fd, "listen");
  return integer(env, fd);
}

/* connectUnix(path) → fd; ENOENT, ECONNREFUSED: nobody listens there */
static napi_value connect_unix(napi_env env, napi_callback_info info) {
  struct call call;
  struct sockaddr_un address;
  if (!call_begin(&call, env, info, "connectUnix", 1) || !address_arg(&call, &address)) return NULL;
  int fd = socket(AF_UNIX, KIND, 0);
  if (fd < 0) return call_failed(&call, "socket", NULL);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return give_up(&call, fd, "connect");
  return integer(env, fd);
}

/* acceptUnix(fd) → fd of the next connection; -1 when none waits */
static napi_value accept_unix(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "acceptUnix", 1)) return NULL;
  int fd = int_arg(&call, 0);
  if (call.bad) return NULL;
  int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted < 0 && errno != EAGAIN && errno != ECONNABORTED) return call_failed(&call, "accept4", NULL);
  return integer(env, accepted);
}

const struct entry unix_entries[] = {
    {"listenUnix", listen_unix}, {"connectUnix", connect_unix}, {"acceptUnix", accept_unix}, {NULL, NULL},
};
