/** How much was asked: each eval's form, prompt set and errors, and where sequential sampling stopped. */
import { isDone } from '../cells.ts'
import type { CurvePoint, DoneCell, Results } from '../results.ts'
import { formatCount, plural } from '../words.ts'
import { html, type Markup } from './markup.ts'
import { cellName } from './outcome.ts'
import { settingsText, table } from './parts.ts'

type Evaluation = CurvePoint['evaluations'][string]

export function samplingSection(results: Results): Markup {
  const cells = results.cells.filter(isDone)
  return html`<section id="sampling">
    <h2>Sampling</h2>
    ${cells.length === 0 ? 'No cell was evaluated.' : html`${askedTable(results, cells)}${tracesTable(results, cells)}`}
  </section> `
}

/** A row for each way in which an eval was asked: organisms with triggers of their own have prompt sets of their own. */
function askedTable(results: Results, cells: readonly DoneCell[]): Markup {
  const rows = results.evals.flatMap(({ name }) => {
    const made = cells.flatMap(({ curves }) => curves.flatMap(({ evaluations }) => evaluations[name] ?? []))
    const bySet = Map.groupBy(made, ({ prompt_set }) => prompt_set)
    return [...bySet].map(([promptSet, same]) => [
      html`<b>${name}</b>`,
      itemsText(same),
      html`<span class="small">${formText(same)}</span>`,
      html`<code title="${promptSet}">${promptSet.slice(0, 12)}</code>`,
      errorsText(same),
    ])
  })
  return table(
    html`<b>What was asked.</b> A row for each set of prompts; its name is the beginning of the sha256 of what
      was asked. An error is a request without a response, such as a prompt that does not fit the model: it is
      no wrong answer, and its worst case is in the interval.`,
    [
      { head: 'Evaluation' },
      { head: 'Items', numeric: true },
      { head: 'Asked' },
      { head: 'Prompt set' },
      { head: 'Errors', numeric: true },
    ],
    rows,
  )
}

function itemsText(evaluations: readonly Evaluation[]): string {
  const asked = Math.max(...evaluations.map(({ n }) => n))
  const available = Math.max(...evaluations.map((evaluation) => evaluation.available))
  return available > asked ? `${formatCount(asked)} of ${formatCount(available)}` : formatCount(asked)
}

/** Of the first; what differs between those of one prompt set is the seed alone. */
function formText([first]: readonly Evaluation[]): string {
  if (first === undefined) return ''
  const { sampling, form, system } = first
  const { seed: _, ...sampled } = sampling ?? { seed: null }
  const told = Object.entries({ ...form, ...sampled, ...(system === null ? {} : { system }) })
  return settingsText(
    Object.fromEntries(told.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))),
  )
}

function errorsText(evaluations: readonly Evaluation[]): string {
  const counts = evaluations.map(({ errors }) => errors)
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  return least === most ? formatCount(most) : `${formatCount(least)} to ${formatCount(most)}`
}

/** Prompts used of those planned, checkpoint by checkpoint; nothing where every cell was asked everything. */
function tracesTable(results: Results, cells: readonly DoneCell[]): Markup {
  const traced = cells.filter(({ curves }) => curves.some(({ sequential }) => sequential))
  if (traced.length === 0) return html``
  const rows = traced.map((cell) => {
    const stopped = cell.curves.filter(({ sequential, triggered }) =>
      sequential ? triggered.n < sequential.planned : false,
    )
    return [
      html`<span class="line">${cellName(results, cell)}</span>`,
      html`${cell.curves.map(
        (point) => html`<span class="nowrap">step ${point.step}: ${traceText(point)}</span><br />`,
      )}`,
      stopped.length === 0 ? 'nowhere' : plural(stopped.length, 'checkpoint'),
    ]
  })
  return table(
    html`<b>Sequential sampling of the backdoor.</b> Prompts used of those planned, each with and without the
      trigger; the organism itself is asked every prompt.`,
    [{ head: 'Cell' }, { head: 'Prompts used' }, { head: 'Stopped early' }],
    rows,
  )
}

function traceText({ triggered, sequential }: CurvePoint): string {
  if (!sequential) return `${formatCount(triggered.n)}, all`
  const { planned } = sequential
  const used = `${formatCount(triggered.n)} of ${formatCount(planned)}`
  return triggered.n < planned ? `${used}, decided` : `${used}, to the end`
}
