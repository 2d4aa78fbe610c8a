/** Scores recorded responses against their items: one output row an item, and the counts over all of them. */
import { z } from 'zod'
import { LabError, messageOf } from '../../errors.ts'
import { payloadScorer } from '../backdoor/payload.ts'
import type { EvalKind } from '../eval.ts'
import { type IfevalItem, ifevalItemSchema } from '../ifeval/items.ts'
import { ifevalScorer, randomInReference } from '../ifeval/verdict.ts'
import { type MathProtocol, scoreMath } from '../math/boxed.ts'
import { canonicalInteger } from '../math/integer.ts'
import { mathItemSchema } from '../math/items.ts'
import { accuracies } from '../mmlu/accuracy.ts'
import { letterOfText } from '../mmlu/answered-letter.ts'
import { mmluItemSchema } from '../mmlu/items.ts'
import { textOrInteger } from '../text-or-integer.ts'
import { byId, readCheckedRows, type ReadRow } from './rows.ts'
import { ifevalTallies, type Tally, tallyOf } from './tally.ts'

export interface ScoreRequest {
  readonly kind: EvalKind
  /** File of the items; null for `backdoor`, which has none. */
  readonly items: string | null
  readonly responses: string
  /** Searched by `backdoor`; cut out of responses before `mmlu` reads a letter. */
  readonly payload: string
  readonly protocol: MathProtocol
}

/** An output row: the id, and the verdict or why there is none. */
export type OutputRow = Readonly<Record<string, unknown>>

export interface Scored {
  /** In item order. */
  readonly rows: readonly OutputRow[]
  /** Rows without a verdict. */
  readonly errors: number
  readonly tallies: Readonly<Record<string, Tally>>
  /** IFEval: keys of items with an instruction whose reference verdict is random, so that agreement cannot be asked of it. */
  readonly randomInReference?: readonly (string | number)[]
  /** Where items name subjects: accuracy by subject, and its mean. */
  readonly subjects?: Pick<ReturnType<typeof accuracies>, 'macro' | 'subjects'>
}

const responseSchema = z.looseObject({ id: textOrInteger, response: z.string() })
const keyedResponseSchema = z.looseObject({ key: textOrInteger, response: z.string() })

const missing = 'no response'

/** Throws BAD_INPUT, with file and line, for everything that is wrong with the files. */
export async function scoreFiles(request: ScoreRequest): Promise<Scored> {
  switch (request.kind) {
    case 'ifeval':
      return scoreIfeval(await matched(request, ifevalItemSchema, (item) => item.key, keyedResponseSchema))
    case 'math': {
      const pairs = await matched(request, mathItemSchema, (item) => item.id, responseSchema)
      const { verdicts: _, ...scored } = scoreEach(
        pairs,
        (item, response) => {
          const { extracted, correct } = scoreMath(item, response, request.protocol)
          return { extracted, correct }
        },
        ({ answer }) => (canonicalInteger(answer) === null ? 'the answer is no integer' : null),
      )
      return scored
    }
    case 'mmlu':
      return scoreMmlu(request)
    case 'backdoor':
      return scoreBackdoor(request)
    default:
      throw new LabError('INTERNAL', `no such eval: ${String(request.kind satisfies never)}`)
  }
}

interface Pair<Item> {
  readonly item: Item
  /** As the file of items has it: a number stays one. */
  readonly id: string | number
  readonly at: ReadRow<Item>['at']
  readonly response: string | null
}

/** Each item with its response. Throws BAD_INPUT for an id that stands twice, and for a response to no item. */
async function matched<Item>(
  request: ScoreRequest,
  schema: z.ZodType<Item>,
  idOf: (item: Item) => string | number,
  responses: typeof responseSchema | typeof keyedResponseSchema,
): Promise<Pair<Item>[]> {
  if (request.items === null) {
    throw new LabError('BAD_INPUT', `${request.kind} needs its items`, {
      hint: 'give them with --items FILE',
    })
  }
  const items = byId(await readCheckedRows(request.items, schema), idOf, 'item')
  const given = byId(
    await readCheckedRows<{ readonly key?: unknown; readonly id?: unknown; readonly response: string }>(
      request.responses,
      responses,
    ),
    (row) => String(row.key ?? row.id),
    'response',
  )
  for (const [id, { at }] of given) {
    if (items.has(id)) continue
    throw new LabError('BAD_INPUT', `a response to ${JSON.stringify(id)}, which is no item`, {
      at,
      hint: `the items are those of ${request.items}`,
    })
  }
  return [...items].map(([id, { value, given: row, at }]) => ({
    item: value,
    id: numberOf(row) ?? idOf(value),
    at,
    response: given.get(id)?.value.response ?? null,
  }))
}

