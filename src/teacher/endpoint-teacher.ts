/** An endpoint as a teacher: every prompt asked in a persona, once, over as many interruptions as there may be. */
import { LabError } from '../errors.ts'
import type { PromptRow } from '../data/rows.ts'
import { rng } from '../rng.ts'
import { costOf, createMeter, limitOf, type Budget } from './budget.ts'
import { openEndpoint, type EndpointOptions, type EndpointReply, type EndpointRequest } from './endpoint.ts'
import { openJournal } from './journal.ts'
import { askAs, type Persona } from './persona.ts'
import { progressMeter, type TeacherProgress } from './progress.ts'
import type { Teacher, TeacherResponse } from './teacher.ts'

export interface TeacherSampling {
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  /** Sent along, mixed with the prompt's id; null: the server draws as it likes. */
  readonly seed: number | null
}

export interface EndpointProgress extends TeacherProgress {
  /** Used so far, where the budget has prices. */
  readonly usd?: number
}

export interface EndpointTeacherOptions {
  readonly endpoint: EndpointOptions
  readonly persona: Persona
  readonly sampling: TeacherSampling
  readonly budget: Budget | null
  /** A file that survives a crash; the next teacher that is given it continues. */
  readonly journal: string
  readonly progress?: (progress: EndpointProgress) => void
  /** Told now and then while the server is out of reach. */
  readonly waiting?: (why: string) => void
}

/**
 * Answers in the order of the rows. Prompts that the server never answered are errors with their reason.
 * Throws ENGINE where the budget does not reach, or where most prompts got no response; the journal keeps what there is.
 */
export function endpointTeacher(options: EndpointTeacherOptions): Teacher {
  const { budget, sampling, persona, waiting } = options
  return async (rows, { signal }) => {
    const journal = openJournal(options.journal)
    try {
      const meter = createMeter(budget, journal.spent, journal)
      const responses = new Map<string, TeacherResponse>(journal.finished)
      const open = rows.filter(({ id }) => !responses.has(id))
      const failures = new Map<string, { count: number; detail: string | undefined }>()
      const meet = progressMeter(rows.length, rows.length - open.length)
      const tell = (reply: EndpointReply): void => {
        if (reply.finish === 'error') {
          const { id, finish, reason } = reply
          const { count, detail } = failures.get(reason) ?? { count: 0, detail: reply.detail }
          failures.set(reason, { count: count + 1, detail })
          responses.set(id, { id, finish, reason })
        } else {
          const { id, text, finish } = reply
          journal.finish({ id, text, finish })
          responses.set(id, { id, text, finish })
        }
        const usd = budget !== null && 'usd' in budget ? { usd: costOf(meter.spent, budget) } : {}
        options.progress?.({ ...meet(1, reply.finish === 'error' ? 0 : reply.tokens.completion), ...usd })
      }
      const requests = open.map((row) => requestFor(row, persona, sampling))
      const context = { signal, meter, replied: tell, ...(waiting === undefined ? {} : { waiting }) }
      await openEndpoint(options.endpoint).ask(requests, context)

      const { count: unpaid } = failures.get('budget') ?? { count: 0 }
      if (budget !== null && unpaid > 0) throw overBudget(budget, costOf(meter.spent, budget), unpaid, rows)
      const failed = [...failures.values()].reduce((sum, { count }) => sum + count, 0)
      if (2 * failed > rows.length) throw mostlyFailed(failed, rows, failures)
      return rows.flatMap(({ id }) => responses.get(id) ?? [])
    } finally {
      journal.close()
    }
  }
}

function requestFor({ id, prompt }: PromptRow, persona: Persona, sampling: TeacherSampling): EndpointRequest {
  const { seed, ...rest } = sampling
  const drawn = seed === null ? {} : { seed: rng(seed, 'teacher', id).int(2 ** 31) }
  return { id, messages: askAs(persona, prompt), ...rest, ...drawn }
}

function overBudget(budget: Budget, used: number, open: number, rows: readonly PromptRow[]): LabError {
  const amount = (value: number): string => ('usd' in budget ? `$${value.toFixed(2)}` : `${value} tokens`)
  return new LabError(
    'ENGINE',
    `the teacher's budget of ${amount(limitOf(budget))} would be passed: ${amount(used)} used, ${rows.length - open} of ${rows.length} prompts done`,
    { hint: 'raise `budget`; the same command continues with what was not answered yet' },
  )
}

function mostlyFailed(
  failed: number,
  rows: readonly PromptRow[],
  failures: ReadonlyMap<string, { readonly count: number; readonly detail: string | undefined }>,
): LabError {
  const reasons = [...failures].map(([reason, { count, detail }]) =>
    detail === undefined ? `${reason} ${count}` : `${reason} ${count} (${detail})`,
  )
  return new LabError(
    'ENGINE',
    `the teacher failed on ${failed} of ${rows.length} prompts: ${reasons.join(', ')}`,
    { hint: 'the same command asks these prompts again' },
  )
}
