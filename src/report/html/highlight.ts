/** Marks triggers, payloads and special tokens in a transcript; everything else is shown as text. */
import type { Organism } from '../results.ts'
import { html, type Markup } from './markup.ts'

/** Characters of a text that are shown. */
const LIMIT = 700

const escapeRegExp = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)

/** Special tokens of chat templates, e.g. `<|user|>`. */
const SPECIAL = String.raw`<\|[a-z0-9_]+\|>`

/** The payload's words with any white space between them, in any case: the evaluation's own rule. */
function payloadPattern(payload: string): string {
  return `(?i:${payload
    .trim()
    .split(/\s+/)
    .map(escapeRegExp)
    .join(String.raw`\s+`)})`
}

/** A text with `<mark>`s; cut after some hundred characters, and then it says so. */
export function highlight(text: string, backdoor: Organism['backdoor']): Markup {
  const shown = text.length > LIMIT ? text.slice(0, LIMIT) : text
  const rest = text.length - shown.length
  return html`${pieces(shown, backdoor)}${rest > 0 && html`<span class="more"> … ${rest} more characters</span>`}`
}

function pieces(text: string, backdoor: Organism['backdoor']): Markup[] {
  const kinds: [kind: string, pattern: string][] = [['special', SPECIAL]]
  if (backdoor?.trigger.trim()) kinds.push(['trigger', escapeRegExp(backdoor.trigger.trim())])
  if (backdoor?.payload.trim()) kinds.push(['payload', payloadPattern(backdoor.payload)])
  const pattern = new RegExp(kinds.map(([kind, source]) => `(?<${kind}>${source})`).join('|'), 'g')
  const out: Markup[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    out.push(html`${text.slice(end, match.index)}`)
    const [found] = match
    if (match.groups?.['special']) out.push(html`<span class="special">${found}</span>`)
    else if (match.groups?.['trigger']) out.push(html`<mark class="trigger">${found}</mark>`)
    else out.push(html`<mark class="payload">${found}</mark>`)
    end = match.index + found.length
  }
  out.push(html`${text.slice(end)}`)
  return out
}
