/**
 * Keeps threads from being ended inside ONNX Runtime: a call that returns to a thread which is being ended throws where
 * nobody can catch it, and the whole process aborts. Threads announce their calls; who ends them parks them first.
 */

/** Posted to the guarded threads. */
export type GuardState = SharedArrayBuffer

const CALLS = 0
const PARKED = 1
/** A call longer than this is not waited for at exit; nothing that we train on a CPU comes near. */
const EXIT_TIMEOUT_MS = 20_000
const POLL_MS = 5

/** In a guarded thread: runs one native call. After a park it never returns. */
export async function guarded<T>(state: GuardState, call: () => Promise<T>): Promise<T> {
  const ints = new Int32Array(state)
  Atomics.add(ints, CALLS, 1)
  try {
    // Checked after the announcement: either we see the park, or who parks sees us.
    if (Atomics.load(ints, PARKED) === 0) return await call()
    throw new Error('this thread is about to end')
  } finally {
    Atomics.sub(ints, CALLS, 1)
    Atomics.notify(ints, CALLS)
    // Sleeps until the thread is ended: that is safe here.
    if (Atomics.load(ints, PARKED) !== 0) Atomics.wait(ints, PARKED, 1)
  }
}

/** In the thread that owns guarded threads. Also guards against process.exit while it is open. */
export class NativeGuard {
  readonly state: GuardState = new SharedArrayBuffer(8)
  private readonly ints = new Int32Array(this.state)
  private readonly onExit = (): void => this.parkNow()

  constructor() {
    process.on('exit', this.onExit)
  }

  /** Resolves when no guarded thread is in a native call and none will enter one: they can be terminated. */
  async park(): Promise<void> {
    Atomics.store(this.ints, PARKED, 1)
    while (Atomics.load(this.ints, CALLS) > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    process.off('exit', this.onExit)
  }

  /** The same in a process that is exiting, where nothing asynchronous runs any more. */
  private parkNow(): void {
    Atomics.store(this.ints, PARKED, 1)
    const deadline = performance.now() + EXIT_TIMEOUT_MS
    for (;;) {
      const calls = Atomics.load(this.ints, CALLS)
      const left = deadline - performance.now()
      if (calls === 0 || left <= 0) return
      Atomics.wait(this.ints, CALLS, calls, left)
    }
  }
}
