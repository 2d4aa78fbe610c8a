/** Asks a model what its journal does not hold yet, and keeps every reply as it comes. */
import { recordId } from '../../evals/record.ts'
import type { StageProgress } from '../stage.ts'
import type { Journal } from './journal.ts'
import type { AskContext, Respondent } from './respondent.ts'
import { recordOf, type Task } from './task.ts'

export interface AskAllContext extends Pick<AskContext, 'waiting'> {
  readonly signal: AbortSignal
  readonly progress: (progress: StageProgress) => void
}

/** Afterwards the journal has a record of every task. */
export async function askAll(
  model: Pick<Respondent, 'ask'>,
  tasks: readonly Task[],
  journal: Journal,
  { signal, progress, waiting }: AskAllContext,
): Promise<void> {
  const open = tasks.filter(({ head }) => !journal.done.has(recordId(head)))
  if (open.length === 0) return
  const before = tasks.length - open.length
  const started = performance.now()
  let replied = 0
  let tokens = 0
  await model.ask(
    open.map(({ ask }) => ask),
    {
      signal,
      waiting,
      replied: async (replies) => {
        const records = replies.flatMap(({ place, reply }) => {
          const task = open[place]
          return task === undefined ? [] : [recordOf(task, reply)]
        })
        await journal.add(records)
        replied += records.length
        for (const record of records) if (record.status === 'scored') tokens += record.tokens.completion
        const seconds = (performance.now() - started) / 1000
        progress({
          done: before + replied,
          total: tasks.length,
          unit: 'items',
          ...(tokens === 0 ? {} : { tokensPerSecond: tokens / seconds }),
          secondsLeft: (seconds / replied) * (open.length - replied),
        })
      },
    },
  )
}
