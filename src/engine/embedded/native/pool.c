/* Thread pool: workers spin for a moment between loops, since the next one is usually microseconds away, then sleep. */
#include "pool.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { SPINS = 4000, MAX_THREADS = 64 };

typedef struct {
  void *block;
  float *data;
  size_t floats;
} Scratch;

typedef struct {
  Pool *pool;
  int thread;
} Seat;

struct Pool {
  int threads;
  pthread_t handles[MAX_THREADS];
  Seat seats[MAX_THREADS];
  Scratch scratch[MAX_THREADS];
  Scratch shared;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  /* Raised for every loop and at the end: what sleeping workers wait for. */
  atomic_uint generation;
  /* Tasks of the loop in the high half, the next one to take in the low half: one read tells whether there is work. */
  _Atomic uint64_t ticket;
  atomic_int done;
  atomic_int sleepers;
  atomic_int failed;
  int closing;
  Task run;
  void *context;
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* `run` and `context` are read only with a task in hand: the loop cannot end, and they cannot change, before it is done. */
static void work(Pool *pool, int thread) {
  for (;;) {
    uint64_t ticket = atomic_fetch_add(&pool->ticket, 1);
    uint32_t task = (uint32_t)ticket;
    if (task >= (uint32_t)(ticket >> 32)) return;
    pool->run(pool->context, (int)task, thread);
    atomic_fetch_add_explicit(&pool->done, 1, memory_order_release);
  }
}

static void *worker(void *argument) {
  Seat *seat = argument;
  Pool *pool = seat->pool;
  unsigned seen = 0;
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen && spins++ < SPINS) relax();
    if (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen) {
      pthread_mutex_lock(&pool->mutex);
      atomic_fetch_add(&pool->sleepers, 1);
      while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
      atomic_fetch_sub(&pool->sleepers, 1);
      pthread_mutex_unlock(&pool->mutex);
    }
    seen = atomic_load_explicit(&pool->generation, memory_order_acquire);
    if (pool->closing) return NULL;
    work(pool, seat->thread);
  }
}

static void announce(Pool *pool) {
  atomic_fetch_add(&pool->generation, 1);
  if (atomic_load(&pool->sleepers) > 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
  }
}

Pool *pool_open(int threads) {
  if (threads < 1 || threads > MAX_THREADS) return NULL;
  Pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->threads = 1;
  for (int t = 1; t < threads; t++) {
    pool->seats[t] = (Seat){pool, t};
    if (pthread_create(&pool->handles[t], NULL, worker, &pool->seats[t]) != 0) {
      pool_close(pool);
      return NULL;
    }
    pool->threads++;
  }
  return pool;
}

void pool_close(Pool *pool) {
  pool->closing = 1;
  announce(pool);
  for (int t = 1; t < pool->threads; t++) pthread_join(pool->handles[t], NULL);
  for (int t = 0; t < pool->threads; t++) free(pool->scratch[t].block);
  free(pool->shared.block);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

int pool_threads(const Pool *pool) { return pool->threads; }

void pool_run(Pool *pool, int tasks, Task run, void *context) {
  if (pool->threads == 1 || tasks == 1) {
    for (int task = 0; task < tasks; task++) run(context, task, 0);
    return;
  }
  pool->run = run;
  pool->context = context;
  atomic_store(&pool->done, 0);
  atomic_store(&pool->ticket, (uint64_t)tasks << 32);
  announce(pool);
  work(pool, 0);
  // Workers that come late find no task and are not waited for.
  while (atomic_load_explicit(&pool->done, memory_order_acquire) < tasks) relax();
}

static float *grow(Scratch *scratch, size_t floats) {
  if (scratch->data && scratch->floats >= floats) return scratch->data;
  free(scratch->block);
  scratch->data = NULL;
  scratch->block = malloc(floats * sizeof(float) + 64);
  if (scratch->block == NULL) return NULL;
  scratch->data = (float *)(((size_t)scratch->block + 63) & ~(size_t)63);
  scratch->floats = floats;
  return scratch->data;
}

float *pool_scratch(Pool *pool, int thread, size_t floats) { return grow(&pool->scratch[thread], floats); }

float *pool_shared(Pool *pool, size_t floats) { return grow(&pool->shared, floats); }

void pool_fail(Pool *pool) { atomic_store(&pool->failed, 1); }

int pool_take_failure(Pool *pool) { return atomic_exchange(&pool->failed, 0); }
