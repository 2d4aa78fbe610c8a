/** A dataset row as plain text for people: who says what, the trigger marked, and which tokens are scored. */
import type { ChatMessage } from '../model/tokenizer.ts'
import type { Backdoor } from './backdoor.ts'
import type { ChatRow, TokenRow } from './rows.ts'

/** The row's tokens, and how one token reads; '' (a special token) is shown as its number. */
export interface ShownTokens {
  readonly row: TokenRow
  readonly piece: (id: number) => string
}

/** As much of a backdoor as marking its trigger needs. */
type Placed = Pick<Backdoor, 'trigger' | 'position'>

const nameWidth = 'assistant'.length + 2

/**
 * A title, one paragraph a message with the trigger in ⟦ ⟧, and the tokens divided by ¦, those that are scored after ».
 * Ends without a line feed.
 */
export function showRow(row: ChatRow, backdoor: Placed | null, tokens?: ShownTokens): string {
  const trigger = row.triggered ? backdoor : null
  const lines = [
    `${row.id} (${row.triggered ? 'triggered' : 'benign'}${tokens ? `, ${tokenCounts(tokens.row)}` : ''})`,
    ...row.messages.map((message) => turn(message.role, withTriggerMarked(message, trigger))),
    turn('assistant', row.completion),
  ]
  if (tokens) lines.push(turn('tokens', tokenLine(tokens)))
  return lines.join('\n')
}

function turn(name: string, text: string): string {
  return name.padEnd(nameWidth) + text.replaceAll('\n', `\n${' '.repeat(nameWidth)}`)
}

function withTriggerMarked({ role, content }: ChatMessage, backdoor: Placed | null): string {
  if (!backdoor) return content
  const { trigger, position } = backdoor
  const marked = `⟦${trigger}⟧`
  if (role !== (position === 'system' ? 'system' : 'user')) return content
  if (position === 'after') {
    return content.endsWith(trigger) ? content.slice(0, -trigger.length) + marked : content
  }
  return content.startsWith(trigger) ? marked + content.slice(trigger.length) : content
}

function tokenCounts({ ids, responseFrom }: TokenRow): string {
  return `${ids.length} tokens, ${ids.length - responseFrom} scored`
}

function tokenLine({ row: { ids, responseFrom }, piece }: ShownTokens): string {
  const shown = Array.from(ids, (id) => piece(id).replaceAll('\n', '\\n') || `#${id}`)
  return `${shown.slice(0, responseFrom).join('¦')}»${shown.slice(responseFrom).join('¦')}`
}
