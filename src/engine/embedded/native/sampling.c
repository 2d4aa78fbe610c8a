/* From logits to tokens and to log-probabilities: greedy and nucleus (top-p) sampling, a row a task. */
#include "kernel.h"

typedef struct {
  int64_t width;
  const float *logits, *inverse_temperatures, *top_ps;
  const int32_t *uniforms, *starts, *targets;
  int32_t *tokens;
  float *logprobs;
  /* Set by a row whose logits are not finite. */
  int *not_numbers;
  Pool *pool;
} Sampling;

INLINE Lanes lanes_at(const float *row, int64_t i, int64_t width, float rest) {
  return i + 16 <= width ? load(row + i) : load_part(row + i, (int)(width - i), rest);
}

/* Whether every element is a number, and finite: x - x is 0 then, else it is not a number, and neither is its sum. */
INLINE int is_finite(const float *row, int64_t width) {
  Lanes sum = splat(0);
  for (int64_t i = 0; i < width; i += 16) {
    Lanes x = lanes_at(row, i, width, 0);
    sum += x - x;
  }
  return fold_sum(sum) == 0;
}
static void refuse(const Sampling *s) { __atomic_store_n(s->not_numbers, 1, __ATOMIC_RELAXED); }

/* What both kernels end with: of such logits nothing can be said. */
static void run_rows(Args *args, int64_t rows, Task task, Sampling *s) {
  int not_numbers = 0;
  s->not_numbers = &not_numbers;
  pool_run(args->pool, (int)rows, task, s);
  if (not_numbers) args->error = "the model's logits are not numbers";
}

/* The first index of the largest value. */
static int32_t argmax(const float *row, int64_t width) {
  float max = row_max(row, width);
  for (int64_t i = 0; i < width; i++)
    if (row[i] == max) return (int32_t)i;
  return 0;
}

/* The first index at which the running sum exceeds `target`; never one of weight 0. Weights are padded with 0 to 16. */
static int32_t index_at(const float *weights, int64_t width, double target) {
  double running = 0;
  int32_t last = 0;
  for (int64_t i = 0; i < width; i += 16) {
    double next = running + (double)fold_sum(load(weights + i));
    if (next > target || i + 16 >= width) {
      for (int64_t j = i; j < smaller(width, i + 16); j++) {
        if (weights[j] == 0) continue;
        running += (double)weights[j];
        last = (int32_t)j;
        if (running > target) return last;
      }
    } else if (next > running) {
      for (int64_t j = i; j < i + 16; j++)
        if (weights[j] != 0) last = (int32_t)j;
    }
    running = next;
  }
  return last;
}

/* Whether token a is likelier than b; of equals the first. */
INLINE int before(const float *weights, int32_t a, int32_t b) {
  return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
}

static void sift_down(const float *weights, int32_t *heap, int64_t n, int64_t at) {
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(weights, heap[child + 1], heap[child])) child++;
    if (!before(weights, heap[child], heap[at])) return;
    int32_t token = heap[at];
    heap[at] = heap[child];
    heap[child] = token;
  }
}

/* A draw from the smallest set of likeliest tokens that has at least `top_p` of the total (Holtzman et al. 2020). */
static int32_t draw_from_nucleus(const float *weights, int64_t width, double total, double top_p, double uniform, int32_t *heap) {
  /* All tokens below this weight together hold less than 1 - top_p, so none of them is needed. */
  float floor = (float)((1 - top_p) * total / (double)width * 0.999);
  int64_t n = 0;
  for (int64_t i = 0; i < width; i++)
    if (weights[i] > 0 && weights[i] >= floor) heap[n++] = (int32_t)i;
  for (int64_t i = n / 2 - 1; i >= 0; i--) sift_down(weights, heap, n, i);
  double inside = 0;
  int64_t left = n;
  /* The likeliest of what is left goes behind the heap. */
  while (left > 0 && (left == n || inside < top_p * total)) {
    int32_t token = heap[0];
    inside += (double)weights[token];
    heap[0] = heap[--left];
    heap[left] = token;
    sift_down(weights, heap, left, 0);
  }
  double running = 0;
  for (int64_t i = n - 1; i > left; i--) {
    running += (double)weights[heap[i]];
    if (running > uniform * inside) return heap[i];
  }
  return n > 0 ? heap[left] : 0;
}

