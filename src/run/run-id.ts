/** The name of a run: the same experiment, with the same --set, is the same run. */
import { createHash } from 'node:crypto'
import type { Experiment } from '../spec/experiment.ts'
import { canonicalJson } from '../store/canonical.ts'

/** Where it runs, what it keeps of its work and what forecasts assume changes no result, and so not the run. */
export function runId(experiment: Experiment): string {
  const { placement, ...spec } = experiment.spec
  const { slurm: _, torch, ...rest } = placement ?? {}
  const { assume: _assume, keep_states: _keep, ...computing } = torch ?? {}
  const kept = { ...rest, ...(torch === undefined ? {} : { torch: computing }) }
  const identity = Object.keys(kept).length > 0 ? { ...spec, placement: kept } : spec
  const hash = createHash('sha256').update(canonicalJson(identity)).digest('hex')
  return `${experiment.name}-${hash.slice(0, 8)}`
}
