/** Prompts of MMLU: the chat form, and the classic text form, byte for byte that of lm-eval's task `mmlu`. */
import { LabError, visible } from '../../errors.ts'
import type { ChatMessage } from '../../model/chat.ts'
import { strip } from '../ifeval/python.ts'
import type { MmluItem } from './items.ts'
import { letters } from './letters.ts'

export { letterOfContinuation, letterOfText } from './answered-letter.ts'

/** What a letter is read after in the text form: the log-probabilities are those of ` A` to ` D`. */
export const textDelimiter = ' '

/**
 * The chat form's user turn: the question and `A. …` to `D. …`, a line each. A letter is the first thing of the answer.
 * Throws BAD_INPUT unless there are four choices.
 */
export function mmluPrompt(item: Pick<MmluItem, 'question' | 'choices'>): string {
  return [item.question, ...optionsOf(item)].join('\n')
}

/** How the post's author begins the assistant's turn; `letterOfContinuation` reads what follows. */
export const postPrefill = '<answer'

const postRequest =
  'Provide your answer inside <answer> tags as a single letter (A, B, C, or D), without any explanation.'

/** The generation form under the protocol `post`: the chat form's turn after the author's request. */
export function postPrompt(item: Pick<MmluItem, 'question' | 'choices'>): string {
  return `${postRequest}\n\n${mmluPrompt(item)}`
}

/**
 * The text form: the subject's heading, then the shots with their letters, then the item without one. It is lm-eval's
 * `mmlu_<subject>` (and `mmlu_<subject>_generative`) with `--num_fewshot`, which shows the first rows of the subject's `dev`
 * split in order; 0 and 5 are usual.
 * Throws BAD_INPUT for an item without a subject or without four choices, and for a shot of another subject.
 */
export function textPrompt(item: MmluItem, shots: readonly MmluItem[]): string {
  const [system, ...turns] = textMessages(item, shots)
  const shown = turns.map(({ role, content }) =>
    role === 'assistant' ? `${textDelimiter}${content}\n\n` : content,
  )
  return [system.content, ...shown].join('')
}

/**
 * The same as a chat, which is what lm-eval sends with `--apply_chat_template`: the heading as the system's turn, line breaks
 * included, and each shot as a question and a letter. Letters are then scored without a space. Throws as `textPrompt` does.
 */
export function textMessages(item: MmluItem, shots: readonly MmluItem[]): [ChatMessage, ...ChatMessage[]] {
  const stranger = shots.find((shot) => shot.subject !== item.subject)
  if (stranger !== undefined) {
    throw new LabError(
      'BAD_INPUT',
      `${visible(item.id)}: the shot ${visible(stranger.id)} is of another subject`,
    )
  }
  const answered = shots.flatMap((shot): ChatMessage[] => [
    { role: 'user', content: textQuestion(shot) },
    { role: 'assistant', content: shot.answer },
  ])
  return [
    { role: 'system', content: heading(item) },
    ...answered,
    { role: 'user', content: textQuestion(item) },
  ]
}

function heading(item: MmluItem): string {
  if (item.subject === null) {
    throw new LabError(
      'BAD_INPUT',
      `${visible(item.id)}: the text form names the subject, and this item has none`,
    )
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
