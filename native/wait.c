/* Sleeping until something happens, and waking who sleeps. */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int sleep_on(struct pollfd *fds, nfds_t count, double milliseconds) {
  struct timespec limit = {0, 0};
  if (milliseconds > 0) {
    limit.tv_sec = (time_t)(milliseconds / 1e3);
    limit.tv_nsec = (long)((milliseconds - (double)limit.tv_sec * 1e3) * 1e6);
  }
  return ppoll(fds, count, milliseconds < 0 ? NULL : &limit, NULL);
}

/*
 * wait(fd, wakeFd, milliseconds) → 1: fd is readable, 2: woken by wakeFd (and emptied it), 4: fd had an error (and it
 * was taken off), added up; 0: the time has gone. Negative milliseconds wait for ever.
 */
static napi_value wait_readable(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t count;
  if (!call_begin(&call, env, info, "wait", 3)) return NULL;
  struct pollfd fds[2] = {{.fd = int_arg(&call, 0), .events = POLLIN}, {.fd = int_arg(&call, 1), .events = POLLIN}};
  double milliseconds = double_arg(&call, 2);
  int32_t happened = 0;
  if (call.bad) return NULL;
  int ready = sleep_on(fds, 2, milliseconds);
  if (ready < 0 && errno != EINTR) return call_failed(&call, "ppoll", NULL);
  if (ready > 0) {
    if (fds[0].revents & POLLIN) happened |= 1;
    if (fds[1].revents & POLLIN && read(fds[1].fd, &count, sizeof count) == (ssize_t)sizeof count) happened |= 2;
    if (fds[0].revents & (POLLERR | POLLNVAL)) {
      /* A pending error (the interface went down) would end every later poll at once. */
      int error;
      socklen_t length = sizeof error;
      getsockopt(fds[0].fd, SOL_SOCKET, SO_ERROR, &error, &length);
      happened |= 4;
    }
  }
  return integer(env, happened);
}

/* waitWritable(fd, milliseconds) → whether it can take more now */
static napi_value wait_writable(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  if (!call_begin(&call, env, info, "waitWritable", 2)) return NULL;
  struct pollfd one = {.fd = int_arg(&call, 0), .events = POLLOUT};
  double milliseconds = double_arg(&call, 1);
  if (call.bad) return NULL;
  int ready = sleep_on(&one, 1, milliseconds);
  if (ready < 0 && errno != EINTR) return call_failed(&call, "ppoll", NULL);
  napi_get_boolean(env, ready > 0 && (one.revents & POLLOUT), &result);
  return result;
}

/* eventFd() → fd; it counts signals and is readable while the count is not zero */
static napi_value make_eventfd(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "eventFd", 0)) return NULL;
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? call_failed(&call, "eventfd", NULL) : integer(env, fd);
}

/* signal(eventFd): wakes who waits for it, in any thread or process */
static napi_value signal_eventfd(napi_env env, napi_callback_info info) {
  struct call call;
  uint64_t one = 1;
  if (!call_begin(&call, env, info, "signal", 1)) return NULL;
  int fd = int_arg(&call, 0);
  if (call.bad) return NULL;
  /* EAGAIN: the counter is full, so it is readable already. */
  if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN) return call_failed(&call, "write", NULL);
  return NULL;
}

static napi_value clock_milliseconds(napi_env env, clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return number(env, (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6);
}

/* monotonic() → milliseconds since some fixed moment; the same clock in every thread */
static napi_value monotonic(napi_env env, napi_callback_info info) {
  (void)info;
  return clock_milliseconds(env, CLOCK_MONOTONIC);
}

/* threadCpu() → milliseconds of CPU time that the calling thread has used */
static napi_value thread_cpu(napi_env env, napi_callback_info info) {
  (void)info;
  return clock_milliseconds(env, CLOCK_THREAD_CPUTIME_ID);
}

/* yieldCpu(): lets another thread that waits for this CPU run first */
static napi_value yield_cpu(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  sched_yield();
  return NULL;
}

const struct entry wait_entries[] = {
    {"wait", wait_readable},      {"waitWritable", wait_writable}, {"eventFd", make_eventfd}, {"signal", signal_eventfd},
    {"monotonic", monotonic},     {"threadCpu", thread_cpu},       {"yieldCpu", yield_cpu},   {NULL, NULL},
};
