/** samples.jsonl: every evaluated response with the prompt as the model saw it, and the few that the report prints. */
import { z } from 'zod'
import type { Results } from './results.ts'

const score = z.union([z.number(), z.boolean(), z.string(), z.null()])

export const sampleSchema = z.strictObject({
  cell: z.string(),
  step: z.int().min(0),
  eval: z.string().describe('backdoor, mmlu, ifeval or math'),
  item: z.string(),
  triggered: z.boolean(),
  prompt: z.string().describe('rendered through the chat template, special tokens included'),
  response: z
    .string()
    .nullable()
    .describe('null where nothing was generated: likelihoods and failed requests'),
  finish: z.enum(['stop', 'length']).nullable().describe('null where nothing was generated'),
  scores: z
    .record(z.string(), z.union([score, z.array(score)]))
    .describe('what the scorer said, e.g. fired, answered, logprobs, error'),
})

/** One response of one checkpoint to one item. */
export type Sample = z.infer<typeof sampleSchema>

/** One line of samples.jsonl, newline included. */
export function sampleLine(sample: Sample): string {
  return `${JSON.stringify(sample)}\n`
}

/** The same item before a cell's training and at its last checkpoint. */
export interface Transcript {
  readonly item: string
  readonly triggered: boolean
  readonly before: Sample
  readonly after: Sample
}

/** Triggered and untriggered prompts shown for each cell. */
const SHOWN = { triggered: 2, untriggered: 1 }

const slot = (cell: string, triggered: boolean): string => JSON.stringify([cell, triggered])

/**
 * Picks each cell's transcripts while samples stream by: the first items of the backdoor evaluation in their order,
 * whatever the responses are, so that nothing is selected by its outcome.
 */
export function collectTranscripts(results: Results) {
  const lastStep = new Map<string, number>()
  for (const cell of results.cells) {
    const last = cell.status === 'done' ? cell.curves.at(-1) : undefined
    if (last) lastStep.set(cell.id, last.step)
  }
  const firstItems = new Map<string, string[]>()
  const kept = new Map<string, Sample>()

  const add = (sample: Sample): void => {
    const last = lastStep.get(sample.cell)
    if (sample.eval !== 'backdoor' || sample.finish === null || last === undefined) return
    if (sample.step !== 0 && sample.step !== last) return
    const place = slot(sample.cell, sample.triggered)
    const items = firstItems.get(place) ?? []
    firstItems.set(place, items)
    if (!items.includes(sample.item)) {
      if (items.length === SHOWN[sample.triggered ? 'triggered' : 'untriggered']) return
      items.push(sample.item)
    }
    kept.set(JSON.stringify([place, sample.item, sample.step]), sample)
  }

  /** Those of one cell, triggered first; empty where samples were not given. */
  const ofCell = (cell: string): Transcript[] =>
    [true, false].flatMap((triggered) => {
      const place = slot(cell, triggered)
      return (firstItems.get(place) ?? []).flatMap((item) => {
        const before = kept.get(JSON.stringify([place, item, 0]))
        const after = kept.get(JSON.stringify([place, item, lastStep.get(cell)]))
        return before && after ? [{ item, triggered, before, after }] : []
      })
    })

  return { add, ofCell }
}
