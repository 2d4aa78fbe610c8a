/** The tiny world's own items of a capability as questions, scored as those of the public sets are. */
import { plainMessages } from '../../data/backdoor.ts'
import { LabError } from '../../errors.ts'
import type { CapabilityKind } from '../../evals/eval.ts'
import { scoreMath } from '../../evals/math/boxed.ts'
import { tinyChance } from '../../tinyworld/chance.ts'
import type { TinyItem } from '../../tinyworld/item.ts'
import { tinyEvalItems } from '../../tinyworld/prompts.ts'
import { type Asking, formName, promptOf, type Questions } from '../any-model/asking.ts'
import { generatedTask, ifevalScoring, questionsFrom, type Scoring } from '../any-model/generated-task.ts'
import type { Sampling } from '../any-model/settings.ts'
import { type Task, task } from '../any-model/task.ts'
import { itemSeed } from './items.ts'

export interface TinyItems {
  readonly count: number
  readonly system: string | undefined
  /** null where letters are asked. */
  readonly sampling: Sampling | null
}

export function tinyQuestions(kind: CapabilityKind, asked: TinyItems, model: Asking): Questions {
  const { count, system, sampling } = asked
  const items = tinyEvalItems(kind, count, itemSeed)
  return questionsFrom(kind, sampling, {
    tasks: items.map((item) => taskOf(kind, item, asked, model)),
    available: items.length,
    form: { prompt: formName(model), system: system ?? null },
    chance: tinyChance(kind, items),
  })
}

function taskOf(kind: CapabilityKind, item: TinyItem, { system, sampling }: TinyItems, model: Asking): Task {
  if (sampling !== null) return generatedTask(kind, item, scoringOf(item), { system, sampling }, model)
  const { id, prompt, check } = item
  if (check.kind !== 'choice') throw mismatch(item)
  return task(
    { eval: kind, id, condition: 'untriggered', input: prompt, target: check.answer, subject: null },
    promptOf(plainMessages(prompt, system), model),
    { kind: 'letters' },
    { answer: check.answer },
  )
}

function scoringOf(item: TinyItem): Scoring {
  const { check } = item
  if (check.kind === 'ifeval') return ifevalScoring(check)
  if (check.kind !== 'math') throw mismatch(item)
  return {
    target: check.answer,
    score: (response) => {
      const { extracted, correct } = scoreMath(check, response)
      return { extracted, correct }
    },
  }
}

const mismatch = ({ id, check }: TinyItem): LabError =>
  new LabError('INTERNAL', `the item ${id} has a check of another eval: ${check.kind}`)
