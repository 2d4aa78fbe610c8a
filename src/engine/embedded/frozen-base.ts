/** Weights that no training changes: trainings of one process that stand on the same model share one copy of them. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { interrupted } from '../../errors.ts'
import { parameterCount } from '../../model/config.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import type { Kernels } from './kernels.ts'
import { readMergedWeights } from './merged-weights.ts'

/** A copy that crosses threads. */
export interface FrozenBase {
  readonly parts: ModelParts
  /** f32, flat, in the order of `parameterSpecs`. */
  readonly memory: SharedArrayBuffer
  /** One integer: EMPTY, THERE, or the thread that reads. */
  readonly state: SharedArrayBuffer
}

const EMPTY = 0
const THERE = -1
/** Threads count from 0. */
const readBy = (thread: number): number => thread + 1

/** The copies in use. */
export interface FrozenBases {
  /** The copy of a model as its files are now; nobody has read it yet if it is new. */
  take(parts: ModelParts): Promise<FrozenBase>
  /** To be called once for every copy taken; the last one lets its memory go. */
  release(base: FrozenBase): void
}

export function frozenBases(): FrozenBases {
  const used = new Map<string, { readonly base: FrozenBase; users: number }>()
  return {
    take: async (parts) => {
      const key = JSON.stringify([
        parts.config,
        await Promise.all([parts.base, ...parts.adapters].map(stamp)),
      ])
      const known = used.get(key) ?? { base: emptyBase(parts), users: 0 }
      known.users++
      used.set(key, known)
      return known.base
    },
    release: (base) => {
      for (const [key, entry] of used) {
        if (entry.base === base && --entry.users === 0) used.delete(key)
      }
    },
  }
}

function emptyBase(parts: ModelParts): FrozenBase {
  const memory = new SharedArrayBuffer(4 * parameterCount(parts.config))
  return { parts, memory, state: new SharedArrayBuffer(4) }
}

/** Names, sizes and times of the files that decide a folder's weights: a copy of other files is not shared. */
async function stamp(folder: string): Promise<readonly (string | number)[]> {
  const names = (await readdir(folder)).filter((name) => /\.(json|safetensors)$/.test(name)).sort()
  const found = await Promise.all(names.map((name) => stat(join(folder, name))))
  return [folder, ...found.flatMap(({ ino, size, mtimeMs }, i) => [names[i] ?? '', ino, size, mtimeMs])]
}

/** How long a thread waits before it looks whether it is to go on waiting. */
const waitMs = 1000

/**
 * The weights: the first thread that asks reads them, others wait. To be called in threads only. Throws BAD_MODEL, or INTERRUPTED
 * once `cancelled` while another thread reads.
 */
export async function frozenWeights(
  k: Kernels,
  { parts, memory, state }: FrozenBase,
  cancelled: () => boolean = () => false,
): Promise<Float32Array> {
  const flag = new Int32Array(state)
  const weights = new Float32Array(memory)
  for (;;) {
    const before = Atomics.compareExchange(flag, 0, EMPTY, readBy(threadId))
    if (before === THERE) return weights
    if (before !== EMPTY) {
      if (cancelled()) throw interrupted()
      Atomics.wait(flag, 0, before, waitMs)
      continue
    }
    let outcome = EMPTY
    try {
      await readMergedWeights(k, parts, weights)
      outcome = THERE
    } finally {
      // After a failure the next thread tries, and tells its own caller why it failed.
      Atomics.store(flag, 0, outcome)
      Atomics.notify(flag, 0)
    }
  }
}

/** To be called when a thread has ended: if it died while it was reading, another one reads. */
export function readerEnded({ state }: FrozenBase, thread: number): void {
  const flag = new Int32Array(state)
  if (Atomics.compareExchange(flag, 0, readBy(thread), EMPTY) === readBy(thread)) Atomics.notify(flag, 0)
}
