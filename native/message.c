/*
 * Bursts over sockets: tables of messages that JavaScript fills in place, sent and received by one system call; and
 * descriptors passed from process to process.
 */
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROW (sizeof(struct mmsghdr) + sizeof(struct iovec))
#define MAX_FDS 253 /* SCM_MAX_FD of the kernel */

/* JavaScript knows these layouts by number (src/ring/packet-ring.ts). */
_Static_assert(sizeof(struct iovec) == 16, "iovec: u64 base, u64 length");
_Static_assert(sizeof(struct mmsghdr) == 64, "mmsghdr: 56 bytes of msghdr, u32 length");
_Static_assert(offsetof(struct mmsghdr, msg_hdr.msg_flags) == 48, "msg_flags at 48");
_Static_assert(offsetof(struct mmsghdr, msg_len) == 56, "msg_len at 56");

/*
 * createMessages(count, high) → ArrayBuffer: `count` mmsghdr, then `count` iovec, one per message. The high half of
 * each iov_base is `high`; JavaScript writes only the low half and iov_len.
 */
static napi_value create_messages(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "createMessages", 2)) return NULL;
  uint32_t count = uint_arg(&call, 0), high = uint_arg(&call, 1);
  if (call.bad) return NULL;
  if (count == 0 || count > 1024) return bad_argument(&call, 0, "from 1 to 1024, as many as one system call takes");
  size_t page = (size_t)sysconf(_SC_PAGESIZE), length = (count * ROW + page - 1) / page * page;
  void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return call_failed(&call, "mmap", NULL);
  struct mmsghdr *headers = start;
  struct iovec *pieces = (struct iovec *)(headers + count);
  for (uint32_t i = 0; i < count; i++) {
    headers[i].msg_hdr.msg_iov = &pieces[i];
    headers[i].msg_hdr.msg_iovlen = 1;
    pieces[i].iov_base = (void *)((uintptr_t)high << 32);
  }
  return owned_pages(&call, start, length);
}

static bool rows(struct call *call, struct mmsghdr **first, uint32_t from, uint32_t count) {
  struct bytes table = bytes_arg(call, 1);
  if (call->bad) return false;
  if ((size_t)from + count > table.length / ROW) {
    bad_argument(call, 3, "within the table");
    return false;
  }
  *first = (struct mmsghdr *)table.data + from;
  return true;
}

/* sendMessages(fd, table, from, count) → messages sent, or -errno of the first one when that could not be sent */
static napi_value send_messages(napi_env env, napi_callback_info info) {
  struct call call;
  struct mmsghdr *first;
  if (!call_begin(&call, env, info, "sendMessages", 4)) return NULL;
  int fd = int_arg(&call, 0);
  uint32_t from = uint_arg(&call, 2), count = uint_arg(&call, 3);
  if (!rows(&call, &first, from, count)) return NULL;
  int sent = sendmmsg(fd, first, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return integer(env, sent < 0 ? -errno : sent);
}

/* receiveMessages(fd, table, from, count) → messages received, or -errno; never waits */
static napi_value receive_messages(napi_env env, napi_callback_info info) {
  struct call call;
  struct mmsghdr *first;
  if (!call_begin(&call, env, info, "receiveMessages", 4)) return NULL;
  int fd = int_arg(&call, 0);
  uint32_t from = uint_arg(&call, 2), count = uint_arg(&call, 3);
  if (!rows(&call, &first, from, count)) return NULL;
  int received = recvmmsg(fd, first, count, MSG_DONTWAIT, NULL);
  return integer(env, received < 0 ? -errno : received);
}

/* socketPair() → [fd, fd]: a connected pair of Unix sockets that keep message boundaries */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  struct call call;
  int pair[2];
  napi_value result;
  if (!call_begin(&call, env, info, "socketPair", 0)) return NULL;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return call_failed(&call, "socketpair", NULL);
  napi_create_array_with_length(env, 2, &result);
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, result, i, integer(env, pair[i]));
  return result;
}

/* sendFds(socket, fds, bytes): gives open descriptors, with a few bytes that say what they are, to the other end */
static napi_value send_fds(napi_env env, napi_callback_info info) {
  struct call call;
  union {
    struct cmsghdr align;
    char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
  } control;
  if (!call_begin(&call, env, info, "sendFds", 3)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes fds = ints_arg(&call, 1), bytes = bytes_arg(&call, 2);
  if (call.bad) return NULL;
  if (fds.length == 0 || fds.length > MAX_FDS) return bad_argument(&call, 1, "from 1 to 253 descriptors");
  if (bytes.length == 0) return bad_argument(&call, 2, "at least one byte, which carries the descriptors");
  memset(&control, 0, sizeof control);
  struct iovec piece = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control};
  message.msg_controllen = CMSG_SPACE(fds.length * sizeof(int));
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.length * sizeof(int));
  memcpy(CMSG_DATA(header), fds.data, fds.length * sizeof(int));
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  return sent < 0 ? call_failed(&call, "sendmsg", NULL) : number(env, (double)sent);
}

/* receiveFds(socket, fds, bytes) → { fds, bytes }: how many of each came; -1 bytes when nothing waits */
static napi_value receive_fds(napi_env env, napi_callback_info info) {
  struct call call;
  union {
    struct cmsghdr align;
    char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
  } control;
  napi_value result;
  if (!call_begin(&call, env, info, "receiveFds", 3)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes fds = ints_arg(&call, 1), bytes = bytes_arg(&call, 2);
  if (call.bad) return NULL;
  struct iovec piece = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0 && errno != EAGAIN) return call_failed(&call, "recvmsg", NULL);
  size_t taken = 0;
  for (struct cmsghdr *header = received < 0 ? NULL : CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int one;
      memcpy(&one, CMSG_DATA(header) + i * sizeof one, sizeof one);
      if (taken < fds.length) ((int32_t *)(void *)fds.data)[taken++] = one;
      else close(one); /* more than the caller has room for: nobody would ever close it */
    }
  }
  napi_create_object(env, &result);
  set_number(env, result, "fds", (double)taken);
  set_number(env, result, "bytes", (double)received);
  return result;
}

const struct entry message_entries[] = {
    {"createMessages", create_messages}, {"sendMessages", send_messages}, {"receiveMessages", receive_messages},
    {"socketPair", socket_pair},         {"sendFds", send_fds},           {"receiveFds", receive_fds},
    {NULL, NULL},
};
