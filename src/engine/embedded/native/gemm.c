/*
 * C = A B, or C += alpha A B, in float32. B is packed into panels of PANEL columns, A into tiles of TILE rows; each element of
 * C is one chain of fused multiply-adds over k in ascending order, starting from what C held (Goto & van de Geijn 2008 for the
 * blocking). A tile is TILE x PANEL sums in registers.
 */
#include "kernel.h"

#if defined(__AVX512F__)
enum { TILE = 12, PANEL_LANES = 2 };
#else
enum { TILE = 6, PANEL_LANES = 1 };
#endif
enum {
  PANEL = 16 * PANEL_LANES,
  /* Depth of a block: a panel of it stays in the first-level cache. */
  DEPTH = 256,
  /* Rows of A that one task packs at a time. */
  CHUNK = 8 * TILE,
  /* Columns of B packed at once. */
  COLUMNS_AT_ONCE = 1 << 14,
  /* Elements of B packed at once, if that is more than one block of k. */
  PACKED_AT_ONCE = 3 << 16,
};

/* Element (i, j) at p[i * rows + j * columns]. */
typedef struct {
  const float *p;
  int64_t rows, columns;
} Matrix;

/* rows (<= TILE) x PANEL sums: c[rows][PANEL] += a[rows][depth] b[depth][PANEL]. Constant `rows` and `from_c` unroll. */
INLINE void tile(const int rows, const int from_c, int64_t depth, Matrix a, const float *panel, float *c, int64_t stride) {
  Lanes sum[TILE][PANEL_LANES];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) sum[i][v] = from_c ? load(c + i * stride + 16 * v) : splat(0);
  for (int64_t k = 0; k < depth; k++) {
    Lanes b[PANEL_LANES];
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) b[v] = load(panel + k * PANEL + 16 * v);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      Lanes s = splat(a.p[i * a.rows + k * a.columns]);
#pragma clang loop unroll(full)
      for (int v = 0; v < PANEL_LANES; v++) sum[i][v] = fma16(s, b[v], sum[i][v]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) store(c + i * stride + 16 * v, sum[i][v]);
}

#define TILE_CASES(A, FROM_C)                                                                                        \
  switch (rows) {                                                                                                    \
    case 1: tile(1, FROM_C, depth, A, panel, c, stride); break;                                                      \
    case 2: tile(2, FROM_C, depth, A, panel, c, stride); break;                                                      \
    case 3: tile(3, FROM_C, depth, A, panel, c, stride); break;                                                      \
    case 4: tile(4, FROM_C, depth, A, panel, c, stride); break;                                                      \
    case 5: tile(5, FROM_C, depth, A, panel, c, stride); break;                                                      \
    case 6: tile(6, FROM_C, depth, A, panel, c, stride); break;                                                      \
    TILE_MORE(A, FROM_C)                                                                                             \
    default: break;                                                                                                  \
  }
#if defined(__AVX512F__)
#define TILE_MORE(A, FROM_C)                                                                                         \
  case 7: tile(7, FROM_C, depth, A, panel, c, stride); break;                                                        \
  case 8: tile(8, FROM_C, depth, A, panel, c, stride); break;                                                        \
  case 9: tile(9, FROM_C, depth, A, panel, c, stride); break;                                                        \
  case 10: tile(10, FROM_C, depth, A, panel, c, stride); break;                                                      \
  case 11: tile(11, FROM_C, depth, A, panel, c, stride); break;                                                      \
  case 12: tile(12, FROM_C, depth, A, panel, c, stride); break;
#else
#define TILE_MORE(A, FROM_C)
#endif

