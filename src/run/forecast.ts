/** What the stages of a plan will take together: tokens, flops, GPU hours, memory and disk, one row a group; a forecast, never a result. */
import type { Cost, DeviceNeed } from '../engine/engine.ts'
import type { SlurmPlacement } from '../spec/slurm-schema.ts'
import type { AskingCost, Stage, StageCost } from './stage.ts'

export interface ForecastRow {
  readonly work: 'training' | 'sampling'
  readonly what: string
  readonly stages: number
  /** Trained on, or read and drawn, padding included. */
  readonly tokens: number
  readonly flops: number
  /** Of one stage after the other. */
  readonly seconds: number
  /** Of all GPUs that are held: those that its jobs ask for, else those that it uses. Null where there are none. */
  readonly gpuHours: number | null
  /** Of the stage that needs the most of each GPU. */
  readonly device: DeviceNeed | null
  /** Peak of main memory of one stage, in all its processes. */
  readonly memoryBytes: number
  /** Checkpoints that stay, and at most what resuming needs beside them while one training runs. */
  readonly disk: { readonly checkpoints: number; readonly states: number }
  readonly notes: readonly string[]
}

/** What a group asks of a server, whose time is in no sum. */
export interface AskingRow extends AskingCost {
  readonly what: string
  readonly stages: number
}

export interface Forecast {
  readonly rows: readonly ForecastRow[]
  readonly asking: readonly AskingRow[]
  readonly total: {
    readonly gpuHours: number | null
    readonly flops: number
    /** All checkpoints, the states of the training that needs the most, and the downloads. */
    readonly diskBytes: number
    /** Of models of a hub that are not here. */
    readonly downloadBytes: number
  }
}

/** What is asked of the cluster for a stage; null where it becomes no job. */
type JobOf = (stage: Stage) => Pick<SlurmPlacement, 'nodes' | 'gpus'> | null

interface ForecastSetting {
  readonly jobOf?: JobOf
  /** Seconds until its model is read. */
  readonly startOf?: (stage: Stage) => number
  readonly lacking?: readonly number[]
}

/**
 * Of the stages that are to be made; `groupOf` names what is told together, `jobOf` what is asked for them, `lacking` the bytes of
 * models that are downloaded first. Rows stand in the order of their first stages.
 */
export function forecast(
  stages: readonly Stage[],
  groupOf: (stage: Stage) => string,
  { jobOf = () => null, startOf = () => 0, lacking = [] }: ForecastSetting = {},
): Forecast {
  const downloadBytes = sum(lacking)
  const grouped = Map.groupBy(
    stages.filter(({ cost }) => cost !== undefined && !('asking' in cost)),
    (stage) => `${stage.kind === 'train' ? 'train' : 'sample'} ${groupOf(stage)}`,
  )
  const rows = [...grouped.values()].map((group) => {
    const row = rowOf(group, groupOf, { jobOf, startOf })
    const idle = new Set(group.flatMap((stage) => idleNote(stage, jobOf(stage))))
    return { ...row, notes: [...row.notes, ...idle] }
  })
  const hours = rows.flatMap(({ gpuHours }) => gpuHours ?? [])
  return {
    rows,
    asking: askingRows(stages, groupOf),
    total: {
      gpuHours: hours.length === 0 ? null : sum(hours),
      flops: sum(rows.map(({ flops }) => flops)),
      diskBytes:
        downloadBytes +
        sum(rows.map(({ disk }) => disk.checkpoints)) +
        Math.max(0, ...rows.map(({ disk }) => disk.states)),
      downloadBytes,
    },
  }
}

function askingRows(stages: readonly Stage[], groupOf: (stage: Stage) => string): AskingRow[] {
  const asked = stages.flatMap((stage) =>
    stage.cost !== undefined && 'asking' in stage.cost
      ? [{ what: groupOf(stage), ...stage.cost.asking }]
      : [],
  )
  return [...Map.groupBy(asked, ({ what }) => what)].map(([what, costs]) => {
    const prices = costs.flatMap(({ usd }) => usd ?? [])
    return {
      what,
      stages: costs.length,
      questions: sum(costs.map(({ questions }) => questions)),
      tokens: sum(costs.map(({ tokens }) => tokens)),
      usd: prices.length === 0 ? null : sum(prices),
    }
  })
}

function rowOf(
  group: readonly Stage[],
  groupOf: (stage: Stage) => string,
  { jobOf, startOf }: Required<Pick<ForecastSetting, 'jobOf' | 'startOf'>>,
): ForecastRow {
  const secondsOf = (stage: Stage): number => startOf(stage) + computingOf(stage)
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
    seconds: sum(group.map(secondsOf)),
    gpuHours: group.every((stage) => gpusOf(stage, jobOf(stage)) === 0)
      ? null
      : sum(group.map((stage) => (secondsOf(stage) * gpusOf(stage, jobOf(stage))) / 3600)),
    device: devices.toSorted((a, b) => b.bytes - a.bytes)[0] ?? null,
    memoryBytes: Math.max(...all.map(({ memoryBytes }) => memoryBytes)),
    disk: {
      checkpoints: sum(trainings.map(checkpointBytes)),
      states: Math.max(0, ...trainings.map(stateBytes)),
    },
    notes: [...new Set(trainings.flatMap(({ notes = [] }) => notes))],
  }
}

/** A cluster bills what a job asks for. GPUs that `directives` ask for are not counted. */
const gpusOf = ({ cost }: Stage, job: ReturnType<JobOf>): number =>
  job !== null && job.gpus > 0 ? job.nodes * job.gpus : (deviceOf(cost)?.count ?? 0)

function computingOf({ cost }: Stage): number {
  if (cost === undefined || 'asking' in cost) return 0
  return 'training' in cost ? cost.training.seconds : cost.sampling.seconds
}

export const usesGpu = ({ cost }: Stage): boolean => deviceOf(cost) !== undefined

function idleNote(stage: Stage, job: ReturnType<JobOf>): string[] {
  const { kind, cost } = stage
  const asked = gpusOf(stage, job)
  const used = deviceOf(cost)?.count ?? 0
  if (asked <= used) return []
  return [
    `a job that ${kind === 'train' ? 'trains' : 'samples'} asks for ${asked} GPUs and uses ${used}: all are counted`,
  ]
}

function deviceOf(cost: StageCost | undefined): DeviceNeed | undefined {
  if (cost === undefined || 'asking' in cost) return undefined
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
