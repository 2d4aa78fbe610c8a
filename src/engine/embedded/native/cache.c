/*
 * Attention of new tokens over a cache of keys and values. A run is rows of one slot, at consecutive positions after what
 * the slot holds; its keys and values go into the cache, and each of its rows sees the slot up to itself. One row a run is a
 * step of generation, many are a prompt, or the rest of one. Each row gets the bits that `attention` gives it when its whole
 * document is computed at once: the same chains over the width for scores, the same lanes over keys for their sum, the same
 * chains over keys for the output.
 */
#include "kernel.h"

enum {
  /* Keys that lie side by side: a slot's keys of one head are [position / 16][width][16], its values [position][width]. */
  SIDE = 16,
  /* Queries, and vectors of keys or values, that are computed at a time. */
  QUERIES = 4,
#if defined(__AVX512F__)
  VECTORS = 4,
#else
  VECTORS = 1,
#endif
};

typedef struct {
  int64_t runs, heads, kv_heads, width, stride, capacity;
  const int32_t *starts, *slots, *pasts;
  const float *qkv;
  float *keys, *values, *o;
  float scale;
  Pool *pool;
} Cached;

static const char *misfit(const Cached *c, int64_t slot_count) {
  if (c->capacity % SIDE != 0) return "the capacity of a slot is not a multiple of 16";
  for (int64_t r = 0; r < c->runs; r++) {
    if (c->starts[r] < 0 || c->starts[r + 1] < c->starts[r]) return "runs do not follow each other";
    int64_t length = c->starts[r + 1] - c->starts[r];
    if (c->slots[r] < 0 || c->slots[r] >= slot_count || c->pasts[r] < 0 || c->pasts[r] + length > c->capacity)
      return "a token is outside the cache";
    for (int64_t s = 0; s < r; s++)
      if (c->slots[s] == c->slots[r]) return "two runs share a slot";
  }
  return NULL;
}

