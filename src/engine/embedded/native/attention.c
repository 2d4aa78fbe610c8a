/*
 * Causal attention inside documents, with grouped keys, without the matrix of all scores in memory (Dao et al. 2022). A
 * document is a run of rows; a row sees the rows of its document up to itself. Queries go in blocks; tiles above the diagonal
 * are never computed.
 */
#include "kernel.h"

enum { BLOCK = 4 * TILE };

typedef struct {
  int64_t heads, groups, width, stride, documents;
  const int32_t *starts;
  /* q, k, v lie side by side in rows of `stride`; o and its gradient in rows of heads * width. */
  const float *q, *k, *v;
  const float *out, *dout;
  float *o, *log_sum, *dq, *dk, *dv;
  float scale;
  Pool *pool;
} Attention;

/* Rows of scores are padded to whole panels: they may be read past their end. */

/* S[rows][keys] = Q K^T for tiles that touch the diagonal or lie below it. `first` is the place of the first query. */
INLINE void scores(const float *q, int64_t q_stride, const float *panels, int64_t depth, int64_t first, int64_t rows,
                   float *s, int64_t s_stride) {
  for (int64_t i = 0; i < rows; i += TILE) {
    int height = (int)smaller(TILE, rows - i);
    for (int64_t j = 0; j < first + i + height; j += PANEL)
      tile_rows(height, 0, depth, q + i * q_stride, q_stride, panels + j * depth, s + i * s_stride + j, s_stride);
  }
}

/* Y[rows][width] (+)= S[rows][keys up to the diagonal] B. */
INLINE void weighted(const float *s, int64_t s_stride, const float *panels, int64_t keys, int64_t first, int64_t rows,
                     int64_t width, float *y, int64_t y_stride) {
  for (int64_t i = 0; i < rows; i += TILE) {
    int height = (int)smaller(TILE, rows - i);
    int64_t depth = first + i + height;
    for (int64_t j = 0; j < width; j += PANEL) {
      const float *panel = panels + j * keys;
      float *to = y + i * y_stride + j;
      if (width - j >= PANEL) {
        tile_rows(height, 0, depth, s + i * s_stride, s_stride, panel, to, y_stride);
      } else {
        float beside[TILE * PANEL];
        tile_rows(height, 0, depth, s + i * s_stride, s_stride, panel, beside, PANEL);
        edge_out(beside, to, y_stride, height, width - j);
      }
    }
  }
}

/* Y[keys][width] += S^T B: rows of B are the queries of the block, in panels. */
INLINE void transposed(const float *s, int64_t s_stride, const float *panels, int64_t first, int64_t rows, int64_t width,
                       float *y, int64_t y_stride, int again) {
  int64_t keys = first + rows;
  for (int64_t i = 0; i < keys; i += TILE) {
    int height = (int)smaller(TILE, keys - i);
    /* Queries before the first key of this tile do not see it. */
    int64_t skip = larger(0, i - first);
    /* Keys of this block get their first terms from the first head of their group. */
    int from_y = again || i < first;
    for (int64_t j = 0; j < width; j += PANEL) {
      const float *panel = panels + j * rows + skip * PANEL;
      const float *a = s + skip * s_stride + i;
      float *to = y + i * y_stride + j;
      if (width - j >= PANEL) {
        tile_columns(height, from_y, rows - skip, a, s_stride, panel, to, y_stride);
      } else {
        float beside[TILE * PANEL];
        if (from_y) edge_in(beside, to, y_stride, height, width - j);
        tile_columns(height, from_y, rows - skip, a, s_stride, panel, beside, PANEL);
        edge_out(beside, to, y_stride, height, width - j);
      }
    }
  }
}

/* A matrix as panels: out[panel][k][PANEL]. */
INLINE void pack_all(int64_t columns, int64_t depth, Matrix b, float *out) {
  for (int64_t j = 0; j < columns; j += PANEL)
    pack_panel(depth, smaller(PANEL, columns - j), (Matrix){b.p + j * b.columns, b.rows, b.columns}, 1, out + j * depth);
}

/* row_max of a row that may be read past its end. */
INLINE float scratch_max(const float *row, int64_t n) {
  Lanes most = splat(row[0]);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) most = max16(load(row + j), most);
  if (j < n) most = max16(first_lanes(load(row + j), n - j, row[0]), most);
  return fold_max(most);
}

