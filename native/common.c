#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool call_begin(struct call *call, napi_env env, napi_callback_info info, const char *name, size_t want) {
  call->env = env;
  call->name = name;
  call->count = MAX_ARGUMENTS;
  call->bad = false;
  napi_get_cb_info(env, info, &call->count, call->value, NULL, NULL);
  if (call->count < want) {
    bad_argument(call, call->count, "given");
    return false;
  }
  return true;
}

napi_value bad_argument(struct call *call, size_t i, const char *expected) {
  char text[160];
  if (!call->bad) {
    snprintf(text, sizeof text, "%s: argument %zu must be %s", call->name, i + 1, expected);
    napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", text);
  }
  call->bad = true;
  return NULL;
}

int32_t int_arg(struct call *call, size_t i) {
  int32_t value = 0;
  if (napi_get_value_int32(call->env, call->value[i], &value) != napi_ok) bad_argument(call, i, "an integer");
  return value;
}

uint32_t uint_arg(struct call *call, size_t i) {
  uint32_t value = 0;
  if (napi_get_value_uint32(call->env, call->value[i], &value) != napi_ok) bad_argument(call, i, "an unsigned integer");
  return value;
}

double double_arg(struct call *call, size_t i) {
  double value = 0;
  if (napi_get_value_double(call->env, call->value[i], &value) != napi_ok) bad_argument(call, i, "a number");
  return value;
}

struct bytes bytes_arg(struct call *call, size_t i) {
  static const uint8_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8}; /* by napi_typedarray_type */
  struct bytes bytes = {NULL, 0};
  napi_typedarray_type type;
  void *data = NULL;
  bool plain = false;
  if (napi_is_arraybuffer(call->env, call->value[i], &plain) == napi_ok && plain) {
    napi_get_arraybuffer_info(call->env, call->value[i], &data, &bytes.length);
  } else if (napi_get_typedarray_info(call->env, call->value[i], &type, &bytes.length, &data, NULL, NULL) == napi_ok &&
             (size_t)type < sizeof sizes) {
    bytes.length *= sizes[type];
  } else {
    bad_argument(call, i, "an ArrayBuffer or a typed array");
  }
  bytes.data = data;
  return bytes;
}

struct bytes ints_arg(struct call *call, size_t i) {
  struct bytes ints = {NULL, 0};
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_typedarray_info(call->env, call->value[i], &type, &ints.length, &data, NULL, NULL) != napi_ok ||
      type != napi_int32_array) {
    ints.length = 0;
    bad_argument(call, i, "an Int32Array");
  }
  ints.data = data;
  return ints;
}

void string_arg(struct call *call, size_t i, char *out, size_t size) {
  size_t length = 0;
  out[0] = 0;
  if (napi_get_value_string_utf8(call->env, call->value[i], NULL, 0, &length) != napi_ok || length >= size) {
    bad_argument(call, i, "a string that is not too long");
    return;
  }
  napi_get_value_string_utf8(call->env, call->value[i], out, size, &length);
  if (strlen(out) != length) bad_argument(call, i, "a string without NUL");
}

void *external_arg(struct call *call, size_t i) {
  void *pointer = NULL;
  if (napi_get_value_external(call->env, call->value[i], &pointer) != napi_ok || pointer == NULL)
    bad_argument(call, i, "a handle that this addon made");
  return pointer;
}

static const char *errno_name(int error) {
  static const struct {
    int error;
    const char *name;
  } names[] = {
#define NAME(error) {error, #error}
      NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO), NAME(E2BIG), NAME(EBADF),
      NAME(EAGAIN), NAME(ENOMEM), NAME(EACCES), NAME(EFAULT), NAME(EBUSY), NAME(EEXIST), NAME(EXDEV), NAME(ENODEV),
      NAME(ENOTDIR), NAME(EISDIR), NAME(EINVAL), NAME(ENFILE), NAME(EMFILE), NAME(EFBIG), NAME(ENOSPC), NAME(EROFS),
      NAME(EPIPE), NAME(ERANGE), NAME(EDEADLK), NAME(ENAMETOOLONG), NAME(ENOSYS), NAME(ELOOP), NAME(EPROTO),
      NAME(EOVERFLOW), NAME(EBADMSG), NAME(ENOTSOCK), NAME(EDESTADDRREQ), NAME(EMSGSIZE), NAME(EPROTOTYPE),
      NAME(ENOPROTOOPT), NAME(EPROTONOSUPPORT), NAME(ESOCKTNOSUPPORT), NAME(EOPNOTSUPP), NAME(EPFNOSUPPORT),
      NAME(EAFNOSUPPORT), NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(ENETDOWN), NAME(ENETUNREACH), NAME(ECONNRESET),
      NAME(ENOBUFS), NAME(EISCONN), NAME(ENOTCONN), NAME(ETIMEDOUT), NAME(ECONNREFUSED), NAME(EHOSTUNREACH),
      NAME(EALREADY), NAME(ESTALE), NAME(EDQUOT),
#undef NAME
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (names[i].error == error) return names[i].name;
  return "EUNKNOWN";
}

static const char *usual_cure(int error) {
  switch (error) {
    case EPERM:
    case EACCES: return "run as root, or with CAP_NET_RAW and CAP_NET_ADMIN, or in the lab's own user namespace";
    case ENODEV:
    case ENXIO: return "there is no such network interface here (see `ip link`)";
    case ENETDOWN: return "bring the interface up (`ip link set IF up`)";
    case EMFILE:
    case ENFILE: return "raise the limit of open files (`ulimit -n`)";
    case ENOMEM:
    case ENOBUFS: return "not enough memory in the kernel: ask for fewer or smaller slots";
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOSYS: return "this kernel does not have it";
    case EBUSY:
    case EADDRINUSE: return "somebody else is using it";
    case ENOENT: return "it does not exist";
    case EAGAIN: return "somebody else holds it, or nothing is there yet";
    default: return "the arguments do not fit what the kernel has here";
  }
}

static void set_text(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok) set_value(env, object, name, value);
}

napi_value call_failed_with(struct call *call, int error, const char *syscall_name, const char *cure, const char *detail) {
  napi_env env = call->env;
  napi_value message, code, thrown;
  const char *advice = cure ? cure : usual_cure(error);
  const char *separator = detail && detail[0] ? "\n" : "";
  size_t size = strlen(call->name) + strlen(syscall_name) + strlen(advice) + (detail ? strlen(detail) : 0) + 256;
  char *text = malloc(size);
  if (text)
    snprintf(text, size, "%s: %s: %s (%s); %s%s%s", call->name, syscall_name, strerror(error), errno_name(error), advice,
             separator, detail ? detail : "");
  napi_create_string_utf8(env, text ? text : syscall_name, NAPI_AUTO_LENGTH, &message);
  free(text);
  napi_create_string_utf8(env, errno_name(error), NAPI_AUTO_LENGTH, &code);
  if (napi_create_error(env, code, message, &thrown) != napi_ok) return NULL;
  set_number(env, thrown, "errno", error);
  set_text(env, thrown, "syscall", syscall_name);
  napi_throw(env, thrown);
  return NULL;
}

napi_value call_failed(struct call *call, const char *syscall_name, const char *cure) {
  return call_failed_with(call, errno, syscall_name, cure, NULL);
}

napi_value integer(napi_env env, int32_t value) {
  napi_value result = NULL;
  napi_create_int32(env, value, &result);
  return result;
}

napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

void set_value(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

void set_number(napi_env env, napi_value object, const char *name, double value) {
  set_value(env, object, name, number(env, value));
}