/* p[queries][16 vectors] = q · key for 16 `vectors` keys. Constant `queries` and `vectors` unroll. */
INLINE void key_tile(const int queries, const int vectors, int64_t width, const float *const *q, const float *keys, float *p,
                     int64_t p_stride) {
  Lanes sum[QUERIES][VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sum[i][v] = splat(0);
  for (int64_t d = 0; d < width; d++) {
    Lanes key[VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) key[v] = load(keys + (v * width + d) * SIDE);
#pragma clang loop unroll(full)
    for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[i][v] = fma16(splat(q[i][d]), key[v], sum[i][v]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) store(p + i * p_stride + SIDE * v, sum[i][v]);
}

/* o[queries][16 vectors] = sum over t of p[t] · value. */
INLINE void value_tile(const int queries, const int vectors, int64_t seen, const float *p, int64_t p_stride,
                       const float *values, int64_t width, float *const *o, int64_t at) {
  Lanes sum[QUERIES][VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sum[i][v] = splat(0);
  for (int64_t t = 0; t < seen; t++) {
    Lanes value[VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) value[v] = load(values + t * width + at + 16 * v);
#pragma clang loop unroll(full)
    for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[i][v] = fma16(splat(p[i * p_stride + t]), value[v], sum[i][v]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < queries; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) store(o[i] + at + 16 * v, sum[i][v]);
}

/* The last columns of a width that is not a multiple of 16. */
static void value_edge(int queries, int64_t seen, const float *p, int64_t p_stride, const float *values, int64_t width,
                       float *const *o, int64_t at) {
  int n = (int)(width - at);
  for (int i = 0; i < queries; i++) {
    Lanes sum = splat(0);
    for (int64_t t = 0; t < seen; t++)
      sum = fma16(splat(p[i * p_stride + t]), load_part(values + t * width + at, n, 0), sum);
    store_part(o[i] + at, sum, n);
  }
}

#define EACH_QUERIES(TILE_OF, V, ...)          \
  switch (queries) {                           \
    case 1: TILE_OF(1, V, __VA_ARGS__); break; \
    case 2: TILE_OF(2, V, __VA_ARGS__); break; \
    case 3: TILE_OF(3, V, __VA_ARGS__); break; \
    default: TILE_OF(4, V, __VA_ARGS__);       \
  }

static __attribute__((noinline)) void key_tiles(int queries, int64_t blocks, int64_t width, const float *const *q,
                                                const float *keys, float *p, int64_t p_stride) {
  int64_t b = 0;
  for (; b + VECTORS <= blocks; b += VECTORS)
    EACH_QUERIES(key_tile, VECTORS, width, q, keys + b * width * SIDE, p + b * SIDE, p_stride)
#if defined(__AVX512F__)
  switch (blocks - b) {
    case 1: EACH_QUERIES(key_tile, 1, width, q, keys + b * width * SIDE, p + b * SIDE, p_stride) break;
    case 2: EACH_QUERIES(key_tile, 2, width, q, keys + b * width * SIDE, p + b * SIDE, p_stride) break;
    case 3: EACH_QUERIES(key_tile, 3, width, q, keys + b * width * SIDE, p + b * SIDE, p_stride) break;
    default: break;
  }
#endif
}

static __attribute__((noinline)) void value_tiles(int queries, int64_t seen, const float *p, int64_t p_stride,
                                                  const float *values, int64_t width, float *const *o) {
  int64_t at = 0;
  for (; at + 16 * VECTORS <= width; at += 16 * VECTORS)
    EACH_QUERIES(value_tile, VECTORS, seen, p, p_stride, values, width, o, at)
#if defined(__AVX512F__)
  for (; at + 32 <= width; at += 32) EACH_QUERIES(value_tile, 2, seen, p, p_stride, values, width, o, at)
  for (; at + 16 <= width; at += 16) EACH_QUERIES(value_tile, 1, seen, p, p_stride, values, width, o, at)
#endif
  if (at < width) value_edge(queries, seen, p, p_stride, values, width, o, at);
}

/* Scores of `seen` keys become weights, and up to `reach` 0; returns 1 over their sum. */
INLINE float softmax_row(float *p, int64_t seen, int64_t reach, float scale) {
  float max = row_max(p, seen);
  Lanes sum = splat(0);
  for (int64_t j = 0; j < reach; j += 16) {
    Lanes x = j + 16 <= seen ? load(p + j) : j < seen ? load_part(p + j, (int)(seen - j), -1e30f) : splat(-1e30f);
    Lanes e = exp16((x - splat(max)) * splat(scale));
    sum += e;
    store(p + j, e);
  }
  return 1 / fold_sum(sum);
}

/* One run and one key head with the query heads that share it: no other task touches that part of the slot. */
static void cached_attention_task(void *context, int task, int thread) {
  const Cached *c = context;
  int64_t run = task / c->kv_heads, kv_head = task % c->kv_heads, width = c->width, groups = c->heads / c->kv_heads;
  int64_t start = c->starts[run], length = c->starts[run + 1] - start, past = c->pasts[run];
  int64_t p_stride = round_up(past + length, SIDE), slot = (c->slots[run] * c->kv_heads + kv_head) * c->capacity * width;
  float *keys = c->keys + slot, *values = c->values + slot, *p = pool_scratch(c->pool, thread, (size_t)(QUERIES * p_stride));
  if (p == NULL) {
    pool_fail(c->pool);
    return;
  }
  for (int64_t i = 0; i < length; i++) {
    const float *key = c->qkv + (start + i) * c->stride + (c->heads + kv_head) * width;
    float *to = keys + (past + i) / SIDE * width * SIDE + (past + i) % SIDE;
    for (int64_t d = 0; d < width; d++) to[d * SIDE] = key[d];
    memcpy(values + (past + i) * width, key + c->kv_heads * width, (size_t)width * sizeof(float));
  }
  for (int64_t first = 0; first < length * groups; first += QUERIES) {
    int queries = (int)smaller(QUERIES, length * groups - first);
    const float *q[QUERIES];
    float *o[QUERIES];
    for (int i = 0; i < queries; i++) {
      int64_t row = start + (first + i) / groups, head = kv_head * groups + (first + i) % groups;
      q[i] = c->qkv + row * c->stride + head * width;
      o[i] = c->o + (row * c->heads + head) * width;
    }
    int64_t most = past + (first + queries - 1) / groups + 1, reach = round_up(most, SIDE);
    key_tiles(queries, reach / SIDE, width, q, keys, p, p_stride);
    float inverse[QUERIES];
    for (int i = 0; i < queries; i++)
      inverse[i] = softmax_row(p + i * p_stride, past + (first + i) / groups + 1, reach, c->scale);
    value_tiles(queries, most, p, p_stride, values, width, o);
    for (int i = 0; i < queries; i++)
      for (int64_t d = 0; d < width; d++) o[i][d] *= inverse[i];
  }
}

/* cachedAttention(o, qkv, keys, values, starts, slots, pasts, runs, heads, kvHeads, headDim, slotCount, capacity) */
static void cached_attention(Args *args) {
  Cached c = {.runs = size_at(args, 0), .heads = size_at(args, 1), .kv_heads = size_at(args, 2), .width = size_at(args, 3),
              .capacity = size_at(args, 5), .pool = args->pool};
  int64_t slot_count = size_at(args, 4), cached = times(times(times(slot_count, c.kv_heads), c.capacity), c.width);
  c.stride = times(c.heads + 2 * c.kv_heads, c.width);
  c.scale = 1.0f / __builtin_sqrtf((float)c.width);
  c.keys = array_at(args, 2, cached);
  c.values = array_at(args, 3, cached);
  c.starts = integers_at(args, 4, c.runs + 1);
  c.slots = integers_at(args, 5, c.runs);
  c.pasts = integers_at(args, 6, c.runs);
  if (!args->error && (c.kv_heads == 0 || c.heads % c.kv_heads != 0)) args->error = "heads are not a multiple of the key heads";
  if (!args->error) args->error = misfit(&c, slot_count);
  if (args->error) return;
  int64_t rows = c.starts[c.runs];
  c.o = array_at(args, 0, times(times(rows, c.heads), c.width));
  c.qkv = array_at(args, 1, times(rows, c.stride));
  if (!args->error) pool_run(args->pool, (int)(c.runs * c.kv_heads), cached_attention_task, &c);
}

typedef struct {
  int64_t from, count, kv_heads, width, capacity, positions;
  float *keys, *values;
} Copied;

static void cache_copy_task(void *context, int task, int thread) {
  (void)thread;
  const Copied *c = context;
  int64_t head = task % c->kv_heads, own = c->capacity * c->width;
  int64_t to = (task / c->kv_heads * c->kv_heads + head) * own, from = (c->from * c->kv_heads + head) * own;
  if (to == from) return;
  memcpy(c->keys + to, c->keys + from, (size_t)(round_up(c->positions, SIDE) * c->width) * sizeof(float));
  memcpy(c->values + to, c->values + from, (size_t)(c->positions * c->width) * sizeof(float));
}

/* cacheSpread(keys, values, from, positions, kvHeads, headDim, slotCount, capacity): the first positions of a slot into all */
static void cache_spread(Args *args) {
  Copied c = {.from = size_at(args, 0), .positions = size_at(args, 1), .kv_heads = size_at(args, 2), .width = size_at(args, 3),
              .count = size_at(args, 4), .capacity = size_at(args, 5)};
  int64_t cached = times(times(times(c.count, c.kv_heads), c.capacity), c.width);
  c.keys = array_at(args, 0, cached);
  c.values = array_at(args, 1, cached);
  if (!args->error && (c.from >= c.count || c.positions > c.capacity || c.capacity % SIDE != 0))
    args->error = "a token is outside the cache";
  if (!args->error) pool_run(args->pool, (int)(c.count * c.kv_heads), cache_copy_task, &c);
}
