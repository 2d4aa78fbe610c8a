/** Reads an experiment file: text, YAML, `--set`, `like`, schema, references, cells; the first stage with problems tells them all. */
import { axisProblems } from './axes.ts'
import { cellProblems } from './checks.ts'
import { expand, ownSettings } from './expand.ts'
import { explainIssues, valueAt, whereOf } from './explain.ts'
import type { Experiment } from './experiment.ts'
import { type Absent, locateFiles } from './files.ts'
import { applyLike, isBlock } from './inherit.ts'
import { itemProblems } from './item-checks.ts'
import { applyLikeFiles, type LikeTexts } from './like-file.ts'
import { methodProblems } from './method-checks.ts'
import { applyOverrides } from './overrides.ts'
import { placementProblems } from './placement-checks.ts'
import { type Path, type Problem, SpecError } from './problem.ts'
import { readSpecText } from './read-text.ts'
import { referenceProblems } from './references.ts'
import { resolveEvals } from './resolve.ts'
import { experimentSchema, type ExperimentSpec } from './schema.ts'
import { type Located, parseYaml } from './yaml.ts'

export interface LoadOptions {
  /** `path=value` arguments, applied in order. */
  readonly set?: readonly string[]
  /** Default: refused. */
  readonly absent?: Absent
  /** Of the files that it is like, where they are not to be read. */
  readonly likeTexts?: LikeTexts
}

const maxCells = 10_000

/** Throws SpecError (BAD_SPEC) with positions for everything that is wrong. */
export async function loadExperiment(file: string, options: LoadOptions = {}): Promise<Experiment> {
  return await parseExperiment(await readSpecText(file), file, options)
}

/** The same for text that is already here; `file` names it in errors and is where its paths start. */
export async function parseExperiment(
  text: string,
  file: string,
  { set = [], absent = 'refused', likeTexts }: LoadOptions = {},
): Promise<Experiment> {
  const parsed = parseYaml(text, file)
  if (!isBlock(parsed.value)) refuse([notAnExperiment(parsed)])
  const { located: whole, texts } = await applyLikeFiles(parsed, file, likeTexts)
  const changed = applyOverrides(whole, set)
  const located = applyLike(changed)
  const where = (path: Path, part?: 'key' | 'value') => whereOf(located, path, part)

  const result = experimentSchema.safeParse(located.value)
  if (!result.success) throw new SpecError(explainIssues(result.error.issues, located, experimentSchema))
  const { spec, problems } = await locateFiles(result.data, file, where, absent)
  refuse([
    ...problems,
    ...referenceProblems(spec, where),
    ...methodProblems(spec, where),
    ...itemProblems(spec, where),
    ...placementProblems(spec, where),
    ...axisProblems(spec, located, where),
    ...gridProblems(spec, where),
  ])

  const experiment: Experiment = {
    name: spec.name,
    description: spec.description ?? null,
    seeds: spec.seeds,
    spec,
    evals: resolveEvals(spec),
    verdict: spec.verdict,
    own: ownSettings(valueAt(changed.value, ['techniques'])),
    source: { file, text, set, likeTexts: texts },
    where,
  }
  refuse(cellProblems(experiment, expand(experiment)))
  return experiment
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new SpecError(problems)
}

function notAnExperiment(parsed: Located): Problem {
  return {
    where: whereOf(parsed, []),
    message:
      parsed.value === null
        ? 'the file holds only comments'
        : 'an experiment file is a block of `key: value` lines',
    hint: 'examples/laptop.yaml is one to start from',
  }
}

function gridProblems(spec: ExperimentSpec, where: Experiment['where']): Problem[] {
  const counts = [
    Object.keys(spec.organisms).length,
    Object.keys(spec.techniques).length,
    ...Object.values(spec.axes).map((values) => values.length),
    spec.seeds.length,
  ]
  const cells = counts.reduce((a, b) => a * b, 1)
  if (cells <= maxCells) return []
  const manySeeds = spec.seeds.length === Math.max(...counts)
  return [
    {
      where: where([manySeeds ? 'seeds' : 'axes'], 'key'),
      message: `the grid has ${cells} cells (${counts.join(' × ')}), more than ${maxCells}`,
    },
  ]
}
