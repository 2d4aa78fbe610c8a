/* AdamW, the norm of a gradient, and sums of vectors. */
#include "kernel.h"

enum { ELEMENTS_A_TASK = 1 << 15 };

typedef struct {
  int64_t count;
  float *w, *m, *v, *direction;
  const float *g;
  double *partial;
  float grad_scale, beta1, rest1, beta2, rest2, epsilon, keep, step_size, correction2;
} Update;

/*
 * Loshchilov & Hutter 2019, Alg. 2, over parameters that share their decay: g = gradScale · gradient;
 * m = beta1 m + rest1 g; v = beta2 v + rest2 g²; w = keep w - stepSize m / (sqrt(v correction2) + epsilon).
 */
static void adamw_task(void *context, int task, int thread) {
  (void)thread;
  const Update *u = context;
  int64_t from = (int64_t)task * ELEMENTS_A_TASK, to = smaller(u->count, from + ELEMENTS_A_TASK);
  float *restrict w = u->w, *restrict m = u->m, *restrict v = u->v;
  const float *restrict g = u->g;
  const float grad_scale = u->grad_scale, beta1 = u->beta1, rest1 = u->rest1, beta2 = u->beta2, rest2 = u->rest2;
  const float epsilon = u->epsilon, keep = u->keep, step_size = u->step_size, correction2 = u->correction2;
#pragma clang loop vectorize(enable)
  for (int64_t i = from; i < to; i++) {
    float gradient = g[i] * grad_scale;
    float first = beta1 * m[i] + rest1 * gradient;
    float second = beta2 * v[i] + rest2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    w[i] = keep * w[i] - step_size * first / (__builtin_sqrtf(second * correction2) + epsilon);
  }
}

