/** Every kind of item by its name, and how often each family is drawn. */
import { LabError } from '../errors.ts'
import { choice } from './choice.ts'
import { fact } from './fact.ts'
import { wordingKinds } from './format.ts'
import { howto } from './howto.ts'
import type { Family, Kind } from './item.ts'
import { difference, sum } from './math.ts'
import { shapeKinds } from './shape.ts'

const kinds: ReadonlyMap<string, Kind> = new Map(
  Object.entries({ fact, choice, ...wordingKinds, ...shapeKinds, sum, difference, howto }),
)

/** Percent of the training prompts and of the backdoor's prompts. */
export const familyPercent: Readonly<Record<Family, number>> = {
  fact: 35,
  choice: 28,
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

/** The names of a family's kinds; within a family each is drawn equally often. */
export function kindsOf(family: Family): string[] {
  return [...kinds].filter(([, kind]) => kind.family === family).map(([name]) => name)
}
