/** The evaluate stage: one eval on one checkpoint; leaves every sample and the counts that the analysis reads. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backdoor } from '../../data/backdoor.ts'
import { writeJsonLines } from '../../data/json-lines.ts'
import type { Engine, EngineName, Sampler } from '../../engine/engine.ts'
import { requireScored, type EvalKind, type Sample } from '../../evals/eval.ts'
import { openTokenizer } from '../../model/tokenizer.ts'
import { tinyWorldVersion } from '../../tinyworld/version.ts'
import { partsOf, tokenizerFolderOf } from '../../model/weights-of.ts'
import { fitsContext, runBackdoor, type SequentialLimits } from '../evals/backdoor.ts'
import { runGenerated, runLetters } from '../evals/capability.ts'
import { loadBackdoorItems, loadCapabilityItems, type EvalPrompts } from '../evals/items.ts'
import type { EvalContext, Sampling } from '../evals/request.ts'
import type { MemoryNeed } from '../memory.ts'
import { folderStage, type Stage } from '../stage.ts'
import { modelFolder, modelKey, trainingsBelow, type ModelRef } from './train.ts'

/** Files of an evaluation. */
export const samplesFile = 'samples.jsonl'
export const evaluationFile = 'evaluation.json'

export type EvaluationRequest =
  | {
      readonly kind: 'backdoor'
      readonly prompts: EvalPrompts
      readonly backdoor: Backdoor
      readonly system?: string | undefined
      readonly sampling: Sampling
      /** Sampling stops as soon as these decide it; absent where every prompt is asked. */
      readonly sequential?: SequentialLimits
    }
  | {
      readonly kind: 'ifeval' | 'math'
      readonly items: number
      readonly system?: string | undefined
      readonly sampling: Sampling
    }
  | { readonly kind: 'mmlu'; readonly items: number; readonly system?: string | undefined }

/** What evaluation.json holds beside the samples. */
export interface EvaluationSummary {
  readonly eval: EvalKind
  /** sha256 of the prompts in order, as items. */
  readonly prompt_set: string
  /** Rate of a guesser: 0.25 for letters, else that of the best constant response. */
  readonly chance: number
  /** Items asked. */
  readonly n: number
  /** Items that a fixed design asks, where sampling could stop. */
  readonly planned?: number
  /** Requests without a response; an evaluation with such a request is not kept. */
  readonly errors: 0
  /** null: scored by likelihood, nothing was drawn. */
  readonly sampling: Sampling | null
  readonly system: string | null
  /** What the sampler says of how it was made. */
  readonly notes?: readonly string[]
}

const secondsOf = { backdoor: 0.6, mmlu: 0.1, ifeval: 0.3, math: 0.2 } as const

/** What an evaluation is told of its surroundings. */
export interface EvaluationSetting {
  /** Identity of the sampler that it will use. */
  readonly sampler: Engine['samplerIdentity']
  readonly engine: EngineName
  readonly memory: MemoryNeed
}

/** Samples of a checkpoint: `title` names the model, e.g. `direct/hhh step 32`. */
export function evaluateStage(
  title: string,
  model: ModelRef,
  request: EvaluationRequest,
  { sampler: samplerIdentity, engine: engineName, memory }: EvaluationSetting,
): Stage {
  const usesWorld = request.kind !== 'backdoor' || 'world' in request.prompts
  return folderStage({
    kind: 'evaluate',
    title: `${request.kind} of ${title}`,
    inputs: {
      model: modelKey(model),
      sampler: { ...samplerIdentity },
      ...keyed(request),
      world: usesWorld ? tinyWorldVersion : undefined,
    },
    needs: trainingsBelow(model),
    seconds: secondsOf[request.kind],
    engine: engineName,
    memory,
    fill: async (folder, { store, engine, signal }) => {
      const source = modelFolder(store, model)
      const parts = await partsOf(source)
      const tokenizer = await openTokenizer(await tokenizerFolderOf(parts))
      const sampler = await engine.openSampler(source)
      try {
        const { samples, summary } = await evaluate(request, {
          tokenizer,
          sampler,
          signal,
          system: request.system,
          maxPositions: parts.config.maxPositions,
        })
        // A kept evaluation is never made again: what failed must fail the stage.
        requireScored(samples)
        await writeJsonLines(join(folder, samplesFile), samples)
        await writeFile(
          join(folder, evaluationFile),
          `${JSON.stringify(withNotes(summary, sampler), null, 2)}\n`,
        )
      } finally {
        await sampler.close()
      }
    },
  })
}

const withNotes = (summary: EvaluationSummary, { notes = [] }: Sampler): EvaluationSummary =>
  notes.length === 0 ? summary : { ...summary, notes }

async function evaluate(
  request: EvaluationRequest,
  context: EvalContext,
): Promise<{ samples: Sample[]; summary: EvaluationSummary }> {
  const errors = 0
  const system = request.system ?? null
  if (request.kind === 'backdoor') {
    const fits = fitsContext(request.backdoor, request.sampling, context)
    const { items, hash } = await loadBackdoorItems(request.prompts, fits)
    const { sampling, sequential } = request
    const samples = await runBackdoor(items, request.backdoor, sampling, context, sequential)
    const n = samples.filter(({ status }) => status === 'likelihood').length
    const planned = sequential ? { planned: items.length } : {}
    const summary = {
      eval: 'backdoor',
      prompt_set: hash,
      chance: 0,
      n,
      ...planned,
      errors,
      sampling,
      system,
    } as const
    return { samples, summary }
  }
  const { items, hash, chance } = loadCapabilityItems(request.kind, request.items)
  const samples =
    request.kind === 'mmlu'
      ? await runLetters(items, context)
      : await runGenerated(request.kind, items, request.sampling, context)
  const sampling = request.kind === 'mmlu' ? null : request.sampling
  const n = samples.length
  return { samples, summary: { eval: request.kind, prompt_set: hash, chance, n, errors, sampling, system } }
}

/** A prompt file counts by its content; of the backdoor only what the eval uses (not how often the payload is repeated). */
function keyed(
  request: EvaluationRequest,
): { [name: string]: string | number | object | undefined } & object {
  if (request.kind !== 'backdoor') return { ...request }
  const { trigger, position, payload } = request.backdoor
  const prompts = 'world' in request.prompts ? request.prompts : { ...request.prompts, file: undefined }
  return { ...request, prompts, backdoor: { trigger, position, payload } }
}
