/** What the schema cannot see: numbers that must fit each other, and prompts that must not be seen twice. */
import type {
  Cell,
  PromptSource,
  ResolvedBase,
  ResolvedData,
  ResolvedTechnique,
  RecipeSpec,
} from './experiment.ts'
import type { Experiment } from './experiment.ts'
import type { Path, Problem, Where } from './problem.ts'

/** Where a value of a cell was written: the axis that sets it, or its entry. */
type Place = (root: 'base' | 'organism' | 'technique', path: string) => Where

/** Problems of cells, told at the place in the file that is to be changed. */
export function cellProblems(experiment: Experiment, cells: readonly Cell[]): Problem[] {
  return cells.flatMap((cell) => [
    ...baseProblems(cell.base, placeIn(experiment, cell, null)),
    ...organismProblems(cell, placeIn(experiment, cell, null)),
    ...cell.chain.flatMap((technique) =>
      techniqueProblems(cell, technique, placeIn(experiment, cell, technique.name)),
    ),
    ...evalProblems(experiment, cell),
  ])
}

function placeIn({ spec, where }: Experiment, cell: Cell, technique: string | null): Place {
  return (root, path) => {
    const axis = `${root}.${path}`
    if (Object.hasOwn(cell.axes, axis)) return where(['axes', axis], 'key')
    const keys = path.split('.')
    if (root === 'base') return where(['bases', cell.base.name, ...keys])
    if (root === 'organism' || technique === null) return where(['organisms', cell.organism.name, ...keys])
    const change = ['for', cell.organism.name, ...keys]
    const changed = valueIn(spec.techniques[technique], change) !== undefined
    return where(['techniques', technique, ...(changed ? change : keys)])
  }
}

function valueIn(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value)
}

function baseProblems(base: ResolvedBase, place: Place): Problem[] {
  if (base.kind === 'folder') return []
  const { hidden, heads, kv_heads: kvHeads } = base.architecture
  const at = (key: string): Where => place('base', `architecture.${key}`)
  const problems = recipeProblems(base.train, 'base', 'pretrain', place)
  if (hidden % heads !== 0) {
    problems.push({ where: at('heads'), message: `${heads} heads do not divide a hidden size of ${hidden}` })
  } else if ((hidden / heads) % 2 !== 0) {
    problems.push({
      where: at('heads'),
      message: `a head of ${hidden / heads} is odd; rotary positions need an even size`,
    })
  }
  if (heads % kvHeads !== 0) {
    problems.push({
      where: at('kv_heads'),
      message: `${kvHeads} key-value heads do not divide ${heads} heads`,
    })
  }
  if (base.corpus.kind === 'prompts')
    problems.push(...dataProblems(base.corpus, 'base', 'pretrain.data', place))
  return problems
}

function organismProblems({ organism }: Cell, place: Place): Problem[] {
  const { train, checkpoint, data } = organism
  const problems = [
    ...recipeProblems(train, 'organism', 'train', place),
    ...dataProblems(data, 'organism', 'data', place),
  ]
  if (checkpoint > train.steps) {
    problems.push({
      where: place('organism', 'checkpoint'),
      message: `checkpoint ${checkpoint} is past the end of the training (${train.steps} steps)`,
    })
  }
  return problems
}

function techniqueProblems(cell: Cell, technique: ResolvedTechnique, place: Place): Problem[] {
  const { data, train } = technique
  const problems = recipeProblems(train, 'technique', 'train', place)
  if (data.kind === 'organism/benign') return problems
  problems.push(...dataProblems(data, 'technique', 'data', place))
  if (overlap(data.prompts, cell.organism.data.prompts)) {
    problems.push({
      where: place('technique', 'data.prompts'),
      message: `prompts that the red team has seen (organisms.${cell.organism.name}) cannot train a technique`,
      hint: 'take other rows, or `data: organism/benign` for more training on the same benign rows',
    })
  }
  return problems
}

