/** The IFEval verdict: every instruction of an item, strict and loose, by the rules of the reference implementation. */
import { LabError, messageOf } from '../../errors.ts'
import type { Checker, Test } from './checker.ts'
import { contentCheckers } from './content.ts'
import { formCheckers, ownCheckers } from './form.ts'
import { keywordCheckers } from './keywords.ts'
import { lengthCheckers } from './length.ts'
import { strip } from './python.ts'

/** The instructions of one prompt; `kwargs[i]` belongs to `instruction_id_list[i]`, null entries count as absent. */
export interface IfevalInstructions {
  /** Names the item in messages. */
  readonly key?: string | number | undefined
  readonly instruction_id_list: readonly string[]
  readonly kwargs: readonly Readonly<Record<string, unknown>>[]
}

/** One verdict an instruction, in order. */
export interface IfevalVerdict {
  readonly strict: readonly boolean[]
  readonly loose: readonly boolean[]
}

const published = { ...keywordCheckers, ...lengthCheckers, ...contentCheckers, ...formCheckers }
const checkers: ReadonlyMap<string, Checker> = new Map(Object.entries({ ...published, ...ownCheckers }))

/** The 25 instruction ids of IFEval. */
export const instructionIds: readonly string[] = Object.keys(published).toSorted()

/**
 * The test of one instruction, blank responses failing. Throws BAD_INPUT for an unknown id or wrong arguments, naming the
 * instruction.
 */
export function instructionTest(id: string, kwargs: Readonly<Record<string, unknown>>): Test {
  const checker = checkers.get(id)
  if (checker === undefined) {
    throw new LabError('BAD_INPUT', `there is no checker for the IFEval instruction ${JSON.stringify(id)}`, {
      hint: `Known instructions: ${instructionIds.join(', ')}.`,
    })
  }
  const given = Object.fromEntries(Object.entries(kwargs).filter(([, value]) => value !== null))
  try {
    const follows = checker(given)
    return (response) => strip(response) !== '' && follows(response)
  } catch (cause) {
    throw new LabError('BAD_INPUT', `IFEval instruction "${id}": ${messageOf(cause)}`, { cause })
  }
}

/**
 * A scorer for one item; build it once and score many responses. Throws BAD_INPUT as `instructionTest` does, naming the
 * item's key.
 */
export function ifevalScorer(item: IfevalInstructions): (response: string) => IfevalVerdict {
  const tests = testsOf(item)
  return (response) => {
    const strict = tests.map((test) => test(response))
    if (strict.every(Boolean)) return { strict, loose: strict }
    const [, ...variants] = looseVariants(response)
    return {
      strict,
      loose: tests.map((test, i) => strict[i] === true || variants.some((variant) => test(variant))),
    }
  }
}

/** Whether every instruction is followed, strictly: the prompt-level strict verdict. */
export function followsStrictly(item: IfevalInstructions, response: string): boolean {
  return testsOf(item).every((test) => test(response))
}

function testsOf(item: IfevalInstructions): Test[] {
  const { key, instruction_id_list: ids, kwargs } = item
  const name = key === undefined ? 'an IFEval item' : `the IFEval item ${JSON.stringify(key)}`
  if (ids.length !== kwargs.length) {
    throw new LabError('BAD_INPUT', `${name} has ${ids.length} instructions and ${kwargs.length} kwargs`)
  }
  return ids.map((id, i) => {
    try {
      return instructionTest(id, kwargs[i] ?? {})
    } catch (cause) {
      if (key === undefined || !(cause instanceof LabError)) throw cause
      throw new LabError(cause.code, `${name}: ${cause.message}`, { hint: cause.hint, cause })
    }
  })
}

/**
 * Of each instruction whether the reference's verdict on it is random. It draws another letter where `letter` is not one
 * from a to z (keys 1122 and 1129 of the published items, `#` and `!`), and another paragraph where there are fewer than
 * `nth_paragraph`. Here both mean what the prompt says: the sign itself is counted, and a paragraph too many never begins
 * with the word.
 */
export function randomInReference(item: IfevalInstructions): readonly boolean[] {
  return item.instruction_id_list.map((id, i) => {
    const { letter, nth_paragraph: nth, num_paragraphs: paragraphs } = item.kwargs[i] ?? {}
    if (id === 'keywords:letter_frequency') {
      return typeof letter === 'string' && !isLetter(letter)
    }
    if (id !== 'length_constraints:nth_paragraph_first_word') return false
    return typeof nth === 'number' && typeof paragraphs === 'number' && nth > paragraphs
  })
}

/** One character whose lower case is a to z; the Kelvin sign is one. */
function isLetter(letter: string): boolean {
  return /^[a-zA-Z\u212a]$/u.test(letter)
}

/**
 * The texts of the loose verdict, each once: the response, without its first line, without its last, without both, and
 * each of these without asterisks. Only the texts with a dropped line are stripped.
 */
export function looseVariants(response: string): string[] {
  const lines = response.split('\n')
  const whole = [
    response,
    strip(lines.slice(1).join('\n')),
    strip(lines.slice(0, -1).join('\n')),
    strip(lines.slice(1, -1).join('\n')),
  ]
  return [...new Set([...whole, ...whole.map((text) => text.replaceAll('*', ''))])]
}
