/* The calling thread and the process: CPUs, namespaces, capabilities. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* setAffinity(cpus): the calling thread runs on these CPUs only */
static napi_value set_affinity(napi_env env, napi_callback_info info) {
  struct call call;
  cpu_set_t set;
  if (!call_begin(&call, env, info, "setAffinity", 1)) return NULL;
  struct bytes cpus = ints_arg(&call, 0);
  if (call.bad) return NULL;
  CPU_ZERO(&set);
  for (size_t i = 0; i < cpus.length; i++) {
    int32_t cpu = ((const int32_t *)(const void *)cpus.data)[i];
    if (cpu < 0 || cpu >= CPU_SETSIZE) return bad_argument(&call, 0, "numbers of CPUs");
    CPU_SET((size_t)cpu, &set);
  }
  if (sched_setaffinity(0, sizeof set, &set) < 0)
    return call_failed(&call, "sched_setaffinity", "none of these CPUs may be used here (see `nproc` and cpusets)");
  return NULL;
}

/* getAffinity() → numbers of the CPUs the calling thread may use */
static napi_value get_affinity(napi_env env, napi_callback_info info) {
  struct call call;
  cpu_set_t set;
  napi_value result;
  if (!call_begin(&call, env, info, "getAffinity", 0)) return NULL;
  if (sched_getaffinity(0, sizeof set, &set) < 0) return call_failed(&call, "sched_getaffinity", NULL);
  napi_create_array(env, &result);
  for (int cpu = 0, n = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET((size_t)cpu, &set)) napi_set_element(env, result, (uint32_t)n++, integer(env, cpu));
  return result;
}

/* setNamespace(path, kind): moves the calling thread into the namespace at `path`; kind is a CLONE_NEW… flag or 0 */
static napi_value set_namespace(napi_env env, napi_callback_info info) {
  struct call call;
  char path[4096];
  if (!call_begin(&call, env, info, "setNamespace", 2)) return NULL;
  string_arg(&call, 0, path, sizeof path);
  int kind = int_arg(&call, 1);
  if (call.bad) return NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return call_failed(&call, "open", NULL);
  int failed = setns(fd, kind), error = errno;
  close(fd);
  if (failed) return call_failed_with(&call, error, "setns", "entering a namespace needs CAP_SYS_ADMIN over it", NULL);
  return NULL;
}

/* capabilities() → the effective set as a bigint, bit n for capability number n (capabilities(7)) */
static napi_value capabilities(napi_env env, napi_callback_info info) {
  struct call call;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  napi_value result;
  if (!call_begin(&call, env, info, "capabilities", 0)) return NULL;
  if (syscall(SYS_capget, &header, data) < 0) return call_failed(&call, "capget", NULL);
  napi_create_bigint_uint64(env, (uint64_t)data[1].effective << 32 | data[0].effective, &result);
  return result;
}

const struct entry system_entries[] = {
    {"setAffinity", set_affinity},   {"getAffinity", get_affinity}, {"setNamespace", set_namespace},
    {"capabilities", capabilities},  {NULL, NULL},
};
