/** Writes a report: results.json, curves.csv, samples.jsonl, figures as SVG and PNG, and report.html. */
import { createWriteStream } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { LabError, messageOf } from '../errors.ts'
import { makeFolder } from '../output-path.ts'
import { curvesCsv } from './csv.ts'
import { drawFigures } from './figures/all.ts'
import { renderPng } from './figures/vega.ts'
import { reportPage } from './html/page.ts'
import { formatJson } from './json.ts'
import { parseResults, type Results } from './results.ts'
import { collectTranscripts, type Sample, sampleLine } from './samples.ts'

export interface ReportInput {
  readonly results: Results
  /** In the order in which samples.jsonl lists them: by cell, step, eval and item. Read once, never held whole. */
  readonly samples: Iterable<Sample> | AsyncIterable<Sample>
  /** Made where it is missing; files of an earlier report are replaced. */
  readonly outDir: string
}

export interface WrittenReport {
  /** Paths inside `outDir`, sorted. */
  readonly files: readonly string[]
}

/** The same input gives the same bytes, on every machine. Throws BAD_INPUT where results are not of the schema. */
export async function writeReport({ results: given, samples, outDir }: ReportInput): Promise<WrittenReport> {
  const results = parseResults(given, 'results')
  await makeFolder(join(outDir, 'figures')).catch((cause: unknown) => {
    throw new LabError('BAD_INPUT', `cannot write the report to ${outDir}: ${messageOf(cause)}`, { cause })
  })
  await removeOldFigures(join(outDir, 'figures'))
  const transcripts = collectTranscripts(results)
  await pipeline(sampleLines(samples, transcripts.add), createWriteStream(join(outDir, 'samples.jsonl')))

  const figures = await drawFigures(results)
  const texts: [file: string, content: string | Uint8Array][] = [
    ['results.json', formatJson(results)],
    ['curves.csv', curvesCsv(results)],
    ['report.html', reportPage({ results, figures, transcriptsOf: transcripts.ofCell })],
  ]
  for (const { name, svg } of figures) {
    texts.push([`figures/${name}.svg`, `${svg}\n`], [`figures/${name}.png`, await renderPng(svg)])
  }
  for (const [file, content] of texts) await writeFile(join(outDir, file), content)
  return { files: [...texts.map(([file]) => file), 'samples.jsonl'].sort() }
}

async function* sampleLines(
  samples: Iterable<Sample> | AsyncIterable<Sample>,
  see: (sample: Sample) => void,
): AsyncGenerator<string> {
  // One chunk a few hundred lines: a chunk a line spends most of its time in the stream.
  let chunk = ''
  for await (const sample of samples) {
    see(sample)
    chunk += sampleLine(sample)
    if (chunk.length > 1 << 16) {
      yield chunk
      chunk = ''
    }
  }
  yield chunk
}

/** A grid that was two figures and is now one leaves none behind. */
async function removeOldFigures(folder: string): Promise<void> {
  const ours = /^(?:grid(?:-\d+)?|verdicts|logprob|training)\.(?:svg|png)$/
  for (const name of await readdir(folder)) if (ours.test(name)) await rm(join(folder, name))
}
