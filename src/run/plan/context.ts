/** What all parts of planning share: the experiment, the trainer that will do the work, and the stages planned so far. */
import type { Cost, Engine, EngineName } from '../../engine/engine.ts'
import type { CapabilityKind } from '../../evals/eval.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Cell, Experiment } from '../../spec/experiment.ts'
import type { Section } from '../../spec/placement-schema.ts'
import { gigabytes, type MemoryNeed } from '../memory.ts'
import type { HubRead } from '../hub/client.ts'
import type { FolderSource, Stage } from '../stage.ts'
import { trainStage, type ModelRef, type Training, type TrainStage } from '../stages/train.ts'
import { type DataFiles, openDataFiles } from './data-files.ts'
import { givenModels, type GivenModels, type HubSources } from './given.ts'
import type { Persona } from '../../teacher/persona.ts'
import { loadPersonas } from './personas.ts'
import { countItems } from './public-items.ts'

/** The model that organisms of one base start from. */
export interface Base {
  readonly name: string
  /** Who trains and samples it and what is made from it. */
  readonly engine: EngineName
  readonly config: ModelConfig
  /** Tokens a pack. */
  readonly contextLength: number
  readonly tokenizer: FolderSource
  readonly model: ModelRef
}

/** As much of an engine as planning needs. */
export type PlanEngine = Pick<Engine, 'trainer' | 'samplerIdentity' | 'estimateSampling'>
export type PlanEngineOf = (name: EngineName, section: Section) => PlanEngine

export interface PlanContext {
  readonly experiment: Experiment
  readonly engineOf: PlanEngineOf
  /** What the data sources of the cells and evals are on this machine. */
  readonly dataFile: DataFiles
  /** Items of each capability eval. */
  readonly itemCounts: Readonly<Partial<Record<CapabilityKind, number>>>
  /** Of the teachers behind endpoints, by name or absolute path. */
  readonly personas: ReadonlyMap<string, Persona>
  readonly given: GivenModels
  /** What was read of a hub so far, each once. */
  readonly read: ReadonlyMap<string, HubRead>
  /** What was computed under this name, or is now. */
  once(name: string, compute: () => Promise<number>): Promise<number>
  /** The first stage with a key stands for all that have it. */
  shared<T extends Stage>(stage: T): T
  /** A training on the model's engine, as its section is placed, with its estimate of time. */
  train(
    training: Omit<Training, 'identity' | 'engine' | 'cost' | 'memory'>,
    model: Pick<Base, 'engine' | 'config' | 'contextLength'>,
  ): TrainStage
  readonly stages: ReadonlyMap<string, Stage>
}

/** Opens and hashes the data files of the cells, and reads the items of the evals. */
export async function planContext(
  experiment: Experiment,
  cells: readonly Cell[],
  engineOf: PlanEngineOf,
  sources: HubSources,
): Promise<PlanContext> {
  const read = new Map<string, HubRead>()
  const onRead = (found: HubRead): void => void read.set(JSON.stringify(found), found)
  const dataFile = await openDataFiles(experiment, cells, sources, onRead)
  const itemCounts = await countItems(experiment, dataFile)
  const personas = await loadPersonas(cells)
  const stages = new Map<string, Stage>()
  const shared = <T extends Stage>(stage: T): T => {
    const id = `${stage.kind} ${stage.key}`
    const known = stages.get(id)
    if (known !== undefined) return known as T
    stages.set(id, stage)
    return stage
  }
  return {
    experiment,
    engineOf,
    dataFile,
    itemCounts,
    personas,
    once: remembering(),
    given: givenModels(sources, onRead),
    read,
    stages,
    shared,
    train: (training, { engine, config, contextLength }) => {
      const { trainer } = engineOf(engine, training.section)
      const cost = trainer.estimate({ config, recipe: training.recipe, contextLength })
      const { identity } = trainer
      return shared(trainStage({ ...training, identity, engine, cost, memory: memoryOf(cost) }))
    },
  }
}

function remembering(): PlanContext['once'] {
  const known = new Map<string, Promise<number>>()
  return (name, compute) => {
    const value = known.get(name) ?? compute()
    known.set(name, value)
    return value
  }
}

function memoryOf({ parameters, memoryBytes, memoryParts }: Cost): MemoryNeed {
  if (memoryParts !== undefined) return { bytes: memoryBytes, parts: memoryParts }
  const weights = 4 * parameters
  return {
    bytes: memoryBytes,
    parts: [
      `${gigabytes(weights)} of weights, ${(parameters / 1e6).toFixed(1)}M in float32`,
      `${gigabytes(memoryBytes - weights)} of gradients, optimizer state and activations`,
    ],
  }
}

/** ` seed 2` where the experiment has several seeds, else nothing. */
export function seedSuffix({ experiment }: PlanContext, seed: number): string {
  return experiment.seeds.length > 1 ? ` seed ${seed}` : ''
}
