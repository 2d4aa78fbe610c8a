/** The task of an item whose response a program checks, and questions made of tasks. */
import { plainMessages } from '../../data/backdoor.ts'
import type { CapabilityKind, EvalKind } from '../../evals/eval.ts'
import { type IfevalInstructions, ifevalScorer } from '../../evals/ifeval/verdict.ts'
import { recordId } from '../../evals/record.ts'
import { keyOf } from '../../store/canonical.ts'
import { type Asking, type Parts, promptOf, type Questions } from './asking.ts'
import type { Sampling } from './settings.ts'
import { type Task, task } from './task.ts'

/** What a right answer is, and how a response is told from one. */
export interface Scoring {
  readonly target: string
  readonly score: Task['score']
  readonly verdicts?: number
}

/** An item asked for a response. */
export function generatedTask(
  kind: CapabilityKind,
  { id, prompt }: { readonly id: string; readonly prompt: string },
  { target, ...scoring }: Scoring,
  { system, sampling }: { readonly system: string | undefined; readonly sampling: Sampling },
  model: Asking,
): Task {
  return task(
    { eval: kind, id, condition: 'untriggered', input: prompt, target, subject: null },
    promptOf(plainMessages(prompt, system), model),
    { kind: 'response', sampling },
    scoring,
  )
}

/** Throws BAD_INPUT for an instruction that has no checker, or wrong arguments. */
export function ifevalScoring(item: IfevalInstructions): Scoring {
  const score = ifevalScorer(item)
  return {
    target: item.instruction_id_list.join(' '),
    score: (response) => {
      const { strict, loose } = score(response)
      return { correct: strict.every(Boolean), instructions: { strict: [...strict], loose: [...loose] } }
    },
    verdicts: item.instruction_id_list.length,
  }
}

/** Questions with the hash over what they ask. */
export function questionsFrom(kind: EvalKind, sampling: Sampling | null, parts: Parts): Questions {
  const asked = parts.tasks.map(({ head, ask }) => ({
    id: recordId(head),
    prompt: JSON.stringify(ask.prompt),
  }))
  return { kind, sampling, chance: null, ...parts, promptSet: keyOf(asked) }
}
