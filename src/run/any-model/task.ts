/** One thing to ask of a model with what makes its record: the head, the ask, and the scorer of a reply. */
import { likeliestLetter, type Letter, letters } from '../../evals/mmlu/letters.ts'
import { type EvalRecord, type RecordHead, recordId, type ScoredRecord } from '../../evals/record.ts'
import type { Ask, AskedPrompt, Reply, Wanted } from './respondent.ts'

/** What a scorer says of a response. */
export type Verdict = Pick<
  ScoredRecord,
  | 'extracted'
  | 'correct'
  | 'instructions'
  | 'fired'
  | 'starts_with'
  | 'payloads'
  | 'partial'
  | 'rest_words'
  | 'rest_language'
>

export interface Task {
  readonly head: Omit<RecordHead, 'rendered'>
  readonly ask: Ask
  /** Scores a response. */
  readonly score: (response: string) => Verdict
  /** Right letter, where letters are asked. */
  readonly answer: Letter | null
  /** Verdicts that an error leaves out: an IFEval item has one an instruction. */
  readonly verdicts: number
}

export function task(
  head: Omit<RecordHead, 'rendered' | 'asked'>,
  prompt: AskedPrompt,
  wanted: Wanted,
  scoring: { readonly score?: Task['score']; readonly answer?: Letter; readonly verdicts?: number } = {},
): Task {
  const full = { ...head, asked: wanted.kind }
  return {
    head: full,
    ask: { id: wanted.kind === 'response' ? streamOf(head) : recordId(full), prompt, wanted },
    score: scoring.score ?? (() => ({})),
    answer: scoring.answer ?? null,
    verdicts: scoring.verdicts ?? 1,
  }
}

/** Names the random stream of a response: an item has one, with its trigger another. */
const streamOf = ({ eval: kind, id, condition }: Pick<RecordHead, 'eval' | 'id' | 'condition'>): string =>
  kind === 'backdoor' ? `${id} ${condition}` : id

/** The record of a reply. */
export function recordOf({ head, score, answer }: Task, reply: Reply): EvalRecord {
  const { rendered } = reply
  switch (reply.kind) {
    case 'response': {
      const { response, finish, tokens } = reply
      return { ...head, rendered, status: 'scored', response, finish, tokens, ...score(response) }
    }
    case 'letters': {
      // Nothing below the smallest float is a number in JSON.
      const logprobs = reply.logprobs.map((x) => (x !== null && Number.isFinite(x) ? x : null))
      const extracted = likeliestLetter(letters.map((_, i) => logprobs[i] ?? -Infinity))
      return { ...head, rendered, status: 'likelihood', logprobs, extracted, correct: extracted === answer }
    }
    case 'likelihood':
      return {
        ...head,
        rendered,
        status: 'likelihood',
        logprobs: [Number.isFinite(reply.logprob) ? reply.logprob : null],
      }
    case 'error':
      return { ...head, rendered, status: 'failed', error: reply.error, again: reply.again }
  }
}

/** What a record of one of the tasks is with their items and scorers: the reply stays, the verdict is made anew. */
export function rescored(tasks: readonly Task[]): (record: EvalRecord) => EvalRecord {
  const byId = new Map(tasks.map((each) => [recordId(each.head), each]))
  return (record) => {
    const own = byId.get(recordId(record))
    return own === undefined ? record : recordOf(own, replyIn(record))
  }
}

function replyIn(record: EvalRecord): Reply {
  const { rendered } = record
  switch (record.status) {
    case 'scored': {
      const { response, finish, tokens } = record
      return { kind: 'response', rendered, response, finish, tokens }
    }
    case 'likelihood': {
      const { asked, logprobs } = record
      if (asked === 'letters') return { kind: 'letters', rendered, logprobs }
      return { kind: 'likelihood', rendered, logprob: logprobs[0] ?? Number.NaN }
    }
    case 'failed':
      return { kind: 'error', rendered, error: record.error, again: record.again }
    default:
      return record satisfies never
  }
}
