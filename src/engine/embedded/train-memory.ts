/** What the workers of one training share: the flat vectors in one WASM memory, and a control block to meet at. */
import { createSharedMemory, type SharedMemory } from './kernels/kernels.ts'

/** Plain data that is posted to every worker. */
export interface TrainMemory {
  readonly memory: SharedMemory
  readonly control: SharedArrayBuffer
  readonly parameters: number
  readonly workers: number
}

/** Byte offsets into the memory. */
export interface MemoryLayout {
  readonly weightsAt: number
  readonly mAt: number
  readonly vAt: number
  /** The gradient sum of each worker. */
  readonly gradientsAt: readonly number[]
  /** Where each worker puts one micro-batch's gradient before it is added. */
  readonly scratchAt: readonly number[]
}

/** The module has no data of its own, but address 0 stays unused. */
const FIRST_BYTE = 65_536
const ALIGNMENT = 64

export function createTrainMemory(parameters: number, workers: number): TrainMemory {
  const vectors = 3 + 2 * workers
  const bytes = FIRST_BYTE + vectors * vectorBytes(parameters)
  const control = new SharedArrayBuffer(CONTROL_BYTES + workers * SLOT_BYTES)
  return { memory: createSharedMemory(bytes), control, parameters, workers }
}

export function layoutOf({ parameters, workers }: TrainMemory): MemoryLayout {
  const at = (index: number): number => FIRST_BYTE + index * vectorBytes(parameters)
  const perWorker = (first: number): number[] => Array.from({ length: workers }, (_, w) => at(first + w))
  return {
    weightsAt: at(0),
    mAt: at(1),
    vAt: at(2),
    gradientsAt: perWorker(3),
    scratchAt: perWorker(3 + workers),
  }
}

/** Ready for another training: nobody is waiting and nothing is cancelled. */
export function resetControl({ control }: TrainMemory): void {
  new Uint8Array(control).fill(0)
}

/** The flat vector at a byte offset. */
export function vectorAt({ memory, parameters }: TrainMemory, at: number): Float32Array {
  return new Float32Array(memory.buffer, at, parameters)
}

function vectorBytes(parameters: number): number {
  return Math.ceil((parameters * 4) / ALIGNMENT) * ALIGNMENT
}

const ARRIVED = 0
const GENERATION = 1
const CANCEL = 2
const VERDICT = 3
const FIRST_STEP = 4
const LAST_STEP = 5
const CONTROL_BYTES = 64
const SLOT_BYTES = 64
/** Checks of the barrier before a worker sleeps: the others are usually a few microseconds away. */
const SPINS = 2_000

/** The control block as seen by one worker. */
export class Meeting {
  private readonly ints: Int32Array
  private readonly numbers: Float64Array
  private readonly workers: number

  constructor({ control, workers }: Pick<TrainMemory, 'control' | 'workers'>) {
    this.ints = new Int32Array(control)
    this.numbers = new Float64Array(control)
    this.workers = workers
  }

  /** Returns when every worker has called it; what any of them wrote before is visible after. Blocks the thread. */
  wait(): void {
    const generation = Atomics.load(this.ints, GENERATION)
    if (Atomics.add(this.ints, ARRIVED, 1) === this.workers - 1) {
      Atomics.store(this.ints, ARRIVED, 0)
      Atomics.add(this.ints, GENERATION, 1)
      Atomics.notify(this.ints, GENERATION)
      return
    }
    for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(this.ints, GENERATION) !== generation) return
    while (Atomics.load(this.ints, GENERATION) === generation) Atomics.wait(this.ints, GENERATION, generation)
  }

  /** Two numbers of one worker that all read after the next `wait`. */
  share(worker: number, slot: 0 | 1, value: number): void {
    this.numbers[this.slotOf(worker) + slot] = value
  }

  /** Sum over the workers, always in the same order. */
  sum(slot: 0 | 1): number {
    let sum = 0
    for (let w = 0; w < this.workers; w++) sum += this.numbers[this.slotOf(w) + slot] as number
    return sum
  }

  /** Called from outside: asks the workers to stop after the step they are in. */
  cancel(): void {
    Atomics.store(this.ints, CANCEL, 1)
  }

  /** Worker 0 decides for all of them, before a `wait`: a request that arrives later counts for the next step. */
  decide(): void {
    Atomics.store(this.ints, VERDICT, Atomics.load(this.ints, CANCEL))
  }

  get stopped(): boolean {
    return Atomics.load(this.ints, VERDICT) === 1
  }

  /** Worker 0 tells the others which steps to do, before a `wait`. */
  setRange({ first, last }: StepRange): void {
    Atomics.store(this.ints, FIRST_STEP, first)
    Atomics.store(this.ints, LAST_STEP, last)
  }

  get range(): StepRange {
    return { first: Atomics.load(this.ints, FIRST_STEP), last: Atomics.load(this.ints, LAST_STEP) }
  }

  private slotOf(worker: number): number {
    return (CONTROL_BYTES + worker * SLOT_BYTES) / Float64Array.BYTES_PER_ELEMENT
  }
}

/** Steps first..last, both included; none if last < first. */
export interface StepRange {
  readonly first: number
  readonly last: number
}
