/*
 * A product of few rows with a packed matrix: what generation does at every token. The matrix is read once from far memory
 * and each part of it used a few times only, so threads share it out by columns, and the next panel is fetched while this
 * one is used. Each element is the same chain over k as in gemm.c.
 */

/* tile() of gemm.c for rows of A as they lie, which also fetches `step` elements of `next` for each k. */
INLINE void streaming_tile(const int rows, int from_c, int64_t depth, const float *a, int64_t a_stride, const float *panel,
                           const float *next, int64_t step, float *c, int64_t stride) {
  Lanes sum[TILE][PANEL_LANES];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) sum[i][v] = from_c ? load(c + i * stride + 16 * v) : splat(0);
  for (int64_t k = 0; k < depth; k++) {
    Lanes b[PANEL_LANES];
    __builtin_prefetch(next + k * step, 0, 2);
    if (rows <= 6) __builtin_prefetch(next + k * step + 16, 0, 2);
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) b[v] = load(panel + k * PANEL + 16 * v);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      Lanes s = splat(a[i * a_stride + k]);
#pragma clang loop unroll(full)
      for (int v = 0; v < PANEL_LANES; v++) sum[i][v] = fma16(s, b[v], sum[i][v]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (int v = 0; v < PANEL_LANES; v++) store(c + i * stride + 16 * v, sum[i][v]);
}

#define STREAMING_CASE(R) \
  case R: streaming_tile(R, from_c, depth, a, a_stride, panel, next, step, c, stride); break;

static __attribute__((noinline)) void streaming_rows(int rows, int from_c, int64_t depth, const float *a, int64_t a_stride,
                                                     const float *panel, const float *next, int64_t step, float *c,
                                                     int64_t stride) {
  switch (rows) {
    STREAMING_CASE(1) STREAMING_CASE(2) STREAMING_CASE(3) STREAMING_CASE(4) STREAMING_CASE(5) STREAMING_CASE(6)
#if defined(__AVX512F__)
    STREAMING_CASE(7) STREAMING_CASE(8) STREAMING_CASE(9) STREAMING_CASE(10) STREAMING_CASE(11) STREAMING_CASE(12)
#endif
    default: break;
  }
}

typedef struct {
  int64_t rows, columns, depth, a_stride, stride, panels_a_task, rows_a_task, row_parts;
  const float *a, *packed;
  float *c;
  int accumulate;
} FewRows;

static void few_rows_task(void *context, int task, int thread) {
  (void)thread;
  const FewRows *g = context;
  int64_t panels = round_up(g->columns, PANEL) / PANEL, from = task / g->row_parts * g->panels_a_task;
  int64_t to = smaller(panels, from + g->panels_a_task), first = task % g->row_parts * g->rows_a_task;
  int64_t all = smaller(g->rows_a_task, g->rows - first), tiles = (all + TILE - 1) / TILE;
  /* Tiles of about equal height, and what each fetches of the next panel for each k. */
  int64_t height = (all + tiles - 1) / tiles, step = (PANEL + tiles - 1) / tiles;
  for (int64_t k = 0; k < g->depth; k += DEPTH) {
    int64_t depth = smaller(DEPTH, g->depth - k);
    int from_c = g->accumulate || k > 0;
    const float *block = g->packed + k * panels * PANEL;
    for (int64_t p = from; p < to; p++) {
      const float *panel = block + p * depth * PANEL;
      /* After the last panel of this block of k comes the first one of the next. */
      int64_t next_depth = smaller(DEPTH, g->depth - k - depth);
      const float *next = p + 1 < to ? panel + depth * PANEL : block + (panels * depth + from * next_depth) * PANEL;
      int64_t width = smaller(PANEL, g->columns - p * PANEL), fetched = 0;
      for (int64_t i = first; i < first + all; i += height, fetched += step * depth) {
        int rows = (int)smaller(height, first + all - i);
        float *c = g->c + i * g->stride + p * PANEL, beside[TILE * PANEL];
        const float *a = g->a + i * g->a_stride + k;
        if (width == PANEL) {
          streaming_rows(rows, from_c, depth, a, g->a_stride, panel, next + fetched, step, c, g->stride);
        } else {
          if (from_c) edge_in(beside, c, g->stride, rows, width);
          streaming_rows(rows, from_c, depth, a, g->a_stride, panel, next + fetched, step, beside, PANEL);
          edge_out(beside, c, g->stride, rows, width);
        }
      }
    }
  }
}

/* gemmPacked(c, a, packed, rows, columns, depth, cStride, aStride, accumulate): the bits of gemm with alpha 1 */
static void gemm_packed(Args *args) {
  FewRows g = {.rows = size_at(args, 0), .columns = size_at(args, 1), .depth = size_at(args, 2), .stride = size_at(args, 3),
               .a_stride = size_at(args, 4), .accumulate = size_at(args, 5) != 0};
  g.c = array_at(args, 0, span(g.rows, g.stride, g.columns));
  g.a = array_at(args, 1, span(g.rows, g.a_stride, g.depth));
  g.packed = array_at(args, 2, packed_size(g.columns, g.depth));
  if (args->error || g.rows == 0 || g.columns == 0) return;
  if (g.depth == 0) {
    if (!g.accumulate)
      for (int64_t i = 0; i < g.rows; i++) memset(g.c + i * g.stride, 0, (size_t)g.columns * sizeof(float));
    return;
  }
  /* By columns; where these are too few for all threads, by rows too. */
  int64_t panels = round_up(g.columns, PANEL) / PANEL, threads = pool_threads(args->pool);
  g.panels_a_task = (panels + threads - 1) / threads;
  int64_t column_parts = (panels + g.panels_a_task - 1) / g.panels_a_task, tiles = (g.rows + TILE - 1) / TILE;
  g.row_parts = smaller(tiles, (threads + column_parts - 1) / column_parts);
  g.rows_a_task = (g.rows + g.row_parts - 1) / g.row_parts;
  g.row_parts = (g.rows + g.rows_a_task - 1) / g.rows_a_task;
  pool_run(args->pool, (int)(column_parts * g.row_parts), few_rows_task, &g);
}
