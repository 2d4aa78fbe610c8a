/** What a cell reads: the data of all its trainings, and the models that these begin with or that answer their prompts. */
import type { Cell, ResolvedBase, ResolvedData } from './experiment.ts'

/** The cell's own base first, then those of its teachers, and of the teachers of their corpora; each once. */
export function basesOfCell(cell: Cell): ResolvedBase[] {
  const found = new Map([[cell.base.name, cell.base]])
  const waiting = [...trainingData(cell), ...corpusOf(cell.base)]
  for (const { teacher } of waiting) {
    if (teacher.kind !== 'base' || found.has(teacher.base.name)) continue
    found.set(teacher.base.name, teacher.base)
    waiting.push(...corpusOf(teacher.base))
  }
  return [...found.values()]
}

/** The data of the organism, of the techniques, and of every base above that is pretrained on prompts. */
export function dataOfCell(cell: Cell): ResolvedData[] {
  return [...trainingData(cell), ...basesOfCell(cell).flatMap(corpusOf)]
}

const trainingData = ({ organism, chain }: Cell): ResolvedData[] => [
  ...(organism.made === null ? [] : [organism.made.data]),
  ...chain.flatMap(({ data }) => (data.kind === 'prompts' ? [data] : [])),
]

const corpusOf = (base: ResolvedBase): ResolvedData[] =>
  base.kind === 'pretrained' && base.corpus.kind === 'prompts' ? [base.corpus] : []
