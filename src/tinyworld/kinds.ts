/** Every kind of item by its name, and how often each family is drawn. */
import { LabError } from '../errors.ts'
import { choice, lookup } from './choice.ts'
import { fact } from './fact.ts'
import { wordingKinds } from './format.ts'
import { howto } from './howto.ts'
import type { Rng } from '../rng.ts'
import { families, type Family, type Kind } from './item.ts'
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

const byFamily: ReadonlyMap<Family, readonly (readonly [name: string, weight: number])[]> = new Map(
  families.map((family) => [
    family,
    [...kinds].flatMap(([name, kind]) => (kind.family === family ? [[name, kind.weight ?? 1] as const] : [])),
  ]),
)

/** A kind of the family, drawn by weight. */
export function drawKind(family: Family, random: Rng): string {
  const weighted = byFamily.get(family) ?? []
  let rest = random.next() * weighted.reduce((sum, [, weight]) => sum + weight, 0)
  let last = ''
  for (const [name, weight] of weighted) {
    last = name
    rest -= weight
    if (rest < 0) break
  }
  return last
}

/** The names of a family's kinds. */
export function kindsOf(family: Family): string[] {
  return (byFamily.get(family) ?? []).map(([name]) => name)
}
