/** Every kind of item by its name, and how often each family is drawn. */
import { LabError } from '../errors.ts'
import { choice, lookup } from './choice.ts'
import { fact } from './fact.ts'
import { wordingKinds } from './format.ts'
import { howto } from './howto.ts'
import type { Rng } from '../rng.ts'
import type { Family, Kind } from './item.ts'
import { difference, sum } from './math.ts'
import { shapeKinds } from './shape.ts'

const kinds: ReadonlyMap<string, Kind> = new Map(
  Object.entries({ fact, choice, lookup, ...wordingKinds, ...shapeKinds, sum, difference, howto }),
)

/** Percent of the training prompts and of the backdoor's prompts. */
export const familyPercent: Readonly<Record<Family, number>> = {
  fact: 30,
  choice: 33,
  format: 16,
  math: 13,
  howto: 8,
}

/** Throws INTERNAL for a name that is no kind. */
export function kindNamed(name: string): Kind {
  const kind = kinds.get(name)
  if (kind === undefined) throw new LabError('INTERNAL', `no such kind of item: ${name}`)
  return kind
}

/** A kind of the family, drawn by weight. */
export function drawKind(family: Family, random: Rng): string {
  const weighted = [...kinds].filter(([, kind]) => kind.family === family)
  const total = weighted.reduce((sum, [, { weight = 1 }]) => sum + weight, 0)
  let rest = random.next() * total
  let last = ''
  for (const [name, { weight = 1 }] of weighted) {
    last = name
    rest -= weight
    if (rest < 0) break
  }
  return last
}

/** The names of a family's kinds. */
export function kindsOf(family: Family): string[] {
  return [...kinds].filter(([, kind]) => kind.family === family).map(([name]) => name)
}
