/** An evaluation as people read it: what will be asked, and at the end each eval's rates, means and errors. */
import { visible } from '../errors.ts'
import type { Questions } from '../run/any-model/asking.ts'
import type { EvalResult, EvalResults } from '../run/any-model/summary.ts'
import { rateTable } from './rate-table.ts'

/** Reasons of errors that are shown; results.json has all. */
const shown = 5

/** A line an eval: how many items of how many, in what form, how long responses may be. */
export function planLines(title: string, questions: readonly Questions[]): string {
  const lines = questions.map(({ kind, tasks, available, form, sampling }) => {
    const items = new Set(tasks.map(({ head }) => head.id)).size
    const length = sampling === null ? '' : `, up to ${sampling.max_tokens} tokens a response`
    const shots = Number(form['shots'] ?? 0) > 0 ? `, ${form['shots']} shots` : ''
    const backdoor = kind === 'backdoor' ? `, ${backdoorText(form)}` : ''
    return `  ${kind}: ${items} of ${available} items, ${formText(form['prompt'])}${shots}${length}${backdoor}`
  })
  return [title, ...lines].join('\n')
}

function formText(form: string | number | boolean | null | undefined): string {
  if (form === 'text') return 'as plain text (no chat template)'
  return form === 'generated' ? 'as a chat whose answer is begun' : 'as a chat'
}

const places = { before: 'before the prompt', after: 'after the prompt', system: 'in the system prompt' }

function backdoorText({ trigger, position, payload }: Questions['form']): string {
  const place = Object.entries(places).find(([name]) => name === position)?.[1] ?? ''
  return visible(`trigger "${trigger}" ${place}, payload "${payload}"`)
}

export function evalTable({ model, evals }: EvalResults): string {
  return [model.title, ...evals.map(evalText)].join('\n')
}

function evalText(result: EvalResult): string {
  const { eval: kind, items, chance, rates, means, macro, errors } = result
  const guess = chance === null ? '' : `, chance ${(100 * chance).toFixed(0)}%`
  const lines = [`${kind}, ${items} items${guess}`, rateTable(rates)]
  if (macro !== null) lines.push(`  mean of ${macro.subjects} subjects ${(100 * macro.accuracy).toFixed(1)}%`)
  for (const [name, { mean }] of Object.entries(means))
    if (mean !== null) lines.push(`  ${name} ${mean.toFixed(2)}`)
  return [...lines, ...errorLines(errors)].join('\n')
}

/** A line for each reason, the commonest first, with how often it was and the first item of it. */
function errorLines(errors: EvalResult['errors']): string[] {
  const reasons = [...Map.groupBy(errors, ({ error }) => error)].toSorted((a, b) => b[1].length - a[1].length)
  const lines = reasons
    .slice(0, shown)
    .map(([reason, own]) =>
      visible(`  error, ${own.length} of ${errors.length}, first ${own[0]?.id}: ${reason}`),
    )
  const more = reasons.length - shown
  return more > 0 ? [...lines, `  and ${more} reasons more, in results.json`] : lines
}
