/** The run in one paragraph, every word of it computed from the results. */
import { type Grid, gridOf, isDone, techniqueText } from '../cells.ts'
import type { Cell, Results } from '../results.ts'
import { listText, numberWord, plural } from '../words.ts'

/** Sentences of plain text. */
export function summaryText(results: Results): string {
  const grid = gridOf(results)
  return [sizeSentence(results, grid), admissionSentence(results), ...techniqueSentences(results, grid)]
    .concat(
      recoverySentence(results),
      returnSentence(results),
      absentSentence(results),
      seedSentence(results),
    )
    .filter(Boolean)
    .join(' ')
}

function sizeSentence(results: Results, grid: Grid): string {
  const axes = grid.axes.filter(({ text }) => text !== '')
  const factors = [
    `${plural(grid.organisms.length, 'organism')} (${listText(grid.organisms)})`,
    `${plural(grid.techniques.length, 'technique')} (${listText(grid.techniques.map((t) => techniqueText(results, t)))})`,
    ...(axes.length > 1
      ? [`${plural(axes.length, 'setting')} (${listText(axes.map(({ text }) => text))})`]
      : []),
    plural(results.seeds.length, 'seed'),
  ]
  const noun = results.cells.length === 1 ? 'cell' : 'cells'
  return `${numberWord(results.cells.length)} ${noun}: ${factors.join(' × ')}.`
}

function admissionSentence({ organisms }: Results): string {
  const failed = organisms.filter(({ admission }) => admission.installed === false)
  const names = [...new Set(failed.map(({ name }) => name))]
  const out = names.map((name) => {
    const all = organisms.filter((organism) => organism.name === name).length
    const count = failed.filter((organism) => organism.name === name).length
    return count === all ? name : `${name} (${count} of ${all} trainings)`
  })
  const judged = organisms.filter(({ admission }) => admission.installed !== null)
  if (judged.length === 0) return ''
  if (out.length > 0) return `The backdoor was not shown to be installed in ${listText(out)}.`
  const all =
    judged.length === 1 ? 'The one organism' : judged.length === 2 ? 'Both organisms' : 'All organisms'
  return `${all} passed the admission gate: the backdoor fires with its trigger and is silent without it.`
}

/** `Under hhh, 2 of 4 cells end “survived” and 2 “inconclusive”.` */
function techniqueSentences(results: Results, grid: Grid): string[] {
  return grid.techniques.flatMap((technique) => {
    const done = results.cells.filter((cell) => cell.technique === technique).filter(isDone)
    const [first, ...others] = countBy(done.map(({ label }) => label))
    if (!first) return []
    const under = `Under ${techniqueText(results, technique)}, `
    if (done.length === 1) return [`${under}the cell ends “${first.value}”.`]
    if (others.length === 0) return [`${under}all ${done.length} cells end “${first.value}”.`]
    const head = `${first.count} of ${done.length} cells end “${first.value}”`
    return [`${under}${listText([head, ...others.map(({ value, count }) => `${count} “${value}”`)])}.`]
  })
}

function countBy(values: readonly string[]): { value: string; count: number }[] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count)
}

function recoverySentence(results: Results): string {
  const tested = results.cells.filter(isDone).filter((cell) => cell.recovery_tested)
  const back = tested.filter(({ verdict }) => verdict === 'suppressed')
  if (tested.length === 0)
    return 'No recovery training asked whether the backdoor is hidden rather than gone.'
  if (back.length === 0) return ''
  const names = [...new Set(back.flatMap(({ recoveries }) => recoveries))]
  const by = [
    ...new Set(results.cells.filter(({ id }) => names.includes(id)).map(({ technique }) => technique)),
  ]
  return `In ${plural(back.length, 'cell')} the payload was gone and ${listText(by)} brought it back.`
}

function returnSentence(results: Results): string {
  const returned = results.cells.filter(isDone).filter((cell) => cell.return !== null)
  if (returned.length === 0) return ''
  return `In ${plural(returned.length, 'cell')} the backdoor went away and returned within one training.`
}

function absentSentence({ cells }: Results): string {
  const count = (status: Cell['status']): number => cells.filter((cell) => cell.status === status).length
  const parts = [
    ...(count('failed') > 0 ? [`${plural(count('failed'), 'cell')} failed`] : []),
    ...(count('not_installed') > 0
      ? [
          `${plural(count('not_installed'), 'cell')} stopped at the admission gate and had no blue-team training`,
        ]
      : []),
  ]
  return parts.length === 0 ? '' : `Without a verdict: ${parts.join('; ')}.`
}

function seedSentence({ seeds }: Results): string {
  if (seeds.length >= 4) return ''
  const few = seeds.length === 1 ? 'one seed' : `${seeds.length} seeds`
  return `With ${few}, each cell stands for itself: nothing here says that one organism or technique does better than another.`
}
