/*
 * The layers of a Llama block beside its matrix products, forward and backward, on token rows [N, width]. Gradients of
 * parameters are added to what their arrays hold; rows are summed in ascending order.
 */
#include "kernel.h"

enum { ROWS_A_TASK = 16, COLUMNS_A_TASK = 64 };

INLINE int tasks_of(int64_t n, int64_t each) { return (int)((n + each - 1) / each); }

/* Sum over a row of x * y. */
INLINE float dot_row(const float *x, const float *y, int64_t width) {
  Lanes sum = splat(0);
  int64_t i = 0;
  for (; i + 16 <= width; i += 16) sum = fma16(load(x + i), load(y + i), sum);
  if (i < width) sum = fma16(load_part(x + i, (int)(width - i), 0), load_part(y + i, (int)(width - i), 0), sum);
  return fold_sum(sum);
}

typedef struct {
  int64_t rows, width, stride, y_stride, vocabulary, heads, half;
  const float *x, *gain, *up, *table_cos, *table_sin, *dy;
  float *y, *inverse, *dx, *dgain, *out;
  const int32_t *ids;
  float epsilon, sign;
  int accumulate;
} Layer;

/* Row r of a matrix whose rows of `stride` hold `heads` vectors of `width` each: vector r of all. */
INLINE int64_t vector_at(const Layer *l, int64_t r, int64_t stride) {
  return r / l->heads * stride + r % l->heads * l->width;
}

/* y = x * gain / sqrt(mean(x²) + eps), and the inverse root of each vector (Zhang & Sennrich 2019). */
static void rms_norm_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK);
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++) {
    const float *x = l->x + vector_at(l, r, l->stride);
    float *y = l->y + vector_at(l, r, l->y_stride);
    float inverse = 1.0f / __builtin_sqrtf(dot_row(x, x, l->width) / (float)l->width + l->epsilon);
    if (l->inverse) l->inverse[r] = inverse;
    for (int64_t i = 0; i < l->width; i++) y[i] = x[i] * inverse * l->gain[i];
  }
}

/* rmsNorm(y, x, gain, inverse | null, rows, heads, width, yStride, xStride, epsilon); inverse has rows * heads; y may be x */
static void rms_norm(Args *args) {
  int64_t rows = size_at(args, 0);
  Layer l = {.heads = size_at(args, 1), .width = size_at(args, 2), .y_stride = size_at(args, 3), .stride = size_at(args, 4),
             .epsilon = number_at(args, 5)};
  l.rows = times(rows, l.heads);
  l.y = array_at(args, 0, span(rows, l.y_stride, times(l.heads, l.width)));
  l.x = array_at(args, 1, span(rows, l.stride, times(l.heads, l.width)));
  l.gain = array_at(args, 2, l.width);
  l.inverse = maybe_array_at(args, 3, l.rows);
  if (!args->error) pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), rms_norm_task, &l);
}

/* dx (+)= inverse (dy gain - n mean(dy gain n)) with n = x inverse. */
static void rms_norm_dx_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK), width = l->width;
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++) {
    const float *x = l->x + vector_at(l, r, l->stride), *dy = l->dy + vector_at(l, r, l->y_stride);
    float *dx = l->dx + vector_at(l, r, l->y_stride);
    float inverse = l->inverse[r];
    Lanes sum = splat(0);
    int64_t i = 0;
    for (; i + 16 <= width; i += 16) sum = fma16(load(dy + i) * load(l->gain + i), load(x + i), sum);
    if (i < width) {
      int n = (int)(width - i);
      sum = fma16(load_part(dy + i, n, 0) * load_part(l->gain + i, n, 0), load_part(x + i, n, 0), sum);
    }
    float along = fold_sum(sum) * inverse * inverse / (float)width;
    if (l->accumulate)
      for (i = 0; i < width; i++) dx[i] += inverse * (dy[i] * l->gain[i] - x[i] * along);
    else
      for (i = 0; i < width; i++) dx[i] = inverse * (dy[i] * l->gain[i] - x[i] * along);
  }
}
static void rms_norm_dgain_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t from = (int64_t)task * COLUMNS_A_TASK, to = smaller(l->width, from + COLUMNS_A_TASK);
  for (int64_t r = 0; r < l->rows; r++) {
    const float *x = l->x + vector_at(l, r, l->stride), *dy = l->dy + vector_at(l, r, l->y_stride);
    float inverse = l->inverse[r];
    for (int64_t i = from; i < to; i++) l->dgain[i] += dy[i] * (x[i] * inverse);
  }
}

/*
 * rmsNormBackward(dx, dgain | null, dy, x, gain, inverse, rows, heads, width, dStride, xStride, accumulate): dStride is that of
 * dx and dy; dx may be dy where it does not accumulate
 */
