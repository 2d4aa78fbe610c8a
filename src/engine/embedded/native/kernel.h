/* What every kernel sees: its arguments, checked; sixteen lanes; and the rule that makes results the same everywhere. */
#pragma once
#include "pool.h"
#include <stdint.h>
#include <string.h>

/*
 * The rule: each element of a result is computed by one task, as one chain of operations in a fixed order. Sums along a row
 * use sixteen lanes (element i goes to lane i mod 16) that are folded in halves; multiply-add is fused only where `fma` is
 * written (the files are compiled with -ffp-contract=off). So a result has the same bits with any number of threads and any
 * vector width.
 */

enum { MAX_POINTERS = 16, MAX_NUMBERS = 24 };

/* Arguments of a call from JavaScript: typed arrays and numbers, each in the order given. */
typedef struct {
  void *pointers[MAX_POINTERS];
  size_t lengths[MAX_POINTERS];
  /* Of 32-bit integers; else of floats. */
  unsigned char integers[MAX_POINTERS];
  double numbers[MAX_NUMBERS];
  int pointer_count;
  int number_count;
  Pool *pool;
  /* What the kernel gives back to JavaScript. */
  double result;
  /* Static text if an argument does not fit (nothing has been written then), or there is no result. */
  const char *error;
} Args;

typedef struct {
  const char *name;
  void (*run)(Args *args);
} Kernel;

typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t IntLanes __attribute__((vector_size(64), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))

