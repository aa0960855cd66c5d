/*
 * What every file of the addon shares: reading arguments, returning values, and throwing errors that name the
 * system call, the errno and what to do. See README.md for the boundary.
 */
#ifndef DR_COMMON_H
#define DR_COMMON_H

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGUMENTS 8

/* One call from JavaScript. A wrong argument sets `bad` and leaves a TypeError pending; look once, after reading all. */
struct call {
  napi_env env;
  const char *name;
  size_t count;
  napi_value value[MAX_ARGUMENTS];
  bool bad;
};

struct bytes {
  uint8_t *data;
  size_t length;
};

struct entry {
  const char *name;
  napi_callback function;
};

/* False, with a TypeError pending, when fewer than `want` arguments came. */
bool call_begin(struct call *call, napi_env env, napi_callback_info info, const char *name, size_t want);

int32_t int_arg(struct call *call, size_t i);
uint32_t uint_arg(struct call *call, size_t i);
double double_arg(struct call *call, size_t i);
/* An ArrayBuffer, or any typed array, as the bytes it stands on; valid until the call returns. */
struct bytes bytes_arg(struct call *call, size_t i);
/* An Int32Array; `length` counts numbers. */
struct bytes ints_arg(struct call *call, size_t i);
/* Copies the string with its NUL; too long is a TypeError. */
void string_arg(struct call *call, size_t i, char *out, size_t size);
void *external_arg(struct call *call, size_t i);

napi_value bad_argument(struct call *call, size_t i, const char *expected);

/* Throws an Error with code (errno's name), errno, syscall. `cure` says what to do; NULL takes errno's usual cure. */
napi_value call_failed(struct call *call, const char *syscall_name, const char *cure);
/* The same for an errno that is not in `errno`, with a detail (a verifier's log) after the cure, or NULL. */
napi_value call_failed_with(struct call *call, int error, const char *syscall_name, const char *cure, const char *detail);

napi_value integer(napi_env env, int32_t value);
napi_value number(napi_env env, double value);
void set_number(napi_env env, napi_value object, const char *name, double value);
void set_value(napi_env env, napi_value object, const char *name, napi_value value);

/* An ArrayBuffer over pages that it owns: they are unmapped when it is collected or its thread ends. */
napi_value owned_pages(struct call *call, void *start, size_t length);

/* Ended by a row of NULLs. */
extern const struct entry memory_entries[];
extern const struct entry socket_entries[];
extern const struct entry message_entries[];
extern const struct entry wait_entries[];
extern const struct entry watch_entries[];
extern const struct entry system_entries[];
extern const struct entry bpf_entries[];
extern const struct entry notify_entries[];
extern const struct entry unix_entries[];

#endif
