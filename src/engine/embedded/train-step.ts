/** One optimizer step of one worker: the gradient of its packs, sums with the other workers, an update of its slice. */
import { LabError } from '../../errors.ts'
import type { StepMetrics } from '../engine.ts'
import type { Pack, PacksReader } from '../packs.ts'
import type { Kernels } from './kernels/kernels.ts'
import { adamwUpdate, clipScale, sliceOf, type DecayRun } from './optimizer.ts'
import { learningRate } from './schedule.ts'
import { countTokens } from './train-batch.ts'
import { vectorAt, type MemoryLayout, type Meeting } from './train-memory.ts'
import type { TrainSession } from './train-session.ts'
import { packRange, type TrainTask } from './train-task.ts'

/** What every step of one worker uses. */
export interface StepContext {
  readonly task: TrainTask
  readonly packs: PacksReader
  readonly session: TrainSession
  readonly kernels: Kernels
  readonly meeting: Meeting
  readonly layout: MemoryLayout
  readonly runs: readonly DecayRun[]
}

/** One optimizer step. Every worker computes the same metrics. Throws ENGINE if they are not finite. */
export async function trainStep(context: StepContext, step: number): Promise<StepMetrics> {
  const { task, packs, kernels, meeting, layout, runs } = context
  const { worker, shared, job } = task
  const { workers, parameters } = shared
  const { batch, clip } = job.recipe
  const all = readRange(packs, { from: (step - 1) * batch, to: step * batch })
  const { tokens, scored } = countTokens(all)
  if (scored === 0) throw new LabError('ENGINE', `step ${step}: none of its ${tokens} tokens is scored`)

  const nllSum = await ownGradient(context, step, all, 1 / scored)
  meeting.share(worker, 0, nllSum)
  meeting.wait()

  const slice = sliceOf(parameters, worker, workers)
  const [gradientAt = 0, ...others] = layout.gradientsAt
  const length = slice.to - slice.from
  for (const other of others) kernels.addTo(gradientAt + slice.from * 4, other + slice.from * 4, length)
  meeting.share(worker, 1, kernels.sumOfSquares(gradientAt + slice.from * 4, length))
  meeting.wait()

  const loss = meeting.sum(0) / scored
  const gradNorm = Math.sqrt(meeting.sum(1))
  if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
    throw new LabError(
      'ENGINE',
      `step ${step}: the loss is ${loss} and the gradient norm ${gradNorm}; the training diverged`,
      {
        hint: 'Lower the learning rate, or lengthen the warmup.',
      },
    )
  }
  const lr = learningRate(job.recipe, step)
  const gradScale = clipScale(gradNorm, clip)
  adamwUpdate(kernels, { ...layout, gradientAt }, runs, { recipe: job.recipe, step, lr, gradScale })
  return { step, loss, lr, gradNorm, tokens, scored }
}

/** Sums the gradient of this worker's packs into its vector; returns the sum of their losses. */
async function ownGradient(
  context: StepContext,
  step: number,
  all: readonly Pack[],
  weight: number,
): Promise<number> {
  const { task, session, kernels, layout } = context
  const { worker, shared, job } = task
  const { recipe } = job
  session.setWeights(vectorAt(shared, layout.weightsAt))
  const sumAt = layout.gradientsAt[worker] ?? 0
  const scratchAt = layout.scratchAt[worker] ?? 0
  let nllSum = 0
  for (let micro = 0; micro < recipe.accumulate; micro++) {
    const { from, to } = packRange(recipe, { micro, worker, workers: shared.workers })
    const into = micro === 0 ? sumAt : scratchAt
    const result = await session.run(all.slice(from, to), weight, vectorAt(shared, into))
    nllSum += result.nllSum
    if (micro > 0) kernels.addTo(sumAt, scratchAt, shared.parameters)
  }
  return nllSum
}

function readRange(packs: PacksReader, { from, to }: { from: number; to: number }): Pack[] {
  return Array.from({ length: to - from }, (_, i) => packs.read(from + i))
}
