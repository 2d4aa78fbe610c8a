/** Parts of the format that the design foresees and this version cannot run: refused clearly, before anything else. */
import { valueAt, whereOf } from './explain.ts'
import { isBlock } from './inherit.ts'
import type { Path, Problem } from './problem.ts'
import type { Located } from './yaml.ts'

/** One problem for each such key. */
export function notYetProblems(located: Located): Problem[] {
  const problem = (path: Path, what: string, hint: string): Problem => ({
    where: whereOf(located, path, 'key'),
    message: `\`${path.at(-1)}\`: ${what} is not available yet in this version`,
    hint,
  })
  const placement = valueAt(located.value, ['placement'])
  const bases = valueAt(located.value, ['bases'])
  return [
    ...(placement === undefined
      ? []
      : [problem(['placement'], 'running elsewhere', 'everything runs on this machine')]),
    ...Object.entries(isBlock(bases) ? bases : {}).flatMap(([name, base]) =>
      isBlock(base) && Object.hasOwn(base, 'engine')
        ? [problem(['bases', name, 'engine'], 'another engine', 'the embedded engine needs no `engine:`')]
        : [],
    ),
  ]
}