/* A packed: element (i, k) at p[k * TILE + i]. */
static __attribute__((noinline)) void tile_packed(int rows, int from_c, int64_t depth, const float *packed,
                                                  const float *panel, float *c, int64_t stride) {
  const Matrix a = {packed, 1, TILE};
  if (from_c) TILE_CASES(a, 1)
  else TILE_CASES(a, 0)
}
/* A as it lies, rows apart by `rows_apart`, k contiguous. */
static __attribute__((noinline)) void tile_rows(int rows, int from_c, int64_t depth, const float *p, int64_t rows_apart,
                                                const float *panel, float *c, int64_t stride) {
  const Matrix a = {p, rows_apart, 1};
  if (from_c) TILE_CASES(a, 1)
  else TILE_CASES(a, 0)
}
/* A transposed as it lies: i contiguous, k apart by `k_apart`. */
static __attribute__((noinline)) void tile_columns(int rows, int from_c, int64_t depth, const float *p, int64_t k_apart,
                                                   const float *panel, float *c, int64_t stride) {
  const Matrix a = {p, 1, k_apart};
  if (from_c) TILE_CASES(a, 1)
  else TILE_CASES(a, 0)
}

/* Panels narrower than PANEL are computed beside C and copied. */
INLINE void edge_in(float *beside, const float *c, int64_t stride, int rows, int64_t columns) {
  for (int i = 0; i < rows; i++)
    for (int64_t j = 0; j < PANEL; j++) beside[i * PANEL + j] = j < columns ? c[i * stride + j] : 0;
}
INLINE void edge_out(const float *beside, float *c, int64_t stride, int rows, int64_t columns) {
  for (int i = 0; i < rows; i++) memcpy(c + i * stride, beside + i * PANEL, (size_t)columns * sizeof(float));
}

