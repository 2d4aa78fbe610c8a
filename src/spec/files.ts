/** Paths in the file become absolute, and the files that are used must exist. */
import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isBlock } from './inherit.ts'
import { alternatives, didYouMean, type Path, type Problem, type Where } from './problem.ts'
import type { ExperimentSpec } from './schema.ts'

export interface LocatedFiles {
  readonly spec: ExperimentSpec
  readonly problems: readonly Problem[]
}

/**
 * `file:` is a name under `files` or a path; paths in the experiment file start from its folder, those of `--set` from
 * the current one.
 */
export async function locateFiles(
  spec: ExperimentSpec,
  specFile: string,
  where: (path: Path) => Where,
): Promise<LocatedFiles> {
  const uses: { readonly absolute: string; readonly at: Path; readonly name: string | null }[] = []
  const problems: Problem[] = []
  const absolute = (path: string, at: Path): string =>
    'argument' in where(at) ? resolve(path) : resolve(dirname(specFile), path)

  const files = Object.fromEntries(
    Object.entries(spec.files).map(([name, path]) => [name, absolute(path, ['files', name])]),
  )
  const fileOf = (file: string, at: Path): string => {
    const named = Object.hasOwn(files, file) ? files[file] : undefined
    const found = named ?? absolute(file, at)
    const isName = named === undefined && !/[./\\]/.test(file)
    if (isName) {
      const names = Object.keys(files)
      const hint =
        names.length === 0 ? 'name it under `files:`, or write a path' : `files: ${alternatives(names)}`
      problems.push({
        where: where(at),
        message: `no file is called \`${file}\``,
        hint: didYouMean(file, names) ?? hint,
      })
    } else {
      uses.push({
        absolute: found,
        at: named === undefined ? at : ['files', file],
        name: named === undefined ? null : file,
      })
    }
    return found
  }
  const replaced = (value: unknown, at: Path): unknown => {
    if (!isBlock(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => {
        const path = [...at, key]
        const isFile = typeof child === 'string' && (key === 'file' || key === 'folder')
        return [key, isFile ? fileOf(child, path) : replaced(child, path)]
      }),
    )
  }
  const kinds = ['bases', 'teachers', 'organisms', 'techniques', 'evals'] as const
  const located = Object.fromEntries(kinds.map((kind) => [kind, replaced(spec[kind], [kind])]))
  const missing = await Promise.all(uses.map(async (use) => ((await exists(use.absolute)) ? null : use)))
  for (const use of missing) {
    if (use === null) continue
    const hint = use.name === null ? undefined : `where it lies elsewhere: --set files.${use.name}=PATH`
    problems.push({ where: where(use.at), message: `no such file: ${use.absolute}`, hint })
  }
  return { spec: { ...spec, ...located, files }, problems }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
