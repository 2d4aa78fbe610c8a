/** Parts of the format that the design foresees and this version cannot run: refused clearly, before anything else. */
import { valueAt, whereOf } from './explain.ts'
import { isBlock } from './inherit.ts'
import type { Path, Problem } from './problem.ts'
import type { Located } from './yaml.ts'

const inEntries: readonly {
  readonly kind: string
  readonly key: string
  readonly what: string
  readonly hint: string
}[] = [
  { kind: 'bases', key: 'engine', what: 'another engine', hint: 'the embedded engine needs no `engine:`' },
  {
    kind: 'teachers',
    key: 'base',
    what: 'a model as its own teacher',
    hint: 'serve the model and use `{ endpoint: ..., model: ... }`',
  },
]

/** One problem for each such key. */
export function notYetProblems(located: Located): Problem[] {
  const problem = (path: Path, what: string, hint: string): Problem => ({
    where: whereOf(located, path, 'key'),
    message: `\`${path.at(-1)}\`: ${what} is not available yet in this version`,
    hint,
  })
  return inEntries.flatMap(({ kind, key, what, hint }) => {
    const entries = valueAt(located.value, [kind])
    if (!isBlock(entries)) return []
    return Object.entries(entries).flatMap(([name, entry]) => {
      const path = [kind, name, key]
      return isBlock(entry) && Object.hasOwn(entry, key) ? [problem(path, what, hint)] : []
    })
  })
}
