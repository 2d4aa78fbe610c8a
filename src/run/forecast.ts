/** What the stages of a plan will take together: tokens, flops, GPU hours, memory and disk, one row a group; a forecast, never a result. */
import type { Cost, DeviceNeed } from '../engine/engine.ts'
import type { SlurmPlacement } from '../spec/slurm-schema.ts'
import type { Stage, StageCost } from './stage.ts'

export interface ForecastRow {
  readonly work: 'training' | 'sampling'
  readonly what: string
  readonly stages: number
  /** Trained on, or read and drawn, padding included. */
  readonly tokens: number
  readonly flops: number
  /** Of one stage after the other. */
  readonly seconds: number
  /** Null where everything runs on processors. */
  readonly gpuHours: number | null
  /** Of the stage that needs the most of each GPU. */
  readonly device: DeviceNeed | null
  /** Peak of main memory of one stage, in all its processes. */
  readonly memoryBytes: number
  /** Checkpoints that stay, and at most what resuming needs beside them while one training runs. */
  readonly disk: { readonly checkpoints: number; readonly states: number }
  readonly notes: readonly string[]
}

export interface Forecast {
  readonly rows: readonly ForecastRow[]
  readonly total: {
    readonly gpuHours: number | null
    readonly flops: number
    /** All checkpoints, and the states of the training that needs the most. */
    readonly diskBytes: number
  }
}

/**
 * Of the stages that are to be made; `groupOf` names what is told together, `jobOf` what is asked for them. Rows stand in the order
 * of their first stages.
 */
export function forecast(
  stages: readonly Stage[],
  groupOf: (stage: Stage) => string,
  jobOf: (stage: Stage) => Pick<SlurmPlacement, 'nodes' | 'gpus'> | null = () => null,
): Forecast {
  const grouped = Map.groupBy(
    stages.filter(({ cost }) => cost !== undefined),
    (stage) => `${stage.kind === 'train' ? 'train' : 'sample'} ${groupOf(stage)}`,
  )
  const rows = [...grouped.values()].map((group) => {
    const row = rowOf(group, groupOf)
    const idle = new Set(group.flatMap((stage) => idleNote(stage, jobOf(stage))))
    return { ...row, notes: [...row.notes, ...idle] }
  })
  const hours = rows.flatMap(({ gpuHours }) => gpuHours ?? [])
  return {
    rows,
    total: {
      gpuHours: hours.length === 0 ? null : sum(hours),
      flops: sum(rows.map(({ flops }) => flops)),
      diskBytes:
        sum(rows.map(({ disk }) => disk.checkpoints)) + Math.max(0, ...rows.map(({ disk }) => disk.states)),
    },
  }
}

function rowOf(group: readonly Stage[], groupOf: (stage: Stage) => string): ForecastRow {
  const [first] = group
  if (first === undefined) throw new RangeError('a group has a stage')
  const trainings = group.flatMap(({ cost, artifacts }) =>
    cost !== undefined && 'training' in cost ? [{ ...cost.training, checkpoints: artifacts.length }] : [],
  )
  const samplings = group.flatMap(({ cost }) =>
    cost !== undefined && 'sampling' in cost ? [cost.sampling] : [],
  )
  const all = [...trainings, ...samplings]
  const devices = all.flatMap(({ device }) => device ?? [])
  return {
    work: trainings.length > 0 ? 'training' : 'sampling',
    what: groupOf(first),
    stages: group.length,
    tokens:
      sum(trainings.map(({ tokens }) => tokens)) +
      sum(samplings.map(({ flops, parameters }) => flops / (2 * parameters))),
    flops: sum(all.map(({ flops }) => flops)),
    seconds: sum(all.map(({ seconds }) => seconds)),
    gpuHours:
      devices.length === 0
        ? null
        : sum(all.map(({ seconds, device }) => (seconds * (device?.count ?? 0)) / 3600)),
    device: devices.toSorted((a, b) => b.bytes - a.bytes)[0] ?? null,
    memoryBytes: Math.max(...all.map(({ memoryBytes }) => memoryBytes)),
    disk: {
      checkpoints: sum(trainings.map(checkpointBytes)),
      states: Math.max(0, ...trainings.map(stateBytes)),
    },
    notes: [...new Set(trainings.flatMap(({ notes = [] }) => notes))],
  }
}

function idleNote({ kind, cost }: Stage, job: Pick<SlurmPlacement, 'nodes' | 'gpus'> | null): string[] {
  const asked = job === null ? 0 : job.nodes * job.gpus
  const used = deviceOf(cost)?.count ?? 0
  if (asked <= used) return []
  return [`a job that ${kind === 'train' ? 'trains' : 'samples'} asks for ${asked} GPUs and uses ${used}`]
}

function deviceOf(cost: StageCost | undefined): DeviceNeed | undefined {
  if (cost === undefined) return undefined
  return 'training' in cost ? cost.training.device : cost.sampling.device
}

type Trained = Cost & { readonly checkpoints: number }

function checkpointBytes({ disk, checkpoints, keepsStates }: Trained): number {
  return checkpoints * (disk.weights + (keepsStates === 'all' ? disk.state : 0))
}

/** The newest checkpoint's, the rolling one between checkpoints, and the next while it is written. */
const stateBytes = ({ disk }: Cost): number => 3 * disk.state

/** In words what does not fit the GPUs that were named; none if everything does. */
export function unfitting(stages: readonly Stage[]): string[] {
  const told = new Set<string>()
  for (const { title, cost } of stages) {
    const device = deviceOf(cost)
    if (device === undefined || device.availableBytes === null || device.bytes <= device.availableBytes)
      continue
    const { gpu, count, bytes, parts, availableBytes } = device
    const needed = `about ${whole(bytes)} on each of ${count} GPU${count === 1 ? '' : 's'}`
    told.add(`${title} needs ${needed} (${parts.join(', ')}), but one ${gpu} has ${whole(availableBytes)}`)
  }
  return [...told]
}

const whole = (bytes: number): string => `${(bytes / 1e9).toFixed(0)} GB`
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
