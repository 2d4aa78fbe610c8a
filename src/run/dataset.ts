/** One dataset of an experiment, made with everything that it needs and nothing else: the very files that the run will train on. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import { expand } from '../spec/expand.ts'
import { loadExperiment } from '../spec/load.ts'
import { openStore } from '../store/artifacts.ts'
import { openEngines } from './engines.ts'
import { execute, type StageEvent } from './execute.ts'
import type { DownloadProgress } from './hub/fetch.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import { folderOfSource, outputOf, type Stage } from './stage.ts'

export interface DatasetOfExperiment {
  readonly title: string
  readonly folder: string
  /** null where the experiment does not say which tokenizer belongs to it alone. */
  readonly tokenizerFolder: string | null
  /** null: it has no triggered rows. */
  readonly backdoor: { readonly trigger: string; readonly position: 'before' | 'after' | 'system' } | null
  readonly loss: 'response' | 'all'
}

export interface DatasetRequest {
  readonly spec: string
  readonly set: readonly string[]
  readonly store: string
  /** As `plan` calls it: an organism, a technique, a base. */
  readonly name: string | undefined
  readonly signal: AbortSignal
  readonly emit: (event: StageEvent) => void
  /** Of a model or a dataset of a hub, `organisation/name`. */
  readonly downloading: (repo: string, progress: DownloadProgress) => void
}

const inputs = z.looseObject({
  backdoor: z
    .looseObject({ trigger: z.string(), position: z.enum(['before', 'after', 'system']) })
    .nullable(),
  loss: z.enum(['response', 'all']),
})

const prefix = 'dataset '

/** Makes the dataset, or finds it in the store. Throws BAD_INPUT with the names to choose from. */
export async function datasetOfExperiment(request: DatasetRequest): Promise<DatasetOfExperiment> {
  const { store: root, signal, emit, downloading } = request
  const experiment = await loadExperiment(request.spec, { set: [...request.set] })
  const engines = await openEngines(experiment)
  const { engineOf } = engines
  try {
    const sources = { store: root, weights: false, data: true, signal, downloading }
    const plan = await makePlan(experiment, expand(experiment), engineOf, sources)
    const stage = findDataset(plan, request)
    const store = await openStore(root)
    const { unfinished } = await execute(withNeeds(stage), { store, engineOf, signal, emit })
    const failed = unfinished.values().next().value
    if (failed !== undefined) throw new LabError('CELLS_FAILED', `${stage.title}: ${failed.why}`)
    const tokenizer = tokenizerOf(plan, stage)
    const { backdoor, loss } = inputs.parse(stage.artifacts[0]?.inputs)
    return {
      title: stage.title.slice(prefix.length),
      folder: outputOf(store, stage),
      tokenizerFolder: tokenizer && folderOfSource(store, tokenizer),
      backdoor,
      loss,
    }
  } finally {
    await engines.close()
  }
}

function findDataset(plan: Plan, { name, spec }: DatasetRequest): Stage {
  const datasets = plan.stages.filter(({ kind }) => kind === 'dataset')
  const found = datasets.filter(({ title }) => title === prefix + name)
  const [only, another] = name === undefined ? datasets : found
  if (only !== undefined && another === undefined) return only
  const what = name === undefined ? 'which dataset?' : `no dataset is called ${name}`
  const names = [...new Set(datasets.map(({ title }) => title.slice(prefix.length)))]
  throw new LabError(
    'BAD_INPUT',
    `${spec}: ${found.length > 1 ? `${name} stands for several datasets` : what}`,
    {
      hint: found.length > 1 ? 'choose values of the axes with --set' : `there are: ${names.join(', ')}`,
    },
  )
}

/** A stage and all that it needs, needs first. */
function withNeeds(stage: Stage): Stage[] {
  return [...new Set([...stage.needs.flatMap(withNeeds), stage])]
}

function tokenizerOf(plan: Plan, stage: Stage): Plan['organisms'][number]['base']['tokenizer'] | null {
  const trained = stage.needs.find(({ kind }) => kind === 'tokenizer')
  if (trained !== undefined) return trained
  const organism =
    plan.organisms.find(({ made }) => made?.dataset === stage) ??
    plan.cells.find(({ dataset }) => dataset === stage)?.organism
  return organism?.base.tokenizer ?? null
}
