/** What all parts of planning share: the experiment, the trainer that will do the work, and the stages planned so far. */
import type { Cost, Engine, EngineName } from '../../engine/engine.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Cell, Experiment } from '../../spec/experiment.ts'
import { gigabytes, type MemoryNeed } from '../memory.ts'
import type { FolderSource, Stage } from '../stage.ts'
import { trainStage, type ModelRef, type Training, type TrainStage } from '../stages/train.ts'
import { givenModels, type GivenModels, type ModelSources } from './given.ts'
import type { Persona } from '../../teacher/persona.ts'
import { hashFiles } from './hashes.ts'
import { loadPersonas } from './personas.ts'

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
export type PlanEngineOf = (name: EngineName) => PlanEngine

export interface PlanContext {
  readonly experiment: Experiment
  readonly engineOf: PlanEngineOf
  /** sha256 of every prompt file that the cells read, by absolute path. */
  readonly fileHashes: ReadonlyMap<string, string>
  /** Of the teachers behind endpoints, by name or absolute path. */
  readonly personas: ReadonlyMap<string, Persona>
  readonly given: GivenModels
  /** The first stage with a key stands for all that have it. */
  shared<T extends Stage>(stage: T): T
  /** A training on the model's engine, with its estimate of time. */
  train(
    training: Omit<Training, 'identity' | 'engine' | 'seconds' | 'memory'>,
    model: Pick<Base, 'engine' | 'config' | 'contextLength'>,
  ): TrainStage
  readonly stages: ReadonlyMap<string, Stage>
}

/** Reads and hashes the prompt files of the cells. */
export async function planContext(
  experiment: Experiment,
  cells: readonly Cell[],
  engineOf: PlanEngineOf,
  sources: ModelSources,
): Promise<PlanContext> {
  const fileHashes = await hashFiles(experiment, cells)
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
    fileHashes,
    personas,
    given: givenModels(sources),
    stages,
    shared,
    train: (training, { engine, config, contextLength }) => {
      const { trainer } = engineOf(engine)
      const cost = trainer.estimate({ config, recipe: training.recipe, contextLength })
      const { identity } = trainer
      const { seconds } = cost
      return shared(trainStage({ ...training, identity, engine, seconds, memory: memoryOf(cost) }))
    },
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
