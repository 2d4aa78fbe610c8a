/** Where a data file comes from, in experiment files and on command lines: this machine, or a dataset of a hub. */
import { z } from 'zod'
import { LabError } from '../errors.ts'

export const hubName = z
  .string()
  .regex(
    /^(?!.*(?:\.\.|--))\w(?:[\w.-]*\w)?\/\w(?:[\w.-]*\w)?$/,
    'must be organisation/name, without two points or dashes in a row',
  )
export const hubRevision = z
  .string()
  .regex(/^(?!.*\.\.)[\w./-]+$/, 'must be a branch, a tag or a commit')
  .default('main')
  .describe(
    'a branch, a tag or a commit; a branch stays at the commit that it had when it was first asked for',
  )

/** Keys of a file on this machine; beside them stands what is to be read of it. */
export const fileShape = {
  file: z
    .string()
    .min(1)
    .describe(
      'a name under `files`, or a path from the folder of this file; `data/train-*.parquet` reads shards as one file',
    ),
}

/** Keys of a file of a hub; beside them stands what is to be read of it. */
export const hubShape = {
  hub: hubName.describe(
    'a dataset of the Hugging Face Hub, `organisation/name`; its files are downloaded into the store',
  ),
  path: z
    .string()
    .regex(
      /^(?!\/)(?!(?:.*\/)?\.{0,2}(?:\/|$))[^\0\\]+$/,
      'must be the path of a file in the repository, such as data/train-00000-of-00001.parquet',
    )
    .regex(/^[^*]*[^/]*$/, '`*` may stand in the name of the file only, not in a folder')
    .optional()
    .describe(
      'the file in the repository; `data/train-*.parquet` reads shards as one file; left out where there is but one',
    ),
  revision: hubRevision,
}

/** A file of a dataset repository. */
export interface HubDataset {
  /** `organisation/name`. */
  readonly repo: string
  /** A branch, a tag or a commit. */
  readonly revision: string
  /** `*` in its name stands for the shards of a set; null: the only data file that there is. */
  readonly path: string | null
}

export type DataSource =
  | {
      readonly kind: 'file'
      /** Absolute path in an experiment; as it was written on a command line. */
      readonly file: string
    }
  | ({ readonly kind: 'hub' } & HubDataset)

const fileSchema = z.object(fileShape)
const hubSchema = z.object(hubShape)
const sourceSchema = z.union([fileSchema, hubSchema])

/** What an entry with the keys of `fileShape` or `hubShape` names. */
export function resolveSource(written: z.infer<typeof sourceSchema>): DataSource {
  if ('file' in written) return { kind: 'file', file: written.file }
  return { kind: 'hub', repo: written.hub, revision: written.revision, path: written.path ?? null }
}

/** What a value names; null if it names no source. */
export function sourceOf(value: unknown): DataSource | null {
  const written = sourceSchema.safeParse(value)
  return written.success ? resolveSource(written.data) : null
}

/** One name for each source: its path, or `hub:organisation/name@revision/path`, which `parseSource` reads. */
export function sourceName(source: DataSource): string {
  if (source.kind === 'file') return source.file
  const { repo, revision, path } = source
  const at = revision === 'main' ? '' : `@${revision.replaceAll('/', '%2F')}`
  return `hub:${repo}${at}${path === null ? '' : `/${path}`}`
}

/** An argument of a command: `hub:organisation/name[@revision][/path]`, else a file. Throws BAD_INPUT. */
export function parseSource(argument: string): DataSource {
  if (!argument.startsWith('hub:')) return { kind: 'file', file: argument }
  const [, hub, revision, path] = /^hub:([^/@]*\/[^/@]*)(?:@([^/]*))?(?:\/(.*))?$/.exec(argument) ?? []
  const result = hubSchema.safeParse({ hub: hub ?? '', revision: revision?.replaceAll('%2F', '/'), path })
  if (result.success) return resolveSource(result.data)
  throw new LabError(
    'BAD_INPUT',
    `${argument}: ${result.error.issues[0]?.message ?? 'no address of a hub'}`,
    {
      hint: 'hub:organisation/name, hub:organisation/name/path or hub:organisation/name@revision/path (a / in a revision is %2F)',
    },
  )
}
