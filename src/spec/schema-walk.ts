/** Walks the schema along a key path: which keys are known there, what is a number, what a value means. */
import { z } from 'zod'
import type { Path } from './problem.ts'

/** The schema inside optional, default and prefault wrappers. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return bare(schema.unwrap())
  }
  return schema
}

/** Every schema that a value at this path may have; several where the path crosses a union. */
export function schemasAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  const here = bare(schema)
  if (here instanceof z.ZodUnion) return here.options.flatMap((option) => schemasAt(option, path))
  const [key, ...rest] = path
  if (key === undefined) return [here]
  const child = childOf(here, key)
  return child === undefined ? [] : schemasAt(child, rest)
}

function childOf(schema: z.core.$ZodType, key: string | number): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) {
    return typeof key === 'string' && Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined
  }
  if (schema instanceof z.ZodRecord) return schema.valueType
  if (schema instanceof z.ZodArray) return schema.element
  if (schema instanceof z.ZodTuple) return schema.def.items[Number(key)]
  return undefined
}

/** The keys that an object at this path may have. */
export function knownKeys(schema: z.core.$ZodType, path: Path): string[] {
  return [...new Set(keySets(schema, path).flat())]
}

/** The same, for each kind of object that may stand there. */
export function keySets(schema: z.core.$ZodType, path: Path): string[][] {
  return schemasAt(schema, path).flatMap((s) => (s instanceof z.ZodObject ? [Object.keys(s.shape)] : []))
}

/** The key, one level below this path, under which a misplaced key belongs, e.g. `train` for `lr`. */
export function parentOf(schema: z.core.$ZodType, path: Path, misplaced: string): string | undefined {
  return knownKeys(schema, path).find((key) => knownKeys(schema, [...path, key]).includes(misplaced))
}

/** The first schema of a number at this path. */
export function numberAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType | undefined {
  return schemasAt(schema, path).find((s) => s instanceof z.ZodNumber)
}

/** Dotted paths of all numbers below a schema, for axes: `train.lr`, `checkpoint`. */
export function numericPaths(schema: z.core.$ZodType): string[] {
  const found = schemasAt(schema, []).flatMap((here): string[] => {
    if (!(here instanceof z.ZodObject)) return []
    return Object.entries(here.shape).flatMap(([key, child]) => {
      const own = schemasAt(child, []).some((s) => s instanceof z.ZodNumber) ? [key] : []
      return [...own, ...numericPaths(child).map((below) => `${key}.${below}`)]
    })
  })
  return [...new Set(found)]
}

/** What the schema at this path is for, in the words of its author. */
export function meaningAt(schema: z.core.$ZodType, path: Path): string | undefined {
  const parent = schemasAt(schema, path.slice(0, -1))
  const key = path.at(-1)
  const children = key === undefined ? [schema] : parent.flatMap((s) => childOf(s, key) ?? [])
  return children.map(meaning).find((text) => text !== undefined)
}

/** The description of a schema or of what it wraps. */
export function meaning(schema: z.core.$ZodType): string | undefined {
  const own = z.globalRegistry.get(schema)?.description
  if (own !== undefined) return own
  const inner = bare(schema)
  return inner === schema ? undefined : meaning(inner)
}
