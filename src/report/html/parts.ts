/** Small pieces that several sections of the page share: tables, verdict labels, fractions, figures. */
import { verdictText } from '../cells.ts'
import type { Figure } from '../figures/figure.ts'
import { verdictStyle } from '../figures/palette.ts'
import type { Cell, Count } from '../results.ts'
import { formatNumber, rateText } from '../words.ts'
import { type Content, html, type Markup, trusted } from './markup.ts'

export interface Column {
  readonly head: Content
  /** Numbers are set right. */
  readonly numeric?: boolean
}

/** A table with rules above, below and under its head; `caption` says what a row is. */
export function table(
  caption: Content,
  columns: readonly Column[],
  rows: readonly (readonly Content[])[],
): Markup {
  const cls = (i: number): Markup | false => columns[i]?.numeric === true && html` class="num"`
  return html`<div class="wide">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(({ head }, i) => html`<th scope="col" ${cls(i)}>${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((content, i) => html`<td${cls(i)}>${content}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div> `
}

export function verdictPill(cell: Cell): Markup {
  const { fill, text } = verdictStyle(cell)
  const absent = cell.status !== 'done' && ' absent'
  return html`<span class="pill${absent}" style="background:${fill};color:${text}"
    >${verdictText(cell)}</span
  >`
}

/** `127/128`, with the rate as its title. */
export function fraction(count: Count | null | undefined): Markup {
  if (!count) return html`<span class="soft">–</span>`
  return html`<span class="fraction" title="${rateText(count)}">${count.k}/${count.n}</span>`
}

/** `lr 1e-4 · steps 128 · …`, in the order given. */
export function settingsText(settings: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(settings)
    .map(
      ([name, value]) =>
        `${name.replaceAll('_', ' ')} ${typeof value === 'number' ? formatNumber(value) : value}`,
    )
    .join(' · ')
}

/** A drawn figure inside the page, with its number and the words around it. */
export function figure(number: number, drawn: Figure): Markup {
  return html`<figure id="figure-${drawn.name}">
    <div class="drawing" role="img" aria-label="${drawn.title}">${trusted(drawn.svg)}</div>
    <figcaption><b>Figure ${number}. ${drawn.title}.</b> ${drawn.caption}</figcaption>
  </figure> `
}
