/*
 * Bases for SOAP: eigenvectors of symmetric matrices and orthonormal rows. A basis is stored with its vectors as rows; matrices
 * of one size lie behind each other.
 */
#include "kernel.h"
#include <stdlib.h>

/* Eight lanes of 64 bits: element i of a sum goes to lane i mod 8. */
typedef double Doubles __attribute__((vector_size(64), aligned(8), may_alias));

INLINE Doubles load8(const double *p) { return *(const Doubles *)p; }
INLINE void store8(double *p, Doubles x) { *(Doubles *)p = x; }
INLINE Doubles splat8(double x) { return (Doubles){x, x, x, x, x, x, x, x}; }
INLINE Doubles fma8(Doubles a, Doubles b, Doubles c) { return __builtin_elementwise_fma(a, b, c); }
INLINE double fold8(Doubles x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

/* Over [from, to), both multiples of 8. */
INLINE double dot8(const double *a, const double *b, int64_t from, int64_t to) {
  Doubles sum = splat8(0);
  for (int64_t j = from; j < to; j += 8) sum = fma8(load8(a + j), load8(b + j), sum);
  return fold8(sum);
}
/* y += scale x */
INLINE void axpy8(double *y, double scale, const double *x, int64_t from, int64_t to) {
  for (int64_t j = from; j < to; j += 8) store8(y + j, fma8(splat8(scale), load8(x + j), load8(y + j)));
}

/* The reflection I - tau v v^T, v[0] = 1, that sends a vector with this head and sum of squares of the rest to (beta, 0, 0 ...). */
typedef struct {
  double tau, beta, inverse; /* v[j] = inverse * x[j] for j > 0 */
} Reflection;

INLINE Reflection reflection(double head, double rest) {
  if (rest == 0) return (Reflection){0, head, 0};
  double beta = -__builtin_copysign(__builtin_sqrt(head * head + rest), head);
  return (Reflection){(beta - head) / beta, beta, 1 / (head - beta)};
}

/* A symmetric matrix of n rows, `stride` (a multiple of 8) apart and zero behind n; room for its reduction. */
typedef struct {
  int64_t n, stride;
  double *a, *diagonal, *off, *tau, *v, *p;
} Symmetric;

INLINE int64_t symmetric_doubles(int64_t n) { return round_up(n, 8) * (n + 5); }

INLINE Symmetric symmetric_in(double *room, int64_t n) {
  int64_t s = round_up(n, 8);
  double *row = room + n * s;
  return (Symmetric){n, s, room, row, row + s, row + 2 * s, row + 3 * s, row + 4 * s};
}

/* To tridiagonal form by reflections (Golub & Van Loan 2013, Alg. 8.3.1); row k keeps the k-th one behind its diagonal. */
static void tridiagonalise(Symmetric m) {
  for (int64_t k = 0; k + 2 < m.n; k++) {
    double *row = m.a + k * m.stride, *v = m.v, *p = m.p;
    int64_t from = (k + 1) / 8 * 8;
    for (int64_t j = from; j < m.stride; j++) v[j] = j > k ? row[j] : 0;
    double head = v[k + 1];
    v[k + 1] = 0;
    Reflection r = reflection(head, dot8(v, v, from, m.stride));
    m.diagonal[k] = row[k];
    m.off[k] = r.beta;
    m.tau[k] = r.tau;
    for (int64_t j = from; j < m.stride; j++) v[j] *= r.inverse;
    v[k + 1] = 1;
    for (int64_t j = k + 1; j < m.stride; j++) row[j] = v[j];
    if (r.tau == 0) continue;
    for (int64_t j = from; j < m.stride; j++)
      p[j] = j > k && j < m.n ? r.tau * dot8(m.a + j * m.stride, v, from, m.stride) : 0;
    axpy8(p, -0.5 * r.tau * dot8(p, v, from, m.stride), v, from, m.stride);
    for (int64_t i = k + 1; i < m.n; i++) {
      double *to = m.a + i * m.stride;
      Doubles vi = splat8(-v[i]), pi = splat8(-p[i]);
      for (int64_t j = from; j < m.stride; j += 8) store8(to + j, fma8(vi, load8(p + j), fma8(pi, load8(v + j), load8(to + j))));
    }
  }
  for (int64_t k = larger(0, m.n - 2); k < m.n; k++) {
    m.diagonal[k] = m.a[k * m.stride + k];
    m.off[k] = k + 1 < m.n ? m.a[k * m.stride + k + 1] : 0;
  }
}

/* The product of the reflections takes the place of the matrix, transposed: its rows rotate with the eigenvectors. */
static void form_rotation(Symmetric m) {
  for (int64_t k = m.n - 1; k >= 0; k--) {
    double *row = m.a + k * m.stride;
    if (k + 2 < m.n && m.tau[k] != 0) {
      int64_t from = (k + 1) / 8 * 8;
      for (int64_t j = from; j < m.stride; j++) m.v[j] = j > k ? row[j] : 0;
      for (int64_t i = k + 1; i < m.n; i++) {
        double *to = m.a + i * m.stride;
        axpy8(to, -m.tau[k] * dot8(to, m.v, from, m.stride), m.v, from, m.stride);
      }
    }
    for (int64_t j = 0; j < m.stride; j++) row[j] = j == k;
    for (int64_t i = k + 1; i < m.n; i++) m.a[i * m.stride + k] = 0;
  }
}

/* Columns [j, j + 8 * vectors) of rows i and i + 1 turn by (cosine[i], sine[i]), i = last - 1 down to first. */
INLINE void turn_columns(const int vectors, Symmetric m, int64_t j, int64_t first, int64_t last, const double *cosine,
                         const double *sine) {
  Doubles carried[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) carried[v] = load8(m.a + last * m.stride + j + 8 * v);
  for (int64_t i = last - 1; i >= first; i--) {
    Doubles c = splat8(cosine[i]), s = splat8(sine[i]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      Doubles x = load8(m.a + i * m.stride + j + 8 * v);
      store8(m.a + (i + 1) * m.stride + j + 8 * v, fma8(s, x, c * carried[v]));
      carried[v] = fma8(c, x, -(s * carried[v]));
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) store8(m.a + first * m.stride + j + 8 * v, carried[v]);
}
static void turn_rows(Symmetric m, int64_t first, int64_t last, const double *cosine, const double *sine) {
  int64_t j = 0;
  for (; j + 32 <= m.stride; j += 32) turn_columns(4, m, j, first, last, cosine, sine);
  for (; j < m.stride; j += 8) turn_columns(1, m, j, first, last, cosine, sine);
}

/* Implicit QL steps with Wilkinson's shift (Golub & Van Loan 2013, section 8.3). Returns 1 if they do not converge. */
static int diagonalise(Symmetric m) {
  enum { SWEEPS = 60 };
  const double unit = 0x1p-53;
  double *d = m.diagonal, *e = m.off, *cosine = m.v, *sine = m.p, norm = 0;
  for (int64_t i = 0; i < m.n; i++) {
    double size = __builtin_fabs(d[i]) + __builtin_fabs(e[i]);
    norm = size > norm ? size : norm;
  }
  for (int64_t first = 0; first < m.n; first++)
    for (int sweep = 0;; sweep++) {
      int64_t last = first;
      while (last + 1 < m.n && __builtin_fabs(e[last]) > unit * norm) last++;
      if (last == first) break;
      if (sweep == SWEEPS) return 1;
      double half = (d[first + 1] - d[first]) / (2 * e[first]);
      double shift = e[first] / (half + __builtin_copysign(__builtin_sqrt(half * half + 1), half));
      double g = d[last] - d[first] + shift, c = 1, s = 1, moved = 0;
      int64_t i = last - 1;
      for (; i >= first; i--) {
        double f = s * e[i], b = c * e[i], r = __builtin_sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
          /* The matrix falls apart here: what is left is taken up by the next sweep. */
          d[i + 1] -= moved;
          e[last] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - moved;
        double t = (d[i] - g) * s + 2 * c * b;
        moved = s * t;
        d[i + 1] = g + moved;
        g = c * t - b;
        cosine[i] = c;
        sine[i] = s;
      }
      turn_rows(m, i + 1, last, cosine, sine);
      if (i >= first) continue;
      d[first] -= moved;
      e[first] = g;
      e[last] = 0;
    }
  return 0;
}

typedef struct {
  const float *matrices;
  float *vectors;
  int64_t n;
  Pool *pool;
  /* One a matrix: whether it failed. */
  float *failed;
} Eigen;

static void eigen_task(void *context, int task, int thread) {
  const Eigen *g = context;
  int64_t n = g->n;
  double *room = (double *)pool_scratch(g->pool, thread, 2 * (size_t)symmetric_doubles(n));
  g->failed[task] = 1;
  if (room == NULL) {
    pool_fail(g->pool);
    return;
  }
  const float *from = g->matrices + task * n * n;
  Symmetric m = symmetric_in(room, n);
  double finite = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < m.stride; j++) {
      m.a[i * m.stride + j] = j < n ? 0.5 * ((double)from[i * n + j] + (double)from[j * n + i]) : 0;
      finite += 0 * m.a[i * m.stride + j];
    }
  if (finite != 0) return;
  tridiagonalise(m);
  form_rotation(m);
  if (diagonalise(m)) return;
  g->failed[task] = 0;
  /* Largest eigenvalue first; equal ones keep their order. */
  int64_t *order = (int64_t *)m.v;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i;
    for (; at > 0 && m.diagonal[order[at - 1]] < m.diagonal[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
  float *to = g->vectors + task * n * n;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) to[i * n + j] = (float)m.a[order[i] * m.stride + j];
}

/* eigenvectors(vectors, matrices, count, n): how many matrices failed (they are not finite) */
static void eigenvectors(Args *args) {
  int64_t count = size_at(args, 0), n = size_at(args, 1);
  Eigen g = {.n = n, .pool = args->pool};
  g.vectors = array_at(args, 0, times(times(count, n), n));
  g.matrices = array_at(args, 1, times(times(count, n), n));
  if (args->error) return;
  g.failed = pool_shared(args->pool, (size_t)count);
  if (g.failed == NULL) {
    pool_fail(args->pool);
    return;
  }
  pool_run(args->pool, (int)count, eigen_task, &g);
  for (int64_t i = 0; i < count; i++) args->result += g.failed[i];
}

INLINE void axpy16(float *y, float scale, const float *x, int64_t n) {
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) store(y + j, fma16(splat(scale), load(x + j), load(y + j)));
  if (j < n)
    store_part(y + j, fma16(splat(scale), load_part(x + j, (int)(n - j), 0), load_part(y + j, (int)(n - j), 0)), (int)(n - j));
}

enum { REFLECTIONS = 32, TOGETHER = 16 };

/* Reflections that are applied at once: rows [from, from + width) of each of some matrices. */
typedef struct {
  float *x;
  int64_t n, from, width;
  /* A matrix: v [width][n - from], y the same, triangle [block][REFLECTIONS][REFLECTIONS]. */
  float *v, *y, *triangle;
  int64_t panel_size, triangle_size;
} Blocks;

INLINE float *triangle_of(const Blocks *g, int task) {
  return g->triangle + task * g->triangle_size + g->from / REFLECTIONS * REFLECTIONS * REFLECTIONS;
}

/*
 * Householder's reflections of a block of rows (Golub & Van Loan 2013, section 5.2.3): their product is I - V^T T V. Leaves v
 * in the rows, and V and Y = T V for the rows that follow.
 */
static void reflect_task(void *context, int task, int thread) {
  (void)thread;
  const Blocks *g = context;
  int64_t n = g->n, length = n - g->from;
  float *rows = g->x + task * n * n + g->from * n + g->from;
  float *v = g->v + task * g->panel_size, *y = g->y + task * g->panel_size, *t = triangle_of(g, task);
  for (int64_t i = 0; i < g->width; i++) {
    float *row = rows + i * n, *own = v + i * length;
    Reflection r = reflection(row[i], squares(row + i + 1, length - i - 1));
    for (int64_t j = 0; j < i; j++) own[j] = 0;
    own[i] = 1;
    for (int64_t j = i + 1; j < length; j++) own[j] = (float)(row[j] * r.inverse);
    for (int64_t k = i + 1; k < g->width; k++) {
      float *other = rows + k * n;
      axpy16(other + i, (float)-r.tau * dot_row(other + i, own + i, length - i), own + i, length - i);
    }
    memcpy(row + i, own + i, (size_t)(length - i) * sizeof(float));
    float along[REFLECTIONS];
    for (int64_t k = 0; k < i; k++) along[k] = dot_row(v + k * length + i, own + i, length - i);
    for (int64_t k = 0; k < i; k++) {
      float sum = 0;
      for (int64_t l = k; l < i; l++) sum += t[k * REFLECTIONS + l] * along[l];
      t[k * REFLECTIONS + i] = (float)-r.tau * sum;
    }
    t[i * REFLECTIONS + i] = (float)r.tau;
  }
  memset(y, 0, (size_t)(g->width * length) * sizeof(float));
  for (int64_t i = 0; i < g->width; i++)
    for (int64_t k = i; k < g->width; k++) axpy16(y + i * length, t[i * REFLECTIONS + k], v + k * length, length);
}

/* The way back: V and Y = T^T V again, and rows of the identity in their place. */
static void unfold_task(void *context, int task, int thread) {
  (void)thread;
  const Blocks *g = context;
  int64_t n = g->n, length = n - g->from;
  float *rows = g->x + task * n * n + g->from * n + g->from;
  float *v = g->v + task * g->panel_size, *y = g->y + task * g->panel_size, *t = triangle_of(g, task);
  memset(v, 0, (size_t)(g->width * length) * sizeof(float));
  memset(y, 0, (size_t)(g->width * length) * sizeof(float));
  for (int64_t i = 0; i < g->width; i++) {
    memcpy(v + i * length + i, rows + i * n + i, (size_t)(length - i) * sizeof(float));
    for (int64_t k = 0; k <= i; k++) axpy16(y + i * length, t[k * REFLECTIONS + i], v + k * length, length);
  }
  for (int64_t i = 0; i < length; i++)
    for (int64_t j = 0; j < (i < g->width ? length : g->width); j++) rows[i * n + j] = i == j;
}

/* Rows [row, n) of every matrix, columns from `from` on: x -= (x V^T) Y. */
static void apply_blocks(Pool *pool, const Blocks *g, int count, int64_t row, float *beside) {
  int64_t n = g->n, length = n - g->from, rows = n - row;
  for (int task = 0; task < count; task++) {
    float *x = g->x + task * n * n + row * n + g->from;
    const float *v = g->v + task * g->panel_size, *y = g->y + task * g->panel_size;
    product(pool, rows, g->width, length, (Matrix){x, n, 1}, (Matrix){v, 1, length}, beside, g->width, 0, 1);
    product(pool, rows, length, g->width, (Matrix){beside, g->width, 1}, (Matrix){y, length, 1}, x, n, 1, -1);
  }
}

/*
 * orthonormalRows(x, count, n): row i of each matrix becomes the part of it that is at a right angle to the rows before it, of
 * length 1 and either sign (the Q of a QR decomposition, transposed). A row without such a part becomes any that fits.
 */
static void orthonormal_rows(Args *args) {
  int64_t count = size_at(args, 0), n = size_at(args, 1);
  float *x = array_at(args, 0, times(times(count, n), n));
  if (args->error || n == 0) return;
  int64_t blocks = (n + REFLECTIONS - 1) / REFLECTIONS, together = smaller(TOGETHER, count);
  Blocks g = {.n = n, .panel_size = REFLECTIONS * n, .triangle_size = blocks * REFLECTIONS * REFLECTIONS};
  float *room = malloc((size_t)(together * (2 * g.panel_size + g.triangle_size) + g.panel_size) * sizeof(float));
  if (room == NULL) {
    pool_fail(args->pool);
    return;
  }
  g.v = room;
  g.y = g.v + together * g.panel_size;
  g.triangle = g.y + together * g.panel_size;
  float *beside = g.triangle + together * g.triangle_size;
  for (int64_t first = 0; first < count; first += together) {
    int some = (int)smaller(together, count - first);
    g.x = x + first * n * n;
    for (int64_t block = 0; block < blocks; block++) {
      g.from = block * REFLECTIONS;
      g.width = smaller(REFLECTIONS, n - g.from);
      pool_run(args->pool, some, reflect_task, &g);
      apply_blocks(args->pool, &g, some, g.from + g.width, beside);
    }
    for (int64_t block = blocks - 1; block >= 0; block--) {
      g.from = block * REFLECTIONS;
      g.width = smaller(REFLECTIONS, n - g.from);
      pool_run(args->pool, some, unfold_task, &g);
      apply_blocks(args->pool, &g, some, g.from, beside);
    }
  }
  free(room);
}

typedef struct {
  float *y;
  const float *a, *b;
  const int32_t *order;
  int64_t rows, width, each;
  float scale;
} RowWork;

INLINE int64_t rows_a_task(int64_t width) { return larger(1, (1 << 15) / larger(1, width)); }

static void row_dots_task(void *context, int task, int thread) {
  (void)thread;
  const RowWork *g = context;
  for (int64_t r = task * g->each; r < smaller(g->rows, (task + 1) * g->each); r++)
    g->y[r] = dot_row(g->a + r * g->width, g->b + r * g->width, g->width);
}

/* rowDots(y, a, b, rows, width): y[r] = a[r] . b[r] */
static void row_dots(Args *args) {
  RowWork g = {.rows = size_at(args, 0), .width = size_at(args, 1)};
  g.y = array_at(args, 0, g.rows);
  g.a = array_at(args, 1, times(g.rows, g.width));
  g.b = array_at(args, 2, times(g.rows, g.width));
  g.each = rows_a_task(g.width);
  if (!args->error) pool_run(args->pool, (int)((g.rows + g.each - 1) / g.each), row_dots_task, &g);
}

static void take_columns_task(void *context, int task, int thread) {
  (void)thread;
  const RowWork *g = context;
  for (int64_t r = task * g->each; r < smaller(g->rows, (task + 1) * g->each); r++)
    for (int64_t j = 0; j < g->width; j++) g->y[r * g->width + j] = g->a[r * g->width + g->order[j]];
}

/* takeColumns(y, x, order, rows, width): y[r][j] = x[r][order[j]] */
static void take_columns(Args *args) {
  RowWork g = {.rows = size_at(args, 0), .width = size_at(args, 1)};
  g.y = array_at(args, 0, times(g.rows, g.width));
  g.a = array_at(args, 1, times(g.rows, g.width));
  g.order = integers_at(args, 2, g.width);
  g.each = rows_a_task(g.width);
  if (args->error) return;
  for (int64_t j = 0; j < g.width; j++)
    if (g.order[j] < 0 || g.order[j] >= g.width) args->error = "a column is out of range";
  if (!args->error) pool_run(args->pool, (int)((g.rows + g.each - 1) / g.each), take_columns_task, &g);
}
