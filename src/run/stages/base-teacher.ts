/** A base of the experiment as a teacher: sampled in this process, batch by batch, over as many interruptions as there may be. */
import type { PromptRow } from '../../data/rows.ts'
import { MAX_SLOTS } from '../../engine/embedded/kv-cache.ts'
import type { Engine, Sampler } from '../../engine/engine.ts'
import { LabError } from '../../errors.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { partsOf, tokenizerFolderOf } from '../../model/weights-of.ts'
import { openJournal, type FinishedResponse, type Journal } from '../../teacher/journal.ts'
import { askAs, type Persona } from '../../teacher/persona.ts'
import { progressMeter, type TeacherProgress } from '../../teacher/progress.ts'
import type { Teacher, TeacherResponse } from '../../teacher/teacher.ts'
import { generateRequest } from '../any-model/local-model.ts'
import type { Sampling } from '../any-model/settings.ts'

/**
 * Prompts that are asked together: what a crash loses at most. Twice the slots of a call, which keeps most of them busy to the end.
 * Another size changes no response but where rounding depends on what is computed together.
 */
export const batchSize = 2 * MAX_SLOTS

export interface BaseTeacherOptions {
  readonly engine: Pick<Engine, 'openSampler'>
  /** Of the model, with its tokenizer and chat template. */
  readonly folder: string
  readonly persona: Persona
  readonly sampling: Sampling
  /** A file that survives a crash; the next teacher that is given it continues. */
  readonly journal: string
  readonly progress: (progress: TeacherProgress) => void
}

/**
 * Answers in the order of the rows. A prompt that leaves less room than `max_tokens` in the model's context is the error
 * `no_room`, a response of white space `empty`. Throws BAD_INPUT where no prompt gets a response.
 */
export function baseTeacher({ engine, folder, journal: file, ...told }: BaseTeacherOptions): Teacher {
  return async (rows, { signal }) => {
    const parts = await partsOf(folder)
    const tokenizer = await openTokenizer(await tokenizerFolderOf(parts))
    const sampler = await engine.openSampler(folder)
    try {
      const journal = openJournal(file)
      try {
        const positions = parts.config.maxPositions
        return await answerAll(rows, { ...told, tokenizer, sampler, positions, journal, signal })
      } finally {
        journal.close()
      }
    } finally {
      await sampler.close()
    }
  }
}

interface Asking extends Pick<BaseTeacherOptions, 'persona' | 'sampling' | 'progress'> {
  readonly tokenizer: Tokenizer
  readonly sampler: Sampler
  /** Tokens that the model can read and write in all. */
  readonly positions: number
  readonly journal: Journal
  readonly signal: AbortSignal
}

async function answerAll(rows: readonly PromptRow[], asking: Asking): Promise<TeacherResponse[]> {
  const { journal, progress } = asking
  const responses = new Map([...journal.finished].map(([id, finished]) => [id, responseOf(finished)]))
  const open = rows.filter(({ id }) => !responses.has(id))
  const meet = progressMeter(rows.length, rows.length - open.length)
  let shortest = Infinity
  for (let first = 0; first < open.length; first += batchSize) {
    const batch = open.slice(first, first + batchSize)
    const asked = await ask(batch, asking)
    for (const finished of asked.finished) {
      journal.finish(finished)
      responses.set(finished.id, responseOf(finished))
    }
    for (const id of asked.withoutRoom) responses.set(id, { id, finish: 'error', reason: 'no_room' })
    shortest = Math.min(shortest, asked.shortest)
    progress(meet(batch.length, asked.tokens))
  }
  const answers = rows.flatMap(({ id }) => responses.get(id) ?? [])
  if (answers.every(({ finish }) => finish === 'error')) throw unanswered(answers, shortest, asking)
  return answers
}

interface Asked {
  readonly finished: readonly FinishedResponse[]
  /** Ids of prompts that were not asked. */
  readonly withoutRoom: readonly string[]
  /** Tokens of all responses, and of the shortest prompt. */
  readonly tokens: number
  readonly shortest: number
}

/** Room is what the longest response takes, as in evals: one that the context cut would look like one that went on too long. */
async function ask(
  rows: readonly PromptRow[],
  { persona, sampling, tokenizer, sampler, positions, signal }: Asking,
): Promise<Asked> {
  const prompts = rows.map(({ id, prompt }) => ({
    id,
    ids: tokenizer.encodeChat(askAs(persona, prompt)).ids,
  }))
  const fits = ({ ids }: { readonly ids: readonly number[] }): boolean =>
    ids.length + sampling.max_tokens <= positions
  const results = await sampler.generate(
    prompts.filter(fits).map(({ id, ids }) => generateRequest(id, ids, sampling)),
    { signal },
  )
  return {
    finished: results.map(({ id, tokens, finish }) => ({ id, text: tokenizer.decode(tokens), finish })),
    withoutRoom: prompts.flatMap((prompt) => (fits(prompt) ? [] : [prompt.id])),
    tokens: results.reduce((sum, { tokens }) => sum + tokens.length, 0),
    shortest: Math.min(...prompts.map(({ ids }) => ids.length)),
  }
}

function responseOf({ id, text, finish }: FinishedResponse): TeacherResponse {
  return text.trim() === '' ? { id, finish: 'error', reason: 'empty' } : { id, text, finish }
}

function unanswered(
  answers: readonly TeacherResponse[],
  shortest: number,
  { sampling, positions }: Asking,
): LabError {
  const counts = new Map<string, number>()
  for (const answer of answers)
    if (answer.finish === 'error') counts.set(answer.reason, (counts.get(answer.reason) ?? 0) + 1)
  const reasons = [...counts].map(([reason, n]) => `${reason} ${n}`).join(', ')
  const hint = counts.has('no_room')
    ? `the shortest prompt has ${shortest} tokens with its persona, a response may have ${sampling.max_tokens} (\`max_tokens\`), and the model has ${positions} positions`
    : 'the model ends its turn at once: is it a chat model, and the persona one that it can follow?'
  return new LabError('BAD_INPUT', `the teacher answered none of ${answers.length} prompts: ${reasons}`, {
    hint,
  })
}
