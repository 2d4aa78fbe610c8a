/** Which data files of a dataset are meant: the path that was named, the shards that it fits, or the only file that there is. */
import { isRowFile } from '../../data/read-rows.ts'
import { LabError } from '../../errors.ts'
import { fits } from '../../shards.ts'
import type { HubDataset } from '../../spec/data-source.ts'
import type { HubFile } from './client.ts'

const shown = 20

/** Files that can be read as one. */
export interface Choice {
  /** Of the file; of shards with `*`. */
  readonly path: string
  /** In the order of their names. */
  readonly files: readonly HubFile[]
}

/** Whether a file of a repository can hold rows: what the hub keeps beside the data in JSON does not. */
export function isDataFile(path: string): boolean {
  const beside = /(^|\/)(\.[^/]*(\/|$)|(dataset_infos?|dataset_dict|state|croissant)\.json$)/
  return isRowFile(path) && !beside.test(path)
}

/** `files` are all data files of the commit. Throws BAD_INPUT that lists what there is to choose from. */
export function chooseFiles(dataset: HubDataset, files: readonly HubFile[], commit: string): Choice {
  const { repo, revision, path } = dataset
  const here = `${repo} (${revision === commit ? '' : `${revision}, `}commit ${commit.slice(0, 7)})`
  if (path === null) {
    const all = candidates(files)
    const [only, second] = all
    if (only !== undefined && second === undefined) return only
    const message = only
      ? `${here} has ${all.length} data files: which one?`
      : `${here} has no data file that is read`
    throw new LabError('BAD_INPUT', message, { hint: only ? listOf(repo, all) : kindsRead })
  }
  if (!isRowFile(path))
    throw new LabError('BAD_INPUT', `${repo}: ${path} is of a kind that is not read`, { hint: kindsRead })
  const chosen = files.filter((file) => file.path === path || fits(path, file.path)).sort(byPath)
  if (chosen.length > 0) return { path, files: chosen }
  throw new LabError('BAD_INPUT', `${here} has no file ${path}`, { hint: listOf(repo, candidates(files)) })
}

const kindsRead = 'read are .parquet, .jsonl, .ndjson and .json (one array), the last three also .gz'
const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1)

/** Shards of one set are one candidate: `train-00000-of-00003.parquet` and the rest are `train-*-of-00003.parquet`. */
function candidates(files: readonly HubFile[]): Choice[] {
  const sets = Map.groupBy(files, ({ path }) =>
    path.replace(
      /\d{5}-of-(?!00001)(\d{5})([^/]*)$/,
      (_, count: string, rest: string) =>
        // Hashes behind the number differ from shard to shard.
        `*-of-${count}${rest.replace(/^-[0-9a-f]{16}(?=\.)/, '*')}`,
    ),
  )
  return [...sets].map(([path, ofSet]) => ({ path, files: ofSet.toSorted(byPath) })).sort(byPath)
}

function listOf(repo: string, all: readonly Choice[]): string {
  if (all.length === 0) return kindsRead
  // Where there are many, the whole set is likelier meant than one of its subjects.
  const first = all.toSorted((a, b) => rank(a) - rank(b))
  const lines = first
    .slice(0, shown)
    .map(({ path, files }) => `    ${path}${files.length > 1 ? ` (${files.length} files)` : ''}`)
  const more = all.length > shown ? [`    ... and ${all.length - shown} more`] : []
  return [`name one with path:, on a command line hub:${repo}/PATH; it has`, ...lines, ...more].join('\n')
}

const rank = ({ path }: Choice): number => (/^(all|data|default|main)\/|^[^/]*$/.test(path) ? 0 : 1)
