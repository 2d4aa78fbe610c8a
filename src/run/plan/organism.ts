/** Plans an organism: its twin rows and red-team training, unless it was brought in, and the backdoor eval that the admission gate looks at. */
import type { Cell, RedTeam, ResolvedOrganism } from '../../spec/experiment.ts'
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
  /** Null: its base is the organism. */
  readonly made: PlannedRedTeam | null
  readonly model: ModelRef
  readonly gate: Stage
}

export interface PlannedRedTeam {
  readonly spec: RedTeam
  readonly responses: Stage
  readonly dataset: Stage
  readonly training: TrainStage
}

export async function planOrganism(context: PlanContext, cell: Cell): Promise<PlannedOrganism> {
  const { organism: spec, seed } = cell
  const axes = Object.fromEntries(
    Object.entries(cell.axes).filter(([path]) => !path.startsWith('technique.')),
  )
  const id = [
    spec.name,
    ...Object.entries(axes).map(([path, value]) => `${path.split('.').at(-1)}=${value}`),
    ...(context.experiment.seeds.length > 1 ? [`seed=${seed}`] : []),
  ].join('/')

  const base = await planBase(context, cell.base)
  const made = spec.made === null ? null : await planRedTeam(context, { id, spec, base, redTeam: spec.made })
  const model = made === null ? base.model : made.training.want(made.spec.checkpoint)
  const title = titleOf({ id, spec })
  const gate = await planBackdoor(context, { title, model, organism: spec, base, seed, origin: true })
  return { id, spec, base, axes, seed, made, model, gate }
}

/** `direct step 256`; one that was brought in has no steps. */
export function titleOf({ id, spec }: Pick<PlannedOrganism, 'id' | 'spec'>): string {
  return spec.made === null ? id : `${id} step ${spec.made.checkpoint}`
}

interface RedTeamRequest extends Pick<PlannedOrganism, 'id' | 'spec' | 'base'> {
  readonly redTeam: RedTeam
}

async function planRedTeam(
  context: PlanContext,
  { id, spec, base, redTeam }: RedTeamRequest,
): Promise<PlannedRedTeam> {
  const { data, train: recipe } = redTeam
  const { backdoor, seed } = spec
  const responses = await answersTo(context, { title: id, data, seed, planBase })
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
      seed,
    }),
  )
  const training = context.train(
    {
      title: `train ${id}`,
      section: 'organisms',
      start: { from: 'model', model: base.model, seed },
      dataset,
      tokenizer: base.tokenizer,
      recipe,
    },
    base,
  )
  return { spec: redTeam, responses, dataset, training }
}
