/*
 * The reference for the path bench, as a Node-API addon: it works on the same frames in the same process, so that
 * its rounds and ours can take turns. Also fills the frames in, for both sides alike, outside what is timed.
 */
#define NAPI_VERSION 9
#include <node_api.h>

#include "director.h"
#include "wire.h"

#define MAX_ARGUMENTS 8

/* The arguments of one call; a wrong one leaves an exception pending and `good` false. */
struct arguments {
  napi_env env;
  napi_value value[MAX_ARGUMENTS];
  bool good;
};

static struct arguments begin(napi_env env, napi_callback_info info, size_t wanted)
{
  struct arguments arguments = {.env = env, .good = true};
  size_t count = MAX_ARGUMENTS;

  napi_get_cb_info(env, info, &count, arguments.value, NULL, NULL);
  if (count < wanted) {
    napi_throw_type_error(env, NULL, "too few arguments");
    arguments.good = false;
  }
  return arguments;
}

static double number_at(struct arguments *arguments, size_t i)
{
  double value = 0;

  if (arguments->good && napi_get_value_double(arguments->env, arguments->value[i], &value) != napi_ok) {
    napi_throw_type_error(arguments->env, NULL, "a number is wanted");
    arguments->good = false;
  }
  return value;
}

static uint32_t word_at(struct arguments *arguments, size_t i)
{
  return (uint32_t)(int64_t)number_at(arguments, i);
}

static void *typed_at(struct arguments *arguments, size_t i)
{
  void *data = NULL;

  if (arguments->good && napi_get_typedarray_info(arguments->env, arguments->value[i], NULL, NULL, &data, NULL, NULL) !=
                           napi_ok) {
    napi_throw_type_error(arguments->env, NULL, "a typed array is wanted");
    arguments->good = false;
  }
  return data;
}

static struct director *director_at(struct arguments *arguments, size_t i)
{
  void *director = NULL;

  if (arguments->good && napi_get_value_external(arguments->env, arguments->value[i], &director) != napi_ok) {
    napi_throw_type_error(arguments->env, NULL, "a director is wanted");
    arguments->good = false;
  }
  return director;
}

static void read_mac(uint8_t mac[6], uint32_t hi, uint32_t lo)
{
  const uint8_t bytes[6] = {(uint8_t)(hi >> 8), (uint8_t)hi,         (uint8_t)(lo >> 24),
                            (uint8_t)(lo >> 16), (uint8_t)(lo >> 8), (uint8_t)lo};

  memcpy(mac, bytes, 6);
}

static napi_value integer(napi_env env, int64_t value)
{
  napi_value result;

  napi_create_int64(env, value, &result);
  return result;
}

static void finalize(napi_env env, void *director, void *hint)
{
  (void)env;
  (void)hint;
  director_destroy(director);
}

/* create(connections, services, destinations, seed, macHi, macLo, now) → director */
static napi_value create(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 7);
  uint8_t mac[6];
  struct director *director;
  napi_value result;

  read_mac(mac, word_at(&arguments, 4), word_at(&arguments, 5));
  if (!arguments.good) return NULL;
  director = director_create(word_at(&arguments, 0), word_at(&arguments, 1), word_at(&arguments, 2),
                             word_at(&arguments, 3), mac, (int64_t)number_at(&arguments, 6));
  if (director == NULL) {
    napi_throw_error(env, NULL, "no memory for the reference's tables");
    return NULL;
  }
  napi_create_external(env, director, finalize, NULL, &result);
  return result;
}

/* addService(director, protocol, address, port, scheduler) → service */
static napi_value add_service(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 5);
  struct director *director = director_at(&arguments, 0);
  uint32_t protocol = word_at(&arguments, 1), address = word_at(&arguments, 2), port = word_at(&arguments, 3);
  char name[17] = "";

  if (!arguments.good) return NULL;
  napi_get_value_string_utf8(env, arguments.value[4], name, sizeof name, NULL);
  return integer(env, director_add_service(director, protocol, address, port, name));
}

