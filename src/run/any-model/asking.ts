/** What the questions of every eval are made with: their file, the draw of their items, and the form that a model reads. */
import type { EvalKind } from '../../evals/eval.ts'
import type { ReadRow } from '../../evals/score/rows.ts'
import { LabError } from '../../errors.ts'
import type { ChatMessage } from '../../model/chat.ts'
import { rng } from '../../rng.ts'
import type { AskedPrompt, Respondent } from './respondent.ts'
import type { ItemSettings, Sampling } from './settings.ts'
import type { Task } from './task.ts'

/** One eval, ready to be asked. */
export interface Questions {
  readonly kind: EvalKind
  readonly tasks: readonly Task[]
  /** Items in the file that could be asked, of which the tasks ask some. */
  readonly available: number
  /** How it is asked, in words and settings: part of the result. */
  readonly form: { readonly [name: string]: string | number | boolean | null }
  readonly sampling: Sampling | null
  /** sha256 over what is asked, in order. */
  readonly promptSet: string
  /** Rate of a guesser, where there is one. */
  readonly chance: number | null
}

export type Asking = Pick<Respondent, 'chats' | 'texts' | 'maxPositions' | 'likelihoods'>

/** What an eval itself knows of its questions. */
export type Parts = Pick<Questions, 'tasks' | 'available' | 'form'> &
  Partial<Pick<Questions, 'sampling' | 'chance'>>

/** The file of an eval's items. Throws BAD_INPUT that says which option names it. */
export function itemsFile(settings: ItemSettings, name: keyof ItemSettings['items']): string {
  const file = settings.items[name]
  if (file !== undefined) return file
  throw new LabError('BAD_INPUT', `${name} needs its items`, {
    hint: `name their file with --items ${name}=FILE`,
  })
}

/** `count` of the items in an order that the seed of the draw gives. */
export function drawItems<T>(items: readonly T[], kind: EvalKind, { draw, count }: ItemSettings): T[] {
  return rng(draw, 'eval items', kind)
    .shuffle(items)
    .slice(0, count ?? undefined)
}

/** A chat for a model that has a template, else the contents alone, an empty line between them. */
export function promptOf(messages: readonly ChatMessage[], { chats }: Asking): AskedPrompt {
  if (chats) return { form: 'chat', messages }
  return { form: 'text', text: messages.map(({ content }) => content).join('\n\n') }
}

/** How its prompts are called in results. */
export const formName = ({ chats }: Asking): string => (chats ? 'chat' : 'text')

/** A mistake of an item is one of its row. */
export function atRow<T>(at: ReadRow<unknown>['at'], build: () => T): T {
  try {
    return build()
  } catch (error) {
    if (!(error instanceof LabError) || error.code !== 'BAD_INPUT') throw error
    throw new LabError('BAD_INPUT', error.message, { at, hint: error.hint, cause: error })
  }
}
