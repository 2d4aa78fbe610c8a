/* A pool of threads that run one parallel loop at a time; the calling thread works too. */
#pragma once
#include <stddef.h>

typedef struct Pool Pool;

/* One task of a loop. `thread` is in [0, pool_threads): it names a scratch buffer, never a part of the result. */
typedef void (*Task)(void *context, int task, int thread);

/* NULL if the threads cannot be made. */
Pool *pool_open(int threads);
void pool_close(Pool *pool);
int pool_threads(const Pool *pool);

/* Runs task 0..tasks-1, in any order and on any thread; returns when all are done. */
void pool_run(Pool *pool, int tasks, Task run, void *context);

/* At least `floats` elements for this thread, 64-byte aligned, undefined contents; NULL when memory ran out. */
float *pool_scratch(Pool *pool, int thread, size_t floats);

/* The same, shared by all tasks of a loop; taken before it starts. */
float *pool_shared(Pool *pool, size_t floats);

/* Set by a task that could not get memory; read and cleared by the binding after each kernel. */
void pool_fail(Pool *pool);
int pool_take_failure(Pool *pool);
