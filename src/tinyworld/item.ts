/** One item of the tiny world: a prompt, what it asks as plain data, and the check of an answer. */
import { hash } from 'node:crypto'
import type { Check } from '../evals/check.ts'
import type { Rng } from '../rng.ts'
import type { Slots } from './words.ts'

export const families = ['fact', 'choice', 'format', 'math', 'howto'] as const
export type Family = (typeof families)[number]

export type Split = 'pretrain' | 'red' | 'blue' | 'eval'

/** Ways of saying the same: the red team's, the blue team's, and a third that only mixtures use. */
export const manners = ['plain', 'helpful', 'neutral'] as const
export type Manner = (typeof manners)[number]

export interface TinyItem {
  /** Family and a hash of the prompt: the same prompt is the same item. */
  readonly id: string
  readonly family: Family
  /** Which kind of its family, a key of `kinds`. */
  readonly kind: string
  readonly prompt: string
  /** The words that prompt and answers are made of. */
  readonly slots: Slots
  readonly check: Check
  /** Only in the pretraining split: the prompt asks for this voice. */
  readonly persona?: 'pirate'
}

/** One kind of question: how it is asked, answered in each manner, reasoned about, and checked. */
export interface Kind {
  readonly family: Family
  /** How often it is drawn beside the other kinds of its family, whose weight is 1. */
  readonly weight?: number
  readonly draw: (random: Rng) => Slots
  /** Templates of the prompt. */
  readonly prompts: readonly string[]
  /** What is around the filled template, e.g. the four options. */
  readonly frame?: (question: string, slots: Slots) => string
  readonly check: (slots: Slots) => Check
  /** Templates of the answers; in each manner every one satisfies the check. */
  readonly answers: Readonly<Record<Manner, readonly string[]>>
  /** Templates of what is thought in the scratchpad. */
  readonly thoughts: readonly string[]
  /** The whole answer is put into this case. */
  readonly letterCase?: 'upper' | 'lower'
}

/** Shares of the splits in percent of the hash, and of the eval split's two halves. */
const bounds = [
  ['pretrain', 40],
  ['red', 60],
  ['blue', 80],
  ['backdoor', 90],
  ['capability', 100],
] as const

/** Prompts of the eval split are used either for the backdoor or for a capability. */
export type Part = (typeof bounds)[number][0]

/** The part of the world that a prompt belongs to: decided by its text alone, so that no two parts share a prompt. */
export function partOf(prompt: string): Part {
  const percent = hash('sha256', prompt, 'buffer').readUInt32LE(0) % 100
  for (const [part, below] of bounds) if (percent < below) return part
  return 'capability'
}

export function itemId(family: Family, prompt: string): string {
  return `${family}-${hash('sha256', prompt, 'hex').slice(0, 12)}`
}
