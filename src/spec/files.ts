/** Paths in the file become absolute, and the files that are used must exist. */
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LabError, messageOf } from '../errors.ts'
import { filesOf, isPattern } from '../shards.ts'
import { isBlock } from './inherit.ts'
import { alternatives, didYouMean, type Path, type Problem, type Where } from './problem.ts'
import type { ExperimentSpec } from './schema.ts'

/** Files and folders that are not there: a run refuses them, a plan goes on without. */
export type Absent = 'refused' | 'passed'

export interface LocatedFiles {
  readonly spec: ExperimentSpec
  readonly problems: readonly Problem[]
}

/** A `file:` or `folder:` of the experiment file. */
interface Use {
  readonly written: string
  readonly kind: 'file' | 'folder'
  readonly absolute: string
  /** Where the path was written. */
  readonly at: Path
  /** `written` is a name under `files`. */
  readonly named: boolean
}

/**
 * `file:` and `folder:` are a name under `files` or a path; paths in the experiment file start from its folder, those
 * of `--set` from the current one.
 */
export async function locateFiles(
  spec: ExperimentSpec,
  specFile: string,
  where: (path: Path) => Where,
  absent: Absent = 'refused',
): Promise<LocatedFiles> {
  const uses: Use[] = []
  const absolute = (path: string, at: Path): string => resolve(folderOf(where(at), specFile), path)

  const files = Object.fromEntries(
    Object.entries(spec.files).map(([name, path]) => [name, absolute(path, ['files', name])]),
  )
  const located = (written: string, at: Path, kind: Use['kind']): string => {
    const named = Object.hasOwn(files, written) ? files[written] : undefined
    const found = named ?? absolute(written, at)
    uses.push({
      written,
      kind,
      absolute: found,
      at: named === undefined ? at : ['files', written],
      named: named !== undefined,
    })
    return found
  }
  const replaced = (value: unknown, at: Path): unknown => {
    if (!isBlock(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => {
        const path = [...at, key]
        const isFile = typeof child === 'string' && (key === 'file' || key === 'folder')
        return [key, isFile ? located(child, path, key) : replaced(child, path)]
      }),
    )
  }
  const kinds = ['bases', 'teachers', 'organisms', 'techniques', 'evals'] as const
  const changed = Object.fromEntries(kinds.map((kind) => [kind, replaced(spec[kind], [kind])]))
  const problems = await Promise.all(
    uses.map(async (use): Promise<Problem[]> => {
      const complaint = await complaintOf(use, Object.keys(files), absent)
      return complaint === null ? [] : [{ where: where(use.at), ...complaint }]
    }),
  )
  return { spec: { ...spec, ...changed, files }, problems: problems.flat() }
}

/** A path starts from the file that it was written in. */
function folderOf(where: Where, specFile: string): string {
  if ('argument' in where) return ''
  return dirname(where.file === '' ? specFile : where.file)
}

/** A word without a point or a slash is meant as a name, or as what lies beside the experiment file. */
const isBare = ({ written, named }: Use): boolean => !named && !/[./\\]/.test(written)

async function complaintOf(
  use: Use,
  names: readonly string[],
  absent: Absent,
): Promise<Omit<Problem, 'where'> | null> {
  if (use.kind === 'file' && isPattern(use.absolute)) {
    return filesOf(use.absolute).then(
      () => null,
      (error: unknown) =>
        absent === 'passed'
          ? null
          : {
              message: messageOf(error),
              hint: error instanceof LabError ? error.hint : undefined,
            },
    )
  }
  const status = await stat(use.absolute).catch(() => null)
  if (status !== null) {
    const kind = status.isDirectory() ? 'folder' : 'file'
    return kind === use.kind ? null : { message: `this is a ${kind}, not a ${use.kind}: ${use.absolute}` }
  }
  // A word that names nothing is a mistake in any case.
  if (absent === 'passed' && !isBare(use)) return null
  const message = isBare(use)
    ? `no ${use.kind} is called \`${use.written}\``
    : `no such ${use.kind}: ${use.absolute}`
  return { message, hint: hintFor(use, names) }
}

function hintFor(use: Use, names: readonly string[]): string | undefined {
  const { written, kind, named } = use
  if (named) return `where it lies elsewhere: --set files.${written}=PATH`
  if (!isBare(use)) return undefined
  const near = didYouMean(written, names)
  if (near !== undefined) return near
  if (kind === 'folder') return `write its path, such as \`./${written}\``
  return names.length === 0 ? 'name it under `files:`, or write a path' : `files: ${alternatives(names)}`
}