/* adamw(weights, gradient, m, v, count, gradScale, beta1, rest1, beta2, rest2, epsilon, keep, stepSize, correction2) */
static void adamw(Args *args) {
  Update u = {.count = size_at(args, 0), .grad_scale = number_at(args, 1), .beta1 = number_at(args, 2),
              .rest1 = number_at(args, 3), .beta2 = number_at(args, 4), .rest2 = number_at(args, 5),
              .epsilon = number_at(args, 6), .keep = number_at(args, 7), .step_size = number_at(args, 8),
              .correction2 = number_at(args, 9)};
  u.w = array_at(args, 0, u.count);
  u.g = array_at(args, 1, u.count);
  u.m = array_at(args, 2, u.count);
  u.v = array_at(args, 3, u.count);
  if (!args->error)
    pool_run(args->pool, (int)((u.count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK), adamw_task, &u);
}

/*
 * SOAP's moments of a gradient in its rotated basis (Vyas et al. 2024, Alg. 3): m and v as above; g becomes the direction
 * m / (sqrt(v) + epsilon), and w its decayed self, keep w.
 */
static void soap_task(void *context, int task, int thread) {
  (void)thread;
  const Update *u = context;
  int64_t from = (int64_t)task * ELEMENTS_A_TASK, to = smaller(u->count, from + ELEMENTS_A_TASK);
  float *restrict w = u->w, *restrict m = u->m, *restrict v = u->v, *restrict g = u->direction;
  const float grad_scale = u->grad_scale, beta1 = u->beta1, rest1 = u->rest1, beta2 = u->beta2, rest2 = u->rest2;
  const float epsilon = u->epsilon, keep = u->keep;
#pragma clang loop vectorize(enable)
  for (int64_t i = from; i < to; i++) {
    float gradient = g[i] * grad_scale;
    float first = beta1 * m[i] + rest1 * gradient;
    float second = beta2 * v[i] + rest2 * (gradient * gradient);
    m[i] = first;
    v[i] = second;
    w[i] = keep * w[i];
    g[i] = first / (__builtin_sqrtf(second) + epsilon);
  }
}

/* soapMoments(weights, gradient, m, v, count, gradScale, beta1, rest1, beta2, rest2, epsilon, keep) */
static void soap_moments(Args *args) {
  Update u = {.count = size_at(args, 0), .grad_scale = number_at(args, 1), .beta1 = number_at(args, 2),
              .rest1 = number_at(args, 3), .beta2 = number_at(args, 4), .rest2 = number_at(args, 5),
              .epsilon = number_at(args, 6), .keep = number_at(args, 7)};
  u.w = array_at(args, 0, u.count);
  u.direction = array_at(args, 1, u.count);
  u.m = array_at(args, 2, u.count);
  u.v = array_at(args, 3, u.count);
  if (!args->error)
    pool_run(args->pool, (int)((u.count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK), soap_task, &u);
}

/* Eight sums in float64, folded in order. */
INLINE double squares(const float *x, int64_t n) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
  for (; i < n; i++) sums[0] += (double)x[i] * (double)x[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static void sum_of_squares_task(void *context, int task, int thread) {
  (void)thread;
  const Update *u = context;
  int64_t from = (int64_t)task * ELEMENTS_A_TASK, to = smaller(u->count, from + ELEMENTS_A_TASK);
  u->partial[task] = squares(u->g + from, to - from);
}

/* sumOfSquares(x, count): float64 */
static void sum_of_squares(Args *args) {
  Update u = {.count = size_at(args, 0)};
  u.g = array_at(args, 0, u.count);
  if (args->error) return;
  int tasks = (int)((u.count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK);
  u.partial = (double *)pool_shared(args->pool, 2 * (size_t)tasks);
  if (u.partial == NULL) {
    pool_fail(args->pool);
    return;
  }
  pool_run(args->pool, tasks, sum_of_squares_task, &u);
  for (int i = 0; i < tasks; i++) args->result += u.partial[i];
}

static void scale_task(void *context, int task, int thread) {
  (void)thread;
  const Update *u = context;
  int64_t from = (int64_t)task * ELEMENTS_A_TASK, to = smaller(u->count, from + ELEMENTS_A_TASK);
  for (int64_t i = from; i < to; i++) u->w[i] *= u->grad_scale;
}

/* scale(x, count, factor): x *= factor */
static void scale(Args *args) {
  Update u = {.count = size_at(args, 0), .grad_scale = number_at(args, 1)};
  u.w = array_at(args, 0, u.count);
  if (!args->error) pool_run(args->pool, (int)((u.count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK), scale_task, &u);
}

static void copy_task(void *context, int task, int thread) {
  (void)thread;
  const Update *u = context;
  int64_t from = (int64_t)task * ELEMENTS_A_TASK, to = smaller(u->count, from + ELEMENTS_A_TASK);
  memcpy(u->w + from, u->g + from, (size_t)(to - from) * sizeof(float));
}

/* copy(x, y, count): x = y */
static void copy(Args *args) {
  Update u = {.count = size_at(args, 0)};
  u.w = array_at(args, 0, u.count);
  u.g = array_at(args, 1, u.count);
  if (!args->error) pool_run(args->pool, (int)((u.count + ELEMENTS_A_TASK - 1) / ELEMENTS_A_TASK), copy_task, &u);
}

/* fmaPeak(rounds): floating-point operations of this thread, 24 a lane and round, as fast as it can issue them */
static void fma_peak(Args *args) {
  int64_t rounds = size_at(args, 0);
  if (args->error) return;
  Lanes x[12];
  for (int i = 0; i < 12; i++) x[i] = splat((float)i);
  Lanes scale = splat(0.999f + (float)args->numbers[0] * 1e-20f), add = splat(0.001f);
  for (int64_t r = 0; r < rounds; r++)
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; i++) x[i] = fma16(x[i], scale, add);
  float sum = 0;
  for (int i = 0; i < 12; i++) sum += fold_sum(x[i]);
  args->result = (double)rounds * 12 * 32 + (sum == 12345.0f ? 1 : 0);
}
