/*
 * Watching a descriptor from the event loop: a small thread sleeps in poll() and calls back on the JavaScript thread.
 * (A uv_poll_t would do the same without a thread, but libuv's headers are not part of Node-API, and one left open
 * aborts the process when its worker thread ends.)
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
  int fd;
  int control; /* eventfd: look at `stopping`, then look at fd again */
  atomic_bool stopping;
  bool running; /* the thread exists and has not been joined */
  int owners;   /* the handle and the thread-safe function; both are finalized on the JavaScript thread */
  pthread_t thread;
  napi_env env;
  napi_threadsafe_function function;
};

static void nudge(struct watch *watch) {
  uint64_t one = 1;
  while (write(watch->control, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

static void *watch_thread(void *data) {
  struct watch *watch = data;
  bool armed = true;
  uint64_t count;
  for (;;) {
    struct pollfd fds[2] = {{.fd = watch->control, .events = POLLIN}, {.fd = armed ? watch->fd : -1, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents) {
      if (read(watch->control, &count, sizeof count) < 0 && errno == EINTR) continue;
      if (atomic_load(&watch->stopping)) break;
      armed = true;
    } else if (fds[1].revents) {
      armed = false; /* one call per readiness: the callback reads, then asks for the next */
      if (napi_call_threadsafe_function(watch->function, NULL, napi_tsfn_nonblocking) != napi_ok) break;
    }
  }
  napi_release_threadsafe_function(watch->function, napi_tsfn_release);
  return NULL;
}

static void drop(struct watch *watch) {
  if (--watch->owners) return;
  close(watch->control);
  free(watch);
}

static void stop(void *data) {
  struct watch *watch = data;
  if (!watch->running) return;
  watch->running = false;
  atomic_store(&watch->stopping, true);
  nudge(watch);
  pthread_join(watch->thread, NULL); /* it never blocks but in poll(), which nudge() ends */
}

static void function_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  drop(data);
}

static void handle_gone(napi_env env, void *data, void *hint) {
  struct watch *watch = data;
  (void)hint;
  if (watch->running) napi_remove_env_cleanup_hook(env, stop, watch);
  stop(watch);
  drop(watch);
}

static void call_back(napi_env env, napi_value callback, void *context, void *data) {
  struct watch *watch = context;
  napi_value self, error;
  bool pending = false;
  (void)data;
  if (!env || !callback || atomic_load(&watch->stopping)) return;
  napi_get_undefined(env, &self);
  napi_call_function(env, self, callback, 0, NULL, NULL);
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error); /* 'uncaughtException', as for any callback of the event loop */
  }
}

static int start_thread(struct watch *watch) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int error = pthread_create(&watch->thread, &attributes, watch_thread, watch);
  pthread_attr_destroy(&attributes);
  return error;
}

/* watch(fd, callback) → handle. Calls back once when fd is readable, again after each watchAgain(handle). */
static napi_value watch_fd(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value name, handle;
  if (!call_begin(&call, env, info, "watch", 2)) return NULL;
  struct watch *watch = calloc(1, sizeof *watch);
  if (!watch) return call_failed_with(&call, ENOMEM, "calloc", NULL, NULL);
  watch->fd = int_arg(&call, 0);
  watch->env = env;
  watch->control = call.bad ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (watch->control < 0) {
    if (!call.bad) call_failed(&call, "eventfd", NULL);
    free(watch);
    return NULL;
  }
  napi_create_string_utf8(env, "dr-director watch", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, call.value[1], NULL, name, 0, 1, watch, function_gone, watch, call_back,
                                      &watch->function) != napi_ok) {
    close(watch->control);
    free(watch);
    return bad_argument(&call, 1, "a function");
  }
  watch->owners = 2;
  napi_create_external(env, watch, handle_gone, NULL, &handle);
  int error = start_thread(watch);
  if (error) {
    napi_release_threadsafe_function(watch->function, napi_tsfn_abort);
    return call_failed_with(&call, error, "pthread_create", "too many threads or too little memory", NULL);
  }
  watch->running = true;
  napi_add_env_cleanup_hook(env, stop, watch);
  return handle;
}

/* watchAgain(handle): call back at the next readiness (at once when fd is readable still) */
static napi_value watch_again(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "watchAgain", 1)) return NULL;
  struct watch *watch = external_arg(&call, 0);
  if (!call.bad && watch->running) nudge(watch);
  return NULL;
}

/* watchHold(handle, hold): whether this watch alone keeps the process alive (true to begin with) */
static napi_value watch_hold(napi_env env, napi_callback_info info) {
  struct call call;
  bool hold = true;
  if (!call_begin(&call, env, info, "watchHold", 2)) return NULL;
  struct watch *watch = external_arg(&call, 0);
  if (napi_get_value_bool(env, call.value[1], &hold) != napi_ok) bad_argument(&call, 1, "a boolean");
  if (call.bad || !watch->running) return NULL;
  if (hold) napi_ref_threadsafe_function(env, watch->function);
  else napi_unref_threadsafe_function(env, watch->function);
  return NULL;
}

/* watchEnd(handle): no callback comes after it has returned; fd stays open. Calling it twice is harmless. */
static napi_value watch_end(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "watchEnd", 1)) return NULL;
  struct watch *watch = external_arg(&call, 0);
  if (call.bad || !watch->running) return NULL;
  napi_remove_env_cleanup_hook(env, stop, watch);
  stop(watch);
  return NULL;
}

const struct entry watch_entries[] = {
    {"watch", watch_fd},          {"watchAgain", watch_again}, {"watchHold", watch_hold},
    {"watchEnd", watch_end},      {NULL, NULL},
};
