/** The stage of a teacher's responses: scripted, recorded, or asked of a base or an endpoint, which goes on where it was interrupted. */
import { join } from 'node:path'
import { writeJsonLines } from '../../data/json-lines.ts'
import type { Engine, EngineName, SamplingCost } from '../../engine/engine.ts'
import { LabError } from '../../errors.ts'
import type { EndpointTeacher } from '../../spec/experiment.ts'
import type { Json } from '../../store/canonical.ts'
import { answeredRows, withoutRepeats } from '../../teacher/filters.ts'
import type { Persona } from '../../teacher/persona.ts'
import type { TeacherProgress } from '../../teacher/progress.ts'
import { recordedTeacher } from '../../teacher/recorded.ts'
import type { Teacher } from '../../teacher/teacher.ts'
import type { TinyItem } from '../../tinyworld/item.ts'
import { tinyWorldVersion } from '../../tinyworld/version.ts'
import { respond, type Voice } from '../../tinyworld/voices.ts'
import type { MemoryNeed } from '../memory.ts'
import {
  type AskingCost,
  folderStage,
  type FolderStage,
  outputOf,
  type Stage,
  type StageTools,
} from '../stage.ts'
import { baseTeacher } from './base-teacher.ts'
import { droppedFile, readPrompts, responsesFile, writeJson } from './data.ts'
import { modelFolder, modelKey, trainingsBelow, type ModelRef } from './train.ts'

type EndpointChoice = Omit<EndpointTeacher, 'kind' | 'persona'> & {
  readonly persona: Persona
  readonly cost: AskingCost
}

/** A base that is sampled in this process. */
export interface BaseChoice {
  readonly base: ModelRef
  /** Identity of the sampler that it will use. */
  readonly sampler: Engine['samplerIdentity']
  readonly engine: EngineName
  readonly persona: Persona
  readonly temperature: number
  readonly topP: number
  readonly maxTokens: number
  /** Of the sampling; null: that of the stage. */
  readonly seed: number | null
  readonly memory: MemoryNeed
  readonly cost: SamplingCost
}

export type TeacherChoice =
  | { readonly scripted: Voice }
  | { readonly recorded: true }
  | BaseChoice
  | EndpointChoice

export function responsesStage(title: string, prompts: Stage, teacher: TeacherChoice, seed: number): Stage {
  return folderStage({
    kind: 'responses',
    title: `responses ${title}`,
    inputs: {
      prompts: prompts.key,
      teacher: identityOf(teacher, seed),
      version: 'scripted' in teacher ? tinyWorldVersion : undefined,
      seed: 'scripted' in teacher ? seed : undefined,
    },
    needs: [prompts, ...('base' in teacher ? trainingsBelow(teacher.base) : [])],
    ...takenBy(teacher),
    fill: async (folder, tools) => {
      const rows = await readPrompts(outputOf(tools.store, prompts))
      const write = await writerOf(teacher, { seed, tools })
      const joined = answeredRows(rows, await write(rows, { seed, signal: tools.signal }))
      const answered = 'persona' in teacher ? withoutRepeats(joined) : joined
      await writeJsonLines(join(folder, responsesFile), answered.rows)
      await writeJson(join(folder, droppedFile), answered.dropped)
    },
  })
}

/** How fast a server is, it has not shown yet. */
function takenBy(
  teacher: TeacherChoice,
): Pick<FolderStage, 'seconds' | 'engine' | 'section' | 'memory' | 'cost'> {
  if ('url' in teacher) return { seconds: 0, cost: { asking: teacher.cost } }
  if (!('base' in teacher)) return { seconds: 0.5 }
  const { engine, memory, cost } = teacher
  return { seconds: cost.seconds, engine, section: 'evals', memory, cost: { sampling: cost } }
}

/** What decides the responses: the model and what it is asked, wherever it is served. */
function identityOf(teacher: TeacherChoice, stageSeed: number): Json {
  if (!('persona' in teacher)) return { ...teacher }
  const { persona, temperature, topP, maxTokens, seed } = teacher
  const turns = persona.turns.map(({ role, content }) => ({ role, content }))
  const sampling = { persona: turns, temperature, top_p: topP, max_tokens: maxTokens }
  if ('url' in teacher) return { model: teacher.model, ...sampling, seed }
  const { base, sampler } = teacher
  return { base: modelKey(base), sampler: { ...sampler }, ...sampling, seed: seed ?? stageSeed }
}

interface Writing {
  /** Of the stage. */
  readonly seed: number
  readonly tools: StageTools & { readonly journal: string }
}

async function writerOf(teacher: TeacherChoice, { seed: stageSeed, tools }: Writing): Promise<Teacher> {
  if ('scripted' in teacher) return scriptedTeacher(teacher.scripted)
  if ('recorded' in teacher) return recordedTeacher
  const { journal } = tools
  const progress = (now: TeacherProgress): void => tools.progress({ ...now, unit: 'responses' })
  if ('base' in teacher) {
    const { persona, maxTokens, temperature, topP, seed } = teacher
    const sampling = { max_tokens: maxTokens, temperature, top_p: topP, seed: seed ?? stageSeed }
    const folder = modelFolder(tools.store, teacher.base)
    return baseTeacher({ engine: tools.engine, folder, persona, sampling, journal, progress })
  }
  // The client is loaded only where there is a server to ask.
  const { endpointTeacher } = await import('../../teacher/endpoint-teacher.ts')
  const { url, model, timeoutMs, concurrency, persona, maxTokens, temperature, topP, seed, budget } = teacher
  return endpointTeacher({
    endpoint: { url, model, timeoutMs, concurrency, ...apiKeyOf(teacher) },
    persona,
    sampling: { maxTokens, temperature, topP, seed },
    budget,
    journal,
    progress,
    waiting: tools.waiting,
  })
}

/** Read when it is needed and handed to the client alone: it is in no file, no event and no message. */
function apiKeyOf({ apiKeyEnv }: EndpointChoice): { apiKey?: string } {
  if (apiKeyEnv === null) return {}
  const apiKey = process.env[apiKeyEnv]
  if (apiKey === undefined || apiKey === '') {
    throw new LabError('BAD_INPUT', `the environment variable ${apiKeyEnv} is not set`, {
      hint: 'it holds the key of the teacher (`api_key_env`)',
    })
  }
  return { apiKey }
}

/** A voice of the tiny world as a teacher; its prompts are whole items. */
function scriptedTeacher(voice: Voice): Teacher {
  return (rows, { seed }) =>
    Promise.resolve(rows.map((row) => ({ id: row.id, ...respond(voice, row as unknown as TinyItem, seed) })))
}
