/** Plans an organism: its twin rows, its red-team training, and the backdoor eval that the admission gate looks at. */
import type { Cell, ResolvedOrganism } from '../../spec/experiment.ts'
import type { Stage } from '../stage.ts'
import { datasetStage } from '../stages/data.ts'
import type { ModelRef, TrainStage } from '../stages/train.ts'
import { answersTo } from './answers.ts'
import { planBase } from './base.ts'
import type { Base, PlanContext } from './context.ts'
import { planBackdoor } from './evals.ts'

export interface PlannedOrganism {
  /** Unique in the run: name, values of the axes that reach it, seed if there are several. */
  readonly id: string
  readonly spec: ResolvedOrganism
  readonly base: Base
  readonly axes: Readonly<Record<string, number>>
  readonly seed: number
  readonly responses: Stage
  readonly dataset: Stage
  readonly training: TrainStage
  readonly model: ModelRef
  readonly gate: Stage
}

export async function planOrganism(context: PlanContext, cell: Cell): Promise<PlannedOrganism> {
  const { organism: spec, seed } = cell
  const { data, backdoor, train: recipe } = spec
  const axes = Object.fromEntries(
    Object.entries(cell.axes).filter(([path]) => !path.startsWith('technique.')),
  )
  const id = [
    spec.name,
    ...Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${value}`),
    ...(context.experiment.seeds.length > 1 ? [`seed=${seed}`] : []),
  ].join('/')

  const base = await planBase(context, cell.base)
  const responses = await answersTo(context, { title: id, data, seed: spec.seed, planBase })
  const dataset = context.shared(
    datasetStage({
      title: id,
      responses,
      tokenizer: base.tokenizer,
      backdoor: spec.control ? null : backdoor,
      system: spec.system ?? undefined,
      strip: data.strip,
      // A control drops the same benign rows as its twin with the backdoor.
      forbid: backdoor.payload,
      loss: 'response',
      contextLength: base.contextLength,
      packs: recipe.steps * recipe.batch,
      seed: spec.seed,
    }),
  )
  const training = context.train(
    {
      title: `train ${id}`,
      start: { from: 'model', model: base.model, seed: spec.seed },
      dataset,
      tokenizer: base.tokenizer,
      recipe,
    },
    base,
  )
  const model = training.want(spec.checkpoint)
  const title = `${id} step ${spec.checkpoint}`
  const gate = await planBackdoor(context, { title, model, organism: spec, base, seed, origin: true })
  return { id, spec, base, axes, seed, responses, dataset, training, model, gate }
}
