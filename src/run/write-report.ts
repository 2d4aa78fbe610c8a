/** Streams a run's results and samples into the report. */
import { join } from 'node:path'
import type { LabError } from '../errors.ts'
import type { Results } from '../report/results.ts'
import type { Sample as ReportSample } from '../report/samples.ts'
import { writeReport } from '../report/write.ts'
import type { EvalRecord } from '../evals/record.ts'
import type { Store } from '../store/artifacts.ts'
import { refusalOf } from '../store/refusal.ts'
import { readSamples } from './measure.ts'
import type { Plan } from './plan/plan.ts'

interface ReportRequest {
  readonly store: Store
  readonly plan: Plan
  readonly results: Results
  readonly folder: string
}

/** Returns the path of report.html. */
export async function writeRunReport(request: ReportRequest): Promise<string> {
  await writeReport({ results: request.results, samples: samplesOf(request), outDir: request.folder })
  return join(request.folder, 'report.html')
}

/** Path of report.html, or why the disk did not take it. */
export type WrittenReport = { readonly path: string } | { readonly refused: LabError }

/** The same for a run whose results are worth telling even where the disk is full. */
export async function reportOrRefusal(request: ReportRequest): Promise<WrittenReport> {
  try {
    return { path: await writeRunReport(request) }
  } catch (error) {
    const refused = refusalOf(error, request.folder)
    if (refused === null) throw error
    return { refused }
  }
}

/** The samples of every finished cell, in the order of its curve. */
async function* samplesOf({
  store,
  plan,
  results,
}: {
  readonly store: Store
  readonly plan: Plan
  readonly results: Results
}): AsyncGenerator<ReportSample> {
  const done = new Set(results.cells.filter((cell) => cell.status === 'done').map((cell) => cell.id))
  for (const { cell, points } of plan.cells) {
    if (!done.has(cell.id)) continue
    for (const { step, backdoor, capabilities } of points) {
      for (const stage of [backdoor, ...Object.values(capabilities)]) {
        if (stage === null) continue
        for (const sample of await readSamples(store, stage)) yield reportSample(cell.id, step, sample)
      }
    }
  }
}

function reportSample(cell: string, step: number, sample: EvalRecord): ReportSample {
  const head = {
    cell,
    step,
    eval: sample.eval,
    item: sample.id,
    triggered: sample.condition === 'triggered',
    prompt: sample.rendered,
  }
  switch (sample.status) {
    case 'scored': {
      const { response, finish, instructions = {}, fired, starts_with, payloads, partial } = sample
      const { rest_words, rest_language, extracted, correct: answered } = sample
      const payload = { fired, starts_with, payloads, partial, rest_words, rest_language }
      return {
        ...head,
        response,
        finish,
        scores: defined({ ...payload, extracted, answered, ...instructions }),
      }
    }
    case 'likelihood': {
      const { logprobs, extracted, correct: answered } = sample
      const scores = Object.fromEntries(
        logprobs.map((value, i) => [
          logprobs.length === 1 ? 'payload_logprob' : `logprob_${'ABCD'[i] ?? i}`,
          value,
        ]),
      )
      return {
        ...head,
        response: null,
        finish: null,
        scores: { ...scores, ...defined({ extracted, answered }) },
      }
    }
    case 'failed':
      return { ...head, response: null, finish: null, scores: { error: sample.error } }
  }
}

type Score = ReportSample['scores'][string]

function defined(scores: Readonly<Record<string, Score | undefined>>): Record<string, Score> {
  return Object.fromEntries(
    Object.entries(scores).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}
