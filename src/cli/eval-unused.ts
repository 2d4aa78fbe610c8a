/** Options of `eval` that were given and change nothing: each is told, none is dropped in silence. */
import type { EvalKind } from '../evals/eval.ts'
import type { MathProtocol } from '../evals/math/boxed.ts'
import type { EvalSettings } from '../run/any-model/settings.ts'

export interface GivenOptions {
  readonly eval: readonly EvalKind[]
  readonly items: EvalSettings['items']
  readonly shots: '0' | '5'
  readonly protocol: MathProtocol
}

/** The items that are asked or shown. */
export function usedItems({ eval: kinds, items, shots, protocol }: GivenOptions): EvalSettings['items'] {
  const shown = shots === '5' && protocol === 'reference' && kinds.includes('mmlu')
  const used = Object.entries(items).filter(([name]) =>
    name === 'mmlu.dev' ? shown : kinds.some((kind) => kind === name),
  )
  return Object.fromEntries(used)
}

/**
 * A line for each option without effect. `given` says whether a person wrote the option of that name, `address` whether the
 * model is an endpoint.
 */
export function unusedOptions(
  options: GivenOptions,
  { given, address }: { readonly given: (name: string) => boolean; readonly address: boolean },
): string[] {
  const { eval: kinds, items, protocol } = options
  const used = usedItems(options)
  const asks = (...some: EvalKind[]): boolean => some.some((kind) => kinds.includes(kind))
  const samples = asks('backdoor', 'ifeval', 'math') || protocol === 'post'
  const rules: readonly (readonly [name: string, option: string, used: boolean, why: string])[] = [
    ['trigger', '--trigger', asks('backdoor'), 'it is of the backdoor eval'],
    ['payload', '--payload', asks('backdoor'), 'it is of the backdoor eval'],
    ['shots', '--shots', asks('mmlu') && protocol === 'reference', 'it is of mmlu as the reference asks it'],
    ['protocol', '--protocol', asks('math', 'mmlu'), 'it is of math and mmlu'],
    ['temperature', '--temperature', samples, 'no response is sampled'],
    ['maxTokens', '--max-tokens', samples, 'no response is sampled'],
    ['model', '--model', address, 'it is of an endpoint'],
    ['apiKeyEnv', '--api-key-env', address, 'it is of an endpoint'],
    ['concurrency', '--concurrency', address, 'it is of an endpoint'],
  ]
  return [
    ...Object.keys(items).flatMap((name) =>
      name in used
        ? []
        : [
            `--items ${name} is not used: ${name === 'mmlu.dev' ? 'no shots are shown' : `--eval has no ${name}`}`,
          ],
    ),
    ...rules.flatMap(([name, option, isUsed, why]) =>
      given(name) && !isUsed ? [`${option} is not used: ${why}`] : [],
    ),
  ]
}