INLINE Lanes load(const float *p) { return *(const Lanes *)p; }
INLINE void store(float *p, Lanes x) { *(Lanes *)p = x; }
INLINE Lanes splat(float x) { return (Lanes){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE Lanes fma16(Lanes a, Lanes b, Lanes c) { return __builtin_elementwise_fma(a, b, c); }
INLINE Lanes max16(Lanes a, Lanes b) {
  IntLanes larger = a > b;
  return (Lanes)((larger & (IntLanes)a) | (~larger & (IntLanes)b));
}

/* Lanes i + width, for the fold below; what comes from beyond the end is not used. */
#define UPPER8(x) __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
#define UPPER4(x) __builtin_shufflevector(x, x, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7)
#define UPPER2(x) __builtin_shufflevector(x, x, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3)
#define UPPER1(x) __builtin_shufflevector(x, x, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)

/* Folds sixteen lanes in halves: 8, 4, 2, 1. */
INLINE float fold_sum(Lanes x) {
  x += UPPER8(x);
  x += UPPER4(x);
  x += UPPER2(x);
  x += UPPER1(x);
  return x[0];
}
INLINE float fold_max(Lanes x) {
  x = max16(x, UPPER8(x));
  x = max16(x, UPPER4(x));
  x = max16(x, UPPER2(x));
  x = max16(x, UPPER1(x));
  return x[0];
}

/* The last n < 16 elements of a row; the other lanes are `rest`. */
INLINE Lanes load_part(const float *p, int n, float rest) {
  Lanes x = splat(rest);
  memcpy(&x, p, (size_t)n * sizeof(float));
  return x;
}
/* The first n lanes of x, then `rest`: for rows that may be read past their end. */
INLINE Lanes first_lanes(Lanes x, int64_t n, float rest) {
  IntLanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, limit = lane - lane + (int32_t)n;
  IntLanes kept = lane < limit;
  return (Lanes)((kept & (IntLanes)x) | (~kept & (IntLanes)splat(rest)));
}
INLINE void store_part(float *p, Lanes x, int n) { memcpy(p, &x, (size_t)n * sizeof(float)); }

/* e^x to 2 ulp; 0 below -87, e^88 above 88. Cody-Waite reduction, polynomial of degree 6 on [-ln2/2, ln2/2]. */
INLINE Lanes exp16(Lanes x) {
  IntLanes visible = x > splat(-87.0f);
  x = -max16(-max16(x, splat(-87.0f)), splat(-88.0f));
  Lanes rounder = splat(12582912.0f);
  Lanes n = fma16(x, splat(1.44269504f), rounder) - rounder;
  Lanes r = fma16(n, splat(-0.693145752f), x);
  r = fma16(n, splat(-1.42860677e-6f), r);
  Lanes p = splat(1.0f / 720);
  p = fma16(p, r, splat(1.0f / 120));
  p = fma16(p, r, splat(1.0f / 24));
  p = fma16(p, r, splat(1.0f / 6));
  p = fma16(p, r, splat(0.5f));
  p = fma16(p, r, splat(1.0f));
  p = fma16(p, r, splat(1.0f));
  IntLanes power = __builtin_convertvector(n, IntLanes) << 23;
  return (Lanes)(((IntLanes)p + power) & visible);
}

/* Natural logarithm of positive normal numbers, to 2 ulp (Cephes, logf: the significand to [1/sqrt2, sqrt2], degree 9). */
INLINE Lanes log16(Lanes x) {
  IntLanes bits = (IntLanes)x - 0x3f3504f3;
  Lanes e = __builtin_convertvector(bits >> 23, Lanes);
  Lanes r = (Lanes)((bits & 0x7fffff) + 0x3f3504f3) - splat(1.0f), z = r * r;
  Lanes p = splat(7.0376836292e-2f);
  p = fma16(p, r, splat(-1.1514610310e-1f));
  p = fma16(p, r, splat(1.1676998740e-1f));
  p = fma16(p, r, splat(-1.2420140846e-1f));
  p = fma16(p, r, splat(1.4249322787e-1f));
  p = fma16(p, r, splat(-1.6668057665e-1f));
  p = fma16(p, r, splat(2.0000714765e-1f));
  p = fma16(p, r, splat(-2.4999993993e-1f));
  p = fma16(p, r, splat(3.3333331174e-1f));
  Lanes y = fma16(e, splat(-2.12194440e-4f), p * r * z);
  return fma16(e, splat(0.693359375f), r + fma16(z, splat(-0.5f), y));
}
/* The same of one number. */
INLINE float log1(float x) { return log16(splat(x))[0]; }

/* Argument i as a whole number >= 0. */
INLINE int64_t size_at(Args *args, int i) {
  double x = i < args->number_count ? args->numbers[i] : -1;
  if (x >= 0 && x <= 9007199254740991.0 && x == (double)(int64_t)x) return (int64_t)x;
  args->error = "a size is not a whole number";
  return 0;
}
INLINE float number_at(Args *args, int i) {
  if (i >= args->number_count) args->error = "a number is missing";
  return i < args->number_count ? (float)args->numbers[i] : 0;
}
/* Products and sums of sizes: what would not fit is larger than any array. */
INLINE int64_t times(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
INLINE int64_t plus(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

INLINE void *elements_at(Args *args, int i, int64_t elements, int integers) {
  if (i >= args->pointer_count || args->pointers[i] == NULL) args->error = "an array is missing";
  else if (args->integers[i] != integers) args->error = integers ? "an array is not of integers" : "an array is not of floats";
  else if (args->lengths[i] < (size_t)elements) args->error = "an array is too short";
  return i < args->pointer_count ? args->pointers[i] : NULL;
}
/* Array i of floats, which must have `elements` elements or more. */
INLINE float *array_at(Args *args, int i, int64_t elements) { return elements_at(args, i, elements, 0); }
/* The same of integers. */
INLINE int32_t *integers_at(Args *args, int i, int64_t elements) { return elements_at(args, i, elements, 1); }
/* The same as array_at, or NULL where null was given. */
INLINE float *maybe_array_at(Args *args, int i, int64_t elements) {
  return i < args->pointer_count && args->pointers[i] == NULL ? NULL : array_at(args, i, elements);
}
/* Elements that a matrix of `rows` rows `stride` apart spans. */
INLINE int64_t span(int64_t rows, int64_t stride, int64_t width) {
  return rows == 0 ? 0 : plus(times(rows - 1, stride), width);
}

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* The largest of a row of one element or more; numbers that are none are passed over, except the first. */
INLINE float row_max(const float *row, int64_t n) {
  Lanes most = splat(row[0]);
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) most = max16(load(row + j), most);
  if (j < n) most = max16(load_part(row + j, (int)(n - j), row[0]), most);
  return fold_max(most);
}
