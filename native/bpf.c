/*
 * bpf(2): programs, maps, links. Knows nothing of what they are for; instructions come assembled from TypeScript.
 * The attribute structures are written out here (their layout is the kernel's ABI), so that old headers do as well.
 */
#include "common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum command { MAP_CREATE = 0, MAP_LOOKUP = 1, MAP_UPDATE = 2, MAP_DELETE = 3, PROG_LOAD = 5, TEST_RUN = 10, LINK_CREATE = 28 };

#define SOL_XDP_LEVEL 283
#define XDP_UMEM_REG_OPTION 4
#define LOG_BYTES 65536
#define CURE "run as root, or with CAP_BPF and CAP_NET_ADMIN; a user namespace is not enough"

static uint64_t address(const void *pointer) { return (uint64_t)(uintptr_t)pointer; }

static int bpf(enum command command, void *attributes, unsigned int size) {
  return (int)syscall(SYS_bpf, command, attributes, size);
}

static const char *cure(void) { return errno == EPERM || errno == EACCES ? CURE : NULL; }

/* bpfMapCreate(type, keySize, valueSize, entries, flags) → fd */
static napi_value map_create(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bpfMapCreate", 5)) return NULL;
  struct { uint32_t type, key, value, entries, flags; } attributes = {
      uint_arg(&call, 0), uint_arg(&call, 1), uint_arg(&call, 2), uint_arg(&call, 3), uint_arg(&call, 4)};
  if (call.bad) return NULL;
  int fd = bpf(MAP_CREATE, &attributes, sizeof attributes);
  return fd < 0 ? call_failed(&call, "bpf(BPF_MAP_CREATE)", cure()) : integer(env, fd);
}

struct map_element {
  uint32_t fd, unused;
  uint64_t key, value, flags;
};

/* bpfMapUpdate(fd, key, value, flags) */
static napi_value map_update(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bpfMapUpdate", 4)) return NULL;
  uint32_t fd = uint_arg(&call, 0), flags = uint_arg(&call, 3);
  struct bytes key = bytes_arg(&call, 1), value = bytes_arg(&call, 2);
  if (call.bad) return NULL;
  struct map_element element = {fd, 0, address(key.data), address(value.data), flags};
  return bpf(MAP_UPDATE, &element, sizeof element) < 0 ? call_failed(&call, "bpf(BPF_MAP_UPDATE_ELEM)", cure()) : NULL;
}

/* bpfMapLookup(fd, key, value) → whether the key is there; `value` is filled (per CPU where the map is per CPU) */
static napi_value map_lookup(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  if (!call_begin(&call, env, info, "bpfMapLookup", 3)) return NULL;
  uint32_t fd = uint_arg(&call, 0);
  struct bytes key = bytes_arg(&call, 1), value = bytes_arg(&call, 2);
  if (call.bad) return NULL;
  struct map_element element = {fd, 0, address(key.data), address(value.data), 0};
  int failed = bpf(MAP_LOOKUP, &element, sizeof element);
  if (failed && errno != ENOENT) return call_failed(&call, "bpf(BPF_MAP_LOOKUP_ELEM)", cure());
  napi_get_boolean(env, !failed, &result);
  return result;
}

/* bpfMapDelete(fd, key) → whether the key was there */
static napi_value map_delete(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  if (!call_begin(&call, env, info, "bpfMapDelete", 2)) return NULL;
  uint32_t fd = uint_arg(&call, 0);
  struct bytes key = bytes_arg(&call, 1);
  if (call.bad) return NULL;
  struct map_element element = {fd, 0, address(key.data), 0, 0};
  int failed = bpf(MAP_DELETE, &element, sizeof element);
  if (failed && errno != ENOENT) return call_failed(&call, "bpf(BPF_MAP_DELETE_ELEM)", cure());
  napi_get_boolean(env, !failed, &result);
  return result;
}

struct program {
  uint32_t type, instructions;
  uint64_t code, license;
  uint32_t log_level, log_size;
  uint64_t log;
  uint32_t kernel_version, flags;
  char name[16];
  uint32_t ifindex, expected_attach_type;
};

/* bpfProgLoad(type, instructions, license, attachType, name) → fd; a refused program's error carries the verifier's log */
static napi_value prog_load(napi_env env, napi_callback_info info) {
  struct call call;
  char license[64];
  if (!call_begin(&call, env, info, "bpfProgLoad", 5)) return NULL;
  struct bytes code = bytes_arg(&call, 1);
  struct program program = {.type = uint_arg(&call, 0), .instructions = (uint32_t)(code.length / 8), .code = address(code.data)};
  string_arg(&call, 2, license, sizeof license);
  program.expected_attach_type = uint_arg(&call, 3);
  string_arg(&call, 4, program.name, sizeof program.name);
  if (call.bad) return NULL;
  program.license = address(license);
  int fd = bpf(PROG_LOAD, &program, sizeof program);
  if (fd >= 0) return integer(env, fd);
  int error = errno;
  const char *advice = cure();
  char *log = calloc(1, LOG_BYTES);
  if (log && error != EPERM) {
    program.log_level = 1;
    program.log_size = LOG_BYTES;
    program.log = address(log);
    fd = bpf(PROG_LOAD, &program, sizeof program);
    if (fd >= 0) close(fd);
  }
  call_failed_with(&call, error, "bpf(BPF_PROG_LOAD)", advice, log);
  free(log);
  return NULL;
}

