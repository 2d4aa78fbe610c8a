/** Axes: paths to numbers of the base, the organism or the technique, the values they take, and their short names. */
import { z } from 'zod'
import { isBlock } from './inherit.ts'
import { didYouMean, nearest, type Path, type Problem } from './problem.ts'
import { baseSchema } from './base-schema.ts'
import { type ExperimentSpec, organismSchema, techniqueSchema } from './schema.ts'
import { numberAt, numericPaths } from './schema-walk.ts'
import { explainIssues } from './explain.ts'
import type { Located } from './yaml.ts'

const roots = { base: baseSchema, organism: organismSchema, technique: techniqueSchema } as const
export type AxisRoot = keyof typeof roots

/** `technique.train.lr` is the path `train.lr` of every technique. */
export interface AxisPath {
  readonly root: AxisRoot
  readonly path: readonly string[]
}

export function axisPath(axis: string): AxisPath {
  const [root, ...path] = axis.split('.')
  return { root: root as AxisRoot, path }
}

/** Paths that name no number, and values that the number cannot take. */
export function axisProblems(
  spec: ExperimentSpec,
  located: Located,
  where: (path: Path, part?: 'key') => Problem['where'],
): Problem[] {
  return Object.entries(spec.axes).flatMap(([axis, values]): Problem[] => {
    const { root, path } = axisPath(axis)
    const schema = Object.hasOwn(roots, root) ? numberAt(roots[root], path) : undefined
    if (schema === undefined) {
      return [
        {
          where: where(['axes', axis], 'key'),
          message: `\`${axis}\` is no number that an axis can vary`,
          hint: axisHint(axis),
        },
      ]
    }
    return values.flatMap((value, i) => {
      const at = ['axes', axis, i]
      if (values.indexOf(value) < i) return [{ where: where(at), message: `axes.${axis} has ${value} twice` }]
      const issues = z.safeParse(schema, value).error?.issues ?? []
      return explainIssues(
        issues.map((issue) => ({ ...issue, path: at })),
        located,
        schema,
      )
    })
  })
}

function axisHint(axis: string): string {
  const known = Object.entries(roots).flatMap(([root, schema]) =>
    numericPaths(schema).map((path) => `${root}.${path}`),
  )
  const last = axis.split('.').at(-1) ?? axis
  const sameEnd = known.find((path) => path.endsWith(`.${last}`) && nearest(axis, [path]) !== undefined)
  return (
    didYouMean(axis, sameEnd === undefined ? known : [sameEnd]) ??
    'an axis is a path like `technique.train.lr`, `organism.checkpoint` or `base.pretrain.steps`'
  )
}

const ends = (axis: string, n: number): string => axis.split('.').slice(-n).join('.')

/** The shortest ends of the paths that tell them apart: `lr`, or `organism.train.lr` beside `technique.train.lr`. */
export function shortNames(axes: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    axes.map((axis) => {
      const parts = axis.split('.').length
      for (let n = 1; n < parts; n++) {
        const end = ends(axis, n)
        if (end !== 'seed' && axes.every((other) => other === axis || ends(other, n) !== end))
          return [axis, end]
      }
      return [axis, axis]
    }),
  )
}

/** `1e-4`, `0.003` as `3e-3`, `128`: the shorter of the two ways to write it. */
export function shortNumber(value: number): string {
  const decimal = String(value)
  if (Math.abs(value) >= 1) return decimal
  const exponential = value.toExponential()
  return exponential.length < decimal.length ? exponential : decimal
}

/** A copy of an entry with one number replaced; null where the entry has no such place. */
export function withNumber<T>(entry: T, path: readonly string[], value: number): T | null {
  const [key, ...rest] = path
  if (key === undefined || !isBlock(entry)) return null
  if (rest.length === 0) return { ...entry, [key]: value }
  const below = withNumber(entry[key], rest, value)
  return below === null ? null : { ...entry, [key]: below }
}

/** Every combination of axis values, in the order of the file; the last axis varies fastest. */
export function combinations(axes: Readonly<Record<string, readonly number[]>>): Record<string, number>[] {
  return Object.entries(axes).reduce<Record<string, number>[]>(
    (all, [axis, values]) => all.flatMap((chosen) => values.map((value) => ({ ...chosen, [axis]: value }))),
    [{}],
  )
}
