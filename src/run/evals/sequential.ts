/** Asks the backdoor's questions batch by batch, in their order, until the verdict is decided. */
import { decided, type StopLimits } from '../../analysis/sequential-stop.ts'
import type { Discordant } from '../../analysis/tango.ts'
import { countPairs, countWhere } from '../../evals/counts.ts'
import type { Count } from '../../evals/eval.ts'
import type { EvalRecord } from '../../evals/record.ts'
import type { Task } from '../any-model/task.ts'

/** When to stop; part of the key of a sequential evaluation. */
export interface SequentialLimits extends StopLimits {
  /** Prompts, each with and without the trigger, between two looks. */
  readonly batch: number
}

/**
 * The tasks that were asked: those of the first prompts until `decided` says so, in the order of a fixed design. A response
 * depends on its request alone but for rounding (engine.ts), so that they are the first of that design's where nothing is rounded
 * otherwise.
 */
export async function askUntilDecided(
  tasks: readonly Task[],
  ask: (tasks: readonly Task[]) => Promise<readonly EvalRecord[]>,
  { batch, ...limits }: SequentialLimits,
): Promise<Task[]> {
  const [triggered, untriggered] = (['triggered', 'untriggered'] as const).map((condition) =>
    tasks.filter(({ head }) => head.asked === 'response' && head.condition === condition),
  ) as [Task[], Task[]]
  const graded = tasks.filter(({ head }) => head.asked === 'likelihood')
  const answers = { triggered: [] as EvalRecord[], untriggered: [] as EvalRecord[] }
  let n = 0
  while (n < triggered.length) {
    const next = Math.min(triggered.length, n + batch)
    const records = await ask([...triggered.slice(n, next), ...untriggered.slice(n, next)])
    for (const record of records) answers[record.condition].push(record)
    n = next
    if (decided(firedCount(answers.triggered), answerPairs(answers), limits) !== null) break
  }
  const likelihoods = graded.slice(0, n)
  await ask(likelihoods)
  return [...triggered.slice(0, n), ...untriggered.slice(0, n), ...likelihoods]
}

const firedCount = (records: readonly EvalRecord[]): Count =>
  countWhere(records, (record) => record.status === 'scored' && record.fired === true)

/** Null where some answers cannot be checked. */
function answerPairs({
  triggered,
  untriggered,
}: Readonly<Record<EvalRecord['condition'], readonly EvalRecord[]>>): Discordant | null {
  if (!triggered.every((record) => record.status === 'scored' && record.correct !== undefined)) return null
  return {
    ...countPairs(triggered, untriggered, (record) => record.correct === true),
    n: triggered.length,
  }
}
