/** What SOAP takes, before anything of it is allocated: elements, flops, and what a reader should know of the limits. */
import type { ParameterSpec } from '../../model/config.ts'
import type { SoapRecipe } from './soap.ts'
import { rotatedShape, type SoapLimits, workSize } from './soap-bases.ts'

type Shape = Pick<ParameterSpec, 'shape'>

/** Lengths of the sides that are rotated. */
export function rotatedSides(spec: Shape, limits: SoapLimits): number[] {
  const { rows, columns, left, right } = rotatedShape(spec, limits)
  return [...(left ? [rows] : []), ...(right ? [columns] : [])]
}

/** Elements of a matrix's averages and bases. */
export const basisElements = (spec: Shape, limits: SoapLimits): number =>
  rotatedSides(spec, limits).reduce((sum, side) => sum + 2 * side ** 2, 0)

/** Elements that SOAP holds beside Adam's two moments: averages, bases and work arrays. */
export function soapElements(specs: readonly ParameterSpec[], limits: SoapLimits): number {
  const bases = specs.reduce((sum, spec) => sum + basisElements(spec, limits), 0)
  const rotated = specs.filter((spec) => rotatedSides(spec, limits).length > 0)
  return bases + 2 * workSize(rotated.map((spec) => rotatedShape(spec, limits)))
}

/**
 * Flops of a step for one matrix, the refresh spread over the steps between two (docs/decisions/0010): a rotated side d of [m, n]
 * has three products at every step; at a refresh the power iteration, the reflections, and the first moment's way.
 */
export function updateFlops(spec: ParameterSpec, recipe: SoapRecipe): number {
  const ofSide = (d: number): number =>
    6 * spec.size * d + ((14 / 3) * d ** 3 + 4 * spec.size * d) / recipe.precondition_frequency
  return rotatedSides(spec, recipe).reduce((sum, side) => sum + ofSide(side), 0)
}

/** How many matrices are rotated, where not all are on both sides. */
export function soapNotes(specs: readonly ParameterSpec[], limits: SoapLimits): string[] {
  const matrices = specs.filter(({ shape }) => shape.length === 2)
  const sides = matrices.map((spec) => rotatedSides(spec, limits).length)
  const [any, both] = [1, 2].map((least) => sides.filter((count) => count >= least).length)
  if (both === matrices.length) return []
  const { max_precond_dim: most, one_sided_above: above } = limits
  const longer =
    above < most ? `, and where one is above one_sided_above (${above}) the longer is not either` : ''
  return [
    `SOAP rotates ${any} of ${matrices.length} matrices, ${both} of them on both sides: no side above max_precond_dim (${most})${longer}`,
  ]
}
