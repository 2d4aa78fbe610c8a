/** Refuses adapters of a rank that no matrix of the model can use. */
import type { ModelConfig } from '../../model/config.ts'
import { loraSizes, type LoraTarget } from '../../model/peft.ts'
import { placeIn } from '../../spec/checks.ts'
import type { Cell, Experiment, Problem } from '../../spec/experiment.ts'

/** Of the trainings of a cell; the config is that of its base, which may be a folder or of a hub. */
export function rankProblems(experiment: Experiment, cell: Cell, config: ModelConfig): Problem[] {
  const { organism, chain } = cell
  const trainings = [
    ...(organism.made === null
      ? []
      : [
          {
            train: organism.made.train,
            place: placeIn(experiment, cell, 'organism', ['organisms', organism.name]),
          },
        ]),
    ...chain.map(({ name, train }) => ({
      train,
      place: placeIn(experiment, cell, 'technique', ['techniques', name]),
    })),
  ]
  return trainings.flatMap(({ train, place }): Problem[] => {
    if (train.method !== 'lora') return []
    const { rank, targets } = train.lora
    const useful = largestRank(targets, config)
    if (rank <= useful) return []
    const message = `a rank of ${rank} is more than ${useful}, the largest that a target of base ${cell.base.name} can have`
    const hint = `the product of an adapter's matrices has at most the smaller side of the weight as its rank: write \`lora: { rank: ${useful} }\` or less`
    return [{ where: place('train.lora.rank'), message, hint }]
  })
}

/** min(in, out) of the target where it is largest. */
function largestRank(targets: readonly LoraTarget[], config: ModelConfig): number {
  const smallerSides = targets.map((target) => {
    const { inputs, outputs } = loraSizes(config, target)
    return Math.min(inputs, outputs)
  })
  return Math.max(...smallerSides)
}
