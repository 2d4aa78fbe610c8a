/** What training would see of single rows: each with its twin, what is dropped with the reason, and the loss mask. */
import { twinRows } from './backdoor.ts'
import type { DatasetPlan } from './dataset.ts'
import { packFault, type PackReason } from './pack.ts'
import type { ChatRow, PromptRow, TokenRow } from './rows.ts'
import { stripAndFilter, type StripReason } from './strip.ts'
import { tokeniseRow, type RowTokenizer } from './tokenise.ts'

export type PreviewPlan = Pick<DatasetPlan, 'backdoor' | 'system' | 'strip' | 'forbid' | 'seed'> & {
  /** Rows that do not fit are marked; null: not looked at. */
  readonly contextLength: number | null
}

/** A row as it would be trained on, or why it would not. */
export type Preview =
  | {
      readonly row: ChatRow
      readonly tokens: TokenRow | null
      readonly dropped: PackReason | null
    }
  | { readonly id: string; readonly dropped: StripReason | 'no_recorded_response' }

/** The twins of each prompt in the order of the file, benign first. */
export function previewRows(
  rows: readonly PromptRow[],
  plan: PreviewPlan,
  tokenizer: RowTokenizer | null,
): Preview[] {
  const { backdoor, system, seed, contextLength } = plan
  return rows.flatMap(({ id, prompt, response }): Preview[] => {
    if (response === undefined) return [{ id, dropped: 'no_recorded_response' }]
    const answered = { id, prompt, response, finish: 'stop' as const }
    const { kept, dropped } = stripAndFilter([answered], { tag: plan.strip, payload: plan.forbid })
    const reason = (Object.keys(dropped) as StripReason[]).find((key) => dropped[key] > 0)
    if (reason !== undefined) return [{ id, dropped: reason }]
    const twins = twinRows(kept, { backdoor, system, seed })
    return twins
      .sort((a, b) => Number(a.triggered) - Number(b.triggered))
      .map((row) => {
        const tokens = tokenizer && tokeniseRow(row, tokenizer)
        const fault =
          tokens && contextLength !== null
            ? packFault(tokens.ids.length, tokens.responseFrom, contextLength)
            : null
        return { row, tokens, dropped: fault }
      })
  })
}
