/** What the processor computes at most: fused multiply-adds in registers, on every thread at once: `npm run bench:peak`. */
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { loadKernels } from '../src/engine/embedded/kernels.ts'
import { benchOptions, printMachine, spread } from './sides.ts'

const SECONDS = 0.5
const REPEATS = 8
const ROUNDS = 1 << 20

/** FLOP/s of `threads` threads that start together: the best of several half seconds, since anything else only slows it. */
export async function measurePeak(threads: number): Promise<number> {
  return Math.max(...(await peaks(threads)))
}

async function peaks(threads: number): Promise<number[]> {
  const arrived = new Int32Array(new SharedArrayBuffer(4 * REPEATS))
  const shares = await Promise.all(
    Array.from({ length: threads }, () => shareOfThread({ threads, arrived } satisfies Task)),
  )
  return Array.from({ length: REPEATS }, (_, i) => shares.reduce((sum, share) => sum + (share[i] ?? 0), 0))
}

interface Task {
  readonly threads: number
  /** [REPEATS] threads that are ready for the repeat. */
  readonly arrived: Int32Array
}

async function shareOfThread(task: Task): Promise<number[]> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: task })
  try {
    return await new Promise<number[]>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  } finally {
    await worker.terminate()
  }
}

/** FLOP/s of this thread in each repeat. */
function measure({ threads, arrived }: Task): number[] {
  const kernels = loadKernels()
  kernels.fmaPeak(ROUNDS)
  return Array.from({ length: REPEATS }, (_, repeat) => {
    Atomics.add(arrived, repeat, 1)
    while (Atomics.load(arrived, repeat) < threads) continue
    const start = performance.now()
    let done = 0
    while (performance.now() - start < 1000 * SECONDS) done += kernels.fmaPeak(ROUNDS)
    return (1000 * done) / (performance.now() - start)
  })
}

if (!isMainThread) parentPort?.postMessage(measure(workerData as Task), [])
else if (import.meta.main) {
  const { threads } = benchOptions({})
  printMachine(threads, 'Peak of fused multiply-adds')
  const alone = (await peaks(1)).map((flops) => flops / 1e9)
  const all = (await peaks(threads)).map((flops) => flops / 1e9)
  console.log(`      1 thread   ${spread(alone)} GFLOP/s\n      ${threads} threads  ${spread(all)} GFLOP/s`)
}
