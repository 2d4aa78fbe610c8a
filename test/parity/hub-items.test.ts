/** Eval items as `datasets` writes them to Parquet, the format of the hub: the items of the published JSON, row by row. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { ifevalItemSchema } from '../../src/evals/ifeval/items.ts'
import { ifevalScorer } from '../../src/evals/ifeval/verdict.ts'
import { mathItemSchema } from '../../src/evals/math/items.ts'
import { mmluItemSchema } from '../../src/evals/mmlu/items.ts'
import { readCheckedRows } from '../../src/evals/score/rows.ts'
import { sharedData } from '../shared-data.ts'
import { missingPython, python } from './python.ts'

/** The features of cais/mmlu; those of the others are what `datasets` finds. */
const script = `
import gzip, json, sys
from datasets import ClassLabel, Dataset, Features, List, Value
source, target, kind = sys.argv[1:]
with (gzip.open if source.endswith(".gz") else open)(source, "rt", encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
features = None
if kind == "mmlu":
    rows = [{k: row[k] for k in ("question", "subject", "choices", "answer")} for row in rows]
    features = Features({"question": Value("string"), "subject": Value("string"),
        "choices": List(Value("string")), "answer": ClassLabel(names=["A", "B", "C", "D"])})
Dataset.from_list(rows, features=features).to_parquet(target)
`

const folder = mkdtempSync(join(tmpdir(), 'hub-items-'))
afterAll(() => rmSync(folder, { recursive: true }))

function hasDatasets(): boolean {
  try {
    execFileSync(python, ['-c', 'import datasets'], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write('skipped: needs datasets in .venv\n')
    return false
  }
}

const files = {
  mmlu: sharedData('mmlu/test.jsonl.gz'),
  ifeval: sharedData('ifeval/input_data.jsonl'),
  math: sharedData('math/math500_test.jsonl'),
}

async function bothForms<T>(
  kind: keyof typeof files,
  schema: z.ZodType<T>,
): Promise<{ published: T[]; parquet: T[] }> {
  const source = files[kind] ?? ''
  const target = join(folder, `${kind}.parquet`)
  const env = { ...process.env, HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'cache') }
  execFileSync(python, ['-c', script, source, target, kind], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const valuesOf = async (file: string) => (await readCheckedRows(file, schema)).map(({ value }) => value)
  return { published: await valuesOf(source), parquet: await valuesOf(target) }
}

describe.skipIf(missingPython() !== null || !hasDatasets())('items in Parquet', () => {
  it.skipIf(files.mmlu === null)('MMLU: options as a list, the answer as an index', async () => {
    const { published, parquet } = await bothForms('mmlu', mmluItemSchema)
    // The hub's rows have no index, so that their ids are made of the text.
    const withoutIds = (items: typeof published) => items.map((item) => ({ ...item, id: null }))
    expect(parquet).toHaveLength(14_042)
    expect(withoutIds(parquet)).toEqual(withoutIds(published))
  })

  it.skipIf(files.math === null)('MATH-500', async () => {
    const { published, parquet } = await bothForms('math', mathItemSchema)
    expect(parquet).toHaveLength(500)
    expect(parquet).toEqual(published)
  })

  it.skipIf(files.ifeval === null)('IFEval: every argument in every row, unused ones null', async () => {
    const { published, parquet } = await bothForms('ifeval', ifevalItemSchema)
    expect(parquet).toHaveLength(541)
    expect(Object.keys(parquet[0]?.kwargs[0] ?? {}).length).toBeGreaterThan(10)
    const responses = ['', 'I agree, and so *does* he.\n\n* one\n* two', 'A B C. '.repeat(200)]
    const verdicts = (items: typeof published) =>
      items.map((item) => responses.map((response) => ifevalScorer(item)(response)))
    expect(verdicts(parquet)).toEqual(verdicts(published))
  })
})
