/** The stages of a plan as lines for people: alike ones folded into one, with their number and time. */
import type { PlannedStage } from '../run/plan-run.ts'
import type { StageKind } from '../run/stage.ts'
import { duration } from './terminal.ts'

const plurals: Readonly<Record<StageKind, string>> = {
  tokenizer: 'tokenizers',
  prompts: 'sets of prompts',
  responses: 'sets of responses',
  dataset: 'datasets',
  train: 'trainings',
  evaluate: 'evaluations',
}

/** One line a stage. */
export const everyLine = (stages: readonly PlannedStage[]): string[] => stages.map((stage) => lineOf([stage]))

/** One line for all stages of a kind, a group and a state, where the first of them stands. */
export function foldedLines(stages: readonly PlannedStage[]): string[] {
  const alike = Map.groupBy(stages, ({ kind, group, state, place }) =>
    JSON.stringify([kind, group, state, place]),
  )
  return [...alike.values()].map(lineOf)
}

function lineOf(stages: readonly PlannedStage[]): string {
  const [first] = stages
  if (first === undefined) return ''
  const { kind, group, title, state, place } = first
  const total = stages.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0)
  // What a server takes is not known.
  const known = stages.every(({ seconds }) => seconds !== null)
  const time = state === 'cached' ? '' : known ? `~${duration(total)}` : '?'
  const what =
    stages.length === 1 ? title : `${stages.length} ${plurals[kind]} of ${group.replace(/^\w+ (?=.)/, '')}`
  return `${state.padEnd(8)}${time.padStart(12)}  ${what}${place === 'slurm' ? ' (slurm)' : ''}${changeOf(stages)}`
}

/** Why they are not cached, if it is the same for all. */
function changeOf(stages: readonly PlannedStage[]): string {
  const reasons = new Set(stages.map(({ changed }) => changed))
  const [reason = null] = reasons
  if (reasons.size > 1) return '   changed: --all tells what'
  return reason === null ? '' : `   ${reason}`
}