/* addDestination(director, service, weight, macHi, macLo) → destination */
static napi_value add_destination(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 5);
  struct director *director = director_at(&arguments, 0);
  uint32_t service = word_at(&arguments, 1), weight = word_at(&arguments, 2);
  uint8_t mac[6];

  read_mac(mac, word_at(&arguments, 3), word_at(&arguments, 4));
  return arguments.good ? integer(env, director_add_destination(director, service, weight, mac)) : NULL;
}

/*
 * run(director, frames, at, length, count, now) → frames sent. Handles the frames that begin at `at` of `frames`, in
 * bursts; `now` in milliseconds.
 */
static napi_value run(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 6);
  struct director *director = director_at(&arguments, 0);
  uint8_t *frames = typed_at(&arguments, 1);
  const int32_t *at = typed_at(&arguments, 2), *length = typed_at(&arguments, 3);
  uint32_t count = word_at(&arguments, 4);
  int64_t now = (int64_t)number_at(&arguments, 5), sent = 0;
  struct burst burst = {.memory = frames};

  if (!arguments.good) return NULL;
  for (uint32_t from = 0; from < count; from += burst.count) {
    burst.count = count - from < BURST ? count - from : BURST;
    for (uint32_t i = 0; i < burst.count; i++) {
      burst.at[i] = (uint32_t)at[from + i];
      burst.length[i] = (uint32_t)length[from + i];
    }
    director_turn(director, &burst, now);
    sent += burst.sent;
  }
  return integer(env, sent);
}

/* turn(director, now): no frames, only what is due. */
static napi_value turn(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 2);
  struct director *director = director_at(&arguments, 0);
  struct burst burst = {.count = 0};

  if (arguments.good) director_turn(director, &burst, (int64_t)number_at(&arguments, 1));
  return NULL;
}

/* counts(director, out): 32 verdicts, then live, created, expired, evicted connections. */
static napi_value counts(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 2);
  const struct director *director = director_at(&arguments, 0);
  double *out = typed_at(&arguments, 1);

  if (!arguments.good) return NULL;
  for (int v = 0; v < VERDICTS; v++) out[v] = (double)director->verdicts[v];
  out[VERDICTS] = director->table->live;
  out[VERDICTS + 1] = (double)director->created;
  out[VERDICTS + 2] = (double)director->expired;
  out[VERDICTS + 3] = (double)director->evicted;
  return NULL;
}

/*
 * fill(frames, at, count, flows, order, from, template, length): writes `count` TCP frames. Frame i is `template` with
 * the addresses, ports and checksum of flow order[from + i]; a flow is three words: client, virtual address, ports.
 */
static napi_value fill(napi_env env, napi_callback_info info)
{
  struct arguments arguments = begin(env, info, 8);
  uint8_t *frames = typed_at(&arguments, 0);
  const int32_t *at = typed_at(&arguments, 1);
  uint32_t count = word_at(&arguments, 2);
  const uint32_t *flows = typed_at(&arguments, 3), *order = typed_at(&arguments, 4);
  uint32_t from = word_at(&arguments, 5);
  const uint8_t *template = typed_at(&arguments, 6);
  uint32_t length = word_at(&arguments, 7);

  if (!arguments.good) return NULL;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t *flow = flows + (size_t)order[from + i] * 3;
    uint8_t *frame = frames + at[i], *ip = frame + ETH_HEADER;
    const uint32_t words[3] = {__builtin_bswap32(flow[0]), __builtin_bswap32(flow[1]), __builtin_bswap32(flow[2])};
    uint16_t checksum;

    memcpy(frame, template, length);
    memcpy(ip + IPV4_SOURCE, words, 8);
    memcpy(ip + IPV4_HEADER, words + 2, 4);
    checksum = __builtin_bswap16(ipv4_checksum(ip));
    memcpy(ip + 10, &checksum, 2);
  }
  return NULL;
}

NAPI_MODULE_INIT()
{
  static const struct {
    const char *name;
    napi_callback function;
  } entries[] = {
    {"create", create}, {"addService", add_service}, {"addDestination", add_destination}, {"run", run},
    {"turn", turn},     {"counts", counts},          {"fill", fill},
  };

  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    napi_value function;

    napi_create_function(env, entries[i].name, NAPI_AUTO_LENGTH, entries[i].function, NULL, &function);
    napi_set_named_property(env, exports, entries[i].name, function);
  }
  return exports;
}