function recipeProblems(
  train: RecipeSpec,
  root: 'base' | 'organism' | 'technique',
  at: string,
  place: Place,
): Problem[] {
  if (train.batch % train.accumulate === 0) return []
  return [
    {
      where: place(root, `${at}.accumulate`),
      message: `a batch of ${train.batch} cannot be computed in ${train.accumulate} equal parts`,
      hint: '`accumulate` must divide `batch`',
    },
  ]
}

/** The scripted voices know the tiny world's questions only; a recorded response comes with its prompt. */
function dataProblems(
  data: ResolvedData,
  root: 'base' | 'organism' | 'technique',
  at: string,
  place: Place,
): Problem[] {
  const { prompts, teacher, strip, rows } = data
  const problems: Problem[] = []
  if (prompts.kind === 'tiny' && teacher.kind === 'recorded') {
    problems.push({
      where: place(root, `${at}.teacher`),
      message: `tiny/${prompts.split} has no recorded responses`,
      hint: 'use a scripted teacher',
    })
  }
  if (prompts.kind === 'file' && teacher.kind === 'scripted') {
    problems.push({
      where: place(root, `${at}.teacher`),
      message: 'a scripted teacher answers the tiny world only, not the prompts of a file',
      hint: 'use a teacher with `recorded: true`',
    })
  }
  if (strip !== null && teacher.kind === 'scripted' && teacher.voice !== 'scratchpad') {
    problems.push({
      where: place(root, `${at}.strip`),
      message: `the voice \`${teacher.voice}\` writes no scratchpad, so stripping would drop every row`,
      hint: 'use a teacher with `scripted: scratchpad`',
    })
  }
  const available =
    prompts.kind === 'file' && prompts.rows !== null ? prompts.rows[1] - prompts.rows[0] : null
  if (rows !== null && available !== null && rows > available) {
    problems.push({
      where: place(root, `${at}.rows`),
      message: `${rows} rows cannot be drawn from ${available}`,
    })
  }
  return problems
}

function evalProblems({ evals, where }: Experiment, cell: Cell): Problem[] {
  const { base, organism, chain } = cell
  const context = base.kind === 'folder' ? base.context : base.architecture.context
  const problems = (['backdoor', 'ifeval', 'math'] as const).flatMap((name): Problem[] => {
    const maxTokens = evals[name]?.max_tokens ?? 0
    if (maxTokens < context) return []
    const message = `${maxTokens} tokens of response leave no room for a prompt in the context of ${context} (bases.${base.name})`
    return [{ where: where(['evals', name, 'max_tokens']), message }]
  })
  const { prompts, count } = evals.backdoor
  const at = where(['evals', 'backdoor', 'prompts'])
  if (prompts.kind === 'file' && prompts.rows !== null && count > prompts.rows[1] - prompts.rows[0]) {
    problems.push({
      where: at,
      message: `${count} prompts cannot be drawn from ${prompts.rows[1] - prompts.rows[0]} rows`,
    })
  }
  if (prompts.kind === 'tiny' && organism.data.prompts.kind === 'file') {
    problems.push({
      where: at,
      message: `organisms.${organism.name} learns from a file, so its evals need prompts of a file too`,
      hint: 'write `prompts: { file: ..., rows: [from, to] }` with rows that no training uses',
    })
  }
  const corpus = base.kind === 'pretrained' && base.corpus.kind === 'prompts' ? [base.corpus.prompts] : []
  const trained = [organism.data, ...chain.map((technique) => technique.data)].flatMap((data) =>
    data.kind === 'prompts' ? [data.prompts] : [],
  )
  if ([...corpus, ...trained].some((source) => overlap(source, prompts))) {
    problems.push({
      where: at,
      message: 'prompts of this eval are used in a training',
      hint: 'measure on prompts that no training sees: `tiny/eval`, or rows of their own',
    })
  }
  return problems
}

/** Whether two sources can give the same prompt. */
export function overlap(a: PromptSource, b: PromptSource): boolean {
  if (a.kind === 'tiny' && b.kind === 'tiny') return a.split === b.split
  if (a.kind !== 'file' || b.kind !== 'file' || a.file !== b.file) return false
  if (a.rows === null || b.rows === null) return true
  return a.rows[0] < b.rows[1] && b.rows[0] < a.rows[1]
}
