/** The optimizer's WASM kernels, instantiated on a memory that all workers of a training share. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { LabError } from '../../../errors.ts'

/** A WebAssembly.Memory; it can be posted to another thread. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer
}

/** The part of the WebAssembly API in use: Node has it, the compiler's library without a browser does not. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => SharedMemory
  instantiate(
    bytes: Uint8Array,
    imports: { env: { memory: SharedMemory } },
  ): Promise<{ instance: { exports: Readonly<Record<string, unknown>> } }>
}

/** Offsets are bytes into the shared memory, counts are float32 elements; documented in assembly/kernels.ts. */
export interface Kernels {
  addTo(sumAt: number, termAt: number, count: number): void
  sumOfSquares(at: number, count: number): number
  adamw(
    weightsAt: number,
    gradientAt: number,
    mAt: number,
    vAt: number,
    count: number,
    gradScale: number,
    beta1: number,
    rest1: number,
    beta2: number,
    rest2: number,
    eps: number,
    keep: number,
    stepSize: number,
    correction2: number,
  ): void
}

const PAGE_BYTES = 65_536
/** What a 32-bit memory can address; also declared in the compiled module. */
const MAX_PAGES = 65_536
const wasmFile = new URL('kernels.wasm', import.meta.url)

/** Throws ENGINE if the module's 32-bit addresses do not reach. */
export function createSharedMemory(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  if (pages > MAX_PAGES) {
    throw new LabError(
      'ENGINE',
      `the embedded engine would need ${bytes} bytes of weights and optimizer state`,
      {
        hint: 'It holds at most 4 GiB; use engine: torch for this model.',
      },
    )
  }
  return new WebAssembly.Memory({ initial: pages, maximum: MAX_PAGES, shared: true })
}

/** The first 12 hex digits of the sha256 of the compiled kernels: their version. */
export function kernelsVersion(): string {
  return createHash('sha256').update(readFileSync(wasmFile)).digest('hex').slice(0, 12)
}

export async function loadKernels(memory: SharedMemory): Promise<Kernels> {
  const { instance } = await WebAssembly.instantiate(readFileSync(wasmFile), { env: { memory } })
  return instance.exports as unknown as Kernels
}
