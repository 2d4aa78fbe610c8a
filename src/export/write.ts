/** Writes an evaluation in the formats of other programs: Inspect's logs, lm-eval's results, CSV and Parquet. */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatJson } from '../report/json.ts'
import type { Evaluation } from '../run/any-model/evaluate.ts'
import { makeFolder } from '../output-path.ts'
import { inspectLogs } from './inspect.ts'
import { lmEvalResults } from './lm-eval.ts'
import { ratesCsv } from './rates-csv.ts'
import { samplesCsv, writeSamplesParquet } from './table.ts'

/** Beside results.json and samples.jsonl; files of an earlier export of the same evaluation are replaced. */
export async function writeExports(out: string, evaluation: Evaluation): Promise<void> {
  const logs = join(out, 'inspect')
  await makeFolder(logs)
  for (const { file, log } of inspectLogs(evaluation))
    await replace(join(logs, file), wellFormed(`${JSON.stringify(log, null, 2)}\n`))
  await replace(join(out, 'lm-eval.json'), wellFormed(formatJson(lmEvalResults(evaluation))))
  await replace(join(out, 'rates.csv'), ratesCsv(evaluation.results))
  await replace(join(out, 'samples.csv'), samplesCsv(evaluation.records))
  const parquet = join(out, 'samples.parquet')
  await writeSamplesParquet(`${parquet}.new`, evaluation.records)
  await rename(`${parquet}.new`, parquet)
}

/**
 * JSON with U+FFFD for every half of a surrogate pair, as UTF-8 has it in the tables: items may spell one, and readers in Python
 * and Rust refuse it.
 */
export function wellFormed(json: string): string {
  return json.replaceAll(/\\(?:u(?<half>d[89a-f][0-9a-f]{2})|.)/gu, (escape, half: string | undefined) =>
    half === undefined ? escape : '\ufffd',
  )
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
