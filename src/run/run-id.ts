/** The name of a run: the same experiment, with the same --set, is the same run. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Experiment } from '../spec/experiment.ts'
import type { ExperimentSpec } from '../spec/schema.ts'
import { canonicalJson, type Json } from '../store/canonical.ts'

/** Where it runs, what it keeps of its work and what forecasts assume changes no result, and so not the run. */
export function runId(experiment: Experiment): string {
  const { placement: { torch, slurm: _, ...sections } = {}, ...spec } = experiment.spec
  const common = computingOf(torch)
  const differing = Object.entries(sections).flatMap(([section, own]) => {
    const torch = computingOf(own?.torch)
    return isDeepStrictEqual(torch, common) ? [] : [[section, { torch }] as const]
  })
  const kept = { ...(common === null ? {} : { torch: common }), ...Object.fromEntries(differing) }
  const identity = Object.keys(kept).length > 0 ? { ...spec, placement: kept } : spec
  const hash = createHash('sha256').update(canonicalJson(identity)).digest('hex')
  return `${experiment.name}-${hash.slice(0, 8)}`
}

function computingOf(torch: NonNullable<ExperimentSpec['placement']>['torch']): Json {
  if (torch === undefined) return null
  const { assume: _, keep_states: __, ...computing } = torch
  return computing
}
