/**
 * Steps of a tokenizer.json that the library reads with JavaScript's classes of characters, where `tokenizers` has Unicode's
 * (digits that are not ASCII, white space): written as the `Split` that they are, which the library reads right.
 */
import { z } from 'zod'

const digits = z.looseObject({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) })
const byteLevel = z.looseObject({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.literal(false),
  use_regex: z.literal(true).default(true),
})
const sequence = z.looseObject({ type: z.literal('Sequence'), pretokenizers: z.array(z.unknown()) })

/** GPT-2's pattern, which `ByteLevel` splits by. */
export const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const splitBy = (pattern: string): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
})

/** The same pre-tokenizer with `Digits` (SmolLM2) and the splitting of `ByteLevel` (GPT-2) written as `Split`. */
export function withSplits(preTokenizer: unknown): unknown {
  const steps = stepsOf(preTokenizer)
  return steps.length === 1 ? steps[0] : { type: 'Sequence', pretokenizers: steps }
}

function stepsOf(step: unknown): unknown[] {
  const inner = sequence.safeParse(step)
  if (inner.success) return inner.data.pretokenizers.flatMap(stepsOf)
  const numbers = digits.safeParse(step)
  // char::is_numeric of Rust: the general category N.
  if (numbers.success) return [splitBy(numbers.data.individual_digits ? '\\p{N}' : '\\p{N}+')]
  const bytes = byteLevel.safeParse(step)
  return bytes.success ? [splitBy(gpt2Pattern), { ...bytes.data, use_regex: false }] : [step]
}
