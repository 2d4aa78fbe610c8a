/** The IFEval verdict: every instruction of an item, strict and loose, by the rules of the reference implementation. */
import { LabError, messageOf } from '../../errors.ts'
import type { Test } from './checker.ts'
import { formCheckers } from './form.ts'
import { wordCheckers } from './keywords.ts'
import { strip } from './python.ts'

/** The instructions of one prompt; `kwargs[i]` belongs to `instruction_id_list[i]`, null entries count as absent. */
export interface IfevalInstructions {
  readonly instruction_id_list: readonly string[]
  readonly kwargs: readonly Readonly<Record<string, unknown>>[]
}

export interface IfevalItem extends IfevalInstructions {
  readonly key: string | number
  readonly prompt: string
}

/** One verdict an instruction, in order. */
export interface IfevalVerdict {
  readonly strict: readonly boolean[]
  readonly loose: readonly boolean[]
}

const checkers = new Map(Object.entries({ ...wordCheckers, ...formCheckers }))

/** The instruction ids that can be scored. */
export const instructionIds: readonly string[] = [...checkers.keys()].toSorted()

/**
 * The test of one instruction, blank responses failing. Throws BAD_INPUT for an unknown id or wrong arguments, naming the
 * instruction.
 */
export function instructionTest(id: string, kwargs: Readonly<Record<string, unknown>>): Test {
  const checker = checkers.get(id)
  if (checker === undefined) {
    throw new LabError('BAD_INPUT', `there is no checker for the IFEval instruction "${id}"`, {
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

/** A scorer for one item; build it once and score many responses. Throws BAD_INPUT as `instructionTest` does. */
export function ifevalScorer(item: IfevalInstructions): (response: string) => IfevalVerdict {
  if (item.instruction_id_list.length !== item.kwargs.length) {
    throw new LabError(
      'BAD_INPUT',
      `an IFEval item has ${item.instruction_id_list.length} instructions and ${item.kwargs.length} kwargs`,
    )
  }
  const tests = item.instruction_id_list.map((id, i) => instructionTest(id, item.kwargs[i] ?? {}))
  return (response) => {
    const variants = looseVariants(response)
    return {
      strict: tests.map((test) => test(response)),
      loose: tests.map((test) => variants.some((variant) => test(variant))),
    }
  }
}

/** Whether every instruction is followed, strictly: the prompt-level strict verdict. */
export function followsStrictly(item: IfevalInstructions, response: string): boolean {
  return ifevalScorer(item)(response).strict.every(Boolean)
}

/**
 * The eight texts of the loose verdict: the response, without its first line, without its last, without both, and each of
 * these without asterisks. Only the texts with a dropped line are stripped.
 */
export function looseVariants(response: string): string[] {
  const lines = response.split('\n')
  const whole = [
    response,
    strip(lines.slice(1).join('\n')),
    strip(lines.slice(0, -1).join('\n')),
    strip(lines.slice(1, -1).join('\n')),
  ]
  return [...whole, ...whole.map((text) => text.replaceAll('*', ''))]
}
