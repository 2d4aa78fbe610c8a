/** The prompt of a math problem: its text, and where the answer is expected. */
import { LabError, visible } from '../../errors.ts'
import type { MathItem } from './items.ts'

/** What follows the problem. The post's author also asks for reasoning and a positive integer in the box. */
const request = String.raw`Think step by step. Then give your final answer, a positive integer, in \boxed{}.`

/** The user's turn: the problem, an empty line, the request. Throws BAD_INPUT for an item that came without its problem. */
export function mathPrompt(item: MathItem): string {
  if (item.prompt === null || item.prompt.trim() === '') {
    throw new LabError('BAD_INPUT', `math item ${visible(item.id)} has no problem, only an answer`, {
      hint: 'Files of ids and answers can be scored, not asked: give the rows with their `problem`.',
    })
  }
  return `${item.prompt}\n\n${request}`
}
