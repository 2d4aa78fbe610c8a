/** Runs the stages of a plan: cached ones are skipped, each key is claimed, a failure stops only what depends on it. */
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { interrupted, LabError, messageOf } from '../errors.ts'
import { verifyArtifact, type Store } from '../store/artifacts.ts'
import { waitForLock } from '../store/lock.ts'
import { refusalOf } from '../store/refusal.ts'
import type { EngineOf } from './engines.ts'
import { availableMemory } from './memory.ts'
import { missingArtifacts, type Stage, type StageProgress, type StageTools } from './stage.ts'

export type StageState = 'cached' | 'started' | 'done' | 'failed' | 'blocked' | 'skipped' | 'waiting'

export type StageEvent =
  | {
      readonly type: 'stage'
      readonly state: StageState
      readonly stage: Stage
      readonly seconds?: number
      readonly why?: string
      /** Of a skipped stage: title of the stage that failed. */
      readonly because?: string
    }
  | { readonly type: 'progress'; readonly stage: Stage; readonly progress: StageProgress }

export type Unfinished =
  | { readonly state: 'failed' | 'blocked'; readonly why: string }
  /** `because`: title of the stage whose failure it follows from; `why` is that stage's. */
  | { readonly state: 'skipped'; readonly why: string; readonly because: string }

/** What became of each stage. */
export interface Execution {
  /** Failed, blocked and skipped stages, with the reason. */
  readonly unfinished: ReadonlyMap<Stage, Unfinished>
}

/** Makes stages on other machines: they take no core and no memory of this one. */
export interface Elsewhere {
  takes(stage: Stage): boolean
  /** How many of all of them may be under way when one more begins. */
  limit(stage: Stage): number
  /** Resolves when its artifacts exist; throws the reason of a failure. */
  make(stage: Stage, tools: StageTools): Promise<void>
}

export interface ExecuteOptions {
  readonly store: Store
  /** Opened on first need, so that a run where all is cached never loads it. */
  readonly engineOf: EngineOf
  readonly signal: AbortSignal
  readonly emit: (event: StageEvent) => void
  /** Stages that run at the same time. Default: the cores of this machine. */
  readonly slots?: number
  readonly elsewhere?: Elsewhere
  /** Called when a stage was done now, before what needs it begins. */
  readonly finished?: (stage: Stage) => Promise<void>
}

/**
 * Executes stages, needs before users, several side by side: they come in the given order, as far as what they need is made and
 * memory is there. What a stage makes does not depend on what runs beside it. Throws only when interrupted.
 */
export async function execute(stages: readonly Stage[], options: ExecuteOptions): Promise<Execution> {
  const { signal, slots = availableParallelism(), elsewhere } = options
  const unfinished = new Map<Stage, Unfinished>()
  const waiting = new Set(stages)
  const running = new Map<Stage, Promise<void>>()
  // In a container less is there than the machine has; who else is at work has some of it too.
  const memory = Math.min(0.7 * totalmem(), availableMemory())
  const away = new Set(stages.filter((stage) => elsewhere?.takes(stage) ?? false))
  const hasRoom = (stage: Stage): boolean => {
    const beside = [...running.keys()].filter((other) => away.has(other) === away.has(stage))
    if (away.has(stage)) return beside.length < (elsewhere?.limit(stage) ?? 0)
    return beside.length < slots && (beside.length === 0 || memoryOf([stage, ...beside]) <= memory)
  }
  const ready = (stage: Stage): boolean =>
    !stage.needs.some((need) => waiting.has(need) || running.has(need)) && hasRoom(stage)
  try {
    while (waiting.size > 0 || running.size > 0) {
      if (signal.aborted) throw interrupted()
      const next = waiting.values().find(ready)
      if (next === undefined) {
        await Promise.race(running.values())
        continue
      }
      waiting.delete(next)
      running.set(
        next,
        executeStage(next, unfinished, options).finally(() => running.delete(next)),
      )
    }
  } finally {
    await Promise.allSettled(running.values())
  }
  return { unfinished }
}

const memoryOf = (stages: readonly Stage[]): number =>
  stages.reduce((bytes, stage) => bytes + (stage.memory?.bytes ?? 0), 0)

/** A failure, wherever in the stage, is the stage's own; throws only when interrupted. */
async function executeStage(
  stage: Stage,
  unfinished: Map<Stage, Unfinished>,
  options: ExecuteOptions,
): Promise<void> {
  const { store, signal, emit } = options
  try {
    await makeStage(stage, unfinished, options)
  } catch (error) {
    if (signal.aborted) throw interrupted()
    const known = error instanceof LabError ? error : refusalOf(error, store.root)
    const why = known?.render() ?? `internal error: ${messageOf(error)}`
    unfinished.set(stage, { state: 'failed', why })
    emit({ type: 'stage', state: 'failed', stage, why })
  }
}

async function makeStage(
  stage: Stage,
  unfinished: Map<Stage, Unfinished>,
  options: ExecuteOptions,
): Promise<void> {
  const { store, engineOf, signal, emit } = options
  if ((await missingArtifacts(store, stage)).length === 0) {
    emit({ type: 'stage', state: 'cached', stage })
    return
  }
  const broken = stage.needs.find((need) => unfinished.has(need))
  const cause = broken && unfinished.get(broken)
  if (cause) {
    // What follows from a closed gate is blocked too; what follows from a failure is skipped.
    const { why } = cause
    const ended: Unfinished =
      cause.state === 'blocked'
        ? { state: 'blocked', why }
        : { state: 'skipped', why, because: cause.state === 'skipped' ? cause.because : broken.title }
    unfinished.set(stage, ended)
    emit({ type: 'stage', stage, ...ended })
    return
  }
  const closed = await stage.blocked?.(store)
  if (closed) {
    unfinished.set(stage, { state: 'blocked', why: closed })
    emit({ type: 'stage', state: 'blocked', stage, why: closed })
    return
  }

  const lock = await waitForLock(join(store.root, 'claims', `${stage.kind}-${stage.key}`), signal, (holder) =>
    emit({
      type: 'stage',
      state: 'waiting',
      stage,
      why: `process ${holder.pid} on ${holder.host} is making it`,
    }),
  )
  try {
    if ((await missingArtifacts(store, stage)).length === 0) {
      emit({ type: 'stage', state: 'cached', stage })
      return
    }
    const started = performance.now()
    emit({ type: 'stage', state: 'started', stage })
    const tools: StageTools = {
      store,
      engine: engineOf(stage.engine, stage.section),
      signal,
      progress: (progress) => emit({ type: 'progress', stage, progress }),
      waiting: (why) => emit({ type: 'stage', state: 'waiting', stage, why }),
    }
    if (options.elsewhere?.takes(stage)) await options.elsewhere.make(stage, tools)
    else {
      await verifyNeeds(store, stage)
      await stage.perform(tools)
    }
    emit({ type: 'stage', state: 'done', stage, seconds: (performance.now() - started) / 1000 })
    await options.finished?.(stage)
  } finally {
    lock.release()
  }
}

/** What a stage reads must be what was made: throws STORE where it was changed. */
export async function verifyNeeds(store: Store, stage: Stage): Promise<void> {
  for (const { kind, key } of stage.needs.flatMap((need) => need.artifacts))
    await verifyArtifact(store, kind, key)
}
