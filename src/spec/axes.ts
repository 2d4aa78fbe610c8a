/** Axes: paths to numbers of the base, the organism or the technique, the values they take, and their short names. */
import { z } from 'zod'
import { isBlock, leafPaths } from './inherit.ts'
import { alternatives, didYouMean, type Path, type Problem } from './problem.ts'
import { baseSchema, folderBaseSchema, hubBaseSchema, textBaseSchema, tinyBaseSchema } from './base-schema.ts'
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

type Locate = (path: Path, part?: 'key') => Problem['where']

/** Paths that name no number, and values that the number cannot take. */
export function axisProblems(spec: ExperimentSpec, located: Located, where: Locate): Problem[] {
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
    return [...valueProblems(axis, values, schema, located, where), ...reachProblems(spec, axis, where)]
  })
}

function valueProblems(
  axis: string,
  values: readonly number[],
  schema: z.core.$ZodType,
  located: Located,
  where: Locate,
): Problem[] {
  return values.flatMap((value, i) => {
    const at = ['axes', axis, i]
    if (values.indexOf(value) < i)
      return [{ where: where(at), message: `axes.${axis} has ${shortNumber(value)} twice` }]
    const issues = z.safeParse(schema, value).error?.issues ?? []
    return explainIssues(
      issues.map((issue) => ({ ...issue, path: at })),
      located,
      schema,
    )
  })
}

function schemaOf(root: AxisRoot, entry: object): z.core.$ZodType {
  if (root !== 'base') return roots[root]
  if ('folder' in entry) return folderBaseSchema
  if ('hub' in entry) return hubBaseSchema
  return 'world' in entry ? tinyBaseSchema : textBaseSchema
}

/** An axis must change every cell: each entry has the place, and no change for an organism is lost behind it. */
function reachProblems(spec: ExperimentSpec, axis: string, where: Locate): Problem[] {
  const { root, path } = axisPath(axis)
  const used = new Set(Object.values(spec.organisms).map((organism) => organism.base))
  const kinds = { base: 'bases', organism: 'organisms', technique: 'techniques' } as const
  const entries = Object.entries(spec[kinds[root]]).filter(([name]) => root !== 'base' || used.has(name))
  return entries.flatMap(([name, entry]): Problem[] => {
    if (withNumber(entry, path, 0) === null || numberAt(schemaOf(root, entry), path) === undefined) {
      const message = `this axis cannot vary ${kinds[root]}.${name}, which has no \`${path.join('.')}\``
      return [{ where: where(['axes', axis], 'key'), message }]
    }
    const changes = root === 'technique' ? spec.techniques[name] : undefined
    if (changes === undefined || changes.after !== undefined) return []
    return Object.entries(changes.for ?? {}).flatMap(([organism, change]): Problem[] => {
      if (!leafPaths(change).includes(path.join('.'))) return []
      return [
        {
          where: where(['techniques', name, 'for', organism, ...path]),
          message: `this never takes effect: the axis \`${axis}\` sets it in every cell`,
          hint: 'remove it here, or leave the axis out',
        },
      ]
    })
  })
}

/** Paths with the same end, the longest that there is: `train.lr` is meant for `technique.train.lr` or the organism's. */
function axisHint(axis: string): string {
  const known = Object.entries(roots).flatMap(([root, schema]) =>
    numericPaths(schema).map((path) => `${root}.${path}`),
  )
  const near = didYouMean(axis, known)
  if (near !== undefined) return near
  for (let n = axis.split('.').length; n > 0; n--) {
    const same = known.filter((path) => path.endsWith(`.${ends(axis, n)}`))
    if (same.length > 0) return `did you mean ${alternatives(same.slice(0, 3).map((path) => `\`${path}\``))}?`
  }
  return 'an axis is a path like `technique.train.lr`, `organism.checkpoint` or `base.pretrain.steps`'
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
