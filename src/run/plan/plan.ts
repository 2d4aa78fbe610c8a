/** From cells to stages: every training, dataset and evaluation that the cells need, shared where their inputs are equal. */
import type { Cell, Experiment, ResolvedTechnique } from '../../spec/experiment.ts'
import { type Problem, SpecError } from '../../spec/problem.ts'
import type { HubRead } from '../hub/client.ts'
import { notInstalled } from '../measure.ts'
import type { Stage } from '../stage.ts'
import { datasetStage } from '../stages/data.ts'
import type { ModelRef, TrainStage } from '../stages/train.ts'
import { answersTo } from './answers.ts'
import { planBase } from './base.ts'
import { planContext, type PlanContext, type PlanEngineOf } from './context.ts'
import type { HubSources } from './given.ts'
import { rankProblems } from './lora-rank.ts'
import { planPoint, type PlannedPoint } from './evals.ts'
import { planOrganism, titleOf, type PlannedOrganism } from './organism.ts'
import { roomProblems } from './public-items.ts'

/** A cell with its stages. */
export interface PlannedCell {
  readonly cell: Cell
  readonly technique: ResolvedTechnique
  readonly organism: PlannedOrganism
  readonly dataset: Stage
  readonly training: TrainStage
  /** What its training starts from. */
  readonly start: ModelRef
  /** The curve; the first is step 0. */
  readonly points: readonly PlannedPoint[]
  /** The organism itself, which later trainings of a chain are compared with too. */
  readonly organismPoint: PlannedPoint
}

export interface Plan {
  readonly cells: readonly PlannedCell[]
  readonly organisms: readonly PlannedOrganism[]
  /** Every stage once, needs before users, cell by cell. */
  readonly stages: readonly Stage[]
  /** Items of each capability eval. */
  readonly itemCounts: PlanContext['itemCounts']
  /** What was read of a hub: its data files, and models that cells begin with. */
  readonly read: readonly HubRead[]
}

/** Reads and hashes the files and models that the experiment names; trains and samples nothing. Throws SpecError where they do not fit. */
export async function makePlan(
  experiment: Experiment,
  cells: readonly Cell[],
  engineOf: PlanEngineOf,
  sources: HubSources,
): Promise<Plan> {
  const context = await planContext(experiment, cells, engineOf, sources)
  const organisms = new Map<string, PlannedOrganism>()
  const planned: PlannedCell[] = []
  const problems: Problem[] = []
  for (const cell of cells) {
    const draft = await planOrganism(context, cell)
    const organism = organisms.get(draft.id) ?? draft
    organisms.set(organism.id, organism)
    const { name, config } = organism.base
    problems.push(...rankProblems(experiment, cell, config), ...roomProblems(experiment, name, config))
    planned.push(await planCell(context, cell, organism))
  }
  if (problems.length > 0) throw new SpecError(problems)
  const { stages, itemCounts, read } = context
  return {
    cells: planned,
    organisms: [...organisms.values()],
    stages: [...stages.values()],
    itemCounts,
    read: [...read.values()],
  }
}

interface Trained {
  readonly dataset: Stage
  readonly training: TrainStage
  readonly start: ModelRef
}

async function planCell(context: PlanContext, cell: Cell, organism: PlannedOrganism): Promise<PlannedCell> {
  const { spec, model } = organism
  const [first] = cell.chain
  const evaluated = { organism: spec, base: organism.base, seed: cell.seed }
  const organismPoint = await planPoint(
    context,
    { ...evaluated, title: titleOf(organism), model, origin: true },
    first.evalAt,
    0,
  )

  let trained: Trained | null = null
  let technique: ResolvedTechnique = first
  for (const next of cell.chain) {
    technique = next
    const isLast = next === cell.chain.at(-1)
    const start: ModelRef = trained === null ? model : trained.training.want(trained.training.recipe.steps)
    trained = await planTraining(context, {
      cell,
      organism,
      technique,
      start,
      title: isLast ? cell.id : (cell.after ?? ''),
    })
  }
  if (trained === null) throw new RangeError(`cell ${cell.id} has no technique`)
  const { dataset, training, start } = trained

  const steps = [...new Set([0, ...technique.checkpoints])].sort((a, b) => a - b)
  const points: PlannedPoint[] = []
  for (const step of steps) {
    const measured = {
      ...evaluated,
      title: `${cell.id} step ${step}`,
      model: step === 0 ? start : training.want(step),
      origin: step === 0 && cell.chain.length === 1,
    }
    points.push(await planPoint(context, measured, technique.evalAt, step))
  }
  return { cell, technique, organism, dataset, training, start, points, organismPoint }
}

/** Its own benign rows; that an organism which was brought in has none is told when the file is read. */
function benignOf({ id, made }: PlannedOrganism): { responses: Stage; strip: 'scratchpad' | null } {
  if (made === null) throw new RangeError(`${id} was not trained here`)
  return { responses: made.responses, strip: made.spec.data.strip }
}

interface TrainingRequest {
  readonly cell: Cell
  readonly organism: PlannedOrganism
  readonly technique: ResolvedTechnique
  readonly start: ModelRef
  readonly title: string
}

async function planTraining(context: PlanContext, request: TrainingRequest): Promise<Trained> {
  const { cell, organism, technique, start, title } = request
  const { base, spec } = organism
  const { data, train: recipe } = technique
  const own = data.kind === 'organism/benign'
  const { responses, strip } =
    data.kind === 'organism/benign'
      ? benignOf(organism)
      : {
          responses: await answersTo(context, { title: technique.name, data, seed: cell.seed, planBase }),
          strip: data.strip,
        }
  const dataset = context.shared(
    datasetStage({
      title: own ? `${technique.name} of ${organism.id}` : technique.name,
      responses,
      tokenizer: base.tokenizer,
      backdoor: null,
      system: technique.system ?? undefined,
      strip,
      forbid: own ? spec.backdoor.payload : null,
      loss: 'response',
      contextLength: base.contextLength,
      packs: recipe.steps * recipe.batch,
      seed: cell.seed,
    }),
  )
  const training = context.train(
    {
      title: `train ${title}`,
      section: 'techniques',
      start: { from: 'model', model: start, seed: cell.seed },
      dataset,
      tokenizer: base.tokenizer,
      recipe,
      needs: [organism.gate],
    },
    base,
  )
  training.useBehind(
    spec.admission === 'require'
      ? (store) => notInstalled(store, organism.gate, context.experiment.verdict)
      : null,
  )
  return { dataset, training, start }
}