/* out[j][i] = in[i][j] for `rows` x 16 elements; rows that are missing are 0. */
INLINE void transpose16(const float *in, int64_t in_stride, int64_t rows, float *out, int64_t out_stride) {
  Lanes r[16], t[16];
  for (int i = 0; i < 16; i++) r[i] = i < rows ? load(in + i * in_stride) : splat(0);
  for (int i = 0; i < 16; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = i; j < i + 2; j++) {
      r[j] = __builtin_shufflevector(t[j], t[j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[j + 2] = __builtin_shufflevector(t[j], t[j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  for (int i = 0; i < 16; i += 8)
    for (int j = i; j < i + 4; j++) {
      t[j] = __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
      t[j + 4] = __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
  for (int j = 0; j < 8; j++) {
    store(out + j * out_stride, __builtin_shufflevector(t[j], t[j + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
    store(out + (j + 8) * out_stride,
          __builtin_shufflevector(t[j], t[j + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
  }
}

/* Columns [0, width) of b, depth rows, as one panel: out[k][PANEL], missing columns 0. One stride of b is 1. */
INLINE void pack_panel(int64_t depth, int64_t width, Matrix b, float alpha, float *out) {
  if (b.columns == 1) {
    for (int64_t k = 0; k < depth; k++) {
      const float *row = b.p + k * b.rows;
      for (int v = 0; v < PANEL_LANES; v++) {
        int64_t left = width - 16 * v;
        Lanes x = left >= 16 ? load(row + 16 * v) : left > 0 ? load_part(row + 16 * v, (int)left, 0) : splat(0);
        store(out + k * PANEL + 16 * v, x * splat(alpha));
      }
    }
    return;
  }
  for (int v = 0; v < PANEL_LANES; v++) {
    int64_t columns = larger(0, smaller(16, width - 16 * v));
    int64_t k = 0;
    const float *from = b.p + 16 * v * b.columns;
    if (columns == 16)
      for (; k + 16 <= depth; k += 16) transpose16(from + k, b.columns, 16, out + k * PANEL + 16 * v, PANEL);
    else
      for (; k + 16 <= depth; k += 16) transpose16(from + k, b.columns, columns, out + k * PANEL + 16 * v, PANEL);
    for (; k < depth; k++)
      for (int64_t j = 0; j < 16; j++)
        out[k * PANEL + 16 * v + j] = j < columns ? b.p[(16 * v + j) * b.columns + k * b.rows] : 0;
  }
  if (alpha != 1)
    for (int64_t i = 0; i < depth * PANEL; i += 16) store(out + i, load(out + i) * splat(alpha));
}

/* Rows of a as tiles: out[tile][k][TILE]. The last tile may be narrower; what it lacks is undefined. One stride of a is 1. */
INLINE void pack_tiles(int64_t rows, int64_t depth, Matrix a, float *out) {
  if (a.rows == 1) {
    int64_t whole = rows / TILE * TILE;
    for (int64_t k = 0; k < depth; k++) {
      const float *from = a.p + k * a.columns;
      for (int64_t i = 0; i < whole; i += TILE) memcpy(out + i * depth + k * TILE, from + i, TILE * sizeof(float));
      for (int64_t i = whole; i < rows; i++) out[whole * depth + k * TILE + i - whole] = from[i];
    }
    return;
  }
  for (int64_t i = 0; i < rows; i += TILE) {
    int64_t width = smaller(TILE, rows - i);
    float *to = out + i * depth;
    int64_t k = 0;
    if (i + 16 <= rows)
      for (; k + 16 <= depth; k += 16) {
        float square[256];
        transpose16(a.p + i * a.rows + k, a.rows, 16, square, 16);
        for (int j = 0; j < 16; j++) memcpy(to + (k + j) * TILE, square + 16 * j, TILE * sizeof(float));
      }
    for (; k < depth; k++)
      for (int64_t j = 0; j < width; j++) to[k * TILE + j] = a.p[(i + j) * a.rows + k];
  }
}

/* Walks over a matrix a few cache lines at a time, so that it is near when it is packed. Rows are `length` long, contiguous. */
typedef struct {
  const char *row;
  int64_t stride, length, at, left;
} Ahead;

INLINE Ahead ahead_of(int64_t rows, int64_t depth, Matrix a) {
  int columns = a.rows == 1;
  return (Ahead){(const char *)a.p, 4 * (columns ? a.columns : a.rows), 4 * (columns ? rows : depth), 0, columns ? depth : rows};
}
INLINE void fetch(Ahead *ahead, int lines) {
  for (; lines > 0 && ahead->left > 0; lines--) {
    __builtin_prefetch(ahead->row + ahead->at, 0, 2);
    ahead->at += 64;
    if (ahead->at < ahead->length) continue;
    ahead->at = 0;
    ahead->row += ahead->stride;
    ahead->left--;
  }
}
INLINE void fetch_tile(const float *c, int64_t stride, int rows) {
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < PANEL_LANES; v++) __builtin_prefetch(c + i * stride + 16 * v, 1, 3);
}

/* A packed B: [block of k][panel][k][PANEL]. */
INLINE int64_t packed_size(int64_t columns, int64_t depth) { return times(round_up(columns, PANEL), depth); }

/* A range of k of a product, whose part of B is packed. */
typedef struct {
  int64_t rows, columns, depth;
  Matrix a, b;
  float *c;
  int64_t stride;
  int from_c;
  float alpha;
  float *packed;
  int64_t row_chunk, column_chunk, row_chunks;
  Pool *pool;
} Range;

static void pack_task(void *context, int task, int thread) {
  (void)thread;
  const Range *g = context;
  int64_t panels = round_up(g->columns, PANEL) / PANEL;
  int64_t k = task / panels * DEPTH, column = task % panels * PANEL, depth = smaller(DEPTH, g->depth - k);
  Matrix b = {g->b.p + k * g->b.rows + column * g->b.columns, g->b.rows, g->b.columns};
  pack_panel(depth, smaller(PANEL, g->columns - column), b, g->alpha, g->packed + k * panels * PANEL + column * depth);
}
static void run_pack(Range *g) {
  int64_t panels = round_up(g->columns, PANEL) / PANEL, blocks = round_up(g->depth, DEPTH) / DEPTH;
  pool_run(g->pool, (int)(panels * blocks), pack_task, g);
}

/* Rows of C and a block of k: every panel of B against every tile of A. `ahead` is fetched meanwhile. */
INLINE void chunk(const Range *g, Matrix a, int64_t rows, const float *packed, int64_t depth, float *tiles, float *c,
                  int64_t columns, int from_c, Ahead ahead) {
  /* Rows that are contiguous along k can be read as they lie; packing them pays where they are used often. */
  int as_it_lies = a.columns == 1 && columns <= 16 * PANEL;
  if (!as_it_lies) pack_tiles(rows, depth, a, tiles);
  int64_t tile_count = (rows + TILE - 1) / TILE * ((columns + PANEL - 1) / PANEL);
  int lines = (int)(ahead.left * ahead.length / 64 / tile_count) + 1;
  for (int64_t column = 0; column < columns; column += PANEL) {
    const float *panel = packed + column * depth;
    int64_t width = smaller(PANEL, columns - column);
    for (int64_t i = 0; i < rows; i += TILE) {
      int height = (int)smaller(TILE, rows - i), whole = width == PANEL;
      float *own = c + i * g->stride + column, beside[TILE * PANEL];
      float *to = whole ? own : beside;
      int64_t stride = whole ? g->stride : PANEL;
      fetch(&ahead, lines);
      if (i + 2 * TILE <= rows) fetch_tile(own + TILE * g->stride, g->stride, TILE);
      if (!whole && from_c) edge_in(beside, own, g->stride, height, width);
      if (as_it_lies) tile_rows(height, from_c, depth, a.p + i * a.rows, a.rows, panel, to, stride);
      else tile_packed(height, from_c, depth, tiles + i * depth, panel, to, stride);
      if (!whole) edge_out(beside, own, g->stride, height, width);
    }
  }
}

static void range_task(void *context, int task, int thread) {
  const Range *g = context;
  int64_t row_from = task % g->row_chunks * g->row_chunk, row_to = smaller(g->rows, row_from + g->row_chunk);
  int64_t column_from = task / g->row_chunks * g->column_chunk;
  int64_t column_to = smaller(g->columns, column_from + g->column_chunk);
  float *tiles = pool_scratch(g->pool, thread, (size_t)(CHUNK + 16) * DEPTH);
  if (tiles == NULL) {
    pool_fail(g->pool);
    return;
  }
  for (int64_t row = row_from; row < row_to; row += CHUNK) {
    int64_t rows = smaller(CHUNK, row_to - row);
    for (int64_t k = 0; k < g->depth; k += DEPTH) {
      int64_t depth = smaller(DEPTH, g->depth - k);
      Matrix a = {g->a.p + row * g->a.rows + k * g->a.columns, g->a.rows, g->a.columns};
      /* What comes next: the next block of k, or the first one of the next rows. */
      int last = k + DEPTH >= g->depth;
      int64_t next_row = last ? row + CHUNK : row, next_k = last ? 0 : k + DEPTH;
      Matrix next = {g->a.p + next_row * g->a.rows + next_k * g->a.columns, g->a.rows, g->a.columns};
      Ahead ahead = ahead_of(larger(0, smaller(CHUNK, row_to - next_row)), smaller(DEPTH, g->depth - next_k), next);
      const float *packed = g->packed + k * round_up(g->columns, PANEL) + column_from * depth;
      chunk(g, a, rows, packed, depth, tiles, g->c + row * g->stride + column_from, column_to - column_from,
            g->from_c || k > 0, ahead);
    }
  }
}

/* Cuts C so that every thread has work: by rows, or by columns where rows are few. No cut changes a bit. */
static void run_range(Range *g) {
  int64_t threads = pool_threads(g->pool);
  int64_t row_parts = smaller(round_up(g->rows, TILE) / TILE, round_up(round_up(g->rows, CHUNK) / CHUNK, threads));
  g->row_chunk = round_up((g->rows + row_parts - 1) / row_parts, TILE);
  g->row_chunks = (g->rows + g->row_chunk - 1) / g->row_chunk;
  int64_t column_parts = g->row_chunks >= threads ? 1 : (threads + g->row_chunks - 1) / g->row_chunks;
  g->column_chunk = round_up((g->columns + column_parts - 1) / column_parts, PANEL);
  int64_t column_chunks = (g->columns + g->column_chunk - 1) / g->column_chunk;
  pool_run(g->pool, (int)(g->row_chunks * column_chunks), range_task, g);
}

static void product(Pool *pool, int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, float *c, int64_t stride,
                    int accumulate, float alpha) {
  if (rows == 0 || columns == 0) return;
  if (depth == 0 && !accumulate)
    for (int64_t i = 0; i < rows; i++) memset(c + i * stride, 0, (size_t)columns * sizeof(float));
  for (int64_t column = 0; column < columns; column += COLUMNS_AT_ONCE) {
    Range g = {.rows = rows, .columns = smaller(COLUMNS_AT_ONCE, columns - column), .c = c + column, .stride = stride,
               .alpha = alpha, .pool = pool};
    /* As many blocks of k at once as stay in the second-level cache when packed. */
    int64_t at_once = larger(1, PACKED_AT_ONCE / packed_size(g.columns, DEPTH)) * DEPTH;
    g.packed = pool_shared(pool, (size_t)packed_size(g.columns, smaller(at_once, depth)));
    if (g.packed == NULL) {
      pool_fail(pool);
      return;
    }
    for (int64_t k = 0; k < depth; k += at_once) {
      g.depth = smaller(at_once, depth - k);
      g.a = (Matrix){a.p + k * a.columns, a.rows, a.columns};
      g.b = (Matrix){b.p + k * b.rows + column * b.columns, b.rows, b.columns};
      g.from_c = accumulate || k > 0;
      run_pack(&g);
      run_range(&g);
    }
  }
}

/* gemm(c, a, b, rows, columns, depth, cStride, aStride, bStride, transA, transB, accumulate, alpha) */
static void gemm(Args *args) {
  int64_t rows = size_at(args, 0), columns = size_at(args, 1), depth = size_at(args, 2);
  int64_t c_stride = size_at(args, 3), a_stride = size_at(args, 4), b_stride = size_at(args, 5);
  int trans_a = size_at(args, 6) != 0, trans_b = size_at(args, 7) != 0, accumulate = size_at(args, 8) != 0;
  float alpha = number_at(args, 9);
  float *c = array_at(args, 0, span(rows, c_stride, columns));
  const float *a = array_at(args, 1, trans_a ? span(depth, a_stride, rows) : span(rows, a_stride, depth));
  const float *b = array_at(args, 2, trans_b ? span(columns, b_stride, depth) : span(depth, b_stride, columns));
  if (args->error) return;
  Matrix left = trans_a ? (Matrix){a, 1, a_stride} : (Matrix){a, a_stride, 1};
  Matrix right = trans_b ? (Matrix){b, 1, b_stride} : (Matrix){b, b_stride, 1};
  product(args->pool, rows, columns, depth, left, right, c, c_stride, accumulate, alpha);
}

/* gemmPackedSize(columns, depth): elements of a packed B */
static void gemm_packed_size(Args *args) {
  args->result = (double)packed_size(size_at(args, 0), size_at(args, 1));
}

/* gemmPack(packed, b, columns, depth, bStride, transB): a B that is used often, packed once */
static void gemm_pack(Args *args) {
  int64_t columns = size_at(args, 0), depth = size_at(args, 1), stride = size_at(args, 2);
  int trans = size_at(args, 3) != 0;
  float *packed = array_at(args, 0, packed_size(columns, depth));
  const float *b = array_at(args, 1, trans ? span(columns, stride, depth) : span(depth, stride, columns));
  if (args->error) return;
  Range g = {.columns = columns, .depth = depth, .alpha = 1, .packed = packed, .pool = args->pool,
             .b = trans ? (Matrix){b, 1, stride} : (Matrix){b, stride, 1}};
  run_pack(&g);
}
