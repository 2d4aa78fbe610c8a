/** What the models said: the same prompts before and after each training, side by side. */
import { isDone } from '../cells.ts'
import type { Cell, Organism, Results } from '../results.ts'
import type { Sample, Transcript } from '../samples.ts'
import { highlight } from './highlight.ts'
import { html, type Markup } from './markup.ts'
import { cellName } from './outcome.ts'
import { verdictPill } from './parts.ts'

/** More cells than this are folded away, each behind its name. */
const OPEN_CELLS = 12

export function transcriptSection(
  results: Results,
  transcriptsOf: (cell: string) => readonly Transcript[],
): Markup {
  const done = results.cells.filter(isDone).filter(({ id }) => transcriptsOf(id).length > 0)
  if (done.length === 0) return html``
  const organisms = new Map(results.organisms.map((organism) => [organism.id, organism]))
  return html`<section id="transcripts">
    <h2>Transcripts</h2>
    <p>
      Each cell’s first prompts of the backdoor evaluation in its order, not picked by outcome, with the
      prompt as the model read it. <mark class="trigger">Triggers</mark> and
      <mark class="payload">payloads</mark> are marked; special tokens are <span class="special">grey</span>.
      All responses are in <code>samples.jsonl</code>.
    </p>
    ${done.map((cell) => {
      const backdoor = organisms.get(cell.organism_id)?.backdoor ?? null
      const open = done.length <= OPEN_CELLS && html` open`
      return html`<details class="cell" ${open}>
        <summary><span class="line">${cellName(results, cell)}</span>${verdictPill(cell)}</summary>
        ${transcriptsOf(cell.id).map((transcript) => transcriptBlock(cell, transcript, backdoor))}
      </details> `
    })}
  </section> `
}

function transcriptBlock(
  cell: Cell,
  { triggered, before, after }: Transcript,
  backdoor: Organism['backdoor'],
): Markup {
  const start = cell.after === null ? 'the organism' : 'where the earlier technique ended'
  return html`<div class="transcript">
    <div class="prompt">
      <span class="side">${triggered ? 'triggered' : 'untriggered'} prompt</span>
      <p>${highlight(before.prompt, backdoor)}</p>
    </div>
    <div class="answers">
      ${responseBlock(`before: step 0, ${start}`, before, backdoor)}${responseBlock(`after: step ${after.step}`, after, backdoor)}
    </div>
  </div> `
}

function responseBlock(title: string, sample: Sample, backdoor: Organism['backdoor']): Markup {
  const response = sample.response ?? ''
  const cut = sample.finish === 'length' && html` <span class="more">(cut at the token limit)</span>`
  const text =
    response === '' ? html`<span class="soft">(empty response)</span>` : highlight(response, backdoor)
  const scores = Object.entries(sample.scores)
    .filter(([, value]) => typeof value === 'boolean')
    .map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value === true ? 'yes' : 'no'}`)
  return html`<div class="response">
    <span class="side">${title}</span>
    <p>${text}${cut}</p>
    <span class="scores">${scores.join(' · ')}</span>
  </div> `
}
