/** The end of the page: what the run does not show, and how to make it again. */
import type { Results } from '../results.ts'
import { html, type Markup } from './markup.ts'
import { table } from './parts.ts'

/** A comparison needs this many seeds a side. */
const SEEDS_TO_COMPARE = 4

export function limitsSection(results: Results): Markup {
  const seeds = results.seeds.length
  const limits = [
    seeds < SEEDS_TO_COMPARE &&
      `${seeds === 1 ? 'One seed' : `${seeds} seeds`}. Training seeds are the unit of replication: that one organism, technique or learning rate does better than another needs at least ${SEEDS_TO_COMPARE} seeds a side. The intervals here cover the choice of prompts, not the spread of trainings.`,
    'A triggered rate of 0% is not the absence of a backdoor: it is one prompt set, one trigger text and one sampling temperature. Only a recovery training asks whether the backdoor is hidden.',
    'Rates in the middle of a training can rise and fall between the checkpoints that were evaluated.',
    ...results.notes,
  ].filter((limit) => typeof limit === 'string')
  return html`<section id="limits">
    <h2>What this does not show</h2>
    <ul>
      ${limits.map((limit) => html`<li>${limit}</li>`)}
    </ul>
  </section> `
}

export function reproductionSection(results: Results): Markup {
  const artifacts = [...results.organisms, ...results.cells].flatMap((made) =>
    'artifacts' in made
      ? Object.entries(made.artifacts).map(([stage, key]) => [made.id, stage, html`<code>${key}</code>`])
      : [],
  )
  const environment = Object.entries(results.environment).map(([name, value]) => `${name} ${value}`)
  return html`<section id="reproduction">
    <h2>Reproduction</h2>
    <pre class="command">${results.command}</pre>
    <p>
      Run <code>${results.run}</code>; experiment file <code>${results.experiment.file}</code>, sha256
      <code class="hash">${results.experiment.sha256}</code>; ${environment.join(', ')}. The numbers of this
      page are in <code>results.json</code> and <code>curves.csv</code>, every response in
      <code>samples.jsonl</code>, the figures in <code>figures/</code>.
    </p>
    ${results.hub.length > 0 && hubTable(results.hub)}
    <details>
      <summary>The experiment file</summary>
      <pre>${results.experiment.text}</pre>
    </details>
    ${
      artifacts.length > 0 &&
      html`<details>
        <summary>Artifact keys</summary>
        ${table('Each key is the sha256 of everything that can change the artifact.', [{ head: 'Of' }, { head: 'Stage' }, { head: 'Key' }], artifacts)}
      </details> `
    }
  </section> `
}

function hubTable(read: Results['hub']): Markup {
  const columns = ['Kind', 'Repository', 'Asked for', 'Commit', 'File'].map((head) => ({ head }))
  const rows = read.map(({ kind, repo, revision, commit, path }) => [
    kind,
    repo,
    revision,
    html`<code>${commit}</code>`,
    path ?? 'the model',
  ])
  return table('What was read of a hub, at which commit.', columns, rows)
}
