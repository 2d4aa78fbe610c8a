/** One compiled training graph: runs a micro-batch of packs and gives the loss and where each gradient is. */
import * as ort from 'onnxruntime-node'
import { LabError } from '../../errors.ts'
import { parameterSpecs, type LlamaConfig } from '../../model/config.ts'
import type { Pack } from '../packs.ts'
import { buildTrainGraph, gradientName, type TrainShape } from './llama-train.ts'
import { trainBatch } from './train-batch.ts'

export interface MicroBatchResult {
  /** Sum over the scored tokens, nats. */
  readonly nllSum: number
}

export interface TrainSession {
  /** Weights that the next runs use, flat; copied. */
  setWeights(weights: Float32Array): void
  /** `weight` multiplies every scored token's loss; the flat gradient is written into `gradient`. */
  run(packs: readonly Pack[], weight: number, gradient: Float32Array): Promise<MicroBatchResult>
  release(): Promise<void>
}

/** Queries are cut into two blocks if each is at least this long; shorter ones gain nothing. */
const MIN_BLOCK_TOKENS = 64

export interface TrainSessionOptions {
  /** Tokens a pack. */
  readonly T: number
  /** Packs a run. */
  readonly B: number
  /** Every call into ONNX Runtime goes through it. */
  readonly guard: <R>(call: () => Promise<R>) => Promise<R>
}

/**
 * Compiles the graph for packs of T tokens, B at a time. One thread: more would cut matrix products elsewhere, which moves
 * last bits, and ONNX Runtime 1.30 loses updates of ScatterND with `reduction: add` when it runs on several.
 */
export async function openTrainSession(
  config: LlamaConfig,
  { T, B, guard }: TrainSessionOptions,
): Promise<TrainSession> {
  const shape: TrainShape = { T, B, blocks: T % 2 === 0 && T >= 2 * MIN_BLOCK_TOKENS ? 2 : 1 }
  const graph = buildTrainGraph(config, shape).encode()
  const session = await guard(() =>
    ort.InferenceSession.create(graph, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      enableMemPattern: false,
      graphOptimizationLevel: 'all',
    }),
  )
  const specs = parameterSpecs(config)
  // ONNX Runtime takes no shared memory, so the weights are copied into memory of this thread before each step.
  const own = new Float32Array(specs.reduce((n, { size }) => n + size, 0))
  const parameterFeeds: Record<string, ort.Tensor> = {}
  for (const { name, shape: dims, offset, size } of specs) {
    parameterFeeds[name] = new ort.Tensor('float32', own.subarray(offset, offset + size), dims)
  }

  const run = async (
    packs: readonly Pack[],
    weight: number,
    gradient: Float32Array,
  ): Promise<MicroBatchResult> => {
    if (packs.length !== B) throw new LabError('INTERNAL', `${packs.length} packs for a graph of ${B}`)
    const batch = trainBatch(packs, T, weight)
    const R = batch.rows_R.length
    const outputs = await guard(() =>
      session.run({
        ...parameterFeeds,
        ids: new ort.Tensor('int32', batch.ids_N, [T * B]),
        positions: new ort.Tensor('int64', batch.positions_TB, [T, B]),
        mask: new ort.Tensor('float32', batch.mask_BTT, [B, 1, 1, T, T]),
        rows: new ort.Tensor('int32', batch.rows_R, [R]),
        places: new ort.Tensor('int32', batch.places_N, [T * B]),
        targets: new ort.Tensor('int64', batch.targets_R, [R, 1]),
        weights: new ort.Tensor('float32', batch.weights_R, [R, 1]),
      }),
    )
    for (const { name, offset } of specs) gradient.set(floatsOf(outputs[gradientName(name)]), offset)
    let nllSum = 0
    for (const nll of floatsOf(outputs['nll']).subarray(0, batch.scored)) nllSum += nll
    return { nllSum }
  }

  return { setWeights: (weights) => own.set(weights), run, release: () => guard(() => session.release()) }
}

function floatsOf(value: ort.OnnxValue | undefined): Float32Array {
  const data = value?.data
  if (!(data instanceof Float32Array))
    throw new LabError('INTERNAL', 'an output of the training graph is missing')
  return data
}
