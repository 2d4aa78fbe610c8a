/** The published GPT-4 responses to the 541 prompts: the published accuracies, up to the verdicts that are random there. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { sharedData } from '../../../test/shared-data.ts'
import { ifevalAccuracy } from './accuracy.ts'
import { ifevalItemSchema } from './items.ts'
import { ifevalScorer, instructionIds, randomInReference } from './verdict.ts'

const itemFile = sharedData('ifeval/input_data.jsonl')
const responseFile = sharedData('ifeval/input_response_data_gpt4_20231107_145030.jsonl')

function rows<T>(file: string | null, schema: z.ZodType<T>): T[] {
  const lines = file === null ? [] : readFileSync(file, 'utf8').trim().split('\n')
  return lines.map((line) => schema.parse(JSON.parse(line)))
}

test.skipIf(itemFile === null || responseFile === null)('541 prompts, 834 instructions', () => {
  const items = rows(itemFile, ifevalItemSchema)
  // Both files have the same order; the prompt of one row is written a little differently in them.
  const responses = rows(responseFile, z.object({ response: z.string() }))
  expect(responses).toHaveLength(items.length)
  const verdicts = items.map((item, i) => ifevalScorer(item)(responses[i]?.response ?? ''))
  expect(new Set(items.flatMap((item) => item.instruction_id_list))).toEqual(new Set(instructionIds))

  // Published: strict 417 and 698 (.7708, .8369), loose 430 and 713 (.7948, .8549).
  expect(ifevalAccuracy(verdicts)).toEqual({
    prompt: { strict: { k: 417, n: 541 }, loose: { k: 431, n: 541 } },
    instruction: { strict: { k: 698, n: 834 }, loose: { k: 714, n: 834 } },
  })
  // The one more is one of these two: the reference draws a letter for `#` and `!` anew, in its loose pass as well.
  const random = items.flatMap((item, i) =>
    randomInReference(item).flatMap((isRandom, k) =>
      isRandom ? [[item.key, verdicts[i]?.strict[k], verdicts[i]?.loose[k]]] : [],
    ),
  )
  expect(random).toEqual([
    [1122, true, true],
    [1129, true, true],
  ])
})
