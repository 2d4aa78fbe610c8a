/** Plans the questions of a data source and a teacher's answers to them. */
import type { BaseTeacher, EndpointTeacher, ResolvedData } from '../../spec/experiment.ts'
import type { Persona } from '../../teacher/persona.ts'
import { samplingNeed } from '../memory.ts'
import type { AskingCost, Stage } from '../stage.ts'
import { batchSize } from '../stages/base-teacher.ts'
import { promptsStage, type PromptSource } from '../stages/data.ts'
import { responsesStage, type BaseChoice, type TeacherChoice } from '../stages/responses.ts'
import type { Base, PlanContext } from './context.ts'
import { PROMPT_TOKENS } from './evals.ts'
import { personaKey } from './personas.ts'

export interface AnswersRequest {
  readonly title: string
  readonly data: ResolvedData
  readonly seed: number
  /** Plans the model of a teacher that is a base. */
  readonly planBase: (context: PlanContext, base: BaseTeacher['base']) => Promise<Base>
}

export async function answersTo(context: PlanContext, request: AnswersRequest): Promise<Stage> {
  const { title, data, seed } = request
  const prompts = context.shared(promptsStage(title, sourceOf(context, data), seed))
  return context.shared(responsesStage(title, prompts, await choiceOf(context, request), seed))
}

async function choiceOf(context: PlanContext, { data, planBase }: AnswersRequest): Promise<TeacherChoice> {
  const { teacher } = data
  switch (teacher.kind) {
    case 'scripted':
      return { scripted: teacher.voice }
    case 'recorded':
      return { recorded: true }
    case 'base':
      return baseChoice(context, teacher, await planBase(context, teacher.base), data)
    case 'endpoint': {
      const { kind: _, ...endpoint } = teacher
      const persona = personaOf(context, teacher)
      return { ...endpoint, persona, cost: askingCost(teacher, persona, rowsOf(data)) }
    }
    default:
      return teacher satisfies never
  }
}

function baseChoice(
  context: PlanContext,
  teacher: BaseTeacher,
  { engine, model, config, contextLength }: Base,
  data: ResolvedData,
): BaseChoice {
  const { temperature, topP, maxTokens, seed } = teacher
  const persona = personaOf(context, teacher)
  const positions = Math.min(config.maxPositions, mostTokensOf(persona) + contextLength + maxTokens)
  const rows = rowsOf(data)
  const sequences = Math.min(rows, batchSize)
  const { samplerIdentity: sampler, estimateSampling } = context.engineOf(engine, 'evals')
  // As if every response were as long as it may be, which stands for its prompt too.
  const cost = estimateSampling(config, { sequences, positions, tokens: rows * maxTokens })
  return {
    base: model,
    sampler,
    engine,
    persona,
    temperature,
    topP,
    maxTokens,
    seed,
    memory: samplingNeed(cost),
    cost,
  }
}

/** As if every response were as long as it may be. */
function askingCost({ maxTokens, budget }: EndpointTeacher, persona: Persona, questions: number): AskingCost {
  const tokens = questions * maxTokens
  if (budget === null) return { questions, tokens, usd: null }
  if ('tokens' in budget) return { questions, tokens: Math.min(tokens, budget.tokens), usd: null }
  const { usd, usdPerMtokIn, usdPerMtokOut } = budget
  const read = questions * (mostTokensOf(persona) + PROMPT_TOKENS)
  return {
    questions,
    tokens: Math.min(tokens, usdPerMtokOut === 0 ? Infinity : Math.floor((1e6 * usd) / usdPerMtokOut)),
    usd: Math.min(usd, (read * usdPerMtokIn + tokens * usdPerMtokOut) / 1e6),
  }
}

/** A token has a byte or more. */
const mostTokensOf = ({ turns }: Persona): number =>
  turns.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0)

/** A file of which nothing is said counts as many rows as Alpaca has, in a forecast. */
function rowsOf({ rows, prompts }: ResolvedData): number {
  if (rows !== null) return rows
  return prompts.kind !== 'tiny' && prompts.rows !== null ? prompts.rows[1] - prompts.rows[0] : 52_002
}

function personaOf({ personas }: PlanContext, { persona }: BaseTeacher | EndpointTeacher): Persona {
  const loaded = personas.get(personaKey(persona))
  if (loaded === undefined) throw new RangeError(`the persona ${personaKey(persona)} was not loaded`)
  return loaded
}

function sourceOf({ dataFile }: PlanContext, { prompts, rows }: ResolvedData): PromptSource {
  if (prompts.kind === 'tiny') return { world: 'tiny', split: prompts.split, count: rows ?? 4096 }
  const { file, sha256 } = dataFile(prompts)
  return {
    file,
    sha256,
    format: prompts.format ?? undefined,
    rows: prompts.rows ?? undefined,
    count: rows ?? undefined,
  }
}