/* How far the products that follow may read row i of a block: to the end of its tile's last key. */
INLINE int64_t reach_of(int64_t first, int64_t i, int64_t padded) {
  return smaller(padded, round_up(first + round_up(i + 1, TILE), 16));
}

static void attention_task(void *context, int task, int thread) {
  const Attention *a = context;
  int64_t head = task % a->heads, document = task / a->heads;
  int64_t start = a->starts[document], length = a->starts[document + 1] - start, width = a->width;
  int64_t padded = round_up(length, PANEL), wide = round_up(width, PANEL), all = a->heads * width;
  float *keys = pool_scratch(a->pool, thread, (size_t)(padded * width + length * wide + BLOCK * padded));
  if (keys == NULL) {
    pool_fail(a->pool);
    return;
  }
  float *values = keys + padded * width, *s = values + length * wide;
  int64_t shared = head / a->groups * width;
  pack_all(length, width, (Matrix){a->k + start * a->stride + shared, 1, a->stride}, keys);
  pack_all(width, length, (Matrix){a->v + start * a->stride + shared, a->stride, 1}, values);
  for (int64_t first = 0; first < length; first += BLOCK) {
    int64_t rows = smaller(BLOCK, length - first);
    const float *q = a->q + (start + first) * a->stride + head * width;
    float *o = a->o + (start + first) * all + head * width;
    float inverse[BLOCK];
    scores(q, a->stride, keys, width, first, rows, s, padded);
    for (int64_t i = 0; i < rows; i++) {
      float *row = s + i * padded;
      int64_t seen = first + i + 1;
      float max = scratch_max(row, seen);
      Lanes sum = splat(0), scale = splat(a->scale), high = splat(max);
      int64_t j = 0;
      for (; j + 16 <= seen; j += 16) {
        Lanes e = exp16((load(row + j) - high) * scale);
        sum += e;
        store(row + j, e);
      }
      /* What the tile computed beyond the diagonal is not seen. */
      if (j < seen) {
        Lanes e = exp16((first_lanes(load(row + j), seen - j, -1e30f) - high) * scale);
        sum += e;
        store(row + j, e);
        j += 16;
      }
      for (int64_t reach = reach_of(first, i, padded); j < reach; j += 16) store(row + j, splat(0));
      float total = fold_sum(sum);
      if (a->log_sum) a->log_sum[(start + first + i) * a->heads + head] = max * a->scale + log1(total);
      inverse[i] = 1 / total;
    }
    weighted(s, padded, values, length, first, rows, width, o, all);
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < width; j++) o[i * all + j] *= inverse[i];
  }
}

/* What both directions are told of their documents; args->error where it cannot be. Returns the rows. */
static int64_t read_documents(Args *args, const int32_t *starts, int64_t *documents, Attention *a) {
  int64_t kv_heads = size_at(args, 2);
  *documents = size_at(args, 0);
  a->heads = size_at(args, 1);
  a->width = size_at(args, 3);
  if (!args->error && (kv_heads == 0 || a->heads % kv_heads != 0)) args->error = "heads are not a multiple of the key heads";
  if (args->error) return 0;
  for (int64_t d = 0; d < *documents; d++)
    if (starts[d] < 0 || starts[d + 1] < starts[d]) args->error = "documents do not follow each other";
  a->groups = a->heads / kv_heads;
  a->stride = times(a->heads + 2 * kv_heads, a->width);
  a->starts = starts;
  a->pool = args->pool;
  a->scale = 1.0f / __builtin_sqrtf((float)a->width);
  return args->error ? 0 : starts[*documents];
}

/* attention(o, logSum | null, qkv, starts, documents, heads, kvHeads, headDim): rows of qkv hold q, k and v side by side */
static void attention(Args *args) {
  Attention a = {0};
  int64_t documents, rows = read_documents(args, integers_at(args, 3, size_at(args, 0) + 1), &documents, &a);
  a.o = array_at(args, 0, times(times(rows, a.heads), a.width));
  a.log_sum = maybe_array_at(args, 1, times(rows, a.heads));
  a.q = array_at(args, 2, times(rows, a.stride));
  if (args->error) return;
  a.k = a.q + a.heads * a.width;
  a.v = a.k + a.heads / a.groups * a.width;
  pool_run(args->pool, (int)(documents * a.heads), attention_task, &a);
}