static void sample_task(void *context, int task, int thread) {
  const Sampling *s = context;
  const float *row = s->logits + task * s->width;
  if (!is_finite(row, s->width)) {
    refuse(s);
    return;
  }
  float inverse_temperature = s->inverse_temperatures[task];
  if (inverse_temperature == 0) {
    s->tokens[task] = argmax(row, s->width);
    return;
  }
  int64_t padded = round_up(s->width, 16);
  float *weights = pool_scratch(s->pool, thread, (size_t)(2 * padded));
  if (weights == NULL) {
    pool_fail(s->pool);
    return;
  }
  float max = row_max(row, s->width);
  double total = 0, uniform;
  for (int64_t i = 0; i < padded; i += 16) {
    Lanes e = exp16((lanes_at(row, i, s->width, -1e30f) - splat(max)) * splat(inverse_temperature));
    store(weights + i, e);
    total += (double)fold_sum(e);
  }
  memcpy(&uniform, s->uniforms + 2 * task, sizeof uniform);
  double top_p = (double)s->top_ps[task];
  s->tokens[task] = top_p >= 1 ? index_at(weights, s->width, uniform * total)
                               : draw_from_nucleus(weights, s->width, total, top_p, uniform, (int32_t *)(weights + padded));
}

/*
 * sampleTokens(tokens, logits, inverseTemperatures, topPs, uniforms, rows, width): inverse temperature 0 is greedy; a uniform
 * number in [0, 1) is a double, two elements of the array
 */
static void sample_tokens(Args *args) {
  int64_t rows = size_at(args, 0);
  Sampling s = {.width = size_at(args, 1), .pool = args->pool};
  s.tokens = integers_at(args, 0, rows);
  s.logits = array_at(args, 1, times(rows, s.width));
  s.inverse_temperatures = array_at(args, 2, rows);
  s.top_ps = array_at(args, 3, rows);
  s.uniforms = integers_at(args, 4, times(2, rows));
  if (!args->error && s.width == 0) args->error = "there is no token to choose";
  if (!args->error) run_rows(args, rows, sample_task, &s);
}

static void logprobs_task(void *context, int task, int thread) {
  (void)thread;
  const Sampling *s = context;
  const float *row = s->logits + task * s->width;
  if (!is_finite(row, s->width)) {
    refuse(s);
    return;
  }
  float max = row_max(row, s->width);
  Lanes sum = splat(0);
  for (int64_t i = 0; i < s->width; i += 16) sum += exp16(lanes_at(row, i, s->width, -1e30f) - splat(max));
  double log_sum = (double)log1(fold_sum(sum)) + (double)max;
  for (int32_t t = s->starts[task]; t < s->starts[task + 1]; t++)
    s->logprobs[t] = (float)((double)row[s->targets[t]] - log_sum);
}

/* logprobs(y, logits, starts, tokens, rows, width): of tokens [starts[r], starts[r + 1]) after row r, in nats */
static void logprobs(Args *args) {
  int64_t rows = size_at(args, 0);
  Sampling s = {.width = size_at(args, 1)};
  s.logits = array_at(args, 1, times(rows, s.width));
  s.starts = integers_at(args, 2, rows + 1);
  if (!args->error && s.width == 0) args->error = "there is no token to score";
  if (args->error) return;
  for (int64_t r = 0; r < rows; r++)
    if (s.starts[r] < 0 || s.starts[r + 1] < s.starts[r]) args->error = "the tokens of rows do not follow each other";
  int64_t count = s.starts[rows];
  s.logprobs = array_at(args, 0, count);
  s.targets = integers_at(args, 3, count);
  if (!args->error && !ids_fit(s.targets, count, s.width)) args->error = "a token is outside the vocabulary";
  if (!args->error) run_rows(args, rows, logprobs_task, &s);
}