static void rms_norm_backward(Args *args) {
  int64_t rows = size_at(args, 0);
  Layer l = {.heads = size_at(args, 1), .width = size_at(args, 2), .y_stride = size_at(args, 3), .stride = size_at(args, 4),
             .accumulate = size_at(args, 5) != 0};
  l.rows = times(rows, l.heads);
  l.dx = array_at(args, 0, span(rows, l.y_stride, times(l.heads, l.width)));
  l.dgain = maybe_array_at(args, 1, l.width);
  l.dy = array_at(args, 2, span(rows, l.y_stride, times(l.heads, l.width)));
  l.x = array_at(args, 3, span(rows, l.stride, times(l.heads, l.width)));
  l.gain = array_at(args, 4, l.width);
  l.inverse = array_at(args, 5, l.rows);
  if (args->error) return;
  if (l.dgain) pool_run(args->pool, tasks_of(l.width, COLUMNS_A_TASK), rms_norm_dgain_task, &l);
  pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), rms_norm_dx_task, &l);
}

/* Rotates each head by its row's angle (Su et al. 2021, halves as in Llama); sign -1 turns back. */
static void rope_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK), half = l->half;
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++) {
    const float *cos = l->table_cos + l->ids[r] * half, *sin = l->table_sin + l->ids[r] * half;
    for (int64_t h = 0; h < l->heads; h++) {
      float *restrict low = l->y + r * l->stride + h * 2 * half, *restrict high = low + half;
      for (int64_t i = 0; i < half; i++) {
        float a = low[i], b = high[i], s = sin[i] * l->sign;
        low[i] = a * cos[i] - b * s;
        high[i] = b * cos[i] + a * s;
      }
    }
  }
}

/* rope(x, positions, cos, sin, rows, heads, headDim, stride, tableRows, sign), in place; positions are below tableRows */
static void rope(Args *args) {
  Layer l = {.rows = size_at(args, 0), .heads = size_at(args, 1), .half = size_at(args, 2) / 2,
             .stride = size_at(args, 3), .sign = number_at(args, 5)};
  int64_t table = size_at(args, 4);
  l.y = array_at(args, 0, span(l.rows, l.stride, times(times(l.heads, l.half), 2)));
  l.ids = integers_at(args, 1, l.rows);
  l.table_cos = array_at(args, 2, times(table, l.half));
  l.table_sin = array_at(args, 3, times(table, l.half));
  if (args->error) return;
  for (int64_t r = 0; r < l.rows; r++)
    if (l.ids[r] < 0 || l.ids[r] >= table) {
      args->error = "a position is outside the rotary table";
      return;
    }
  pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), rope_task, &l);
}

/* y = silu(gate) up; gate and up are the halves of each row of x [rows, 2 width] (Shazeer 2020). */
static void swiglu_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK), width = l->width;
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++) {
    const float *gate = l->x + r * 2 * width, *up = gate + width;
    float *y = l->y + r * width;
    for (int64_t i = 0; i < width; i += 16) {
      int n = (int)smaller(16, width - i);
      Lanes g = n == 16 ? load(gate + i) : load_part(gate + i, n, 0), u = n == 16 ? load(up + i) : load_part(up + i, n, 0);
      Lanes s = splat(1) / (splat(1) + exp16(-g));
      if (n == 16) store(y + i, g * s * u);
      else store_part(y + i, g * s * u, n);
    }
  }
}

/* swiglu(y, x, rows, width) */
static void swiglu(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1)};
  l.y = array_at(args, 0, times(l.rows, l.width));
  l.x = array_at(args, 1, times(times(l.rows, 2), l.width));
  if (!args->error) pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), swiglu_task, &l);
}

/* x becomes its gradient, y (the gradient of silu(gate) up) becomes silu(gate) up again: the way back needs both. */
static void swiglu_backward_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK), width = l->width;
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++) {
    float *gate = l->out + r * 2 * width, *up = gate + width, *y = l->y + r * width;
    for (int64_t i = 0; i < width; i += 16) {
      int n = (int)smaller(16, width - i);
      Lanes g = n == 16 ? load(gate + i) : load_part(gate + i, n, 0), u = n == 16 ? load(up + i) : load_part(up + i, n, 0);
      Lanes dy = n == 16 ? load(y + i) : load_part(y + i, n, 0);
      Lanes s = splat(1) / (splat(1) + exp16(-g)), silu = g * s;
      Lanes dgate = dy * u * (s + silu * (splat(1) - s)), dup = dy * silu, product = silu * u;
      if (n == 16) {
        store(gate + i, dgate);
        store(up + i, dup);
        store(y + i, product);
      } else {
        store_part(gate + i, dgate, n);
        store_part(up + i, dup, n);
        store_part(y + i, product, n);
      }
    }
  }
}

/* swigluBackward(y, x, rows, width) */
static void swiglu_backward(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1)};
  l.y = array_at(args, 0, times(l.rows, l.width));
  l.out = array_at(args, 1, times(times(l.rows, 2), l.width));
  if (!args->error) pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), swiglu_backward_task, &l);
}

static int ids_fit(const int32_t *ids, int64_t n, int64_t rows) {
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= rows) return 0;
  return 1;
}