static void attention_backward_task(void *context, int task, int thread) {
  const Attention *a = context;
  int64_t kv_heads = a->heads / a->groups, kv_head = task % kv_heads, document = task / kv_heads;
  int64_t start = a->starts[document], length = a->starts[document + 1] - start, width = a->width;
  int64_t padded = round_up(length, PANEL), wide = round_up(width, PANEL), all = a->heads * width;
  size_t need = (size_t)(2 * padded * width + length * wide + 2 * BLOCK * padded + 2 * BLOCK * wide);
  float *keys = pool_scratch(a->pool, thread, need);
  if (keys == NULL) {
    pool_fail(a->pool);
    return;
  }
  float *values = keys + padded * width, *key_rows = values + padded * width, *p = key_rows + length * wide;
  float *ds = p + BLOCK * padded, *queries = ds + BLOCK * padded, *douts = queries + BLOCK * wide;
  int64_t shared = start * a->stride + kv_head * width;
  pack_all(length, width, (Matrix){a->k + shared, 1, a->stride}, keys);
  pack_all(length, width, (Matrix){a->v + shared, 1, a->stride}, values);
  pack_all(width, length, (Matrix){a->k + shared, a->stride, 1}, key_rows);
  for (int64_t g = 0; g < a->groups; g++) {
    int64_t head = kv_head * a->groups + g;
    for (int64_t first = 0; first < length; first += BLOCK) {
      int64_t rows = smaller(BLOCK, length - first);
      int64_t at = (start + first) * a->stride + head * width, out_at = (start + first) * all + head * width;
      scores(a->q + at, a->stride, keys, width, first, rows, p, padded);
      scores(a->dout + out_at, all, values, width, first, rows, ds, padded);
      for (int64_t i = 0; i < rows; i++) {
        float *pi = p + i * padded, *dsi = ds + i * padded;
        int64_t seen = first + i + 1;
        float log_sum = a->log_sum[(start + first + i) * a->heads + head];
        /* sum over keys of p · dp, which equals o · do */
        float along = dot_row(a->out + out_at + i * all, a->dout + out_at + i * all, width);
        Lanes scale = splat(a->scale), shift = splat(log_sum), mean = splat(along);
        int64_t j = 0;
        for (; j + 16 <= seen; j += 16) {
          Lanes e = exp16(load(pi + j) * scale - shift);
          store(pi + j, e);
          store(dsi + j, e * (load(dsi + j) - mean) * scale);
        }
        if (j < seen) {
          Lanes e = exp16(first_lanes(load(pi + j), seen - j, -1e30f) * scale - shift);
          store(pi + j, e);
          store(dsi + j, e * (first_lanes(load(dsi + j), seen - j, 0) - mean) * scale);
          j += 16;
        }
        for (int64_t reach = reach_of(first, i, padded); j < reach; j += 16) {
          store(pi + j, splat(0));
          store(dsi + j, splat(0));
        }
      }
      weighted(ds, padded, key_rows, length, first, rows, width, a->dq + at, a->stride);
      pack_all(width, rows, (Matrix){a->q + at, a->stride, 1}, queries);
      pack_all(width, rows, (Matrix){a->dout + out_at, all, 1}, douts);
      transposed(ds, padded, queries, first, rows, width, a->dk + shared, a->stride, g > 0);
      transposed(p, padded, douts, first, rows, width, a->dv + shared, a->stride, g > 0);
    }
  }
}

/* attentionBackward(dqkv, qkv, o, dout, logSum, starts, documents, heads, kvHeads, headDim) */
static void attention_backward(Args *args) {
  Attention a = {0};
  int64_t documents, rows = read_documents(args, integers_at(args, 5, size_at(args, 0) + 1), &documents, &a);
  a.dq = array_at(args, 0, times(rows, a.stride));
  a.q = array_at(args, 1, times(rows, a.stride));
  a.out = array_at(args, 2, times(times(rows, a.heads), a.width));
  a.dout = array_at(args, 3, times(times(rows, a.heads), a.width));
  a.log_sum = array_at(args, 4, times(rows, a.heads));
  if (args->error) return;
  int64_t kv_heads = a.heads / a.groups;
  a.k = a.q + a.heads * a.width;
  a.v = a.k + kv_heads * a.width;
  a.dk = a.dq + a.heads * a.width;
  a.dv = a.dk + kv_heads * a.width;
  pool_run(args->pool, (int)(documents * kv_heads), attention_backward_task, &a);
}
