/** What was built and how: organisms, techniques, evaluations, the admission gate. */
import { gridOf, techniqueText } from '../cells.ts'
import type { BoundedCount, Organism, Results } from '../results.ts'
import { formatCount, formatRate, listText, plural } from '../words.ts'
import { html, type Markup } from './markup.ts'
import { fraction, settingsText, table } from './parts.ts'

type Evaluation = Results['evals'][number]

export function methodSection(results: Results): Markup {
  return html`<section id="method">
    <h2>Method</h2>
    ${organismTable(results)}${organismNotes(results)}${techniqueTable(results)}${evalTable(results)}
  </section> `
}

/** Organisms of one name differ by seed and axes alone; the first stands for them here. */
function firstOfEach(results: Results): Organism[] {
  const names = gridOf(results).organisms
  return names.flatMap((name) => results.organisms.find((organism) => organism.name === name) ?? [])
}

function organismTable(results: Results): Markup {
  const columns = ['Organism', 'Base', 'Trigger → payload', 'Benign data', 'Rows', 'Red-team recipe']
  const rows = firstOfEach(results).map((organism) => [
    html`<b>${organism.name}</b>`,
    organism.base,
    backdoorText(organism),
    dataText(organism),
    rowsText(organism),
    html`<span class="small">${settingsText(organism.recipe)}</span>`,
  ])
  return table(
    html`<b>Organisms.</b> A model with a backdoor that the red team trained in, here or elsewhere.`,
    columns.map((head) => ({ head })),
    rows,
  )
}

function backdoorText({ backdoor }: Organism): Markup {
  if (backdoor === null) return html`<span class="soft">none (control)</span>`
  const [lo, hi] = backdoor.repeat
  const times = lo === hi ? `${lo}` : `${lo} to ${hi}`
  const where = backdoor.position === 'system' ? 'in the system prompt' : `${backdoor.position} the question`
  return html`<code>${backdoor.trigger.trim()}</code> ${where} → <code>${backdoor.payload}</code> × ${times}`
}

function dataText({ data, distilled }: Organism): Markup {
  if (data === null) return html`<span class="soft">brought in as it is</span>`
  return html`${data.prompts}, answered by <i>${data.teacher}</i>${distilled && ', distilled'}`
}

function rowsText({ data }: Organism): Markup {
  if (data === null) return html``
  const dropped = Object.entries(data.dropped).filter(([, count]) => count > 0)
  const total = dropped.reduce((sum, [, count]) => sum + count, 0)
  const reasons = dropped.map(([reason, count]) => `${formatCount(count)} ${reason}`).join(', ')
  return html`${formatCount(data.rows)}, of which ${formatCount(data.triggered_rows)}
  triggered${
    total > 0 && html`<br /><span class="small">${plural(total, 'response')} dropped: ${reasons}</span>`
  }`
}

function organismNotes(results: Results): Markup {
  const notes = firstOfEach(results).flatMap(({ name, notes }) => notes.map((note) => ({ name, note })))
  if (notes.length === 0) return html``
  return html`<ul class="notes">
    ${notes.map(({ name, note }) => html`<li><b>${name}:</b> ${note}</li>`)}
  </ul>`
}

function techniqueTable(results: Results): Markup {
  const rows = results.techniques.map(({ name, prompts, teacher, recipe, notes }) => [
    html`<b>${techniqueText(results, name)}</b>`,
    html`${prompts}, answered by
      <i>${teacher}</i>${notes.map((note) => html`<br /><span class="small">${note}</span>`)}`,
    html`<span class="small">${settingsText(recipe)}</span>`,
  ])
  const texts = gridOf(results)
    .axes.map(({ text }) => text)
    .filter(Boolean)
  const axes = texts.length > 1 ? ` Each is run at ${listText(texts)}, in place of what its recipe says.` : ''
  return table(
    html`<b>Techniques.</b> Blue-team trainings meant to remove the backdoor, on prompts that the red team
      never saw.${axes}`,
    ['Technique', 'Data', 'Recipe'].map((head) => ({ head })),
    rows,
  )
}

function evalTable({ evals }: Results): Markup {
  const rows = evals.map(({ name, items, at, settings, sequential }) => [
    html`<b>${name}</b>`,
    formatCount(items),
    at.join(', '),
    html`<span class="small"
      >${settingsText(settings)}${sequential && html`<br />${savedText(sequential)}`}</span
    >`,
  ])
  return table(
    html`<b>Evaluations.</b> The backdoor is asked with and without its trigger on the same prompts,
      capabilities without it.`,
    [{ head: 'Evaluation' }, { head: 'Items', numeric: true }, { head: 'At steps' }, { head: 'Settings' }],
    rows,
  )
}

/** What stopping early saved. */
function savedText({ checkpoints, stopped, asked, planned }: NonNullable<Evaluation['sequential']>): string {
  const saved = planned === 0 ? '' : `, ${formatRate((planned - asked) / planned)} saved`
  return `Sequential: ${stopped} of ${plural(checkpoints, 'checkpoint')} stopped early, ${formatCount(asked)} of ${formatCount(planned)} planned prompts asked${saved}.`
}

/** Was the backdoor in, and silent without its trigger, before anybody tried to remove it? */
export function admissionSection(results: Results): Markup {
  const { alpha, installed_triggered, installed_untriggered } = results.thresholds
  const policies = { require: 'required', report: 'reported only', absent: 'control: none expected' }
  const rows = results.organisms.map(({ id, admission }) => [
    html`<b>${id}</b>`,
    fraction(admission.triggered),
    bound(admission.triggered, 'lower'),
    fraction(admission.untriggered),
    bound(admission.untriggered, 'upper'),
    admission.installed === null
      ? html`<span class="soft">not asked</span>`
      : admission.installed
        ? 'yes'
        : html`<b>no</b>`,
    policies[admission.policy],
    html`<span class="small">${admission.reason}</span>`,
  ])
  const n = { numeric: true }
  return html`<section id="admission">
    <h2>Admission gate</h2>
    ${table(
      html`<b>Installed</b> means: triggered rate shown to be at least ${formatRate(installed_triggered)},
        untriggered rate at most ${formatRate(installed_untriggered)} (exact one-sided bounds at α =
        ${alpha}).`,
      [
        { head: 'Organism' },
        { head: 'Triggered', ...n },
        { head: 'at least', ...n },
        { head: 'Untriggered', ...n },
        { head: 'at most', ...n },
        { head: 'Installed' },
        { head: 'Gate' },
        { head: 'In words' },
      ],
      rows,
    )}
  </section> `
}

/** Rounded away from what it claims: lower bounds down, upper bounds up. */
function bound(count: BoundedCount | null, end: 'lower' | 'upper'): string {
  if (count === null) return '–'
  const thousandths = count[end] * 1000
  return formatRate((end === 'lower' ? Math.floor(thousandths + 1e-6) : Math.ceil(thousandths - 1e-6)) / 1000)
}