/* bpfTestRun(fd, input, output, repeat, flags) → { result, length, nanoseconds }: runs a program on one packet */
static napi_value test_run(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  if (!call_begin(&call, env, info, "bpfTestRun", 5)) return NULL;
  struct {
    uint32_t fd, result, input_size, output_size;
    uint64_t input, output;
    uint32_t repeat, duration, context_input_size, context_output_size;
    uint64_t context_input, context_output;
    uint32_t flags, cpu, batch, unused;
  } run = {.fd = uint_arg(&call, 0), .repeat = uint_arg(&call, 3), .flags = uint_arg(&call, 4)};
  struct bytes input = bytes_arg(&call, 1), output = bytes_arg(&call, 2);
  if (call.bad) return NULL;
  run.input = address(input.data);
  run.input_size = (uint32_t)input.length;
  run.output = output.length ? address(output.data) : 0;
  run.output_size = (uint32_t)output.length;
  if (bpf(TEST_RUN, &run, sizeof run) < 0) return call_failed(&call, "bpf(BPF_PROG_TEST_RUN)", cure());
  napi_create_object(env, &result);
  set_number(env, result, "result", run.result);
  set_number(env, result, "length", run.output_size);
  set_number(env, result, "nanoseconds", run.duration);
  return result;
}

/* bpfLinkCreate(program, target, attachType, flags) → fd; the attachment ends when the last such fd is closed */
static napi_value link_create(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bpfLinkCreate", 4)) return NULL;
  struct {
    uint32_t program, target, attach_type, flags;
    uint64_t rest[6];
  } attributes = {.program = uint_arg(&call, 0), .target = uint_arg(&call, 1)};
  attributes.attach_type = uint_arg(&call, 2);
  attributes.flags = uint_arg(&call, 3);
  if (call.bad) return NULL;
  int fd = bpf(LINK_CREATE, &attributes, sizeof attributes);
  if (fd >= 0) return integer(env, fd);
  return call_failed(&call, "bpf(BPF_LINK_CREATE)",
                     errno == EBUSY || errno == EEXIST ? "another program is attached there already (see `ip link`)" : cure());
}

/* registerUmem(fd, memory, chunkBytes, headroom, flags): lends pages to an AF_XDP socket */
static napi_value register_umem(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "registerUmem", 5)) return NULL;
  int fd = int_arg(&call, 0);
  struct bytes memory = bytes_arg(&call, 1);
  struct {
    uint64_t address, length;
    uint32_t chunk, headroom, flags, metadata;
  } umem = {address(memory.data), memory.length, uint_arg(&call, 2), uint_arg(&call, 3), uint_arg(&call, 4), 0};
  if (call.bad) return NULL;
  if (setsockopt(fd, SOL_XDP_LEVEL, XDP_UMEM_REG_OPTION, &umem, sizeof umem) < 0)
    return call_failed(&call, "setsockopt(XDP_UMEM_REG)",
                       errno == ENOBUFS ? "raise the limit of locked memory (`ulimit -l`)" : cure());
  return NULL;
}

/* bindXdp(fd, interfaceIndex, queue, flags, sharedFd) */
static napi_value bind_xdp(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "bindXdp", 5)) return NULL;
  int fd = int_arg(&call, 0);
  struct {
    uint16_t family, flags;
    uint32_t index, queue, shared;
  } place = {AF_XDP, (uint16_t)uint_arg(&call, 3), uint_arg(&call, 1), uint_arg(&call, 2), uint_arg(&call, 4)};
  if (call.bad) return NULL;
  if (bind(fd, (const struct sockaddr *)(const void *)&place, sizeof place) < 0)
    return call_failed(&call, "bind(AF_XDP)",
                       errno == EBUSY        ? "another AF_XDP socket has this queue"
                       : errno == EOPNOTSUPP ? "the driver has no zero copy here; ask for copy"
                                             : NULL);
  return NULL;
}

/* kick(fd) → 0 or -errno: tells the kernel to look at an AF_XDP sending ring; -EAGAIN means call again */
static napi_value kick(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "kick", 1)) return NULL;
  int fd = int_arg(&call, 0);
  if (call.bad) return NULL;
  return integer(env, sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0);
}

const struct entry bpf_entries[] = {
    {"bpfMapCreate", map_create}, {"bpfMapUpdate", map_update}, {"bpfMapLookup", map_lookup},
    {"bpfMapDelete", map_delete}, {"bpfProgLoad", prog_load},   {"bpfTestRun", test_run},
    {"bpfLinkCreate", link_create}, {"registerUmem", register_umem}, {"bindXdp", bind_xdp},
    {"kick", kick}, {NULL, NULL},
};
