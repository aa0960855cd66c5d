/* Memory that JavaScript and the kernel both see: ring regions, mapped files, memfds. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE ((uintptr_t)1 << 32)

/* Marks the ArrayBuffers made here, so that `retire` never remaps somebody else's memory. */
static const napi_type_tag OWNED = {0x6b1f0c5e92d84a37, 0xa1d06f3b5c7e4829};

static void unmap(napi_env env, void *start, void *length) {
  (void)env;
  munmap(start, (size_t)length);
}

napi_value owned_pages(struct call *call, void *start, size_t length) {
  napi_value memory;
  if (napi_create_external_arraybuffer(call->env, start, length, unmap, (void *)length, &memory) != napi_ok) {
    munmap(start, length);
    return call_failed_with(call, ENOMEM, "napi_create_external_arraybuffer",
                            "this JavaScript engine allows no memory of ours: run it on plain Node", NULL);
  }
  napi_type_tag_object(call->env, memory, &OWNED);
  return memory;
}

/*
 * Reserves `length` bytes of address space that do not cross a 4 GiB line, so that all its addresses share their
 * high 32 bits and JavaScript builds a pointer by adding to the low ones.
 */
static uint8_t *reserve(size_t length) {
  uint8_t *raw = mmap(NULL, 2 * length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return NULL;
  uintptr_t first = (uintptr_t)raw;
  uintptr_t start = first / LINE == (first + length - 1) / LINE ? first : (first / LINE + 1) * LINE;
  if (start > first) munmap(raw, start - first);
  if (first + 2 * length > start + length) munmap((void *)(start + length), first + 2 * length - (start + length));
  return (uint8_t *)start;
}

/*
 * mapRegion(fd, ringBytes, arenaBytes) → { memory, low, high }
 * One memory: the packet ring of socket `fd` (none when fd is -1) and zeroed pages right behind it.
 */
static napi_value map_region(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "mapRegion", 3)) return NULL;
  int fd = int_arg(&call, 0);
  size_t ring = uint_arg(&call, 1), arena = uint_arg(&call, 2), length = ring + arena;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (call.bad) return NULL;
  if (length == 0 || length > (size_t)INT32_MAX || ring % page || arena % page || (fd < 0 && ring))
    return bad_argument(&call, 1, "whole pages, below 2 GiB together with argument 3");
  uint8_t *start = reserve(length);
  if (!start) return call_failed(&call, "mmap", NULL);
  if ((ring && mmap(start, ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) ||
      (arena && mmap(start + ring, arena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                     -1, 0) == MAP_FAILED)) {
    int error = errno;
    munmap(start, length);
    return call_failed_with(&call, error, "mmap", "give the geometry that the socket's ring was made with", NULL);
  }
  napi_value memory = owned_pages(&call, start, length), result;
  if (!memory || napi_create_object(env, &result) != napi_ok) return NULL;
  set_value(env, result, "memory", memory);
  set_number(env, result, "low", (double)((uintptr_t)start & (LINE - 1)));
  set_number(env, result, "high", (double)((uintptr_t)start / LINE));
  return result;
}

/*
 * retire(memory): lets go at once of what the pages were (ring, file), which otherwise waits for the collector. The
 * ArrayBuffer stays valid over fresh zero pages, so a late access is harmless, and nothing needs detaching, which
 * would slow every typed array of this thread from then on.
 */
static napi_value retire(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "retire", 1)) return NULL;
  bool ours = false;
  napi_check_object_type_tag(env, call.value[0], &OWNED, &ours);
  if (!ours) return bad_argument(&call, 0, "an ArrayBuffer that this addon made");
  struct bytes memory = bytes_arg(&call, 0);
  if (call.bad || memory.length == 0) return NULL;
  if (mmap(memory.data, memory.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
           0) == MAP_FAILED)
    return call_failed(&call, "mmap", NULL);
  return NULL;
}

/* mapShared(fd, bytes, offset) → ArrayBuffer: a file, a memfd or an AF_XDP ring, shared with all who map it. */
static napi_value map_shared(napi_env env, napi_callback_info info) {
  struct call call;
  struct stat file;
  if (!call_begin(&call, env, info, "mapShared", 3)) return NULL;
  int fd = int_arg(&call, 0);
  double length = double_arg(&call, 1), offset = double_arg(&call, 2);
  if (call.bad) return NULL;
  if (!(length >= 1 && length <= 9007199254740991.0)) return bad_argument(&call, 1, "a positive number of bytes");
  if (!(offset >= 0 && offset <= 9007199254740991.0)) return bad_argument(&call, 2, "a number of bytes");
  if (fstat(fd, &file) < 0) return call_failed(&call, "fstat", NULL);
  /* Beyond its end a file raises SIGBUS when touched; a socket has no size to compare with. */
  if (S_ISREG(file.st_mode) && (double)file.st_size < offset + length)
    return call_failed_with(&call, EOVERFLOW, "fstat", "the file is shorter than what is to be mapped of it", NULL);
  void *start = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED | (S_ISREG(file.st_mode) ? 0 : MAP_POPULATE),
                     fd, (off_t)offset);
  if (start == MAP_FAILED) return call_failed(&call, "mmap", NULL);
  return owned_pages(&call, start, (size_t)length);
}

/* memfd(name, bytes) → fd of a file of zeros that lives nowhere but in memory. */
static napi_value make_memfd(napi_env env, napi_callback_info info) {
  struct call call;
  char name[200];
  if (!call_begin(&call, env, info, "memfd", 2)) return NULL;
  string_arg(&call, 0, name, sizeof name);
  double length = double_arg(&call, 1);
  if (call.bad) return NULL;
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) return call_failed(&call, "memfd_create", NULL);
  if (ftruncate(fd, (off_t)length) < 0) {
    int error = errno;
    close(fd);
    return call_failed_with(&call, error, "ftruncate", NULL, NULL);
  }
  return integer(env, fd);
}

/* lock(fd): an exclusive lock that goes away with the last descriptor of this open file; EAGAIN when another has it. */
static napi_value lock(napi_env env, napi_callback_info info) {
  struct call call;
  if (!call_begin(&call, env, info, "lock", 1)) return NULL;
  int fd = int_arg(&call, 0);
  if (call.bad) return NULL;
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) return call_failed(&call, "flock", "another process holds it");
  return NULL;
}

const struct entry memory_entries[] = {
    {"mapRegion", map_region}, {"retire", retire}, {"mapShared", map_shared},
    {"memfd", make_memfd},     {"lock", lock},     {NULL, NULL},
};