static void gather_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK);
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++)
    memcpy(l->y + r * l->width, l->x + l->ids[r] * l->width, (size_t)l->width * sizeof(float));
}

/* gather(y, table, ids, rows, width, tableRows): y[r] = table[ids[r]] */
static void gather(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1), .vocabulary = size_at(args, 2)};
  l.y = array_at(args, 0, times(l.rows, l.width));
  l.x = array_at(args, 1, times(l.vocabulary, l.width));
  l.ids = integers_at(args, 2, l.rows);
  if (!args->error && !ids_fit(l.ids, l.rows, l.vocabulary)) args->error = "a row is outside the table";
  if (!args->error) pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), gather_task, &l);
}

/* One task a run of columns: every row of the table gets its terms in the order of x. */
static void scatter_add_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t from = (int64_t)task * COLUMNS_A_TASK, to = smaller(l->width, from + COLUMNS_A_TASK);
  for (int64_t r = 0; r < l->rows; r++) {
    float *y = l->y + l->ids[r] * l->width;
    const float *x = l->x + r * l->width;
    for (int64_t i = from; i < to; i++) y[i] += x[i];
  }
}

/* scatterAdd(table, x, ids, rows, width, tableRows): table[ids[r]] += x[r] */
static void scatter_add(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1), .vocabulary = size_at(args, 2)};
  l.y = array_at(args, 0, times(l.vocabulary, l.width));
  l.x = array_at(args, 1, times(l.rows, l.width));
  l.ids = integers_at(args, 2, l.rows);
  if (!args->error && !ids_fit(l.ids, l.rows, l.vocabulary)) args->error = "a row is outside the table";
  if (!args->error) pool_run(args->pool, tasks_of(l.width, COLUMNS_A_TASK), scatter_add_task, &l);
}

static void add_bias_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t to = smaller(l->rows, (int64_t)(task + 1) * ROWS_A_TASK);
  for (int64_t r = (int64_t)task * ROWS_A_TASK; r < to; r++)
    for (int64_t i = 0; i < l->width; i++) l->y[r * l->stride + i] += l->x[i];
}

/* addBias(y, bias, rows, width, stride) */
static void add_bias(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1), .stride = size_at(args, 2)};
  l.y = array_at(args, 0, span(l.rows, l.stride, l.width));
  l.x = array_at(args, 1, l.width);
  if (!args->error) pool_run(args->pool, tasks_of(l.rows, ROWS_A_TASK), add_bias_task, &l);
}

static void sum_rows_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t from = (int64_t)task * COLUMNS_A_TASK, to = smaller(l->width, from + COLUMNS_A_TASK);
  for (int64_t r = 0; r < l->rows; r++)
    for (int64_t i = from; i < to; i++) l->y[i] += l->x[r * l->stride + i];
}

/* sumRows(sum, x, rows, width, stride): the gradient of a bias */
static void sum_rows(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1), .stride = size_at(args, 2)};
  l.y = array_at(args, 0, l.width);
  l.x = array_at(args, 1, span(l.rows, l.stride, l.width));
  if (!args->error) pool_run(args->pool, tasks_of(l.width, COLUMNS_A_TASK), sum_rows_task, &l);
}

/* log-sum-exp of a row and, where asked for, the gradient of weight · nll in its place. */
static void cross_entropy_task(void *context, int task, int thread) {
  (void)thread;
  const Layer *l = context;
  int64_t r = task, width = l->width;
  float *row = l->out + r * width;
  int32_t target = l->ids[r];
  int64_t i = 0;
  float max = row_max(row, width);
  Lanes sum = splat(0);
  float at_target = row[target];
  for (i = 0; i < width; i += 16) {
    int n = (int)smaller(16, width - i);
    Lanes e = exp16((n == 16 ? load(row + i) : load_part(row + i, n, -1e30f)) - splat(max));
    sum += e;
    if (l->gain) {
      if (n == 16) store(row + i, e);
      else store_part(row + i, e, n);
    }
  }
  float total = fold_sum(sum);
  l->y[r] = log1(total) + (max - at_target);
  if (!l->gain) return;
  float weight = l->gain[r], scale = weight / total;
  for (i = 0; i < width; i++) row[i] *= scale;
  row[target] -= weight;
}

/* crossEntropy(nll, logits, targets, weights | null, rows, width): logits become gradients where there are weights */
static void cross_entropy(Args *args) {
  Layer l = {.rows = size_at(args, 0), .width = size_at(args, 1)};
  l.y = array_at(args, 0, l.rows);
  l.out = array_at(args, 1, times(l.rows, l.width));
  l.ids = integers_at(args, 2, l.rows);
  l.gain = maybe_array_at(args, 3, l.rows);
  if (!args->error && !ids_fit(l.ids, l.rows, l.width)) args->error = "a target is outside the vocabulary";
  if (!args->error) pool_run(args->pool, (int)l.rows, cross_entropy_task, &l);
}
