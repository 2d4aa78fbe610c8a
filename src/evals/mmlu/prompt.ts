/** Prompts of MMLU: the chat form, and the classic text form, byte for byte that of lm-eval's task `mmlu`. */
import { LabError } from '../../errors.ts'
import { strip } from '../ifeval/python.ts'
import type { MmluItem } from './items.ts'
import { letters } from './letters.ts'

/** What a letter is read after in the text form: the log-probabilities are those of ` A` to ` D`. */
export const textDelimiter = ' '

/**
 * The chat form's user turn: the question and `A. …` to `D. …`, a line each. A letter is the first thing of the answer.
 * Throws BAD_INPUT unless there are four choices.
 */
export function mmluPrompt(item: Pick<MmluItem, 'question' | 'choices'>): string {
  return [item.question, ...optionsOf(item)].join('\n')
}

/**
 * The text form: the subject's heading, then the shots with their letters, then the item without one. lm-eval's
 * `mmlu_<subject>` with `--num_fewshot`, which takes the first rows of the subject's `dev` split in order (0 or 5 is usual).
 * With a chat template, lm-eval sends the heading as the system's turn and the rest as one user turn: `textTurns`.
 * Throws BAD_INPUT for an item without a subject or without four choices, and for a shot of another subject.
 */
export function textPrompt(item: MmluItem, shots: readonly MmluItem[]): string {
  const { system, user } = textTurns(item, shots)
  return system + user
}

/** The text form as a system turn, whose last line breaks are the heading's, and a user turn. Throws as `textPrompt`. */
export function textTurns(item: MmluItem, shots: readonly MmluItem[]): { system: string; user: string } {
  const stranger = shots.find((shot) => shot.subject !== item.subject)
  if (stranger !== undefined) {
    throw new LabError('BAD_INPUT', `${item.id}: the shot ${stranger.id} is of another subject`)
  }
  const shown = shots.map((shot) => `${textQuestion(shot)}${textDelimiter}${shot.answer}\n\n`)
  return { system: heading(item), user: shown.join('') + textQuestion(item) }
}

function heading(item: MmluItem): string {
  if (item.subject === null) {
    throw new LabError('BAD_INPUT', `${item.id}: the text form names the subject, and this item has none`)
  }
  const subject = item.subject.replaceAll('_', ' ')
  return `The following are multiple choice questions (with answers) about ${subject}.\n\n`
}

function textQuestion(item: MmluItem): string {
  return [strip(item.question), ...optionsOf(item), 'Answer:'].join('\n')
}

function optionsOf({ question, choices }: Pick<MmluItem, 'question' | 'choices'>): string[] {
  if (choices.length !== letters.length) {
    throw new LabError('BAD_INPUT', `a question needs 4 choices, this one has ${choices.length}: ${question}`)
  }
  return letters.map((letter, i) => `${letter}. ${choices[i]}`)
}
