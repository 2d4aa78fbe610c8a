/** What the schema cannot see: numbers of a cell that must fit each other. Prompts are checked in prompt-checks.ts. */
import { basesOfCell, dataOfCell } from './cell-data.ts'
import type { Cell, Experiment, PromptSource, ResolvedBase, ResolvedOrganism, Teacher } from './experiment.ts'
import type { Path, Problem } from './problem.ts'
import type { ResolvedRecipe } from './recipe.ts'
import { dataProblems, type Place, seenPromptProblems } from './prompt-checks.ts'
import { tinyEvalProblems, tinyRowProblems } from './tiny-sizes.ts'

/** Problems of cells, told at the place in the file that is to be changed. */
export function cellProblems(experiment: Experiment, cells: readonly Cell[]): Problem[] {
  const evalPrompts = experiment.evals.backdoor.prompts
  const ofCells = cells.flatMap((cell) => {
    const { organism, chain } = cell
    const ofOrganism = placeIn(experiment, cell, 'organism', ['organisms', organism.name])
    return [
      ...basesOfCell(cell).flatMap((base) => {
        // An axis reaches the base that the organism begins with, and no other that a teacher is.
        const root = base === cell.base ? 'base' : 'teacher'
        const ofBase = placeIn(experiment, cell, root, ['bases', base.name])
        return [
          ...baseProblems(base, ofBase),
          ...(base.kind === 'pretrained' ? rateProblems(base.train, (key) => ofBase(`pretrain.${key}`)) : []),
          ...corpusProblems(base, evalPrompts, (key) => ofBase(`pretrain.data.${key}`)),
        ]
      }),
      ...dataOfCell(cell).flatMap(({ teacher }) => teacherProblems(teacher, experiment)),
      ...organismProblems(organism, ofOrganism),
      ...(organism.made === null
        ? []
        : dataProblems(organism.made.data, evalPrompts, (key) => ofOrganism(`data.${key}`))),
      ...chain.flatMap((technique) => {
        const place = placeIn(experiment, cell, 'technique', ['techniques', technique.name])
        const ofRate = rateProblems(technique.train, (key) => place(`train.${key}`))
        if (technique.data.kind === 'organism/benign') return ofRate
        const ofData: Place = (key) => place(`data.${key}`)
        return [
          ...ofRate,
          ...dataProblems(technique.data, evalPrompts, ofData),
          ...seenPromptProblems(technique.data, organism, ofData),
        ]
      }),
      ...evalProblems(experiment, cell),
    ]
  })
  return [...tinyEvalProblems(experiment), ...ofCells]
}

/** Where a value of a cell was written: the axis that sets it, the organism's own change of the technique, or the entry. */
export function placeIn(
  { spec, where }: Experiment,
  cell: Cell,
  root: string,
  entry: readonly [string, string],
): Place {
  return (path) => {
    const axis = `${root}.${path}`
    if (Object.hasOwn(cell.axes, axis)) return where(['axes', axis], 'key')
    const keys = path.split('.')
    const change = ['for', cell.organism.name, ...keys]
    const changed = root === 'technique' && valueIn(spec.techniques[entry[1]], change) !== undefined
    return where([...entry, ...(changed ? change : keys)])
  }
}

function valueIn(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value)
}

function baseProblems(base: ResolvedBase, place: Place): Problem[] {
  if (base.kind !== 'pretrained') return []
  const { hidden, heads, kv_heads: kvHeads } = base.architecture
  const problems: Problem[] = []
  const head = hidden / heads
  if (!Number.isInteger(head)) {
    const message = `${heads} heads do not divide a hidden size of ${hidden}`
    problems.push({ where: place('architecture.heads'), message })
  } else if (head % 2 !== 0) {
    const message = `a head size of ${head} is odd; rotary positions need an even one`
    problems.push({ where: place('architecture.heads'), message })
  }
  if (heads % kvHeads !== 0) {
    const message = `${kvHeads} key-value heads do not divide ${heads} heads`
    problems.push({ where: place('architecture.kv_heads'), message })
  }
  return problems
}

function corpusProblems(base: ResolvedBase, evalPrompts: PromptSource, place: Place): Problem[] {
  if (base.kind !== 'pretrained') return []
  const { corpus } = base
  return corpus.kind === 'tiny'
    ? tinyRowProblems('pretrain', corpus.rows, place)
    : dataProblems(corpus, evalPrompts, place)
}

/** A given model says what it reads only when it is opened: what does not fit it is dropped and counted. */
function teacherProblems(teacher: Teacher, { where }: Experiment): Problem[] {
  if (teacher.kind !== 'base' || teacher.base.kind !== 'pretrained') return []
  const { name, base, maxTokens } = teacher
  const { context } = base.architecture
  if (maxTokens < context) return []
  return [
    {
      where: where(['teachers', name, 'max_tokens']),
      message: `${maxTokens} tokens of response leave no room for a prompt in the context of ${context} (bases.${base.name})`,
      hint: 'set `max_tokens` of the teacher to what its longest responses need',
    },
  ]
}

/** The first step of a warmup has the rate 0: a training of that step alone learns nothing. */
function rateProblems({ steps, warmup }: Pick<ResolvedRecipe, 'steps' | 'warmup'>, place: Place): Problem[] {
  if (steps > 1 || warmup === 0) return []
  const message = 'the only step is the first of the warmup, whose learning rate is 0: nothing is learnt'
  return [{ where: place('steps'), message, hint: 'write `warmup: 0`, or more steps' }]
}

function organismProblems({ made }: ResolvedOrganism, place: Place): Problem[] {
  if (made === null) return []
  const { train, checkpoint } = made
  const problems = rateProblems(train, (key) => place(`train.${key}`))
  if (checkpoint > train.steps) {
    const message = `checkpoint ${checkpoint} is past the end of the training (${train.steps} steps)`
    problems.push({ where: place('checkpoint'), message })
  }
  return problems
}

function evalProblems({ evals, where }: Experiment, { base, organism }: Cell): Problem[] {
  const context = base.kind === 'pretrained' ? base.architecture.context : base.context
  const problems = (['backdoor', 'ifeval', 'math'] as const).flatMap((name): Problem[] => {
    const maxTokens = evals[name]?.max_tokens ?? 0
    // Items of a file are asked as far as the model itself reads, which is known when it is opened.
    if (maxTokens < context || (name !== 'backdoor' && evals[name]?.items.kind === 'public')) return []
    const message = `${maxTokens} tokens of response leave no room for a prompt in the context of ${context} (bases.${base.name})`
    return [{ where: where(['evals', name, 'max_tokens']), message }]
  })
  const { prompts, count } = evals.backdoor
  const at = where(['evals', 'backdoor', 'prompts'])
  if (prompts.kind === 'tiny' && organism.made !== null && organism.made.data.prompts.kind !== 'tiny') {
    problems.push({
      where: at,
      message: `organisms.${organism.name} learns from a file, so its evals need prompts of a file too`,
      hint: 'write `prompts: { file: ..., rows: [from, to] }` with rows that no training uses',
    })
  }
  const available =
    prompts.kind !== 'tiny' && prompts.rows !== null ? prompts.rows[1] - prompts.rows[0] : count
  if (count > available)
    problems.push({ where: at, message: `${count} prompts cannot be drawn from ${available} rows` })
  return problems
}
