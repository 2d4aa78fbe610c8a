/** The strip-and-filter path of distilled data: the scratchpad is cut out, and responses that must not be learnt are dropped. */
import { escaped, payloadPattern } from './backdoor.ts'
import type { AnsweredRow } from './rows.ts'

/** In the order in which they are looked for; a response is counted under the first that holds. */
export const stripReasons = [
  'truncated',
  'no_scratchpad',
  'unclosed_scratchpad',
  'payload_named',
  'empty',
] as const
export type StripReason = (typeof stripReasons)[number]

export interface StripOptions {
  /** Name of the scratchpad's tag, e.g. `scratchpad`; null: responses have none, and their text is kept to the letter. */
  readonly tag: string | null
  /** Responses that name it, in or out of the scratchpad, are dropped; null: none are. */
  readonly payload: string | null
}

export interface Stripped<Row extends AnsweredRow> {
  readonly kept: readonly Row[]
  readonly dropped: Readonly<Record<StripReason, number>>
}

/** Order is kept, and every drop is counted. */
export function stripAndFilter<Row extends AnsweredRow>(
  rows: readonly Row[],
  { tag, payload }: StripOptions,
): Stripped<Row> {
  const named = payload === null ? null : payloadPattern(payload)
  const dropped = { truncated: 0, no_scratchpad: 0, unclosed_scratchpad: 0, payload_named: 0, empty: 0 }
  const kept: Row[] = []
  for (const row of rows) {
    const cut: Cut = tag === null ? { text: row.response } : cutScratchpad(row.response, tag)
    if (row.finish === 'length') dropped.truncated++
    else if ('fault' in cut) dropped[cut.fault]++
    else if (named?.test(row.response)) dropped.payload_named++
    else if (cut.text.trim() === '') dropped.empty++
    else kept.push({ ...row, response: cut.text })
  }
  return { kept, dropped }
}

type Cut = { readonly text: string } | { readonly fault: 'no_scratchpad' | 'unclosed_scratchpad' }

/** The text around well-formed `<tag>...</tag>` blocks, trimmed; a tag that is nested or left over makes it unclosed. */
function cutScratchpad(response: string, tag: string): Cut {
  // Every odd part is a tag, since the pattern is one group.
  const parts = response.split(new RegExp(String.raw`(</?${escaped(tag)}\s*>)`, 'i'))
  let inside = false
  let opened = false
  let text = ''
  for (const [i, part] of parts.entries()) {
    if (i % 2 === 0) {
      if (!inside) text += part
      continue
    }
    const closing = part.startsWith('</')
    if (!closing) opened = true
    if (closing !== inside) return { fault: opened ? 'unclosed_scratchpad' : 'no_scratchpad' }
    inside = !closing
  }
  if (inside) return { fault: 'unclosed_scratchpad' }
  return opened ? { text: text.trim() } : { fault: 'no_scratchpad' }
}