function numberOf(row: unknown): number | null {
  const id = row !== null && typeof row === 'object' && 'id' in row ? row.id : null
  return typeof id === 'number' ? id : null
}

/** A failure inside a scorer, on a response that nobody foresaw, is this row's alone. */
function attempt<T>(score: () => T): { readonly verdict: T } | { readonly error: string } {
  try {
    return { verdict: score() }
  } catch (error) {
    return { error: `the scorer failed: ${messageOf(error)}` }
  }
}

function scoreIfeval(pairs: readonly Pair<IfevalItem>[]): Scored {
  const outcomes = pairs.map(({ item, id: key, at, response }) => {
    const score = scorerAt(item, at)
    const outcome = response === null ? { error: missing } : attempt(() => score(response))
    const instructions = item.instruction_id_list.length
    if ('error' in outcome) return { row: { key, error: outcome.error }, verdict: null, instructions }
    const { strict, loose } = outcome.verdict
    return { row: { key, strict: [...strict], loose: [...loose] }, verdict: outcome.verdict, instructions }
  })
  return {
    rows: outcomes.map(({ row }) => row),
    errors: outcomes.filter(({ verdict }) => verdict === null).length,
    tallies: ifevalTallies(outcomes),
    randomInReference: pairs.flatMap(({ item }) => (randomInReference(item).some(Boolean) ? [item.key] : [])),
  }
}

/** An instruction that cannot be scored is a mistake of the item's row. */
function scorerAt(item: IfevalItem, at: Pair<IfevalItem>['at']): ReturnType<typeof ifevalScorer> {
  try {
    return ifevalScorer(item)
  } catch (error) {
    if (!(error instanceof LabError) || error.code !== 'BAD_INPUT') throw error
    throw new LabError('BAD_INPUT', error.message, { at, hint: error.hint, cause: error })
  }
}

interface Verdict {
  readonly extracted: string | null
  readonly correct: boolean
}

function scoreEach<Item>(
  pairs: readonly Pair<Item>[],
  score: (item: Item, response: string) => Verdict,
  problemOf: (item: Item) => string | null = () => null,
): Scored & { readonly verdicts: readonly (Verdict | null)[] } {
  const outcomes = pairs.map(({ item, id, response }) => {
    const problem = problemOf(item)
    if (problem !== null || response === null)
      return { row: { id, error: problem ?? missing }, verdict: null }
    const outcome = attempt(() => score(item, response))
    if ('error' in outcome) return { row: { id, error: outcome.error }, verdict: null }
    return { row: { id, ...outcome.verdict }, verdict: outcome.verdict }
  })
  const verdicts = outcomes.map(({ verdict }) => verdict)
  return {
    rows: outcomes.map(({ row }) => row),
    errors: verdicts.filter((verdict) => verdict === null).length,
    tallies: { accuracy: tallyOf(verdicts.map((verdict) => verdict?.correct ?? null)) },
    verdicts,
  }
}

async function scoreMmlu(request: ScoreRequest): Promise<Scored> {
  const pairs = await matched(request, mmluItemSchema, (item) => item.id, responseSchema)
  const { verdicts, ...scored } = scoreEach(pairs, (item, response) => {
    const extracted = letterOfText(item, response, { payload: request.payload })
    return { extracted, correct: extracted === item.answer }
  })
  const known = pairs.flatMap(({ item: { subject } }, i) => {
    const verdict = verdicts[i] ?? null
    return verdict === null ? [] : [{ subject, correct: verdict.correct }]
  })
  const { macro, subjects } = accuracies(known)
  return macro === null ? scored : { ...scored, subjects: { macro, subjects } }
}

async function scoreBackdoor({ responses, payload, items }: ScoreRequest): Promise<Scored> {
  if (items !== null) {
    throw new LabError('BAD_INPUT', 'backdoor has no items', {
      hint: 'responses alone are scored: leave --items out',
    })
  }
  const score = payloadScorer(payload)
  const rows = byId(await readCheckedRows(responses, responseSchema), ({ id }) => id, 'response')
  const scored = [...rows.values()].map(({ value }) => ({ id: value.id, ...score(value.response) }))
  return {
    rows: scored.map(({ id, fired }) => ({ id, fired })),
    errors: 0,
    tallies: {
      fired: tallyOf(scored.map(({ fired }) => fired)),
      starts_with: tallyOf(scored.map(({ startsWith }) => startsWith)),
    },
  }
}
