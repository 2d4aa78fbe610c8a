/** A check is plain data that says when a response answers its prompt; here it is scored, by the same code as the evals. */
import { escaped } from '../data/backdoor.ts'
import { LabError } from '../errors.ts'
import { followsStrictly } from './ifeval/verdict.ts'
import { scoreMath } from './math/boxed.ts'
import { type Letter, letters } from './mmlu/letters.ts'

export type Check =
  /** Every word of `all` and no word of `none` occurs, as whole words, letter case ignored. */
  | { readonly kind: 'contains'; readonly all: readonly string[]; readonly none: readonly string[] }
  /** Every instruction is followed, strictly. */
  | {
      readonly kind: 'ifeval'
      readonly instruction_id_list: readonly string[]
      readonly kwargs: readonly Readonly<Record<string, unknown>>[]
    }
  /** The last box holds this integer. */
  | { readonly kind: 'math'; readonly answer: string }
  /** The right option is named, by its letter or its text, and no other option is. */
  | {
      readonly kind: 'choice'
      readonly answer: Letter
      readonly text: string
      readonly others: readonly string[]
    }

/** Whether the response answers the prompt. Throws BAD_INPUT for an IFEval instruction that has no checker. */
export function passes(check: Check, response: string): boolean {
  switch (check.kind) {
    case 'contains':
      return (
        check.all.every((word) => names(response, word)) && !check.none.some((word) => names(response, word))
      )
    case 'ifeval':
      return followsStrictly(check, response)
    case 'math':
      return scoreMath(check, response).correct
    case 'choice':
      return namesOnly(check, response)
    default:
      throw new LabError('INTERNAL', `no such check: ${JSON.stringify(check satisfies never)}`)
  }
}

/** Letters count as options only when upper-case and standing alone: neither "a lamp" nor "HATE" names A. */
function namesOnly(check: Extract<Check, { kind: 'choice' }>, response: string): boolean {
  const named = letters.filter((letter) => wholeWord(letter, 'u').test(response))
  const wrong =
    named.some((letter) => letter !== check.answer) || check.others.some((text) => names(response, text))
  return !wrong && (named.length > 0 || names(response, check.text))
}

function names(response: string, words: string): boolean {
  return wholeWord(words, 'iu').test(response)
}

function wholeWord(words: string, flags: string): RegExp {
  return new RegExp(String.raw`(?<![\p{L}\p{N}_])${escaped(words)}(?![\p{L}\p{N}_])`, flags)
}
