/* The list of everything the addon exports. It holds no state: what outlives a call hangs on a JavaScript value. */
#include "common.h"

static napi_status export_all(napi_env env, napi_value exports, const struct entry *entries) {
  for (; entries->name; entries++) {
    napi_value function;
    napi_status status = napi_create_function(env, entries->name, NAPI_AUTO_LENGTH, entries->function, NULL, &function);
    if (status == napi_ok) status = napi_set_named_property(env, exports, entries->name, function);
    if (status != napi_ok) return status;
  }
  return napi_ok;
}

NAPI_MODULE_INIT() {
  const struct entry *const all[] = {memory_entries, socket_entries, message_entries, wait_entries,
                                     watch_entries,  system_entries, bpf_entries,     unix_entries,
                                     notify_entries};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (export_all(env, exports, all[i]) != napi_ok) return NULL;
  return exports;
}
