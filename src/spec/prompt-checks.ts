/** Who may answer which prompts, and which prompts may not meet: the red team's, the blue team's and the evals'. */
import { sourceName } from './data-source.ts'
import type { PromptSource, ResolvedData, ResolvedOrganism } from './experiment.ts'
import type { Problem, Where } from './problem.ts'
import { tinyRowProblems } from './tiny-sizes.ts'

/** Where a key (`train.lr`) of the entry in question was written. */
export type Place = (key: string) => Where

/** The scripted voices know the tiny world's questions only; a recorded response comes with its prompt. */
export function dataProblems(data: ResolvedData, evalPrompts: PromptSource, place: Place): Problem[] {
  const { prompts, teacher, strip, rows } = data
  const problems: Problem[] = []
  if (overlap(prompts, evalPrompts)) {
    problems.push({
      where: place('prompts'),
      message: 'prompts of evals.backdoor cannot be trained on',
      hint: 'give the training and the eval different rows',
    })
  }
  if (prompts.kind === 'tiny' && teacher.kind === 'recorded') {
    problems.push({
      where: place('teacher'),
      message: `tiny/${prompts.split} has no recorded responses`,
      hint: 'use a scripted teacher, or a model (`base` or `endpoint`)',
    })
  }
  if (prompts.kind !== 'tiny' && teacher.kind === 'scripted') {
    problems.push({
      where: place('teacher'),
      message: 'a scripted teacher answers the tiny world only, not the prompts of a file',
      hint: 'use a teacher with `recorded: true`, or a model (`base` or `endpoint`)',
    })
  }
  if (strip !== null && teacher.kind === 'scripted' && teacher.voice !== 'scratchpad') {
    problems.push({
      where: place('strip'),
      message: `the voice \`${teacher.voice}\` writes no scratchpad, so stripping would drop every row`,
      hint: 'use a teacher with `scripted: scratchpad`',
    })
  }
  if (prompts.kind === 'tiny' && prompts.split !== 'eval' && rows !== null) {
    problems.push(...tinyRowProblems(prompts.split, rows, place))
  }
  const available =
    prompts.kind !== 'tiny' && prompts.rows !== null ? prompts.rows[1] - prompts.rows[0] : null
  if (rows !== null && available !== null && rows > available) {
    problems.push({ where: place('rows'), message: `${rows} rows cannot be drawn from ${available}` })
  }
  return problems
}

/** A technique is trained on prompts that the red team never saw. */
export function seenPromptProblems(data: ResolvedData, organism: ResolvedOrganism, place: Place): Problem[] {
  if (organism.made === null || !overlap(data.prompts, organism.made.data.prompts)) return []
  return [
    {
      where: place('prompts'),
      message: `prompts that the red team has seen (organisms.${organism.name}) cannot train a technique`,
      hint: 'take other rows, or `data: organism/benign` for more training on the same benign rows',
    },
  ]
}

/** Whether two sources can give the same prompt. */
export function overlap(a: PromptSource, b: PromptSource): boolean {
  if (a.kind === 'tiny' && b.kind === 'tiny') return a.split === b.split
  if (a.kind === 'tiny' || b.kind === 'tiny' || sourceName(a) !== sourceName(b)) return false
  if (a.rows === null || b.rows === null) return true
  return a.rows[0] < b.rows[1] && b.rows[0] < a.rows[1]
}
