/** The cores of this process, shared by everything that computes at the same time: trainings and sampling threads. */
import { availableParallelism } from 'node:os'

/** Plain data that is posted to threads. */
export interface Cores {
  readonly threads: number
  /** One integer: trainings and sampling threads that are computing now. */
  readonly busy: SharedArrayBuffer
}

/** `threads` changes speed, never a result. Default: the cores of this machine. */
export function createCores(threads = availableParallelism()): Cores {
  return { threads: Math.min(64, threads), busy: new SharedArrayBuffer(4) }
}

/** Begins and ends one computation. */
export const occupy = ({ busy }: Cores): void => void Atomics.add(new Int32Array(busy), 0, 1)
export const vacate = ({ busy }: Cores): void => void Atomics.sub(new Int32Array(busy), 0, 1)

/** Threads for each of those that compute now. */
export function fairShare({ threads, busy }: Cores): number {
  return Math.max(1, Math.floor(threads / Math.max(1, Atomics.load(new Int32Array(busy), 0))))
}
